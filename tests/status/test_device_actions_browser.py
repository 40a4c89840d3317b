"""Acting on devices in a real browser: a command with its form, a confirmation, a look, a list of several."""

from types import SimpleNamespace

import pytest

from gateway.status.model import encode_id

pytestmark = pytest.mark.enable_socket

METER = "sn:acme/Meter 1"
DESK, PHONE = {"width": 1400, "height": 900}, {"width": 360, "height": 800}


UNNAMED = """[...document.querySelectorAll("main input:not([type=hidden]), main select, main textarea, main button")]
    .filter((one) => !(one.labels && one.labels.length) && !one.textContent.trim() && !one.getAttribute("aria-label"))
    .map((one) => one.outerHTML)"""


def command_page(name):
    return f"/children/{encode_id(METER)}/commands/{encode_id(name)}"


@pytest.fixture
async def browse(page, chromium_running, complaints_of):
    async with chromium_running() as browser:

        async def start(viewport, **settings):
            context = await browser.new_context(viewport=viewport, **{"base_url": page.address} | settings)
            tab = await context.new_page()
            tab.set_default_timeout(60_000)
            await tab.goto("/login")
            await tab.fill("#token", page.token)
            await tab.press("#token", "Enter")
            await tab.wait_for_selector("text=Sign out")
            return SimpleNamespace(tab=tab, complaints=complaints_of(tab))

        yield start


async def test_a_list_without_devices_offers_nothing_to_do_with_chosen_ones(browse, view):
    tab = (await browse(DESK)).tab
    for path in ("/waiting", "/"):
        await tab.goto(path)
        assert await tab.is_visible("#several")
        await tab.goto(f"{path}?search=nobody-has-this-name")
        assert await tab.is_hidden("#several"), path


async def test_a_command_is_entered_by_keyboard_mended_confirmed_and_its_outcome_is_seen(browse, view):
    window = await browse(PHONE, color_scheme="dark")
    tab = window.tab
    await tab.goto(f"/children/{encode_id(METER)}")
    await tab.click("text=Open the contactor")
    await tab.fill("#field-1", "40")
    await tab.press("#field-1", "Enter")
    await tab.wait_for_selector("text=Limit has to be a number from 0 to 32, not 40")
    assert await tab.get_attribute("#field-1", "aria-invalid") == "true"
    assert await tab.input_value("#field-1") == "40"
    await tab.fill("#field-1", "20,5")
    await tab.fill("#field-4", "0042")
    await tab.press("#field-1", "Enter")
    await tab.wait_for_selector("text=It may harm people")
    assert "0042" not in await tab.content()
    await tab.fill("input[type=password]", "0042")
    await tab.dblclick("text=/^Send$/")
    await tab.wait_for_selector("#runs >> text=it is done")
    assert [done[3]["limit"] for done in view.done if done[0] == "command"] == [20.5]
    await tab.reload()
    assert len([done for done in view.done if done[0] == "command"]) == 1
    assert await tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert [one for one in window.complaints if "422" not in one] == []


async def test_a_device_is_looked_at_and_several_are_chosen_and_retired(browse, view):
    window = await browse(DESK)
    tab = window.tab
    await tab.goto(f"/devices/{encode_id(METER)}/look")
    await tab.click("text=Read all values")
    await tab.wait_for_selector("#look >> text=230.1")
    await tab.goto("/several/children")
    await tab.check("[data-all] input")
    await tab.uncheck("input[name=chosen] >> nth=0")
    assert await tab.evaluate("document.querySelector('[data-all] input').indeterminate")
    await tab.click("text=Retire and keep in the cloud")
    await tab.click("text=/^Retire 11 devices$/")
    await tab.wait_for_selector("text=0 of 11 done, 11 not yet")
    assert len([done for done in view.done if done[0] == "retire"]) == 11
    assert window.complaints == []


async def test_every_page_of_an_action_fits_its_screen_and_names_its_fields(browse):
    pages = (
        command_page("set_limit"),
        f"/devices/{encode_id(METER)}/look",
        f"/children/{encode_id(METER)}/retire",
        f"/children/{encode_id(METER)}/replace",
        "/several/children",
        "/several/waiting",
        "/waiting",
    )
    for viewport, scheme in ((DESK, "light"), (PHONE, "dark")):
        window = await browse(viewport, color_scheme=scheme)
        for path in pages:
            await window.tab.goto(path)
            assert await window.tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
            assert await window.tab.evaluate(UNNAMED) == [], path
        assert window.complaints == []


async def test_everything_works_without_scripts(browse, view):
    window = await browse(DESK, java_script_enabled=False)
    tab = window.tab
    await tab.goto(command_page("reboot"))
    await tab.click("text=/^Continue$/")
    await tab.click("text=/^Send$/")
    assert "it is done" in await tab.inner_text("#runs")
    await tab.goto("/several/waiting")
    await tab.check("input[name=chosen] >> nth=0")
    await tab.click("text=/^Ignore$/")
    assert "1 of 1 done" in await tab.inner_text("main")
    assert [done[0] for done in view.done] == ["command", "ignore"]
