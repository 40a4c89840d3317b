"""The page of one device and its frames in Debian's Chromium: the chart in its ranges, and frames that are copied."""

import pytest

from gateway.models import Metric, Reading
from gateway.status.model import encode_id

pytestmark = pytest.mark.enable_socket

METER = "sn:acme/Meter 1"
CHILD, FRAMES = f"/children/{encode_id(METER)}", f"/devices/{encode_id(METER)}/frames"


@pytest.fixture
async def tab(page, chromium_running, complaints_of):
    async with chromium_running() as browser:
        context = await browser.new_context(viewport={"width": 390, "height": 800}, base_url=page.address)
        await context.grant_permissions(["clipboard-read", "clipboard-write"])
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        complaints = complaints_of(tab)
        await tab.goto("/login")
        await tab.fill("#token", page.token)
        await tab.press("#token", "Enter")
        await tab.wait_for_selector("text=Sign out")
        yield tab
        assert complaints == []


async def test_the_chart_shows_another_range_on_the_page_itself_and_values_stand_under_headings(tab, view, fake):
    for number, name in enumerate(("current_l1", "current_l2", "current_l3", "rssi", "energy_import")):
        view.history.take([Reading(METER, Metric(name, "A"), number, fake.now())])
    await tab.goto(CHILD)
    await tab.wait_for_selector("#plot canvas")
    first = await tab.inner_text("#plot-text")
    assert first.startswith("From ")
    headings = await tab.locator("#values .group").all_inner_texts()
    assert headings[0] == "Main values"
    assert headings[-1] == "Diagnostic values"
    assert "Phases" in headings
    async with tab.expect_response(lambda answer: "range=week" in answer.url) as asked:
        await tab.click("#ranges >> text=Last week")
    assert (await asked.value).ok
    await tab.wait_for_function("before => document.getElementById('plot-text').textContent !== before", arg=first)
    assert await tab.locator("#ranges [aria-current]").inner_text() == "Last week"
    assert tab.url.endswith(CHILD), "it is the same page"
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390


async def test_frames_are_told_in_words_and_copied_as_the_download_has_them(tab, page):
    await tab.goto(FRAMES)
    assert await tab.locator(".wrong .meaning").inner_text() == (
        "unit 1: exception 02, illegal data address, to read holding registers; checksum right"
    )
    assert await tab.evaluate("document.documentElement.scrollWidth") <= 390
    await tab.click("#copy")
    await tab.wait_for_selector("#copy-text >> text=Copied")
    async with page.http.get(f"{FRAMES}.txt", headers=page.bearer) as answer:
        assert await tab.evaluate("navigator.clipboard.readText()") == await answer.text()
