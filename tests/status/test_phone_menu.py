"""The menu of a phone: closed, with the current page in its line; with the keyboard, and without scripts."""

import pytest

pytestmark = pytest.mark.enable_socket

PHONE = {"width": 360, "height": 740}


@pytest.fixture
async def phone(page, chromium_running, complaints_of):
    async with chromium_running() as browser:

        async def start(**settings):
            context = await browser.new_context(viewport=PHONE, base_url=page.address, **settings)
            tab = await context.new_page()
            tab.set_default_timeout(60_000)
            await tab.goto("/events")
            return tab

        yield start


@pytest.mark.parametrize("has_scripts", [True, False], ids=["scripts", "no scripts"])
async def test_the_menu_takes_one_line_names_the_page_and_leads_to_the_others(phone, has_scripts):
    tab = await phone(java_script_enabled=has_scripts)
    menu = tab.locator(".menu summary")
    assert " ".join((await menu.inner_text()).split()) == "Menu Events"
    assert (await menu.bounding_box())["height"] <= 48
    assert not await tab.locator("nav.wide-menu").is_visible()
    assert not await tab.locator(".menu nav").is_visible()
    await menu.click()
    assert await tab.locator(".menu [aria-current=page]").inner_text() == "Events"
    assert await tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"] if has_scripts else True
    await tab.click(".menu nav >> text=Doctor")
    await tab.wait_for_url("**/doctor")
    assert " ".join((await menu.inner_text()).split()) == "Menu Doctor"
    assert not await tab.locator(".menu nav").is_visible(), "the next page has it closed"


async def test_the_menu_opens_and_closes_with_the_keyboard_and_a_wide_screen_has_none(phone):
    tab = await phone()
    await tab.focus(".menu summary")
    await tab.keyboard.press("Enter")
    assert await tab.locator(".menu nav").is_visible()
    await tab.keyboard.press("Tab")
    assert await tab.evaluate("document.activeElement.textContent") == "Overview"
    await tab.keyboard.press("Escape")
    assert not await tab.locator(".menu nav").is_visible()
    assert await tab.evaluate("document.activeElement.localName") == "summary"
    await tab.set_viewport_size({"width": 1280, "height": 800})
    assert await tab.locator("nav.wide-menu >> text=Doctor").is_visible()
    assert not await tab.locator(".menu").is_visible()
