"""The page of values over time: ranges, two metrics, bands, zoom, CSV and a table, with and without scripts."""

import re
from types import SimpleNamespace

import pytest

from gateway.models import Metric, Reading
from gateway.status.history import History
from gateway.status.model import encode_id

pytestmark = pytest.mark.enable_socket

METER = "sn:acme/Meter 1"
PAGE = f"/children/{encode_id(METER)}/values"


@pytest.fixture
async def browse(page, chromium_running, complaints_of):
    async with chromium_running() as browser:

        async def start(**settings):
            context = await browser.new_context(base_url=page.address, **settings)
            tab = await context.new_page()
            tab.set_default_timeout(60_000)
            return SimpleNamespace(tab=tab, complaints=complaints_of(tab))

        yield start


async def text_of(page, path):
    async with page.http.get(path, headers=page.bearer) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("range=month", "The parameter &#34;range&#34; is none of hour, day, week, year"),
        ("metric=nothing", "The device has no metric &#34;nothing&#34;; it has active_power"),
        ("metric=active_power&compare=%3Cscript%3E", "The device has no metric &#34;&lt;script&gt;&#34;"),
        ("sort=up", "No parameter is called &#34;sort&#34;"),
        ("range=day&range=week", "is there 2 times"),
    ],
)
async def test_a_wrong_address_says_what_is_wrong_with_it(page, query, why):
    status, html = await text_of(page, f"{PAGE}?{query}")
    assert status == 400
    assert why in html


async def test_there_is_no_page_of_a_child_that_is_none(page):
    assert (await text_of(page, f"/children/{encode_id('nobody')}/values"))[0] == 404


async def test_without_a_choice_the_first_headline_metric_is_shown_and_each_range_is_a_link(page):
    status, html = await text_of(page, PAGE)
    assert status == 200
    assert '<option value="active_power" selected>Active power</option>' in html
    for name in ("hour", "day", "week", "year"):
        assert f'href="?metric=active_power&amp;range={name}"' in html
    assert "<polyline" in html
    assert "<polygon" in html
    assert html.count('<th scope="row"><time datetime=') > 100


async def test_switches_and_words_are_bands_with_a_legend_and_not_lines(page):
    _, html = await text_of(page, f"{PAGE}?metric=relay&compare=state")
    assert "<polyline" not in html
    assert {'class="on"', 'class="off"', 'class="word-0"'} <= set(re.findall(r'class="[a-z0-9-]+"', html))
    assert re.search(r'<i class="word-0"></i><bdi>running</bdi>', html)
    assert "% of the time" in html
    _, child = await text_of(page, f"/children/{encode_id(METER)}")
    assert child.count('class="sparkline bands"') == 2
    assert child.count('<svg class="sparkline" ') == 3


async def test_where_the_memory_is_used_up_the_page_of_the_child_says_so(serve, view, fake):
    view.history = History(max_metrics=2)
    view.history.take([Reading(METER, metric, 1, fake.now()) for metric in fake.METRICS])
    page = await serve(view)
    _, html = await text_of(page, f"/children/{encode_id(METER)}")
    assert html.count("no memory left") == 3
    assert "The memory for charts is used up: it holds 2 metrics." in html
    _, html = await text_of(page, f"{PAGE}?metric=state")
    assert "The memory for charts is used up" in html


async def test_names_and_words_of_a_device_are_shown_and_never_run(page, view, fake):
    for number in range(3):
        name = f'<img src=x onerror=alert({number})>"\u202e' + "n" * 300
        view.history.take([Reading(METER, Metric(name, "<b>"), value, fake.now()) for value in (1, 2)])
        view.history.take([Reading(METER, Metric(f"word{number}"), name, fake.now())])
        async with page.http.get(PAGE, params={"metric": name, "compare": f"word{number}"}, headers=page.bearer) as answer:
            html = await answer.text()
            assert answer.status == 200
            assert "<img" not in html
            assert "<b>" not in html


async def test_two_metrics_are_compared_zoomed_and_downloaded(browse, tmp_path):
    window = await browse(viewport={"width": 1280, "height": 800})
    tab = window.tab
    await tab.goto(f"/children/{encode_id(METER)}")
    await tab.click("#values a:has-text('Active power')")
    await tab.select_option("#compare", "voltage_l1")
    await tab.wait_for_url("**compare=voltage_l1*")
    await tab.wait_for_selector("#plot canvas")
    assert await tab.locator("#plot .u-axis").count() == 3, "one for the time, two for the units"
    box = await tab.locator("#plot .u-over").bounding_box()
    await tab.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 40)
    await tab.mouse.down()
    await tab.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 60, steps=4)
    await tab.mouse.up()
    await tab.wait_for_selector("#chart[data-zoomed=yes]")
    async with tab.expect_download() as download:
        await tab.click("#csv")
    await (await download.value).save_as(tmp_path / "values.csv")
    part = (tmp_path / "values.csv").read_text(encoding="utf-8").splitlines()
    assert part[0].count("[W]") == part[0].count("[V]") == 3
    assert 20 < len(part) < 60
    await tab.focus("text=Whole range")
    await tab.keyboard.press("Enter")
    await tab.wait_for_selector("#chart[data-zoomed=no]")
    await tab.focus("text=Zoom in")
    await tab.keyboard.press("Enter")
    await tab.wait_for_selector("#chart[data-zoomed=yes]")
    assert window.complaints == []


async def test_without_scripts_the_chart_and_the_table_are_there(browse):
    window = await browse(viewport={"width": 360, "height": 800}, java_script_enabled=False)
    await window.tab.goto(PAGE)
    await window.tab.click("text=Last day")
    await window.tab.wait_for_url("**range=day")
    assert await window.tab.locator("#plot svg polyline").count() == 1
    assert await window.tab.locator("#zoom").is_hidden()
    await window.tab.select_option("#metric", "state")
    await window.tab.click("text=Show")
    await window.tab.wait_for_selector("svg.bands rect")
    await window.tab.click("summary:has-text('As a table')")
    await window.tab.wait_for_selector("#table td:has-text('running')")
