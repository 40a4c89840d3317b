"""Every page in Debian's Chromium, on a phone and at a desk, light and dark, with axe-core, the console and the Tab key.

In English all states of a page are looked at on a phone in the dark and at a desk in the light, in German one of each page on the
other two screens: its words are longer.
"""

from __future__ import annotations

import re

import pytest
import pytest_asyncio
from page_table import IN_GERMAN, VISITS
from shown_gateways import SETUP_STATES, STATES, server_of

pytestmark = [pytest.mark.enable_socket, pytest.mark.asyncio(loop_scope="module")]

PHONE, DESK = {"width": 360, "height": 740}, {"width": 1400, "height": 900}
NO_PAGES = re.compile(
    r"/api/.*|/healthz|/readyz|/metrics|/live|/static/.*|/claim\.svg|/setup|.*\.txt|.*/download|/maintenance/bundle"
)
"""What a browser does not show as a page: data, pictures, downloads, the stream of changes, and a redirect."""
GERMAN_VISITS = [visit for visit in VISITS if visit.name in IN_GERMAN]
WHAT_A_SCREEN_CHANGES = ["color-contrast", "target-size", "scrollable-region-focusable", "empty-table-header"]
"""The rules of axe-core that a page can break on the second screen only: all of them are tried on the first."""


def page_routes(server):
    """Return the addresses of all pages of a server, as they were registered."""
    routes = (one for one in server._routes._needs if one.method == "GET")
    return {one.resource.canonical for one in routes if not NO_PAGES.fullmatch(one.resource.canonical)}


async def route_of(server, path):
    """Return the registered address that answers for a path."""
    for resource in server._application.router.resources():
        match, _ = await resource.resolve(_Asked(path.partition("?")[0]))
        if match is not None:
            return resource.canonical
    return None


class _Asked:
    """As much of a request as a resource looks at."""

    method = "GET"

    def __init__(self, path):
        from yarl import URL

        self.rel_url = URL(path, encoded=True)


@pytest.mark.parametrize("states", [STATES, SETUP_STATES], ids=["running", "set-up"])
@pytest.mark.parametrize("visits", [VISITS, GERMAN_VISITS], ids=["all", "German"])
async def test_the_table_has_a_visit_to_every_page_that_is_registered(states, visits):
    server = server_of(next(iter(states.values()))())
    visited = {await route_of(server, visit.path) for visit in visits if visit.state in states}
    assert page_routes(server) - visited == set(), "add a visit to tests/browser/page_table.py"
    assert {visit.state for visit in VISITS if visit.state in states} == set(states)


@pytest.fixture
def screen():
    """The first screen on which a page is looked at, and the language of its reader."""
    return {"viewport": PHONE, "color_scheme": "dark", "locale": "en-GB"}


@pytest_asyncio.fixture(loop_scope="module")
async def tab(browser, screen):
    """A window whose script policy lets axe-core in, and which notes every complaint."""
    context = await browser.new_context(**screen, timezone_id="Europe/Vienna", bypass_csp=True)
    tab = await context.new_page()
    tab.set_default_timeout(60_000)
    yield tab
    await context.close()


def note_failure(complaints):
    """Return what notes a request that failed. `ERR_ABORTED` is none: the page has moved on, or asked for the head alone."""

    def note(request):
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"{request.url}: {request.failure}")

    return note


@pytest_asyncio.fixture(loop_scope="module")
async def visited(tab, server_in, sign_in, axe, look_at_page, complaints_of):
    """`await visited(visit)` opens a page, with what looks at it, and returns what the browser complains of."""

    async def open_page(visit):
        server = await server_in(visit.state)
        base, complaints = server.address, complaints_of(tab)
        tab.on("requestfailed", note_failure(complaints))
        if visit.is_signed_in:
            await sign_in(tab.context, base)
        answer = await tab.goto(base + visit.path)
        for step in visit.steps[:-1]:
            await do(tab, step)
        if visit.steps:
            async with tab.expect_navigation() as navigation:
                await do(tab, visit.steps[-1])
            answer = await navigation.value
        assert answer.status == visit.answers
        await tab.evaluate(axe + look_at_page)
        expected = f"status of {visit.answers}" if visit.answers >= 400 else None
        return [one for one in complaints if expected is None or expected not in one]

    return open_page


async def resized(tab, screen):
    """Show the page on another screen; a chart is drawn anew a moment after that."""
    await tab.set_viewport_size(screen)
    fits = "() => [...document.querySelectorAll('.uplot')].every((one) => one.offsetWidth <= one.parentElement.clientWidth)"
    await tab.wait_for_function(fits, timeout=60_000)


@pytest.mark.parametrize("visit", VISITS, ids=lambda visit: visit.name)
async def test_a_page_is_in_order(tab, visit, visited):
    complaints = await visited(visit)
    wrong = [f"on a phone: {one}" for one in await tab.evaluate("lookAtPage.lookedAt(null)")]
    await tab.emulate_media(color_scheme="light")
    await resized(tab, DESK)
    wrong += [f"at a desk: {one}" for one in await tab.evaluate("(rules) => lookAtPage.lookedAt(rules)", WHAT_A_SCREEN_CHANGES)]
    for _ in range(await tab.evaluate("lookAtPage.watchFocus()") + 2):
        await tab.keyboard.press("Tab")
    wrong += await tab.evaluate("lookAtPage.unreached()")
    assert complaints == []
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("screen", [{"viewport": DESK, "color_scheme": "dark", "locale": "de-AT"}], ids=["de-AT"])
@pytest.mark.parametrize("visit", GERMAN_VISITS, ids=lambda visit: visit.name)
async def test_a_german_page_is_in_order(tab, visit, visited):
    complaints = await visited(visit)
    assert await tab.get_attribute("html", "lang") == "de"
    wrong = [f"at a desk: {one}" for one in await tab.evaluate("lookAtPage.lookedAt(null)")]
    await tab.emulate_media(color_scheme="light")
    await resized(tab, PHONE)
    wrong += [f"on a phone: {one}" for one in await tab.evaluate("(rules) => lookAtPage.lookedAt(rules)", WHAT_A_SCREEN_CHANGES)]
    assert complaints == []
    assert wrong == [], "\n".join(wrong)


async def do(tab, step):
    """Press what a step names, or fill it where the step has a text or a file."""
    match step:
        case (field, bytes(content)):
            await tab.set_input_files(field, {"name": "a.backup", "mimeType": "application/octet-stream", "buffer": content})
        case (field, text):
            await tab.fill(field, text)
        case _:
            await tab.click(step)
