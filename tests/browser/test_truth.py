"""What an operator sees at once when something is wrong, in Debian's Chromium: on a phone in the dark, at a desk in the light."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import aiohttp
import pytest
import pytest_asyncio
from shown_gateways import METER, TOKEN, child_path, fake_view, lost_bus, plant, served

from gateway.causes import Cause, Reason
from gateway.models import Metric, Reading
from gateway.status.model import encode_id
from gateway.status.retry_view import TryOutcome
from gateway.status.snapshot import HubContact

pytestmark = [pytest.mark.enable_socket, pytest.mark.asyncio(loop_scope="module")]

CHILLER = "sn:acme/Chiller 2"
SCREENS = (
    {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"},
    {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light"},
)


@pytest_asyncio.fixture(loop_scope="module", params=SCREENS, ids=["phone", "desk"])
async def opened(browser, request, sign_in, complaints_of):
    """`async with opened(view) as page` shows a gateway to an administrator."""

    @asynccontextmanager
    async def show(view):
        async with served(view, update_every=timedelta(seconds=0.1)) as server:
            context = await browser.new_context(base_url=server.address, locale="en-GB", **request.param)
            await sign_in(context, server.address)
            tab = await context.new_page()
            tab.set_default_timeout(60_000)
            complaints = complaints_of(tab)
            yield SimpleNamespace(tab=tab, server=server, height=request.param["viewport"]["height"])
            assert complaints == []
            assert await tab.evaluate("document.documentElement.scrollWidth") <= request.param["viewport"]["width"]
            await context.close()

    return show


def changed(view, key, **changes):
    """Change what is said of a child."""
    child = view.children[key]
    view.children[key] = child.model_copy(update={"line": child.line.model_copy(update=changes)})


async def test_a_lost_bus_with_125_children_is_one_line_on_the_first_screen(opened):
    async with opened(lost_bus(buses=2, devices=125)) as page:
        await page.tab.goto("/")
        lines = page.tab.locator("#problems .cause")
        said = await lines.all_inner_texts()
        assert [one for one in said if "refuses the connection" in one] == said[:1]
        assert "125 children" in said[0]
        assert len(said) == 2, "the other one is a device of another bus, silent by itself"
        box = await lines.nth(0).bounding_box()
        assert box["y"] + box["height"] < page.height
        await page.tab.click("#children a:has-text('Meter 2-1') >> nth=0")
        await page.tab.wait_for_selector("text=Why is its bus offline?")
        assert "Refuses the connection" in await page.tab.inner_text("#status")
        await page.tab.click("#status a:has-text('10.20.30.2:502')")
        await page.tab.wait_for_selector(f"[data-cause={Cause.HOST_REFUSES.value}]")


async def test_the_values_of_a_silent_device_are_dimmed_with_their_age_and_those_of_a_fine_one_are_not(opened):
    view = plant(children=1)
    view.history.take([Reading(CHILLER, Metric("active_power", "W"), 5.0, fake_view.now() - timedelta(minutes=25))])
    async with opened(view) as page:
        weights = {}
        for key in (METER, CHILLER):
            await page.tab.goto(child_path(key))
            style = "getComputedStyle(document.querySelector('#values tr[data-metric=active_power] td.num'))"
            weights[key] = await page.tab.evaluate(f"[{style}.fontWeight, {style}.color]")
            assert await page.tab.locator("#values tr[data-metric=active_power] .age time").inner_text() != ""
        assert int(weights[METER][0]) >= 600 > int(weights[CHILLER][0])
        assert weights[METER][1] != weights[CHILLER][1]


async def test_a_cloud_that_refuses_the_key_is_not_said_to_be_unreachable_and_is_tried_again_by_hand(opened):
    view = plant(children=1)
    hub = HubContact(
        is_reachable=False, since=fake_view.now(), problem="it does not accept this id with this key (401)",
        cause=Cause.KEY_REFUSED, tried_at=fake_view.now(), tries=3, next_try_at=fake_view.now() + timedelta(minutes=12),
    )  # fmt: skip
    view.gateway = view.gateway.model_copy(update={"hub": hub})
    view.outcomes = [TryOutcome(works=True, text="the cloud answers")]
    async with opened(view) as page:
        await page.tab.goto("/")
        said = await page.tab.inner_text("#summary")
        assert "Cloud answers, but refuses the key" in said
        assert "(401)" in said
        assert "not reachable" not in said
        await page.tab.click("#summary >> text=Try now")
        await page.tab.wait_for_selector("text=the cloud answers")
        assert view.done[-1] == ("try", "cloud")


async def test_a_full_host_says_so_with_what_is_to_be_done(opened):
    view = plant(children=1)
    bus = view.buses["10.20.30.41:502"]
    view.buses[bus.bus] = bus.model_copy(update={"cause": Cause.HOST_CLOSES, "problem": "it closed 7 connections"})
    async with opened(view) as page:
        await page.tab.goto(f"/buses/{bus.id}")
        said = await page.tab.inner_text("main")
        assert "Closes each connection" in said
        assert "may all be in use" in said
        assert "it closed 7 connections" in said


async def test_errors_are_counted_by_kind_and_not_by_their_numbers(opened):
    view = plant(children=1)
    for limit in (0.04, 0.08, 0.32, 0.5) * 9:
        view.history.missed(CHILLER, Reason(f"no answer within {limit} s", Cause.NO_ANSWER))
    async with opened(view) as page:
        await page.tab.goto(child_path(CHILLER))
        rows = await page.tab.locator("#availability tbody tr").all_inner_texts()
        assert len(rows) == 1
        assert rows[0].startswith("no answer")
        assert rows[0].split()[-1] == "37", "with the one that the plant has already"


async def test_whoever_has_the_right_token_comes_in_while_wrong_ones_are_sent_from_the_same_address(opened):
    async with opened(plant(children=1)) as page:
        async with aiohttp.ClientSession(page.server.address) as scraper:
            for _ in range(12):
                async with scraper.get("/metrics", headers={"Authorization": "Bearer stale"}) as answer:
                    assert answer.status in (401, 429)
        await page.tab.goto("/")
        await page.tab.click("text=Sign out")
        await page.tab.goto("/login")
        await page.tab.fill("#token", TOKEN)
        await page.tab.press("#token", "Enter")
        await page.tab.wait_for_selector("text=Sign out")


async def test_after_a_restart_the_page_shows_what_was_known_before_and_says_that_it_is_of_then(opened):
    view = plant(children=1)
    answered = fake_view.now() - timedelta(minutes=4)
    view.gateway = view.gateway.model_copy(update={"started_at": fake_view.now() - timedelta(seconds=20)})
    changed(view, METER, is_from_before=True, answered_at=answered)
    changed(view, CHILLER, is_from_before=True)
    async with opened(view) as page:
        await page.tab.goto("/")
        assert "last answered 4 min ago" in await page.tab.inner_text(f"#c-{encode_id(METER)}")
        assert "for 44 min (before the restart)" in " ".join((await page.tab.inner_text(f"#c-{encode_id(CHILLER)}")).split())
        await page.tab.goto(child_path(METER))
        assert "Last answered 4 min ago" in await page.tab.inner_text("#status")
        await page.tab.wait_for_selector("#plot canvas")
        assert await page.tab.locator("#values tbody tr[id]").count() == 5


async def test_an_unclaimed_gateway_shows_a_code_that_can_be_scanned_and_the_link(opened):
    view = plant(children=1)
    view.gateway = view.gateway.model_copy(
        update={
            "is_claimed": False,
            "claim_text": "https://portal.example.com/claim",
            "claim_url": "https://portal.example.com/claim",
        }
    )
    async with opened(view) as page:
        await page.tab.goto("/")
        assert await page.tab.get_attribute(".claim a", "href") == "https://portal.example.com/claim"
        image = page.tab.locator(".claim img")
        assert await image.evaluate("async (one) => { await one.decode(); return one.naturalWidth; }") > 0
        assert (await image.bounding_box())["width"] >= 120


async def test_where_there_is_no_room_for_a_chart_it_is_said_at_the_metric(opened):
    view = plant(children=1)
    view.history = type(view.history)(max_metrics=2)
    view.history.take([Reading(METER, metric, 1, fake_view.now()) for metric in fake_view.METRICS])
    async with opened(view) as page:
        await page.tab.goto(child_path(METER))
        assert "The memory for charts is used up: it holds 2 metrics" in await page.tab.inner_text("#values")
