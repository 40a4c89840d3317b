import asyncio
import json
import re
import socket
from datetime import timedelta

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.errors import StoreError
from gateway.models import Metric, Reading
from gateway.status import live, site
from gateway.status import server as module
from gateway.status.calls import CALLS
from gateway.status.doors import TRIES, Doors
from gateway.status.snapshot import GatewayShown, HubContact, id_of

pytestmark = pytest.mark.enable_socket

METER = "sn:acme/Meter 1"
PAGES = ("/", "/?show=trouble&search=chiller&page=7", "/waiting", f"/children/{id_of(METER)}", f"/buses/{id_of('ble', 'hci0')}")
XIAOMI = "mac:LYWSD03MMC 6A11"


async def text_of(running, path, **asked):
    async with running.http.get(path, **asked) as answer:
        return answer.status, await answer.text()


async def json_of(running, path, **asked):
    async with running.http.get(path, **asked) as answer:
        return answer.status, await answer.json()


async def press(running, path, **headers):
    async with running.http.post(path, headers=headers, allow_redirects=False) as answer:
        return answer.status, await answer.text()


# pages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_holds_no_inline_script_or_style(page, path):
    status, html = await text_of(page, path)
    assert status == 200
    assert re.findall(r"<script(?![^>]* src=)", html) == []
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|https?://(?!www\.w3\.org)", html)


@pytest.mark.parametrize("path", [*PAGES, "/nothing", "/login", "/healthz", "/api/v1/status", "/api/v1/children/x"])
async def test_every_answer_is_dressed(page, path):
    async with page.http.get(path) as answer:
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Python" not in answer.headers["Server"]


async def test_everything_a_page_needs_is_served_by_its_content_and_kept_for_ever(page):
    _, html = await text_of(page, f"/children/{id_of(METER)}")
    needed = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', html))
    assert len(needed) == 6
    for address in needed:
        async with page.http.get(address) as answer:
            assert answer.status == 200
            assert "immutable" in answer.headers["Cache-Control"]
            assert await answer.read()
        assert (await text_of(page, address.replace("/static/", "/static/0")))[0] == 404


async def test_the_overview_answers_at_a_glance(page):
    _, html = await text_of(page, "/")
    for said in (
        "Registered and claimed",
        "Reachable",
        "9 of 12",
        "9.1 % full",
        "40 samples",
        "2 waiting",
        "next try",
        "connection refused",
    ):
        assert said in html
    assert html.index("Pump 3") < html.index("Chiller 2") < html.index("Meter 1<")


async def test_a_page_that_is_not_there_says_so_in_words_or_json(page):
    for path in ("/nothing", f"/children/{id_of('sn:gone')}", "/children/%ff", f"/buses/{id_of('a', 'b')}", "/static/x/y"):
        status, html = await text_of(page, path)
        assert (status, "There is nothing at this address" in html) == (404, True)
    assert await json_of(page, "/api/v1/children/x") == (404, {"error": "there is no such thing (any more)"})
    async with page.http.put("/", headers=page.bearer) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


async def test_a_page_that_fails_says_so_without_a_stack(page, view, caplog):
    view.gateway = None
    status, html = await text_of(page, "/")
    assert status == 500
    assert "Something is wrong here" in html
    assert "Traceback" not in html
    assert "ValidationError" not in html
    assert "GET / failed" in caplog.text


async def test_a_store_that_fails_is_told_as_it_is(page, view):
    async def fails():
        raise StoreError("the disk is full")

    view.snapshot = fails
    status, html = await text_of(page, "/")
    assert (status, "the disk is full" in html) == (503, True)


async def test_a_thousand_children_fit_into_300_kb(serve, fake):
    running = await serve(fake.show_plant(children=1000))
    _, html = await text_of(running, "/")
    assert len(html.encode()) < 300_000
    assert "Page 1 of 10" in html


# the doors -----------------------------------------------------------------------------------------------------------


