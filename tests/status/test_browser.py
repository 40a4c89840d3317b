"""The page in a real browser: Debian's Chromium, at the width of a desk and of a phone."""

import asyncio
from types import SimpleNamespace

import pytest

from gateway.models import Metric, Reading
from gateway.status import live_updates
from gateway.status.model import encode_id
from gateway.status.render.pages import MAX_PROBLEMS
from gateway.status.render.paging import PER_PAGE

pytestmark = pytest.mark.enable_socket

METER = "sn:acme/Meter 1"
XIAOMI = "mac:LYWSD03MMC 6A11"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
EVERYWHERE = (
    "/",
    "/?show=fine&search=meter",
    "/waiting",
    "/events",
    "/events?kind=went",
    f"/children/{encode_id(METER)}",
    f"/children/{encode_id(METER)}/values?metric=active_power&compare=relay",
    f"/buses/{encode_id('ble', 'hci0')}",
    "/login",
)


@pytest.fixture
async def browse(page, chromium_running, complaints_of):
    """`browse(viewport)` opens a browser window; what its console and its page complain of is in `complaints`."""
    async with chromium_running() as browser:

        async def start(viewport, **settings):
            context = await browser.new_context(viewport=viewport, **{"base_url": page.address} | settings)
            tab = await context.new_page()
            tab.set_default_timeout(60_000)
            return SimpleNamespace(tab=tab, context=context, complaints=complaints_of(tab))

        yield start


async def sign_in(tab, token):
    await tab.goto("/login")
    await tab.fill("#token", token)
    await tab.press("#token", "Enter")
    await tab.wait_for_selector("text=Sign out")


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_fits_its_screen_and_nothing_complains(browse, page, viewport, scheme):
    window = await browse(viewport, color_scheme=scheme)
    await sign_in(window.tab, page.token)
    for path in EVERYWHERE:
        await window.tab.goto(path)
        await window.tab.wait_for_selector("main")
        assert await window.tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"], path
    await window.tab.goto(f"/children/{encode_id(METER)}")
    await window.tab.wait_for_selector("#plot canvas")
    assert await window.tab.inner_text("#plot-text") != ""
    assert window.complaints == []


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
async def test_a_device_that_falls_silent_is_seen_live_with_its_reason_and_is_seen_back(browse, view, viewport):
    window = await browse(viewport)
    await window.tab.goto("/")
    await window.tab.wait_for_selector("#live.on")
    assert await window.tab.locator("#problems >> text=Meter 1").count() == 0
    view.silence(METER, "somebody pulled the plug")
    await window.tab.wait_for_selector("#problems >> text=somebody pulled the plug")
    await window.tab.wait_for_selector("#children >> text=next attempt in")
    await window.tab.wait_for_selector("#summary >> text=8 of 12 fine")
    assert "3 silent" in await window.tab.inner_text("#announcements")
    view.revive(METER)
    await window.tab.wait_for_selector("#problems >> text=somebody pulled the plug", state="detached")
    assert window.complaints == []


async def test_a_value_and_its_age_are_live_and_the_focus_stays(browse, view, fake):
    window = await browse(DESK)
    await window.tab.goto(f"/children/{encode_id(METER)}")
    await window.tab.wait_for_selector("#live.on")
    await window.tab.focus("#metric")
    view.history.take([Reading(METER, Metric("active_power", "W"), 4321.5, fake.now())])
    await window.tab.wait_for_selector("#values >> text=4322")
    await window.tab.wait_for_selector("#values tr[data-metric=active_power] >> text=/just now|s ago/")
    assert await window.tab.evaluate("document.activeElement.id") == "metric"
    assert window.complaints == []


async def test_who_reads_a_row_by_keyboard_keeps_it_when_the_list_changes(browse, view):
    window = await browse(DESK)
    await window.tab.goto("/")
    await window.tab.wait_for_selector("#live.on")
    await window.tab.focus("#children a:has-text('Meter 5')")
    view.silence(METER, "gone")
    await window.tab.wait_for_selector("#problems >> text=gone")
    assert await window.tab.evaluate("document.activeElement.textContent") == "Meter 5"


