"""Addresses of lists with wrong parameters: a page that says what is wrong, and 400 from the API."""

from html import unescape

import pytest

from gateway.status.model import encode_id

pytestmark = pytest.mark.enable_socket

BUS = f"/buses/{encode_id('ble', 'hci0')}"


@pytest.mark.parametrize("path", ["/", BUS])
@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sort=nmae", "There is no column “<bdi>nmae</bdi>” to sort by: the devices that most need a person stand first."),
        ("sort=-nmae", "There is no column “<bdi>-nmae</bdi>” to sort by"),
        ("group=colour", "Devices cannot be grouped by “<bdi>colour</bdi>”: they stand in one list."),
        ("column=wieght&column=age", "There is no column “<bdi>wieght</bdi>”: it is left out."),
        ("page=two", "“<bdi>two</bdi>” is no page number: this is the first page."),
        ("page=99", "There is no page 99: this is the last one."),
        ("show=broken", "There is no filter “<bdi>broken</bdi>”: all devices are shown."),
        ("srot=name", "The address has “<bdi>srot</bdi>”, which means nothing here."),
        ("sort=%3Cscript%3E", "There is no column “<bdi>&lt;script&gt;</bdi>” to sort by"),
    ],
)
async def test_a_page_says_which_part_of_its_address_is_wrong_and_what_is_shown_instead(page, path, query, told):
    async with page.http.get(f"{path}?{query}") as answer:
        assert answer.status == 200
        html = await answer.text()
    assert told in html
    assert html.count('class="devices"') == 1, "the list is there"


async def test_the_list_of_found_devices_says_it_as_well_and_a_right_address_says_nothing(page):
    async with page.http.get("/waiting?page=0&show=ignored") as answer:
        assert "is no page number" in await answer.text()
    async with page.http.get("/?sort=-age&group=family&column=age&show=fine&page=1&search=meter") as answer:
        assert 'class="remark" role="status"' not in await answer.text()


@pytest.mark.parametrize("path", ["children", "waiting"])
@pytest.mark.parametrize("query", ["page=two", "page=0", "sort=name", "group=bus", "column=age", "show=broken", "srot=name"])
async def test_the_api_refuses_it_with_what_is_wrong(page, path, query):
    async with page.http.get(f"/api/v1/{path}?{query}") as answer:
        assert answer.status == 400
        assert query.partition("=")[0] in unescape((await answer.json())["error"])
