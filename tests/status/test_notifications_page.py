"""The page of the notifications: who sees it, what it says of each channel, and the test from the browser."""

import pytest

from gateway.status.auth.tokens import Role
from gateway.status.notifications_view import ChannelState, SendOutcome

pytestmark = pytest.mark.enable_socket

PATH = "/maintenance/notifications"


@pytest.fixture
def view(fake):
    view = fake.show_plant()
    view.notifications.channels = (
        ChannelState("webhook to example.com", "it answered 403 <b>no</b>", 3, None),
        ChannelState("e-mail by mail.example.com", None, 0, fake.now()),
    )
    view.notifications.outcomes = (
        SendOutcome("webhook to example.com", is_sent=False, text="it answered 403 <b>no</b>"),
        SendOutcome("e-mail by mail.example.com", is_sent=True, text="250 queued"),
    )
    return view


async def test_only_who_may_administer_sees_and_tests_it(page, view):
    for role in (Role.LOOK, Role.OPERATE):
        async with page.http.get(PATH, headers=page.bearers[role]) as answer:
            assert answer.status == 403
        async with page.http.post(PATH, headers=page.bearers[role]) as answer:
            assert answer.status == 403
    async with page.http.post(PATH, headers=page.bearer | {"Origin": "https://elsewhere.example"}) as answer:
        assert answer.status == 403
    assert view.notifications.tests == 0
    async with page.http.get(PATH, headers=page.bearer) as answer:
        html = await answer.text()
    assert "it answered 403 &lt;b&gt;no&lt;/b&gt;" in html
    assert "3 notices waiting" in html


async def test_without_a_channel_it_says_what_to_configure(page, view):
    view.notifications.channels = ()
    async with page.http.get(PATH, headers=page.bearer) as answer:
        html = await answer.text()
    assert "[notify]" in html
    assert "Send a test" not in html


@pytest.mark.parametrize("width", [360, 1400])
async def test_a_browser_sends_a_test_and_shows_what_the_servers_answered(page, chromium_running, complaints_of, view, width):
    async with chromium_running() as browser:
        context = await browser.new_context(base_url=page.address, viewport={"width": width, "height": 800}, color_scheme="dark")
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        complaints = complaints_of(tab)
        await tab.goto("/login?then=/maintenance")
        await tab.fill("#token", page.token)
        await tab.keyboard.press("Enter")
        await tab.get_by_role("link", name="Show and test the notifications").click()
        await tab.get_by_role("button", name="Send a test").click()
        await tab.get_by_text("the server answered 250 queued").wait_for()
        assert await tab.get_by_text("the test was not sent").is_visible()
        assert view.notifications.tests == 1
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        assert complaints == []
