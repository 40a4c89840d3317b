"""The table of devices in a real browser: search, sort, groups, columns, what is remembered, and how values are written."""

from types import SimpleNamespace

import pytest

from gateway.models import Metric, Reading
from gateway.status.model import encode_id

pytestmark = pytest.mark.enable_socket

METER = "sn:acme/Meter 1"
ROWS = "#children tbody tr[id]"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}


@pytest.fixture
async def browse(page, chromium_running, complaints_of):
    """`browse(path, viewport)` opens a page; what its console complains of is in `complaints`."""
    async with chromium_running() as browser:

        async def start(path="/", viewport=DESK, **settings):
            context = await browser.new_context(viewport=viewport, base_url=page.address, **settings)
            tab = await context.new_page()
            tab.set_default_timeout(60_000)
            complaints = complaints_of(tab)
            await tab.goto(path)
            if settings.get("java_script_enabled", True):
                await tab.wait_for_selector("#live.on")
            return SimpleNamespace(tab=tab, context=context, complaints=complaints)

        yield start


async def names(tab):
    return await tab.locator(f"{ROWS} .name").all_inner_texts()


async def test_typing_searches_all_devices_and_changes_the_address_without_loading_again(browse, view):
    for number in range(1000):
        view.add_child(f"Unit {number}", "10.20.30.40:502", address=str(number), serial_number=f"77{number:04}")
    window = await browse()
    loads = []
    window.tab.on("load", lambda tab: loads.append(tab.url))
    await window.tab.focus("#search")
    await window.tab.keyboard.type("unit 770999")
    await window.tab.wait_for_selector(f"{ROWS} >> text=Unit 999")
    await window.tab.wait_for_selector("#children >> text=1 device")
    assert await names(window.tab) == ["Unit 999"], "also by its serial number"
    assert window.tab.url.endswith("/?search=unit+770999")
    assert await window.tab.evaluate("document.activeElement.id") == "search"
    assert loads == []
    assert window.complaints == []


async def test_a_table_is_sorted_and_grouped_and_this_is_remembered(browse):
    window = await browse()
    await window.tab.click("#children thead a:has-text('Device')")
    await window.tab.wait_for_selector("#children th[aria-sort=ascending]")
    assert (await names(window.tab))[0] == "Chiller 2"
    await window.tab.select_option("select[name=group]", "bus")
    await window.tab.wait_for_selector("#children .group:has-text('10.20.30.40:502')")
    await window.tab.click("summary:has-text('Columns')")
    await window.tab.check("input[value=serial]")
    await window.tab.wait_for_selector("#children th:has-text('Serial number')")
    another = await window.context.new_page()
    await another.goto("/")
    await another.wait_for_selector("#children .group")
    await another.wait_for_selector("#children th:has-text('Serial number')")
    assert "group=bus" in another.url
    assert await another.locator("#children th[aria-sort=ascending]").count() == 1
    assert window.complaints == []


async def test_without_scripts_a_form_and_links_do_the_same(browse):
    window = await browse(java_script_enabled=False)
    await window.tab.fill("#search", "ruuvi")
    await window.tab.select_option("select[name=group]", "family")
    await window.tab.press("#search", "Enter")
    await window.tab.wait_for_url("**search=ruuvi**")
    assert await names(window.tab) == ["Roof sensor"]
    await window.tab.click("#children thead a:has-text('Device')")
    await window.tab.wait_for_url("**sort=name**")
    assert "group=family" in window.tab.url


async def test_on_a_phone_a_search_jumps_to_what_it_found(browse):
    window = await browse(viewport=PHONE)
    cells = "[...document.querySelectorAll('#children td, #children th, #children .mark')]"
    widest = f"Math.max(...{cells}.map((one) => one.getBoundingClientRect().right))"
    assert await window.tab.evaluate(widest) <= PHONE["width"] - 16, "no row is wider than the screen"
    await window.tab.fill("#search", "roof")
    await window.tab.wait_for_selector("#children >> text=1 device")
    await window.tab.wait_for_function("() => document.getElementById('children-title').getBoundingClientRect().top < 60")
    assert await window.tab.locator(ROWS).first.is_visible()
    assert await window.tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


async def test_values_of_a_silent_device_are_dimmed_and_have_their_age(browse, view):
    window = await browse()
    weight = "getComputedStyle(document.querySelector('[id=\"c-{}\"] .value')).fontWeight"
    row = encode_id(METER)
    assert await window.tab.evaluate(weight.format(row)) == "600"
    view.silence(METER, "gone")
    await window.tab.wait_for_selector(f"[id='c-{row}'] .value.late")
    assert await window.tab.evaluate(weight.format(row)) == "400"
    assert "s" in await window.tab.inner_text(f"[id='c-{row}'] .age")


async def test_a_new_value_changes_its_cell_alone(browse, view, fake):
    window = await browse()
    row = f"[id='c-{encode_id(METER)}']"
    await window.tab.evaluate(f"document.querySelector(\"{row}\").dataset.kept = 'yes'")
    view.history.take([Reading(METER, Metric("active_power", "W"), 4321.5, fake.now())])
    await window.tab.wait_for_selector(f"{row} >> text=4322")
    assert await window.tab.get_attribute(row, "data-kept") == "yes"
    assert "Active power" in await window.tab.inner_text(row)


async def test_times_numbers_and_temperatures_are_written_as_chosen_and_this_is_remembered(browse, view, fake):
    view.history.take([Reading(METER, Metric("temperature", "°C", headline=True), 21.5, fake.now())])
    window = await browse("/?search=Meter+1", locale="en-GB", timezone_id="Asia/Tokyo")
    cell = f"[id='c-{encode_id(METER)}'] td.num >> nth=0"
    assert "21.5 °C" in await window.tab.inner_text(cell)
    await window.tab.click("summary:has-text('Display')")
    await window.tab.select_option("select[name=numbers]", "de-DE")
    await window.tab.select_option("select[name=temperature]", "°F")
    assert "70,7 °F" in await window.tab.inner_text(cell)
    await window.tab.select_option("select[name=zone]", "utc")
    assert "UTC" in await window.tab.get_attribute("#children time[data-how=for]", "title")
    await window.tab.reload()
    await window.tab.wait_for_selector("#children >> text=70,7")
    assert "UTC" in await window.tab.get_attribute("#children time[data-how=for]", "title")
    assert window.complaints == []
