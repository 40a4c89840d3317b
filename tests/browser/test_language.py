"""A person chooses the language on the page, by keyboard or without scripts; before that, the browser's own counts."""

from __future__ import annotations

import pytest
from action_table import Enter, Press
from hands import Keyboard, Mouse, take
from shown_gateways import child_path

pytestmark = [pytest.mark.enable_socket, pytest.mark.asyncio(loop_scope="module")]

CHOOSE = "footer form.language button"


@pytest.mark.parametrize("has_script", [True, False], ids=["keyboard", "no script"])
async def test_the_language_is_chosen_on_the_page_and_kept(browser, server_in, sign_in, has_script, complaints_of, look_at_page):
    server = await server_in("plant")
    context = await browser.new_context(
        base_url=server.address, locale="en-GB", java_script_enabled=has_script, bypass_csp=has_script
    )
    await sign_in(context, server.address)
    tab = await context.new_page()
    tab.set_default_timeout(60_000)
    complaints = complaints_of(tab)
    hand = Keyboard(tab, look_at_page) if has_script else Mouse(tab)

    await tab.goto(child_path())
    assert await tab.get_attribute("html", "lang") == "en"
    await take(hand, [Press("summary:text-is('Display')"), Enter("footer select[name=language]", "Deu"), Press(CHOOSE)])
    await tab.wait_for_selector("html[lang=de] h2:text-is('Letzte Werte')")
    assert tab.url.endswith(child_path()), "the choice leads back to the page on which it was made"
    await tab.reload()
    assert "Wirkleistung" in await tab.inner_text("#values")
    again = await context.new_page()
    await again.goto("/events")
    assert await again.inner_text("h1") == "Ereignisse"

    await take(hand, [Press("summary:text-is('Anzeige')"), Enter("footer select[name=language]", "Eng"), Press(CHOOSE)])
    await tab.wait_for_selector("html[lang=en]")
    await tab.reload()
    assert "Active power" in await tab.inner_text("#values")
    assert complaints == []
    await context.close()


@pytest.mark.parametrize("state", ["plant", "set-up"])
@pytest.mark.parametrize(
    ("locale", "language", "heading"), [("de-AT", "de", "Anmelden"), ("en-GB", "en", "Sign in"), ("fr-FR", "en", "Sign in")]
)
async def test_a_browser_gets_its_own_language_where_there_is_it(browser, server_in, state, locale, language, heading):
    server = await server_in(state)
    context = await browser.new_context(base_url=server.address, locale=locale)
    tab = await context.new_page()
    await tab.goto("/login")
    assert await tab.get_attribute("html", "lang") == language
    assert heading in await tab.inner_text("main h1")
    await context.close()