async def test_bound_wider_everything_but_health_takes_the_token(serve, view):
    running = await serve(view, bound="0.0.0.0")
    async with running.http.get("/?show=fine", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/login?then=/%3Fshow%3Dfine")
    for path in ("/api/v1/status", "/api/v1/openapi.json", "/metrics", "/events?at=/"):
        async with running.http.get(path) as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="xyte-gateway"')
            assert "error" in await answer.json()
        if path != "/events?at=/":
            assert (await text_of(running, path, headers=running.bearer))[0] == 200
    assert await json_of(running, "/healthz") == (200, {"is_alive": True})


async def test_another_name_for_this_machine_opens_no_door(page):
    assert (await text_of(page, "/api/v1/status", headers={"Host": "rebound.example"}))[0] == 401
    assert (await text_of(page, "/api/v1/status", headers={"X-Forwarded-For": "203.0.113.9"}))[0] == 401


async def test_a_browser_signs_in_reads_acts_and_signs_out(serve, view):
    running = await serve(view, bound="0.0.0.0")
    here = {"Origin": running.address}
    async with running.http.post(
        "/login", data={"token": running.token, "then": "/waiting"}, headers=here, allow_redirects=False
    ) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/waiting")
        cookie = answer.headers["Set-Cookie"]
        assert running.token not in cookie
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
    assert (await text_of(running, "/waiting"))[0] == 200
    assert (await press(running, f"/waiting/{id_of(XIAOMI)}/ignore", **here))[0] == 303
    assert (await press(running, "/logout", **here))[0] == 303
    async with running.http.get("/waiting", allow_redirects=False) as answer:
        assert answer.status == 303


@pytest.mark.parametrize("then", ["https://evil.example", "//evil.example", "/\\evil.example", "", "/\r\nX: y"])
async def test_signing_in_leads_nowhere_else(page, then):
    async with page.http.post(
        "/login", data={"token": page.token, "then": then}, headers={"Origin": page.address}, allow_redirects=False
    ) as answer:
        assert answer.headers["Location"] == "/"


async def test_wrong_tokens_are_slowed_down_however_they_come(page):
    here = {"Origin": page.address}
    for number in range(TRIES):
        if number % 2:
            assert (await text_of(page, "/api/v1/status", headers={"Authorization": "Bearer wrong"}))[0] == 401
        else:
            async with page.http.post("/login", data={"token": "wrong"}, headers=here) as answer:
                assert (answer.status, "That is not the token" in await answer.text()) == (403, True)
    async with page.http.post("/login", data={"token": page.token}, headers=here) as answer:
        assert (answer.status, int(answer.headers["Retry-After"]) > 50) == (429, True)
    assert (await text_of(page, "/api/v1/status", headers=page.bearer))[0] == 429
    assert (await text_of(page, "/"))[0] == 200


async def test_an_action_takes_the_token_and_our_own_page(page, view):
    admit, api = f"/waiting/{id_of(XIAOMI)}/admit", f"/api/v1/waiting/{id_of(XIAOMI)}/admit"
    status, html = await press(page, admit, Origin=page.address)
    assert (status, "This needs the token" in html) == (403, True)
    status, body = await press(page, api)
    assert (status, "needs the token" in json.loads(body)["error"]) == (403, True)
    status, html = await press(page, admit, Origin="https://evil.example", **page.bearer)
    assert (status, "another site" in html) == (403, True)
    assert (await press(page, api, **{"Sec-Fetch-Site": "cross-site"}, **page.bearer))[0] == 403
    assert view.done == []
    assert await press(page, api, **page.bearer) == (200, '{"done":true}')
    assert view.done == [("admit", XIAOMI)]


async def test_a_signed_in_browser_is_not_made_to_act_by_another_page(page, view):
    async with page.http.post("/login", data={"token": page.token}, headers={"Origin": page.address}) as answer:
        assert answer.status == 200
    path = f"/waiting/{id_of(XIAOMI)}/admit"
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}, {}):
        assert (await press(page, path, **foreign))[0] == 403
    assert view.done == []


async def test_what_is_not_done_is_told_with_its_reason(page, view):
    status, html = await press(page, f"/waiting/{id_of('mac:unit 44')}/admit", **page.bearer)
    assert (status, "no Xyte model for it" in html) == (409, True)
    for word in (id_of("mac:gone"), "!!!", id_of("a", "b")):
        status, body = await press(page, f"/api/v1/waiting/{word}/admit", **page.bearer)
        assert (status, json.loads(body)) == (409, {"error": "there is no such thing (any more)"}) or "no such device" in body
    bus = view.buses["10.20.30.41:502"]
    assert (await press(page, f"/buses/{bus.id}/rescan", **page.bearer))[0] == 409
    assert (await press(page, f"/api/v1/buses/{view.buses['hci0'].id}/rescan", **page.bearer))[0] == 200
    assert view.done[-1] == ("rescan", "ble", "hci0")


async def test_a_device_that_was_admitted_is_a_child_on_the_very_next_page(serve, view):
    running = await serve(view, look_every=timedelta(seconds=60))
    assert "LYWSD03MMC" not in (await text_of(running, "/"))[1]
    await press(running, f"/waiting/{id_of(XIAOMI)}/admit", **running.bearer)
    assert "LYWSD03MMC" in (await text_of(running, "/"))[1]


# the API -------------------------------------------------------------------------------------------------------------


