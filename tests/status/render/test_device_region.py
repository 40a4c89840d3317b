"""What the table of devices looks like does not depend on what was rendered before, and what is unchanged is rendered once."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.status.languages.catalogue import read_language
from gateway.status.languages.texts import in_language
from gateway.status.render.assets import load_assets
from gateway.status.render.device_region import MOST_CELLS, MOST_TABLES, DeviceRegion
from gateway.status.render.device_table import DeviceRow
from gateway.status.render.paging import ListPage, ListQuery
from gateway.status.render.templates import Templates
from gateway.status.snapshot import ChildStatus, ChildSummary, LatestValue

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
TEMPLATES = Templates(load_assets())
COLUMNS = ("values", "age", "status", "bus")


def child(number, **shown):
    place = {"entry": "modbus", "bus": "house", "bus_id": "bus", "address": "1", "standing": ChildStatus.FINE, "since": AT}
    return ChildSummary(id=f"id{number}", key=f"key{number}", name=f"Meter {number}", **(place | shown))


def value(number, **shown):
    return LatestValue(metric="active_power", value=number, unit="W", at=AT, has_history=True, **shown)


def row(number, *values, at=AT, freshness="", **shown):
    return DeviceRow(child(number, **shown), values, at, [freshness] * len(values))


class CountedTemplates(Templates):
    def __init__(self):
        super().__init__(load_assets())
        self.rendered = 0

    def render(self, template, **values):
        self.rendered += 1
        return super().render(template, **values)


@pytest.fixture
def region():
    return DeviceRegion(TEMPLATES)


def table(region, rows, **changes):
    listing = ListPage([one.child for one in rows], len(rows), 1, 1, ListQuery(**changes))
    return region.table(listing, rows, COLUMNS, None)


def fresh(rows, **changes):
    return table(DeviceRegion(TEMPLATES), rows, **changes)


def test_an_unchanged_table_is_rendered_once_and_a_changed_one_again():
    templates = CountedTemplates()
    region = DeviceRegion(templates)
    first = table(region, [row(1), row(2)])
    assert table(region, [row(1), row(2)]) == first
    assert templates.rendered == 1
    silent = [row(1), row(2, standing=ChildStatus.SILENT, why="no answer")]
    assert table(region, silent) == fresh(silent) != first
    assert templates.rendered == 2


@pytest.mark.parametrize(
    "changed",
    [
        {"alarms": ("look at it",)},
        {"next_try_at": AT + timedelta(seconds=9)},
        {"since": AT + timedelta(hours=1)},
        {"address": "2"},
        {"kind": "Acme"},
        {"is_from_before": True, "answered_at": AT},
    ],
    ids=str,
)
def test_whatever_changes_in_a_row_is_shown(region, changed):
    before = child(1, standing=ChildStatus.SILENT)
    table(region, [DeviceRow(before, (), AT, "")])
    rows = [DeviceRow(before.model_copy(update=changed), (), AT, "")]
    assert table(region, rows) == fresh(rows)


def test_tables_of_two_searches_orders_and_groups_are_kept_apart(region):
    rows = [row(1), row(2)]
    for changes in ({}, {"search": "meter"}, {"sort": "name"}, {"sort": "-name"}, {"group": "bus"}, {"show": "fine"}):
        assert table(region, rows, **changes) == fresh(rows, **changes)
    grouped = [DeviceRow(child(1), (), AT, "", "house", 2), row(2)]
    assert table(region, grouped, group="bus") == fresh(grouped, group="bus") != fresh(rows, group="bus")


def test_each_language_has_its_own_table_and_cells(region):
    rows = [row(1, value(1234.5), at=None)]
    english = table(region, rows), region.cells(rows, COLUMNS)
    with in_language(read_language("de")):
        german = table(region, rows), region.cells(rows, COLUMNS)
        assert german == (fresh(rows), DeviceRegion(TEMPLATES).cells(rows, COLUMNS))
    assert german[0] != english[0]
    assert german[1] != english[1]
    assert (table(region, rows), region.cells(rows, COLUMNS)) == english


def test_cells_that_are_equal_for_python_and_not_for_a_person_are_kept_apart(region):
    for shown in (1, True, 1.0, 0, False, 0.0, -0.0, "1", None):
        rows = [row(1, value(shown))]
        assert region.cells(rows, COLUMNS) == DeviceRegion(TEMPLATES).cells(rows, COLUMNS), shown
    for changes in ({"title": "Power <now>"}, {"decimals": 0}, {"decimals": 3}):
        rows = [row(1, value(1.25, **changes), freshness="late")]
        assert region.cells(rows, COLUMNS) == DeviceRegion(TEMPLATES).cells(rows, COLUMNS), changes
    for at in (AT, AT + timedelta(milliseconds=400), AT + timedelta(seconds=1), None):
        rows = [row(1, at=at)]
        assert region.cells(rows, COLUMNS) == DeviceRegion(TEMPLATES).cells(rows, COLUMNS), at


def test_what_is_remembered_is_bounded(region):
    for number in range(MOST_TABLES + 5):
        table(region, [row(number)], search=str(number))
    for number in range(MOST_CELLS + 5):
        region.cells([row(1, value(number))], COLUMNS)
    assert len(region._tables) <= MOST_TABLES
    assert len(region._cells) <= MOST_CELLS
