"""The page of the events in a real browser: live, filtered by keyboard, and without scripts."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from gateway.state.history.timeline import EventKind, TimelineEvent

pytestmark = pytest.mark.enable_socket

DESK, PHONE = {"width": 1400, "height": 900}, {"width": 360, "height": 780}

_spec = importlib.util.spec_from_file_location("fake_events", Path(__file__).with_name("fake_events.py"))
fake_events = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fake_events)


@pytest.fixture
async def browse(page, chromium_running, complaints_of):
    meter = next(one.line for one in page.view.children.values() if one.line.name == "Meter 1")
    page.view.timeline = fake_events.show_timeline(meter, rounds=9)
    async with chromium_running() as browser:

        async def start(viewport, **settings):
            context = await browser.new_context(viewport=viewport, **{"base_url": page.address} | settings)
            tab = await context.new_page()
            tab.set_default_timeout(60_000)
            return SimpleNamespace(tab=tab, complaints=complaints_of(tab), meter=meter)

        yield start


async def test_an_event_is_seen_as_it_happens_and_the_filter_works_by_keyboard(browse, page, fake):
    window = await browse(PHONE, color_scheme="dark")
    tab = window.tab
    await tab.goto("/events")
    await tab.wait_for_selector("#live.on")
    page.view.timeline.append(
        TimelineEvent(seq=10_000, at=fake.now(), kind=EventKind.WENT, text="it has just happened", child=window.meter.key,
                      device="Meter 1", entry="meters", bus="10.20.30.40:502")
    )  # fmt: skip
    await tab.wait_for_selector("#events >> text=it has just happened")
    await tab.focus("select[name=kind]")
    await tab.keyboard.type("silent")
    await tab.focus("form.filter button")
    await tab.keyboard.press("Enter")
    await tab.wait_for_url("**/events?kind=went*")
    marks = await tab.locator("#events .mark").all_inner_texts()
    assert marks and set(marks) == {"silent"}  # noqa: PT018 - of all rows
    assert await tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert window.complaints == []


async def test_a_device_leads_to_its_events_and_back_without_scripts(browse):
    window = await browse(DESK, java_script_enabled=False)
    tab = window.tab
    await tab.goto(f"/children/{window.meter.id}")
    await tab.click("text=All events of this device")
    assert await tab.inner_text("h1") == "Events of Meter 1"
    await tab.select_option("select[name=kind]", "command")
    await tab.click("form.filter button")
    assert set(await tab.locator("#events .mark").all_inner_texts()) == {"command"}
    await tab.click("text=All events")
    await tab.click("text=Earlier")
    assert await tab.locator("text=Latest").count() == 1
    await tab.click("#events a:has-text('Meter 1') >> nth=0")
    assert await tab.inner_text("h1") == "Meter 1"