async def test_every_call_is_in_the_document_and_answers_as_it_says(page, view):
    status, document = await json_of(page, "/api/v1/openapi.json")
    assert status == 200
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == {
        (call.path, call.method.lower()) for call in CALLS
    }
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert names <= set(document["components"]["schemas"])
    words = {"child": id_of(METER), "history": id_of(METER)}
    for call in CALLS:
        if call.method == "GET":
            path = call.path.replace("{id}", words.get(call.name, ""))
            status, body = await json_of(page, path, params={"metric": "active_power"})
            assert status == 200
            assert call.answer.model_validate(body).model_dump(mode="json") == body


async def test_the_api_tells_what_the_page_tells(page):
    _, children = await json_of(page, "/api/v1/children", params={"show": "trouble"})
    assert [child["name"] for child in children["children"]] == ["Pump 3", "Chiller 2", "Roof sensor"]
    _, report = await json_of(page, f"/api/v1/children/{children['children'][1]['id']}")
    assert report["child"]["remarks"]
    assert report["errors"] == {"no answer within 1.0 s": 1}
    assert [change["reach"] for change in report["changes"]] == ["silent", "reachable"]
    assert {value["metric"]: value["unit"] for value in report["values"]}["active_power"] == "W"
    _, history = await json_of(page, f"/api/v1/children/{id_of(METER)}/history", params={"metric": "voltage_l1"})
    assert 100 < len(history["at"]) <= 121
    assert (await json_of(page, f"/api/v1/children/{id_of(METER)}/history", params={"metric": "none"}))[0] == 404


# health and metrics --------------------------------------------------------------------------------------------------


async def test_ready_is_who_can_store_and_is_registered(serve, view):
    running = await serve(view, hub_gone_limit=timedelta(minutes=10))
    assert await json_of(running, "/readyz") == (200, {"is_ready": True, "reasons": []})
    view.cannot_store = "the disk is full"
    gone = HubContact(is_reachable=False, since=view.gateway.started_at, problem="no route")
    view.gateway = GatewayShown.model_validate(view.gateway.model_dump() | {"is_registered": False, "hub": gone})
    await asyncio.sleep(0.05)
    status, body = await json_of(running, "/readyz")
    assert (status, body["is_ready"]) == (503, False)
    assert [reason.split(":")[0] for reason in body["reasons"][:2]] == ["nothing can be stored", "not registered with the cloud"]
    assert body["reasons"][2].endswith("no route")


async def test_a_probe_without_the_token_learns_that_but_not_why(serve, view):
    view.cannot_store = "the disk is full"
    running = await serve(view, bound="0.0.0.0")
    assert await json_of(running, "/readyz") == (503, {"is_ready": False})
    assert (await json_of(running, "/readyz", headers=running.bearer))[1]["reasons"]


async def test_metrics_are_what_prometheus_understands_with_bounded_labels(page, view):
    status, text = await text_of(page, "/metrics")
    assert status == 200
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}
    assert values["xyte_gateway_children", ("standing", "silent")] == 2
    assert values["xyte_gateway_outbox_samples",] == 18_204
    assert values["xyte_gateway_samples_lost_total",] == 40
    assert values["xyte_gateway_bus_open", ("bus", "10.20.30.41:502"), ("entry", "meters")] == 0
    labels = {name for sample in samples for name in sample.labels}
    assert labels == {"version", "standing", "entry", "bus", "purpose"}
    assert "Meter" not in text


# live ----------------------------------------------------------------------------------------------------------------


class Stream:
    def __init__(self, answer):
        self.answer = answer

    async def next(self, seconds=5.0):
        async with asyncio.timeout(seconds):
            while True:
                block = (await self.answer.content.readuntil(b"\n\n")).decode()
                if not block:
                    raise EOFError
                said = dict(line.split(": ", 1) for line in block.strip().splitlines() if ": " in line and line[0] != ":")
                if "data" in said or said.get("event") == "gone":
                    return said.get("event"), json.loads(said.get("data") or "null"), said.get("id")


async def listening(running, at, *, seen=None, last=None):
    if seen is None:
        seen = re.search(r'data-version="(\w+)"', (await text_of(running, at))[1])[1]
    headers = {} if last is None else {"Last-Event-ID": last}
    answer = await running.http.get("/events", params={"at": at, "seen": seen}, headers=headers)
    assert (answer.status, answer.content_type) == (200, "text/event-stream")
    return Stream(answer)


async def test_a_child_that_falls_silent_is_told_to_who_watches_and_nothing_else(page, view):
    stream = await listening(page, "/")
    view.silence(METER, "no answer at all")
    event, regions, _ = await stream.next()
    assert event == "regions"
    assert {"troubles", "glance", "children"} <= set(regions)
    assert "no answer at all" in regions["troubles"]
    view.history.take([Reading(METER, Metric("x"), 1, view.gateway.started_at)])
    with pytest.raises(TimeoutError):
        await stream.next(0.3)
    stream.answer.close()