async def test_everything_is_reached_by_keyboard_and_the_focus_is_seen(browse, page):
    window = await browse(DESK)
    await sign_in(window.tab, page.token)
    await window.tab.goto("/waiting")
    reached = []
    while True:
        await window.tab.keyboard.press("Tab")
        if await window.tab.evaluate("document.activeElement === document.body"):
            break  # once around
        name = "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"
        reached.append(await window.tab.evaluate(name))
        assert await window.tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", reached
    assert reached[0] == "Skip to content"
    assert {"Overview", "Found devices", "Sign out", "Search", "Admit LYWSD03MMC 6A11", "Ignore LYWSD03MMC 6A11"} <= set(reached)


async def test_a_found_device_is_admitted_and_then_a_child(browse, page, view):
    window = await browse(PHONE)
    await sign_in(window.tab, page.token)
    await window.tab.goto("/waiting")
    await window.tab.click("button[aria-label='Admit LYWSD03MMC 6A11']")
    await window.tab.wait_for_url("**/waiting")
    assert view.done == [("admit", XIAOMI)]
    await window.tab.goto("/")
    await window.tab.wait_for_selector("#children >> text=LYWSD03MMC 6A11")
    assert window.complaints == []


@pytest.mark.parametrize("scripts", [True, False])
async def test_a_child_is_renamed_with_or_without_scripts(browse, page, view, scripts):
    window = await browse(PHONE, java_script_enabled=scripts)
    await sign_in(window.tab, page.token)
    await window.tab.goto(f"/children/{encode_id(METER)}")
    await window.tab.click("summary:has-text('Rename')")
    await window.tab.fill("#name input", "Boiler house")
    await window.tab.press("#name input", "Enter")
    await window.tab.wait_for_selector("h1:has-text('Boiler house')")
    assert view.done == [("rename", METER, "Boiler house")]
    assert window.complaints == []


async def test_what_is_being_typed_outlives_a_change_of_what_it_is_typed_into(browse, page, view):
    window = await browse(DESK)
    await sign_in(window.tab, page.token)
    await window.tab.goto("/waiting")
    await window.tab.wait_for_selector("#live.on")
    row = f"#w-{encode_id(XIAOMI)}"
    await window.tab.click(f"{row} summary:has-text('Rename')")
    await window.tab.fill(f"{row} input[maxlength]", "Boilerhouse")
    await window.tab.evaluate("document.activeElement.setSelectionRange(6, 6)")
    view.waiting[XIAOMI] = view.waiting[XIAOMI].model_copy(update={"why": "waits for somebody"})
    await window.tab.wait_for_selector(f"{row} >> text=waits for somebody")
    await window.tab.keyboard.type(" ")
    assert await window.tab.input_value(f"{row} input[maxlength]") == "Boiler house"
    assert window.complaints == []


async def test_without_the_token_there_is_no_button_and_forcing_it_is_refused(browse, view):
    window = await browse(DESK)
    await window.tab.goto("/waiting")
    assert not await window.tab.is_visible("button[aria-label='Admit LYWSD03MMC 6A11']")
    assert await window.tab.is_visible("text=sign in with the token")
    async with window.tab.expect_navigation() as answer:
        await window.tab.evaluate(f"document.querySelector('form[action=\"/waiting/{encode_id(XIAOMI)}/admit\"]').submit()")
    assert (await answer.value).status == 403
    assert "This needs a token that may operate" in await window.tab.inner_text("main")
    assert view.done == []


async def test_without_scripts_everything_is_still_read(browse):
    window = await browse(PHONE, java_script_enabled=False)
    await window.tab.goto("/")
    said = await window.tab.inner_text("body")
    assert "since 20" in said
    assert "Without scripts this page is not updated" in said
    await window.tab.goto("/?search=chiller")
    assert "no answer within 1.0 s" in await window.tab.inner_text("#children")


