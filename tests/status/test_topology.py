"""The topology: what its page and its operation show of small and large plants, where each cause stands, and what is folded."""

import asyncio
import importlib.util
from html import unescape
from pathlib import Path
from re import findall

import pytest

from gateway.models import Reach
from gateway.state.child_states import ChildState
from gateway.status.model import encode_id
from gateway.status.open_causes import open_causes
from gateway.status.render.topology import MOST_DEVICES, MOST_OWN, MOST_UNFOLDED, TopologyQuery, tree
from gateway.status.snapshot import HubContact

pytestmark = pytest.mark.enable_socket

_spec = importlib.util.spec_from_file_location("fake_topology", Path(__file__).with_name("fake_topology.py"))
fake_topology = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_topology)

LOST, FINE = encode_id("site", "10.20.30.8:502"), encode_id("site", "10.20.30.2:502")


@pytest.fixture
def large(fake):
    return fake_topology.fill(fake.FakeView(), fake, buses=8, devices=125)


async def text_of(page, path):
    async with page.http.get(path) as answer:
        return answer.status, unescape(await answer.text())


def shown_devices(html):
    return findall(r'<li id="d-[^>]*><a href="/children/[^"]*"><bdi>([^<]*)', html)


async def test_a_small_plant_is_shown_whole_with_state_and_load_of_each_part(page):
    status, html = await text_of(page, "/topology")
    assert status == 200
    order = [html.index(f'id="node-{one}"') for one in ("cloud", "gateway", encode_id("meters", "10.20.30.41:502"))]
    assert order == sorted(order)
    assert "18\u202f204 samples wait for it" in html
    assert "outbox 9.1 % full" in html
    assert "72 % used in the last minute, 91 % planned; over its limit: all intervals are 1.3 times as long" in html
    assert len(shown_devices(html)) == 12
    assert html.count("2.1 % of the bus") == 12
    assert "Show all" not in html
    for link in (f"/buses/{encode_id('ble', 'hci0')}", f"/children/{encode_id('sn:acme/Meter 1')}", "/cloud"):
        assert f'href="{link}"' in html


async def test_a_lost_bus_is_first_and_its_cause_is_there_once_with_a_way_to_try_again(page):
    _, html = await text_of(page, "/topology")
    html = html.partition('id="tree"')[2]
    buses = findall(r'<h4><a href="/buses/[^"]*"><bdi>([^<]*)', html)
    assert buses[0] == "10.20.30.41:502"
    assert html.count("refuses the connection") == 1
    assert f'action="/buses/{encode_id("meters", "10.20.30.41:502")}/try"' in html
    assert 'name="then" value="/topology"' in html


async def test_of_a_thousand_devices_only_those_with_trouble_of_their_own_are_shown_until_a_bus_is_unfolded(serve, large):
    page = await serve(large)
    _, html = await text_of(page, "/topology")
    assert shown_devices(html) == ["Meter 1-125"]
    assert "125 children: <span" in html
    assert html.index(f"node-{LOST}") < html.index("Meter 1-125") < html.index(f"node-{FINE}")
    assert len(html.encode()) < 30_000
    _, html = await text_of(page, f"/topology?open={FINE}")
    assert len(shown_devices(html)) == 126
    assert "Show only those that need a person" in html
    _, html = await text_of(page, f"/topology?open={FINE},{LOST}")
    assert len(shown_devices(html)) == 251


async def test_a_bus_with_more_devices_than_a_page_takes_says_how_many_are_left(serve, fake):
    view = fake_topology.fill(fake.FakeView(), fake, buses=2, devices=MOST_DEVICES + 45)
    page = await serve(view)
    _, html = await text_of(page, f"/topology?open={encode_id('site', '10.20.30.1:502')}")
    assert len(shown_devices(html)) == MOST_DEVICES
    assert shown_devices(html)[0] == f"Meter 1-{MOST_DEVICES + 45}"  # the silent one
    assert "45 more are on the page of this bus" in html


async def test_a_folded_bus_shows_only_so_many_troubles_and_says_that_there_are_more(serve, fake):
    view = fake.FakeView()
    view.add_bus("hci0", "ble")
    for number in range(MOST_UNFOLDED + 10):
        reach = Reach.SILENT if number < MOST_OWN + 4 else Reach.REACHABLE
        view.add_child(f"Tag {number}", "hci0", reach=reach, why="not heard" if reach is Reach.SILENT else None)
    page = await serve(view)
    _, html = await text_of(page, "/topology")
    assert shown_devices(html) == [f"Tag {number}" for number in range(MOST_OWN)]
    assert "4 more that need a person" in html