async def test_new_values_are_told_on_the_page_of_their_child(page, view, fake):
    stream = await listening(page, f"/children/{id_of(METER)}")
    view.history.take([Reading(METER, Metric("brand_new"), 4711, fake.now())])
    _, regions, _ = await stream.next()
    assert list(regions) == ["values"]
    assert "brand_new" in regions["values"]
    stream.answer.close()


async def test_who_comes_back_is_told_what_it_missed_and_nothing_when_it_missed_nothing(page, view):
    stream = await listening(page, "/")
    view.silence(METER)
    _, _, version = await stream.next()
    stream.answer.close()
    back = await listening(page, "/", seen="old", last=version)
    with pytest.raises(TimeoutError):
        await back.next(0.3)
    back.answer.close()
    view.revive(METER)
    again = await listening(page, "/", seen="old", last=version)
    _, regions, _ = await again.next()
    assert set(regions) == {"glance", "troubles", "buses", "children"}
    again.answer.close()


async def test_who_watches_what_is_gone_is_told_so(page, view):
    stream = await listening(page, f"/children/{id_of(METER)}")
    del view.children[METER]
    event, _, _ = await stream.next()
    assert event == "gone"
    stream.answer.close()


async def test_all_watchers_cost_one_look_and_none_costs_nothing(page, view):
    streams = [await listening(page, "/") for _ in range(8)]
    assert page.server._live.watchers == 8
    before = view.asked
    await asyncio.sleep(0.5)
    assert 3 <= view.asked - before <= 11
    for stream in streams:
        stream.answer.close()
    async with asyncio.timeout(5):
        while page.server._live.watchers:
            view.silence(METER, f"try {view.asked}")
            await asyncio.sleep(0.02)
    before = view.asked
    await asyncio.sleep(0.3)
    assert view.asked - before <= 1


async def test_a_page_that_cannot_be_shown_is_told_again_when_it_can(page, view, caplog):
    stream = await listening(page, "/")
    good, view.gateway = view.gateway, None
    await asyncio.sleep(0.2)
    view.gateway = good
    view.silence(METER)
    assert (await stream.next())[0] == "regions"
    assert "cannot be shown" in caplog.text
    stream.answer.close()


async def test_there_is_an_end_to_how_many_may_watch(page, monkeypatch):
    monkeypatch.setattr(live, "MOST_WATCHERS", 1)
    stream = await listening(page, "/")
    status, body = await json_of(page, "/events", params={"at": "/", "seen": ""})
    assert (status, "Too many pages" in body["error"]) == (503, True)
    stream.answer.close()


async def test_who_does_not_keep_up_is_dropped_and_the_others_are_not(page):
    slow, quick = live.Watcher(), live.Watcher()
    for number in range(live.EVENTS_WAITING + 1):
        event = live.Event.of(str(number), {})
        slow.tell(event)
        quick.tell(event)
        assert await quick.next(within_seconds=1) == event.wire
    assert slow.is_dropped
    assert await slow.next(within_seconds=1) is None


async def test_a_line_that_is_not_read_is_cut(serve, fake, monkeypatch):
    monkeypatch.setattr(site, "WRITE_SECONDS", 0.2)
    view = fake.show_plant(children=1000)
    running = await serve(view, look_every=timedelta(seconds=0.01))
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", int(running.address.rpartition(":")[2])))
        deaf.sendall(b"GET /events?at=/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        was_watched = False
        async with asyncio.timeout(30):
            while not was_watched or running.server._live.watchers:
                was_watched = was_watched or running.server._live.watchers == 1
                for number in range(30):
                    view.silence(f"sn:acme/Meter {number + 1}", f"{view.asked} " * 60)
                await asyncio.sleep(0.01)
    assert (await text_of(running, "/healthz"))[0] == 200


async def test_a_quiet_line_beats_like_a_heart():
    assert await live.Watcher().next(within_seconds=0.01) == live.HEARTBEAT


async def test_nonsense_is_not_watched(page):
    for at in ("", "/login", "/children/x/y", "http://[", "/children/%00"):
        assert (await text_of(page, "/events", params={"at": at}))[0] == 404


# start and stop ------------------------------------------------------------------------------------------------------


async def test_open_pages_do_not_hold_up_the_end(page):
    stream = await listening(page, "/")
    page.task.cancel()
    async with asyncio.timeout(3):
        await asyncio.gather(page.task, return_exceptions=True)
    with pytest.raises((aiohttp.ClientError, EOFError)):
        await stream.next()


async def test_a_taken_port_is_told_once_and_tried_again(view, caplog, monkeypatch):
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.05)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = module.StatusServer(view, view.history, Doors("", host="127.0.0.1"), port=port)
        running = asyncio.create_task(server.run())
        await asyncio.sleep(0.3)
        assert not server.listens.is_set()
    async with asyncio.timeout(5):
        await server.listens.wait()
    assert caplog.text.count("cannot be served") == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