async def test_a_gateway_that_goes_away_is_told_and_so_is_its_return(browse, page):
    window = await browse(DESK)
    await window.tab.goto("/")
    await window.tab.wait_for_selector("#live.on")
    await window.context.set_offline(True)
    page.server._live.close()
    await window.tab.wait_for_selector("#live.off")
    await window.context.set_offline(False)
    await window.tab.wait_for_selector("#live.on", timeout=60_000)


async def test_a_line_that_is_cut_without_a_word_is_connected_again(browse, page, view, monkeypatch):
    window = await browse(DESK)
    await window.tab.goto("/")
    await window.tab.wait_for_selector("#live.on")

    async def nothing(self, *, within_seconds):
        await asyncio.Event().wait()

    monkeypatch.setattr(live_updates.PageWatcher, "next_payload", nothing)  # the lines have fallen silent, and look open
    view.silence(METER, "nobody hears of it")
    await asyncio.sleep(2.5)
    monkeypatch.undo()
    await window.tab.wait_for_selector("#problems >> text=nobody hears of it")
    await window.tab.wait_for_selector("#live.on")
    assert await window.tab.is_hidden("#stale"), "the gateway itself answers"


async def test_whoever_a_restart_signed_out_is_asked_for_the_token_and_comes_back(browse, serve, view):
    running = await serve(view, bound="0.0.0.0")
    window = await browse(DESK, base_url=running.address)
    await sign_in(window.tab, running.token)
    await window.tab.goto("/waiting")
    await window.tab.wait_for_selector("#live.on")
    running.auth._cookie_key = b"that of the next start"
    running.server._live.close()
    await window.tab.wait_for_selector("h1:has-text('Sign in')", timeout=60_000)
    await window.tab.fill("#token", running.token)
    await window.tab.press("#token", "Enter")
    await window.tab.wait_for_url("**/waiting")


async def test_one_page_too_many_says_that_it_stands_still(browse, page, monkeypatch):
    monkeypatch.setattr(live_updates, "MAX_WATCHERS", 0)
    window = await browse(DESK)
    await window.tab.goto("/")
    await window.tab.wait_for_selector("#live.off:has-text('too many pages')")
    assert await window.tab.is_hidden("#stale")


COUNT_FORMATS = """
  window.formatsMade = 0;
  const Original = Intl.DateTimeFormat;
  Intl.DateTimeFormat = function (...given) { window.formatsMade += 1; return new Original(...given); };
  Date.prototype.toLocaleString = () => { throw new Error("makes a format for each time"); };
"""


async def test_a_browser_paints_a_hundred_of_a_thousand_children(browse, view):
    for number in range(1000):
        view.add_child(f"Unit {number}", "10.20.30.40:502", address=str(number))
    window = await browse(DESK)
    await window.tab.add_init_script(COUNT_FORMATS)
    await window.tab.goto("/")
    await window.tab.wait_for_selector("#children time[title]")
    assert 0 < await window.tab.evaluate("formatsMade") < 10, "a format of times is made once, not for each of them"
    assert window.complaints == []
    await window.tab.wait_for_selector("#children tbody tr")
    assert await window.tab.locator("#children tbody tr").count() == PER_PAGE, "what takes time is the number of rows"
    assert await window.tab.locator("#problems .row").count() <= MAX_PROBLEMS


async def test_a_name_from_the_air_does_nothing_but_stand_there(browse, view):
    name = '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>'
    view.add_child(name, "hci0", key="evil", why=name)
    window = await browse(DESK)
    await window.tab.goto("/?search=onerror")
    await window.tab.wait_for_selector("#live.on")
    view.silence("evil", name)
    await window.tab.wait_for_selector("#children .mark.silent")
    assert name in await window.tab.locator("#children .name").all_inner_texts()
    assert "owned" not in await window.tab.title()
    assert await window.tab.locator("main img, main script").count() == 0
    assert window.complaints == []