async def test_every_open_cause_stands_at_exactly_one_part(view, large):
    view.gateway = view.gateway.model_copy(
        update={
            "store_problem": "disk full",
            "hub": HubContact(is_reachable=False, problem="no route", tries=3),
        }
    )
    view.add_child("Pump 4", "10.20.30.40:502", state=ChildState.REFUSED, why="the cloud refused it: model not found")
    for shown in (view, large):
        snapshot = await shown.snapshot()
        whole = tree(snapshot)
        placed = [*whole.cloud_causes, *whole.gateway_causes, *whole.child_causes.values()]
        placed += [cause for branch in whole.branches for cause in branch.causes]
        assert sorted(one.id for one in placed) == sorted(one.id for one in open_causes(snapshot))
    whole = tree(await view.snapshot())
    assert "hub" in {one.id for one in whole.cloud_causes}
    assert {one.id for one in whole.gateway_causes} == {"store"}


async def test_children_of_a_bus_that_is_gone_are_shown_first(serve, view):
    del view.buses["hci0"]
    page = await serve(view)
    _, html = await text_of(page, "/topology")
    assert "not there any more" in html
    assert html.index("not there any more") < html.index("/dev/serial/by-id")
    assert len(shown_devices(html)) == 12


async def test_the_operation_has_every_device_with_state_and_load(serve, large):
    page = await serve(large)
    async with page.http.get("/api/v1/topology") as answer:
        said = await answer.json()
    assert said["gateway"]["standings"] == {"silent": 126, "fine": 874}
    assert said["cloud"]["is_reachable"] is True
    lost, with_trouble, *others = said["buses"]
    assert (lost["bus"], lost["causes"][0]["cause"], lost["standings"]) == ("10.20.30.8:502", "host_refuses", {"silent": 125})
    first = with_trouble["devices"][0]
    assert (first["name"], first["standing"], first["cause"]) == ("Meter 1-125", "silent", "no_answer")
    assert sum(len(bus["devices"]) for bus in said["buses"]) == 1000
    assert {device["load"] for bus in others for device in bus["devices"]} == {0.021}


@pytest.mark.parametrize("query", ["open=%25%25", "open=abc", "open=" + ",".join([FINE] * 21), f"open={encode_id('one')}"])
async def test_what_cannot_be_a_bus_is_400_and_a_bus_that_is_gone_is_not_missed(page, query):
    assert (await text_of(page, f"/topology?{query}"))[0] == 400
    assert (await text_of(page, f"/topology?open={encode_id('gone', 'bus')}"))[0] == 200
    assert (await text_of(page, f"/api/v1/topology?{query}"))[0] == 400


def test_unfolding_a_bus_keeps_the_others_and_folding_is_the_way_back():
    query = TopologyQuery.parse({"open": f"{FINE},{LOST},{FINE}"})
    assert query.path == f"/topology?open={FINE},{LOST}"
    assert query.toggled(FINE) == f"/topology?open={LOST}#node-{FINE}"
    assert TopologyQuery().toggled(FINE) == f"/topology?open={FINE}#node-{FINE}"


async def test_names_from_the_air_are_only_shown(serve, view):
    view.add_child("<script>x</script>" + "x" * 300, "hci0", key="mac:1", reach=Reach.SILENT, why="<b>gone</b>\u202e")
    page = await serve(view)
    async with page.http.get("/topology") as answer:
        html = await answer.text()
    assert "<script>x" not in html
    assert "<b>gone" not in html
    assert "\u202e" not in html


async def test_an_open_page_gets_what_changes(page, view):
    async with page.http.get("/live", params={"at": "/topology"}) as stream:
        text = b""
        async with asyncio.timeout(60):
            while b"pulled the plug" not in text:
                text += await stream.content.readuntil(b"\n\n")
                if b"regions" in text:
                    view.silence("sn:acme/Meter 1", "somebody pulled the plug")


@pytest.mark.parametrize("width", [360, 1400])
async def test_a_browser_shows_a_thousand_devices_unfolds_by_keyboard_and_is_live(
    serve, large, chromium_running, complaints_of, width
):
    page = await serve(large)
    async with chromium_running() as browser:
        context = await browser.new_context(base_url=page.address, viewport={"width": width, "height": 800}, color_scheme="dark")
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        complaints = complaints_of(tab)
        await tab.goto("/")
        if width < 800:  # where the navigation is folded
            await tab.locator(".menu summary").click()
        await tab.get_by_role("link", name="Topology").click()
        await tab.wait_for_selector("#live.on")
        assert await tab.get_by_role("listitem").filter(has_text="refuses the connection").first.is_visible()
        toggle = tab.get_by_role("link", name="Show all on 10.20.30.2:502", exact=True)
        await toggle.focus()
        await tab.keyboard.press("Enter")
        await tab.get_by_role("link", name="Meter 2-125", exact=True).wait_for()
        large.silence("sn:acme/Meter 2-7", "somebody pulled the plug")
        await tab.locator(f"#d-{encode_id('sn:acme/Meter 2-7')}.trouble >> text=somebody pulled the plug").wait_for()
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []
        still = await (await browser.new_context(base_url=page.address, java_script_enabled=False)).new_page()
        await still.goto("/topology")
        await still.get_by_role("link", name="Show all on 10.20.30.3:502", exact=True).click()
        await still.get_by_role("link", name="Meter 3-9", exact=True).wait_for()
