from dataclasses import replace
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.models import Reach
from gateway.state.records import ChildState
from gateway.status.render.device_table import COLUMNS as TABLE_COLUMNS
from gateway.status.render.paging import (
    COLUMNS,
    MAX_SEARCH_LENGTH,
    MOST_SHOWN,
    PER_PAGE,
    SORTS,
    ListQuery,
    list_children,
    list_waiting,
)


@pytest.fixture
def crowd(fake):
    view = fake.FakeView()
    view.add_bus("a")
    view.add_bus("b")
    for number in range(250):
        view.add_child(f"Meter {number}", "ab"[number % 2], address=str(number))
    view.add_child("Zebra", "a", reach=Reach.SILENT, why="no answer", found_as="Horse 4711")
    return view


def lines(view):
    return [child.line for child in view.children.values()]


def names(listing):
    return [row.name for row in listing.rows]


def test_who_is_not_fine_stands_first_and_the_rest_by_number(crowd):
    assert names(list_children(lines(crowd), ListQuery()))[:4] == ["Zebra", "Meter 0", "Meter 1", "Meter 2"]


def test_every_child_stands_on_exactly_one_page(crowd):
    pages = [list_children(lines(crowd), ListQuery(page=page)) for page in (1, 2, 3)]
    assert [len(page.rows) for page in pages] == [PER_PAGE, PER_PAGE, 51]
    assert {row.key for page in pages for row in page.rows} == set(crowd.children)
    assert (pages[2].first, pages[2].pages, pages[2].total) == (201, 3, 251)


def test_a_page_beyond_the_last_is_the_last(crowd):
    assert list_children(lines(crowd), ListQuery(page=99)).page == 3


@pytest.mark.parametrize(
    ("wanted", "total"),
    [
        (ListQuery(search="meter 24"), 13),  # 24, 124, 224 and 240 to 249
        (ListQuery(search="METER acme"), 251),
        (ListQuery(search="power-meter 4711"), 251),
        (ListQuery(search="nobody"), 0),
        (ListQuery(search="horse"), 1),
        (ListQuery(show="trouble"), 1),
        (ListQuery(show="fine"), 250),
        (ListQuery(show="silent", search="zeb"), 1),
        (ListQuery(show="nonsense"), 251),
    ],
)
def test_a_list_holds_what_is_wanted(crowd, wanted, total):
    assert list_children(lines(crowd), wanted).total == total


def test_a_bus_lists_its_own_children(crowd):
    listing = list_children(lines(crowd), ListQuery(), bus_id=crowd.buses["b"].id)
    assert listing.total == 125
    assert {row.bus for row in listing.rows} == {"b"}


def test_ignored_devices_have_a_list_of_their_own(view):
    waiting = list_waiting(view.waiting.values(), ListQuery())
    assert names(waiting) == ["LYWSD03MMC 6A11", "unit 44"]
    assert names(list_waiting(view.waiting.values(), ListQuery(show="ignored"))) == ["Neighbour's watch"]


@given(
    st.text(),
    st.sampled_from(["", "trouble", "fine"]),
    st.integers(1, 99999),
    st.sampled_from(["", "name", "-age", "nonsense"]),
    st.sampled_from(["", "bus", "nonsense"]),
    st.lists(st.sampled_from(["values", "kind", "<b>"])),
)
def test_an_address_that_was_made_is_understood(search, show, page, sort, group, columns):
    given = {"search": search, "show": show, "page": str(page), "sort": sort, "group": group}
    wanted = ListQuery.parse(given, columns)
    pairs = parse_qsl(wanted.encode()[1:])
    assert ListQuery.parse(dict(pairs), [value for name, value in pairs if name == "column"]) == replace(wanted, unknown=())


@pytest.mark.parametrize(("sort", "first"), [("name", "Meter 0"), ("-name", "Zebra"), ("", "Zebra"), ("nonsense", "Zebra")])
def test_a_table_is_sorted_by_a_column_from_either_end_or_else_trouble_first(crowd, sort, first):
    assert list_children(lines(crowd), ListQuery.parse({"sort": sort})).rows[0].name == first


def test_groups_stand_together_in_the_order_of_the_query(crowd):
    listing = list_children(lines(crowd), ListQuery(sort="-name"), group_of=lambda child: child.bus)
    assert [row.bus for row in listing.found] == sorted(row.bus for row in listing.found)


@pytest.mark.parametrize("page", ["", "0", "-1", "1e3", "\u0661", "99999999999", "x"])
def test_a_page_that_makes_no_sense_is_the_first(page):
    assert ListQuery.parse({"page": page}).page == 1


@pytest.mark.parametrize("field", ["name", "found_as", "key", "entry", "bus", "address", "kind", "why"])
def test_a_search_looks_at_every_text_of_a_child(crowd, field):
    line = next(iter(crowd.children.values())).line.model_copy(update={field: "Needle 4242"})
    assert list_children([line], ListQuery(search="needle")).total == 1
    assert list_children([line], ListQuery(search="needle haystack")).total == 0


def test_an_address_holds_only_what_is_not_usual():
    assert ListQuery().encode() == "?"
    assert ListQuery(search="a b").encode(page=2) == "?search=a+b&page=2"
    assert ListQuery(show="fine", page=3).encode(page=1, show="") == "?"
    assert len(ListQuery.parse({"search": "x" * 500}).search) == MAX_SEARCH_LENGTH
    assert ListQuery.parse({"search": "  x  "}).search == "x"


def test_children_are_listed_by_status_first_in_its_order(fake):
    view = fake.FakeView()
    view.add_bus("a")
    for name, more in (
        ("fine", {}),
        ("unasked", {"reach": Reach.UNKNOWN}),
        ("silent", {"reach": Reach.SILENT}),
        ("refused", {"state": ChildState.REFUSED}),
    ):
        view.add_child(name, "a", **more)
    listing = list_children(lines(view), ListQuery())
    assert names(listing) == ["refused", "silent", "unasked", "fine"]
    assert (listing.first, listing.pages, listing.total) == (1, 1, 4)


def test_what_an_address_has_wrong_is_named_and_left_out():
    query = ListQuery.parse(
        {"sort": "nmae", "group": "colour", "page": "x", "show": "broken", "srot": "<b>" * 100, "search": "a"}, ["age", "wieght"]
    )
    assert (query.sort, query.group, query.page, query.show, query.search, query.columns) == ("", "", 1, "", "a", ("age",))
    assert [name for name, _ in query.unknown] == ["sort", "group", "page", "show", "srot"], (
        "and no more than a page has room for"
    )
    assert max(len(value) for _, value in query.unknown) == MOST_SHOWN
    assert query.encode() == "?search=a&column=age", "what is wrong is not carried on"
    assert ListQuery.parse({}, ["wieght"]).unknown == (("column", "wieght"),)


def test_what_an_address_has_right_is_not_named():
    for sort in SORTS:
        assert ListQuery.parse({"sort": f"-{sort}", "group": "bus", "page": "2", "show": "silent"}, list(COLUMNS)).unknown == ()
    assert ListQuery.parse({"sort": "", "show": ""}).unknown == ()


def test_the_columns_of_the_table_are_those_of_its_addresses():
    assert list(TABLE_COLUMNS) == list(COLUMNS)
