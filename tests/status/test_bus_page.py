"""The page of a bus: where it is, how its line is set and where that comes from, and what each device takes of its time."""

import re

import pytest

from gateway.models import FactSource
from gateway.status.buses_view import BusDetails, DeviceBusLoad
from gateway.status.model import encode_id
from gateway.status.render.bus_line import FACT_TITLES, MOST_LOADS, SOURCE_TEXTS, line_of

pytestmark = pytest.mark.enable_socket

LINE = encode_id("line", "/dev/serial/by-id/usb-FTDI_RS485-if00")


def test_each_source_of_a_fact_has_its_words_and_a_fact_of_another_adapter_has_a_title():
    assert set(SOURCE_TEXTS) == set(FactSource)
    assert {"port", "host", "speed", "parity", "stop_bits", "controller"} <= set(FACT_TITLES)
    facts = line_of(BusDetails.model_validate({"facts": [{"name": "bus_voltage", "value": "24 V"}]}))["facts"]
    assert [(one.title, one.source) for one in facts] == [("Bus voltage", None)]


def test_the_devices_behind_the_largest_loads_are_summed_up():
    devices = tuple(DeviceBusLoad(name=f"d{n}", address=str(n), plan=0.01, load=0.005) for n in range(MOST_LOADS + 10))
    shown = line_of(BusDetails(devices=devices))
    assert (len(shown["loads"]), shown["rest"]) == (MOST_LOADS, 10)
    assert shown["rest_plan"] == pytest.approx(0.1)


async def test_the_page_says_how_the_line_is_set_where_that_comes_from_and_what_each_device_takes(page, view):
    async with page.http.get(f"/buses/{LINE}") as response:
        html = re.sub(r"\s+", " ", await response.text())
    assert '<dt>Speed</dt><dd><bdi>9600 baud</bdi> <span class="quiet">found by the search</span>' in html
    assert '<dt>Parity</dt><dd><bdi>even</bdi> <span class="quiet">by the profile of its device' in html
    meter = next(one.line for one in view.children.values() if one.line.bus_id == LINE)
    assert f'<a href="/children/{meter.id}"><bdi>{meter.name}</bdi></a>' in html
    assert '4.2 %</td><td class="num">2.1 %' in html, "the plan beside what was measured"
    assert "not a child yet" in html
    assert "in the last 2 minutes" in html


async def test_the_api_has_the_same_of_one_bus_and_404_of_another(page):
    async with page.http.get(f"/api/v1/buses/{LINE}") as response:
        report = await response.json()
    assert report["bus"]["id"] == LINE
    assert {"name": "speed", "value": "9600 baud", "source": "found"} in report["details"]["facts"]
    assert report["details"]["devices"][-1] == {"id": None, "name": "Oven 2", "address": "17", "plan": 0.03, "load": 0.0}
    for word in ("nonsense", encode_id("line", "another")):
        async with page.http.get(f"/api/v1/buses/{word}") as response:
            assert response.status == 404
