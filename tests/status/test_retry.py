"""Check that a person can have the next attempt made at once, learns what came of it, and sees why something is offline."""

import json
from types import SimpleNamespace

import pytest
from playwright.async_api import async_playwright

from gateway.causes import Cause
from gateway.models import Reach
from gateway.status.model import encode_id
from gateway.status.requester_context import asked_by
from gateway.status.retry_view import TryOutcome
from gateway.status.snapshot import HubContact

pytestmark = pytest.mark.enable_socket

BUS = encode_id("meters", "10.20.30.41:502")
CHILD = encode_id("sn:acme/Chiller 2")
PATHS = {"/cloud/try": ("cloud",), f"/buses/{BUS}/try": ("bus", "meters", "10.20.30.41:502"),
         f"/children/{CHILD}/try": ("child", "sn:acme/Chiller 2")}  # fmt: skip


async def press(page, path, data=None, **headers):
    async with page.http.post(path, data=data, headers=headers, allow_redirects=False) as answer:
        return SimpleNamespace(status=answer.status, text=await answer.text(), headers=answer.headers)


@pytest.mark.parametrize("path", PATHS)
async def test_the_button_and_the_operation_say_what_came_of_it(page, view, path):
    view.outcomes = [TryOutcome(works=True, text="it is open now"), TryOutcome(works=False, text="it still <refuses>")]

    form = await press(page, path, Origin=page.address, **page.bearer)
    api = await press(page, f"/api/v1{path}", **page.bearer)

    assert (form.status, "It is open now." in form.text, "It works" in form.text) == (200, True, True)
    assert (api.status, json.loads(api.text)) == (200, {"works": False, "text": "it still <refuses>"})
    assert view.done == [("try", *PATHS[path])] * 2


@pytest.mark.parametrize("path", PATHS)
async def test_an_attempt_that_comes_too_soon_is_not_made_and_says_when(page, view, path):
    view.outcomes = [TryOutcome(works=False, text="it was tried a moment ago", wait_seconds=7.4)] * 2

    form = await press(page, path, Origin=page.address, **page.bearer)
    api = await press(page, f"/api/v1{path}", **page.bearer)

    assert (form.status, form.headers["Retry-After"], "Not tried" in form.text) == (429, "7", True)
    assert (api.status, api.headers["Retry-After"]) == (429, "7")
    assert json.loads(api.text) == {"error": "it was tried a moment ago"}


@pytest.mark.parametrize("path", PATHS)
async def test_it_takes_the_right_to_operate_and_our_own_page(page, view, path):
    assert (await press(page, path, Origin=page.address)).status == 403
    assert (await press(page, f"/api/v1{path}")).status == 401
    assert (await press(page, path, Origin="https://evil.example", **page.bearer)).status == 403
    assert view.done == []


@pytest.mark.parametrize("path", ["/buses/nonsense/try", f"/buses/{CHILD}/try", f"/children/{encode_id('sn:none')}/try"])
async def test_what_does_not_exist_is_not_tried(page, view, path):
    assert (await press(page, path, Origin=page.address, **page.bearer)).status == 404
    assert (await press(page, f"/api/v1{path}", **page.bearer)).status == 404
    assert view.done == []


async def test_the_overview_of_the_api_lists_the_open_causes_with_their_counts(page):
    async with page.http.get("/api/v1/status") as answer:
        causes = {one["subject"]: one for one in (await answer.json())["causes"]}

    bus = causes["10.20.30.41:502"]
    assert (bus["cause"], bus["phrase"], bus["tries"]) == ("host_refuses", "refuses the connection", 31)
    assert bus["next_step"] == Cause.HOST_REFUSES.next_step
    assert causes["Chiller 2"]["cause"] == "no_answer"


async def test_the_metrics_count_causes_with_bounded_labels(page):
    async with page.http.get("/metrics") as answer:
        text = await answer.text()

    assert 'xyte_gateway_causes{cause="host_refuses"} 1.0' in text
    assert text.count("xyte_gateway_causes{") == len(Cause)
    assert text.count("xyte_gateway_failures_total{") == len(Cause)


async def test_the_card_of_the_cloud_says_what_the_last_call_brought(page, view, fake):
    view.gateway = view.gateway.model_copy(
        update={
            "hub": HubContact(
                is_reachable=False, since=fake.now(), problem="it does not accept this id with this key (401)",
                cause=Cause.KEY_REFUSED, next_step=Cause.KEY_REFUSED.next_step, tried_at=fake.now(), tries=3,
                next_try_at=fake.now(),
            )
        }
    )  # fmt: skip
    async with page.http.get("/") as answer:
        html = await answer.text()

    for said in ("Cloud answers, but refuses the key", "(401)", "3 in a row failed", 'action="/cloud/try"'):
        assert said in html
    assert "Connection refused" not in html


async def test_a_person_sees_why_a_child_is_offline_and_tries_again_without_a_script(page, view, fake):
    bus = view.buses["10.20.30.41:502"]
    child = view.add_child("Meter 40", bus.bus, reach=Reach.SILENT, why=f"its bus {bus.bus} does not work")
    line = child.line.model_copy(update={"cause": Cause.HOST_REFUSES, "stems_from": bus.id})
    view.children[line.key] = child.model_copy(update={"line": line})
    view.outcomes = [TryOutcome(works=True, text="10.20.30.41:502 is open now, and its devices are asked")]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        context = await browser.new_context(
            base_url=page.address, java_script_enabled=False, viewport={"width": 360, "height": 800}
        )
        tab = await context.new_page()
        tab.set_default_timeout(60_000)
        await tab.goto("/login")
        await tab.fill("#token", page.token)
        await tab.press("#token", "Enter")
        await tab.goto(f"/children/{line.id}")
        status = await tab.inner_text("#status")
        for said in ("does not work, so it cannot answer", "Refuses the connection", "connection refused: nothing listens"):
            assert said in status
        assert Cause.HOST_REFUSES.next_step in status
        await tab.click("text=Try now")
        assert "10.20.30.41:502 is open now" in await tab.inner_text("main")
        await tab.click("text=Back")
        assert tab.url.endswith(f"/buses/{bus.id}")
        await browser.close()


async def test_an_action_is_carried_out_on_behalf_of_its_token_and_a_look_on_that_of_nobody(page, view, monkeypatch):
    asked = []

    async def rescan(entry, bus):
        asked.append(asked_by())

    monkeypatch.setattr(view, "rescan", rescan)
    assert (await press(page, f"/api/v1/buses/{BUS}/rescan", **page.bearer)).status == 200
    assert (await press(page, f"/buses/{BUS}/rescan", Origin=page.address, **page.bearer)).status == 303
    assert asked == ["by the token administer"] * 2
    assert asked_by() is None
