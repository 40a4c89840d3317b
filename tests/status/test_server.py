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
from gateway.status import base_server, live_updates, snapshot_cache
from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.wrong_tokens import FREE_ATTEMPTS
from gateway.status.device_actions import LookKind
from gateway.status.listening.endpoint import Endpoint
from gateway.status.model import encode_id
from gateway.status.openapi import OPERATIONS
from gateway.status.render.pages import PageAddress, RenderedPage
from gateway.status.render.sign_in_help import SignInHelp
from gateway.status.routes import html_pages
from gateway.status.server import StatusServer
from gateway.status.snapshot import GatewaySummary, HubContact

pytestmark = pytest.mark.enable_socket

METER = "sn:acme/Meter 1"
PAGES = (
    "/",
    "/?show=trouble&search=chiller&page=7",
    "/waiting",
    "/cloud",
    f"/children/{encode_id(METER)}",
    f"/buses/{encode_id('ble', 'hci0')}",
)
XIAOMI = "mac:LYWSD03MMC 6A11"


async def text_of(running, path, **asked):
    async with running.http.get(path, **asked) as answer:
        return answer.status, await answer.text()


async def json_of(running, path, **asked):
    async with running.http.get(path, **asked) as answer:
        return answer.status, await answer.json()


async def press(running, path, data=None, **headers):
    async with running.http.post(path, data=data, headers=headers, allow_redirects=False) as answer:
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
    _, html = await text_of(page, f"/children/{encode_id(METER)}")
    needed = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', html))
    assert len(needed) >= 7
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
        "Cloud reachable",
        "9 of 12",
        "9.1 % full",
        "40 samples",
        "2 found devices waiting",
        "next attempt",
        "connection refused",
    ):
        assert said in html
    assert html.index("10.20.30.41:502") < html.index("Chiller 2") < html.index("Meter 1<")


async def test_the_cloud_page_shows_commands_incidents_licences_and_what_is_on_record(page):
    _, html = await text_of(page, "/cloud")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))
    for said in (
        "Look at the cable of 10.20.30.41:502.",
        "Limit: 20, Pin: ********",
        "Limit from 16.0 to 18.0",
        "acted, outcome unknown: no answer",
        "waits for its bus",
        "the cloud has not been told yet",
        "the signature is wrong",
        "Example Ltd",
        "Room 12, Vienna",
        "gw firmware 2.5.0",
    ):
        assert said in text


async def test_a_child_shows_its_own_commands_and_licences_alone(page):
    _, html = await text_of(page, f"/children/{encode_id(METER)}")
    assert "Reset energy" in html
    assert "L-2" in html
    assert "reboot" not in html
    _, other = await text_of(page, f"/children/{encode_id('sn:acme/Meter 2')}")
    assert "Reset energy" not in other
    assert "No command was sent to this device." in other


async def test_the_cloud_page_shows_each_configuration_and_where_each_setting_comes_from(page):
    _, html = await text_of(page, "/cloud")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    for said in (
        "version 4 is being tried",
        "adapter.line.timeout: 0.5 becomes 0.2",
        "since it was applied, Meter 1 does not answer",
        "version 1 is in effect",
        "cloud.telemetry_every 30 default",
        "adapter.line.timeout 0.5 cloud",
    ):
        assert said in text, said
    _, html = await text_of(page, f"/children/{encode_id(METER)}")
    assert "since it was applied, Meter 1 does not answer" in html
    assert "is being tried" not in html


async def test_the_devices_that_load_a_bus_are_links_and_its_words_are_plain(page, view):
    _, html = await text_of(page, f"/buses/{encode_id('line', '/dev/serial/by-id/usb-FTDI_RS485-if00')}")
    link = f'<a href="/children/{encode_id("sn:acme/Chiller 2")}"><bdi>Chiller 2</bdi></a>'
    assert link in html.partition("Load by device")[2].partition("</table>")[0]
    assert "Used in the last minute" in html
    assert "lately" not in html


async def test_what_was_noted_of_a_device_that_is_silent_now_is_not_said_beside_it(page):
    _, html = await text_of(page, f"/children/{encode_id('sn:acme/Chiller 2')}")
    assert "Noted while it answered" in html.partition("are refused by this firmware")[0]


async def test_the_values_of_a_silent_device_are_dimmed_on_its_page_and_those_of_a_fine_one_are_not(page, view, fake):
    silent = "sn:acme/Chiller 2"
    view.history.take([Reading(silent, Metric("power", "W"), 5.0, fake.now())])
    _, html = await text_of(page, f"/children/{encode_id(silent)}")
    assert 'class="num value late"' in html
    _, html = await text_of(page, f"/children/{encode_id(METER)}")
    assert 'class="num value"' in html
    assert 'class="num value late"' not in html


async def test_the_overview_links_to_open_incidents(page, view):
    _, html = await text_of(page, "/")
    assert "2 incidents open" in html
    view.cloud = view.cloud.model_copy(update={"incidents": ()})
    await asyncio.sleep(1.1)  # a snapshot is kept for a second
    _, html = await text_of(page, "/")
    assert "incidents open" not in html


async def test_the_api_has_the_exchange_with_the_cloud(page):
    status, cloud = await json_of(page, "/api/v1/cloud")
    assert status == 200
    assert [command["state"] for command in cloud["commands"]] == ["running", "waiting", "done", "unknown", "failed"]
    assert [incident["priority"] for incident in cloud["incidents"]] == [2, 3]


async def test_a_page_that_is_not_there_says_so_in_words_or_json(page):
    for path in (
        "/nothing",
        f"/children/{encode_id('sn:gone')}",
        "/children/%ff",
        f"/buses/{encode_id('a', 'b')}",
        "/static/x/y",
    ):
        status, html = await text_of(page, path)
        assert (status, "There is no such page" in html) == (404, True)
    assert await json_of(page, "/api/v1/children/x") == (404, {"error": "there is no such device or bus (any more)"})
    async with page.http.put("/", headers=page.bearer) as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")


async def test_a_page_that_fails_says_so_without_a_stack(page, view, caplog):
    view.gateway = None
    status, html = await text_of(page, "/")
    assert status == 500
    assert "Something went wrong" in html
    assert "Traceback" not in html
    assert "ValidationError" not in html
    assert "GET / failed" in caplog.text


async def test_a_store_that_fails_is_told_as_it_is(page, view):
    async def fails():
        raise StoreError("the disk is full")

    view.snapshot = fails
    status, html = await text_of(page, "/")
    assert (status, "the disk is full" in html) == (503, True)


async def test_the_values_of_a_child_begin_with_what_matters_and_have_the_names_of_people(page):
    _, html = await text_of(page, f"/children/{encode_id(METER)}")
    titles = re.findall(
        r'<th scope="row">(?:<a [^>]*>)?<bdi>(.*?)</bdi>', html.partition('id="values"')[2].partition("</section>")[0]
    )
    assert titles == ["Active power", "Energy total", "Relay", "State", "Voltage L1"]


async def test_a_child_with_as_many_values_as_are_kept_fits_into_300_kb(page, view, fake):
    start = fake.now() - timedelta(hours=1)
    for number in range(600):
        metric = Metric(f"measured_point_{number}", "kWh")
        view.history.take(
            [Reading(METER, metric, number + step / 7, start + timedelta(seconds=30 * step)) for step in range(120)]
        )
    _, html = await text_of(page, f"/children/{encode_id(METER)}")
    assert len(html.encode()) < 300_000
    assert "has more metrics than this page keeps" in html


async def test_a_thousand_children_fit_into_300_kb(serve, fake):
    running = await serve(fake.show_plant(children=1000))
    _, html = await text_of(running, "/")
    assert len(html.encode()) < 300_000
    assert "Page 1 of 11" in html


# the doors -----------------------------------------------------------------------------------------------------------


async def test_bound_wider_everything_but_health_takes_the_token(serve, view):
    running = await serve(view, bound="0.0.0.0")
    async with running.http.get("/?show=fine", allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/login?then=/%3Fshow%3Dfine")
    for path in ("/api/v1/status", "/api/v1/openapi.json", "/metrics", "/live?at=/"):
        async with running.http.get(path) as answer:
            assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="xyte-gateway"')
            assert "error" in await answer.json()
        if path != "/live?at=/":
            assert (await text_of(running, path, headers=running.bearer))[0] == 200
    assert (await json_of(running, "/healthz"))[0] == 200


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
    assert (await press(running, f"/waiting/{encode_id(XIAOMI)}/ignore", **here))[0] == 303
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
    for number in range(FREE_ATTEMPTS):
        if number % 2:
            assert (await text_of(page, "/api/v1/status", headers={"Authorization": "Bearer wrong"}))[0] == 401
        else:
            async with page.http.post("/login", data={"token": "wrong"}, headers=here) as answer:
                assert (answer.status, "The token is wrong, or it was withdrawn." in await answer.text()) == (403, True)
    async with page.http.post("/login", data={"token": "wrong"}, headers=here) as answer:
        assert (answer.status, int(answer.headers["Retry-After"]) > 50) == (429, True)
    assert (await text_of(page, "/api/v1/status", headers={"Authorization": "Bearer wrong"}))[0] == 429
    assert (await text_of(page, "/"))[0] == 200


async def test_the_sign_in_page_names_the_gateway_and_the_command_that_makes_a_token(serve, view):
    said = SignInHelp(gateway="Plant <north>", command="/opt/bin/xyte-gateway token --config /etc/x.toml")
    running = await serve(view, bound="0.0.0.0", sign_in_help=said)
    _, html = await text_of(running, "/waiting")
    assert "Sign in to Plant &lt;north&gt;" in html
    assert "/opt/bin/xyte-gateway token --config /etc/x.toml --role operate" in html


async def test_a_withdrawn_token_ends_its_session_and_its_open_pages(serve, view):
    running = await serve(view, bound="0.0.0.0")
    here = {"Origin": running.address}
    async with running.http.post("/login", data={"token": running.token}, headers=here) as answer:
        assert answer.status == 200
        assert "(administer)" in await answer.text(), "the page says who one is"
    async with running.http.get("/live", params={"at": "/"}) as stream:
        assert b"event: regions" in await stream.content.readuntil(b"\n\n") + await stream.content.readuntil(b"\n\n")
        del running.tokens[0]
        view.add_child("Another meter", next(iter(view.buses)))
        rest = await asyncio.wait_for(stream.content.read(), 60)
        assert b"Another meter" not in rest
    async with running.http.get("/", allow_redirects=False) as answer:
        assert answer.status == 303


@pytest.mark.parametrize("way", ["sign-in", "bearer"])
async def test_the_right_token_is_accepted_from_an_address_that_has_sent_many_wrong_ones(page, way):
    for _ in range(2 * FREE_ATTEMPTS):
        await text_of(page, "/api/v1/status", headers={"Authorization": "Bearer wrong"})
    if way == "bearer":
        assert (await text_of(page, "/api/v1/status", headers=page.bearer))[0] == 200
    else:
        here = {"Origin": page.address}
        async with page.http.post("/login", data={"token": page.token}, headers=here, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, "/")


async def test_an_action_takes_the_token_and_our_own_page(page, view):
    admit, api = f"/waiting/{encode_id(XIAOMI)}/admit", f"/api/v1/waiting/{encode_id(XIAOMI)}/admit"
    status, html = await press(page, admit, Origin=page.address)
    assert (status, "needs a token that may operate" in html) == (403, True)
    status, body = await press(page, api)
    assert (status, "needs a token that may operate: Authorization: Bearer" in json.loads(body)["error"]) == (401, True)
    status, body = await press(page, api, Authorization="Bearer wrong")
    assert (status, "needs a token that may operate: the one that was sent is wrong" in json.loads(body)["error"]) == (401, True)
    status, html = await press(page, admit, Origin="https://evil.example", **page.bearer)
    assert (status, "another site" in html) == (403, True)
    assert (await press(page, api, **{"Sec-Fetch-Site": "cross-site"}, **page.bearer))[0] == 403
    assert view.done == []
    assert await press(page, api, **page.bearer) == (200, '{"done":true}')
    assert view.done == [("admit", XIAOMI)]


async def test_a_signed_in_browser_is_not_made_to_act_by_another_page(page, view):
    async with page.http.post("/login", data={"token": page.token}, headers={"Origin": page.address}) as answer:
        assert answer.status == 200
    path = f"/waiting/{encode_id(XIAOMI)}/admit"
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}, {}):
        assert (await press(page, path, **foreign))[0] == 403
    assert view.done == []


async def test_what_is_not_done_is_told_with_its_reason(page, view):
    status, html = await press(page, f"/waiting/{encode_id('mac:unit 44')}/admit", **page.bearer)
    assert (status, "no Xyte model for it" in html) == (409, True)
    for word in (encode_id("mac:gone"), "!!!", encode_id("a", "b")):
        status, body = await press(page, f"/api/v1/waiting/{word}/admit", **page.bearer)
        assert (status, json.loads(body)) == (
            409,
            {"error": "there is no such device or bus (any more)"},
        ) or "no such device" in body
    bus = view.buses["10.20.30.41:502"]
    assert (await press(page, f"/buses/{bus.id}/rescan", **page.bearer))[0] == 409
    assert (await press(page, f"/api/v1/buses/{view.buses['hci0'].id}/rescan", **page.bearer))[0] == 200
    assert view.done[-1] == ("rescan", "ble", "hci0")


@pytest.mark.parametrize(("kind", "key"), [("waiting", XIAOMI), ("children", METER)])
async def test_a_device_is_renamed_from_its_page_and_called_what_it_was_again(page, view, kind, key):
    there, form = f"/{kind}/{encode_id(key)}" if kind == "children" else "/waiting", f"/{kind}/{encode_id(key)}/name"
    was = view.waiting[key].name if kind == "waiting" else view.children[key].line.name
    assert (await press(page, form, {"name": " Boiler   house "}, **page.bearer))[0] == 303
    assert view.done == [("rename", key, "Boiler house")]
    _, html = await text_of(page, there)
    assert "<bdi>Boiler house</bdi>" in html
    assert f"It was found as <bdi>{was}</bdi>" in html
    for wrong, says in (("x" * 101, "100 characters"), ("a\u202eb", "cannot be seen"), ("\x07", "cannot be seen")):
        status, html = await press(page, form, {"name": wrong}, **page.bearer)
        assert (status, says in html) == (409, True)
    assert (await press(page, form, {"name": "  "}, **page.bearer))[0] == 303
    assert view.done[1:] == [("rename", key, None)]


async def test_renaming_takes_the_token_and_our_own_page_as_any_action_does(page, view):
    for path in (
        f"/children/{encode_id(METER)}/name",
        f"/api/v1/children/{encode_id(METER)}/name",
        f"/waiting/{encode_id(XIAOMI)}/name",
    ):
        assert (await press(page, path, {"name": "X"}, Origin=page.address))[0] == (401 if path.startswith("/api/") else 403)
        assert (await press(page, path, {"name": "X"}, Origin="https://evil.example", **page.bearer))[0] == 403
    assert view.done == []


async def test_the_api_names_devices_and_says_what_is_wrong_with_a_name(page, view):
    for kind, key in (("children", METER), ("waiting", XIAOMI)):
        path = f"/api/v1/{kind}/{encode_id(key)}/name"
        assert await press(page, path, b'{"name": "Boiler house"}', **page.bearer) == (200, '{"done":true}')
        assert await press(page, path, b'{"name": null}', **page.bearer) == (200, '{"done":true}')
    assert [(done[1], done[2]) for done in view.done] == [
        *((METER, "Boiler house"), (METER, None)),
        *((XIAOMI, "Boiler house"), (XIAOMI, None)),
    ]
    for body, status, says in (
        (b"", 400, "the body is empty"),
        (b"{", 400, "the body is not JSON, from line 1, column 1 on"),
        (b"{}", 400, "name is missing"),
        (b'{"name": 3}', 400, "name has to be a text"),
        (b'{"name": "a", "key": "b"}', 400, 'no field is called "key"'),
        (b"\xff", 400, "invalid request"),
        (b'{"name": ""}', 409, "1 to 100 characters"),
        (b'{"name": "a\\u0000"}', 409, "cannot be seen"),
    ):
        answered, text = await press(page, path, body, **page.bearer)
        assert (answered, says in json.loads(text)["error"]) == (status, True), text
    status, text = await press(page, f"/api/v1/children/{encode_id('gone')}/name", b'{"name": "X"}', **page.bearer)
    assert (status, "no such device" in text) == (409, True)
    assert (await press(page, "/api/v1/children/!/name", b'{"name": "X"}', **page.bearer))[0] == 409


async def test_a_button_leads_back_to_the_page_of_the_list_where_it_was_pressed(page):
    path, here = f"/waiting/{encode_id(XIAOMI)}/ignore", {"Origin": page.address} | page.bearer
    for then, leads_to in (
        ("/waiting?search=ly&page=2", "/waiting?search=ly&page=2"),
        ("//evil.example", "/waiting"),
        ("", "/waiting"),
    ):
        async with page.http.post(path, data={"then": then}, headers=here, allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (303, leads_to)
    _, html = await text_of(page, "/waiting?search=unit")
    assert html.count('name="then" value="/waiting?search=unit"') == 4  # three buttons, and the choice of the language


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/x-www-form-urlencoded; charset=nonsense", b"token=a", 403),
        ("application/x-www-form-urlencoded", b"token=\xff\xfe", 403),
        ("application/x-www-form-urlencoded", b"&".join(b"a=b" for _ in range(21)), 400),
        ("multipart/form-data; boundary=x", b"--x\r\ngarbage", 415),
        ("multipart/form-data", b"x", 415),
        ("application/json", b"{}", 415),
        ("application/x-www-form-urlencoded", b"token=" + b"x" * 20_000, 413),
    ],
)
async def test_a_form_that_nobody_of_ours_sends_is_refused_and_is_no_bug(page, caplog, content_type, body, status):
    headers = {"Origin": page.address, "Content-Type": content_type}
    assert (await press(page, "/login", body, **headers))[0] == status
    packed = {"Content-Encoding": "gzip"} | headers
    if status == 403:
        async with page.http.post("/login", data=body, headers=packed, compress=None) as answer:
            assert answer.status == 400
    assert "Traceback" not in caplog.text


async def test_a_name_that_was_not_sent_takes_none_away(page, view):
    path = f"/children/{encode_id(METER)}/name"
    assert (await press(page, path, b"name=X", **page.bearer, **{"Content-Type": "text/plain"}))[0] == 415
    assert (await press(page, path, {"other": "x"}, **page.bearer))[0] == 400
    assert (await press(page, path, **page.bearer))[0] == 400
    assert view.done == []


async def test_what_is_not_http_at_all_writes_no_log(page, caplog):
    for nonsense in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET /?\xff HTTP/1.1\r\n\r\n", b"BREW / HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(page.address.rpartition(":")[2]))
        writer.write(nonsense)
        writer.write_eof()
        async with asyncio.timeout(60):
            await reader.read()
        writer.close()
    assert caplog.text == ""


async def test_a_snapshot_that_was_begun_before_something_was_done_is_made_anew_after_it(view):
    go_on = asyncio.Event()
    make = view.snapshot

    async def slowly():
        made = await make()
        await go_on.wait()
        return made

    view.snapshot = slowly
    latest = snapshot_cache.SnapshotCache(view, fresh_seconds=60)
    looking = asyncio.create_task(latest.snapshot())
    await asyncio.sleep(0)
    await view.ignore(XIAOMI)
    latest.invalidate()
    go_on.set()
    assert len((await looking).undecided) == 2
    assert len((await latest.snapshot()).undecided) == 1


async def test_a_device_that_was_admitted_is_a_child_on_the_very_next_page(serve, view):
    running = await serve(view, update_every=timedelta(seconds=60))
    assert "LYWSD03MMC" not in (await text_of(running, "/"))[1]
    await press(running, f"/waiting/{encode_id(XIAOMI)}/admit", **running.bearer)
    assert "LYWSD03MMC" in (await text_of(running, "/"))[1]


# the API -------------------------------------------------------------------------------------------------------------


async def test_every_call_is_in_the_document_and_answers_as_it_says(page, view):
    status, document = await json_of(page, "/api/v1/openapi.json")
    assert status == 200
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == {
        (operation.path, operation.method.lower()) for operation in OPERATIONS
    }
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(document)))
    assert names <= set(document["components"]["schemas"])
    for operation in OPERATIONS:
        asked = document["paths"][operation.path][operation.method.lower()]
        assert ("requestBody" in asked, "400" in asked["responses"]) == (operation.body is not None, True)
    words = dict.fromkeys(("child", "history", "commands_of_child", "last_look", "successors", "frames"), encode_id(METER))
    words["bus"] = encode_id("ble", "hci0")
    view.device_actions.looks.start(METER, LookKind.READ)
    view.device_actions.commands.sent["a-request"] = view.cloud.commands[0]
    for operation in OPERATIONS:
        if operation.method == "GET":
            path = operation.path.replace("{id}", words.get(operation.name, "")).replace("{request_id}", "a-request")
            given = {name: "active_power" for name, parameter in operation.query.items() if parameter.is_required}
            if operation.response is None:
                continue
            status, body = await json_of(page, path, params=given, headers=page.bearer)
            assert status == 200
            assert operation.response.model_validate(body).model_dump(mode="json") == body


async def test_the_api_tells_what_the_page_tells(page):
    _, children = await json_of(page, "/api/v1/children", params={"show": "trouble"})
    assert [child["name"] for child in children["children"]] == ["Pump 3", "Chiller 2", "Roof sensor"]
    _, report = await json_of(page, f"/api/v1/children/{children['children'][1]['id']}")
    assert report["child"]["remarks"]
    assert report["errors"] == {"no answer": 1}
    assert report["failures"][0]["last_text"] == "no answer within 1.0 s"
    assert [change["reach"] for change in report["changes"]] == ["silent", "reachable"]
    assert {value["metric"]: value["unit"] for value in report["values"]}["active_power"] == "W"
    _, history = await json_of(page, f"/api/v1/children/{encode_id(METER)}/history", params={"metric": "voltage_l1"})
    assert 100 < len(history["at"]) <= 121
    assert (await json_of(page, f"/api/v1/children/{encode_id(METER)}/history", params={"metric": "none"}))[0] == 400


# health and metrics --------------------------------------------------------------------------------------------------


async def test_ready_is_who_can_store_and_is_registered(serve, view):
    running = await serve(view, hub_gone_limit=timedelta(minutes=10))
    assert await json_of(running, "/readyz") == (200, {"is_ready": True, "reasons": []})
    view.cannot_store = "the disk is full"
    gone = HubContact(is_reachable=False, since=view.gateway.started_at, problem="no route")
    view.gateway = GatewaySummary.model_validate(view.gateway.model_dump() | {"is_registered": False, "hub": gone})
    await asyncio.sleep(0.05)
    status, body = await json_of(running, "/readyz")
    assert (status, body["is_ready"]) == (503, False)
    assert [reason.split(":")[0] for reason in body["reasons"][:2]] == ["nothing can be stored", "not registered with the cloud"]
    assert body["reasons"][2].endswith("no route")


async def test_however_often_readiness_is_asked_the_disk_is_written_once_a_second(serve, view):
    tries = []

    async def tried():
        tries.append(None)

    view.store_problem = tried
    running = await serve(view, update_every=timedelta(seconds=60))
    await asyncio.gather(*(json_of(running, "/readyz") for _ in range(20)))
    assert len(tries) == 1


async def test_the_health_check_of_this_machine_hears_that_but_not_why_and_nobody_else_does(serve, view):
    view.cannot_store = "the disk is full"
    running = await serve(view, bound="0.0.0.0")
    assert await json_of(running, "/readyz") == (503, {"is_ready": False})
    assert (await json_of(running, "/readyz", headers={"X-Forwarded-For": "192.0.2.1"}))[0] == 401
    from_elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(running.address, connector=from_elsewhere) as elsewhere:
        async with elsewhere.get("/readyz") as answer:
            assert answer.status == 401
        async with elsewhere.get("/healthz") as answer:
            assert answer.status == 200
    assert (await json_of(running, "/readyz", headers=running.bearer))[1]["reasons"]


async def test_a_backlog_that_is_sent_and_refused_samples_are_on_the_page_and_in_the_api(page):
    _, text = await text_of(page, "/")
    assert "Sending what waited: 96 000 sent, 18 204 left, for about 25 min" in text.replace("\u202f", " ").replace("\xa0", " ")
    assert "The hub refuses 3 samples of 2 children for now: <bdi>HTTP 503 &lt;from&gt; upstream</bdi>" in text.replace(
        "\xa0", " "
    )
    _, status = await json_of(page, "/api/v1/status")
    assert (status["outbox"]["drain"]["left"], status["outbox"]["refused"]["samples"]) == (18_204, 3)


async def test_metrics_are_what_prometheus_understands_with_bounded_labels(page, view):
    status, text = await text_of(page, "/metrics")
    assert status == 200
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {(sample.name, *sorted(sample.labels.items())): sample.value for sample in samples}
    assert values["xyte_gateway_children", ("standing", "silent")] == 2
    assert values["xyte_gateway_outbox_samples",] == 18_204
    assert (values["xyte_gateway_outbox_bytes",], values["xyte_gateway_outbox_capacity_bytes",]) == (3_000_000, 64_000_000)
    assert values["xyte_gateway_outbox_holds_seconds",] == 792_000
    assert (values["xyte_gateway_outbox_draining",], values["xyte_gateway_outbox_refused_samples",]) == (1, 3)
    assert values["xyte_gateway_samples_lost_total",] == 40
    assert values["xyte_gateway_bus_open", ("bus", "10.20.30.41:502"), ("entry", "meters")] == 0
    labels = {name for sample in samples for name in sample.labels}
    refused = {name[-1][1]: value for name, value in values.items() if name[0] == "xyte_gateway_bus_refused_total"}
    assert refused == {"implausible time": 3, "unusable value": 12}
    assert labels == {"version", "standing", "entry", "bus", "purpose", "reason", "cause"}
    assert "Meter" not in text


async def test_the_overview_shows_what_an_operator_should_know_about_a_bus(page, view):
    remarks = ("another master speaks on this line", "66 stray bytes arrived")
    view.add_bus("/dev/ttyS7", "line", remarks=remarks)
    text = (await text_of(page, "/"))[1]
    assert (
        f'<span class="why"><bdi>{remarks[0]}</bdi> <a href="/buses/{view.buses["/dev/ttyS7"].id}">and 1 more</a></span>' in text
    )


async def test_the_page_of_a_bus_shows_what_was_refused_of_its_adapter(page, view):
    bus = view.buses["/dev/serial/by-id/usb-FTDI_RS485-if00"]
    status, text = await text_of(page, f"/buses/{bus.id}")
    assert status == 200
    assert '<li>implausible time <span class="quiet">3</span></li>' in text
    assert "refused" not in (await text_of(page, f"/buses/{view.buses['hci0'].id}"))[1]


# live ----------------------------------------------------------------------------------------------------------------


class Stream:
    def __init__(self, answer):
        self.answer = answer

    async def next(self, seconds=60.0):
        async with asyncio.timeout(seconds):
            while True:
                block = (await self.answer.content.readuntil(b"\n\n")).decode()
                if not block:
                    raise EOFError
                said = dict(line.split(": ", 1) for line in block.strip().splitlines() if ": " in line and line[0] != ":")
                if said.get("event") == "edition":  # comes first on every stream
                    continue
                if "data" in said or said.get("event") == "gone":
                    return said.get("event"), json.loads(said.get("data") or "null"), said.get("id")


async def listening(running, at, *, seen=None, last=None):
    if seen is None:
        seen = re.search(r'data-version="(\w+)"', (await text_of(running, at))[1])[1]
    headers = {} if last is None else {"Last-Event-ID": last}
    answer = await running.http.get("/live", params={"at": at, "seen": seen}, headers=headers)
    assert (answer.status, answer.content_type) == (200, "text/event-stream")
    return Stream(answer)


async def test_a_child_that_falls_silent_is_told_to_who_watches_and_nothing_else(page, view):
    stream = await listening(page, "/")
    view.silence(METER, "no answer at all")
    event, regions, _ = await stream.next()
    assert event == "regions"
    assert {"problems", "summary", "children"} <= set(regions)
    assert "no answer at all" in regions["problems"]
    view.history.take([Reading(METER, Metric("x"), 1, view.gateway.started_at)])
    with pytest.raises(TimeoutError):
        await stream.next(0.3)
    stream.answer.close()


async def test_a_next_try_that_is_reckoned_anew_for_each_look_is_no_change(page, view):
    at, snapshot, looks = view.gateway.started_at.replace(microsecond=400_000), view.snapshot, []

    async def reckoned():
        looks.append(None)
        made = await snapshot()
        later = at + timedelta(hours=9, microseconds=len(looks) % 7)
        lines = [line.model_copy(update={"next_try_at": later}) for line in made.children]
        return made.model_copy(update={"children": tuple(lines)})

    view.snapshot = reckoned
    stream = await listening(page, "/")
    while len(looks) <= 3:  # a busy machine looks less often
        with pytest.raises(TimeoutError):
            await stream.next(0.4)
    stream.answer.close()


async def test_new_values_are_told_on_the_page_of_their_child(page, view, fake):
    stream = await listening(page, f"/children/{encode_id(METER)}")
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
    assert set(regions) == {"summary", "problems", "buses", "children"}
    again.answer.close()


async def test_who_watches_what_is_gone_is_told_so(page, view):
    stream = await listening(page, f"/children/{encode_id(METER)}")
    del view.children[METER]
    while (event := (await stream.next())[0]) == "regions":  # what the clock changed on the page just before
        pass
    assert event == "gone"
    stream.answer.close()


async def test_all_watchers_cost_one_look_and_none_costs_nothing(page, view):
    streams = [await listening(page, "/") for _ in range(8)]
    assert page.server._live.watchers == 8
    began, before = asyncio.get_running_loop().time(), view.asked
    async with asyncio.timeout(60):
        while view.asked - before < 3:  # noqa: ASYNC110 - a claim about anything, not an event
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.3)
    assert view.asked - before <= (asyncio.get_running_loop().time() - began) / 0.05 + 1
    for stream in streams:
        stream.answer.close()
    async with asyncio.timeout(60):
        while page.server._live.watchers:
            view.silence(METER, f"try {view.asked}")
            await asyncio.sleep(0.02)
    before = view.asked
    await asyncio.sleep(0.3)
    assert view.asked - before <= 1


async def test_a_page_that_cannot_be_shown_is_told_again_when_it_can(page, view, caplog):
    stream = await listening(page, "/")
    good, view.gateway = view.gateway, None
    async with asyncio.timeout(60):
        while "is not updated any more" not in caplog.text:  # noqa: ASYNC110 - a claim about anything, not an event
            await asyncio.sleep(0.02)
    view.gateway = good
    view.silence(METER)
    assert (await stream.next())[0] == "regions"
    assert caplog.text.count("is not updated any more") == 1
    assert "AttributeError" in caplog.text or "ValidationError" in caplog.text
    stream.answer.close()


async def test_a_store_that_fails_while_pages_are_open_is_told_once_and_is_no_bug(page, view, caplog):
    caplog.set_level("INFO")
    stream = await listening(page, "/")
    make, tries = view.snapshot, []

    async def fails():
        tries.append(None)
        raise StoreError("the disk is full")

    view.snapshot = fails
    async with asyncio.timeout(60):
        while len(tries) < 3:  # noqa: ASYNC110 - a claim about anything, not an event
            await asyncio.sleep(0.02)
    view.snapshot = make
    view.silence(METER)
    await stream.next()
    assert caplog.text.count("the disk is full") == 1
    assert caplog.text.count("is updated again") == 1
    assert "Traceback" not in caplog.text
    stream.answer.close()


async def test_many_different_pages_leave_the_loop_to_others(serve, fake):
    running = await serve(fake.show_plant(children=1000), update_every=timedelta(seconds=0.01))
    streams = [await listening(running, f"/?search={number}", seen="") for number in range(12)]
    longest, before = 0.0, asyncio.get_running_loop().time()
    for _ in range(60):
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        now = asyncio.get_running_loop().time()
        longest, before = max(longest, now - before), now
    assert longest < 0.15, "one page at a time, and a rest after each"
    for stream in streams:
        stream.answer.close()


async def test_a_page_that_is_left_while_it_is_looked_at_is_not_kept():
    looking, go_on, looks = asyncio.Event(), asyncio.Event(), []

    async def page_of(topic):
        looks.append(topic)
        if len(looks) > 1:
            looking.set()
            await go_on.wait()
        return RenderedPage("title", {"region": str(len(looks))})

    watched = live_updates.LiveUpdates(page_of, every=timedelta(seconds=0.001))
    running = asyncio.create_task(watched.run())
    async with asyncio.timeout(60):
        async with watched.watch(PageAddress("overview"), seen=""):
            await looking.wait()
        go_on.set()
        while watched._pages:  # noqa: ASYNC110 - a claim about anything, not an event
            await asyncio.sleep(0.001)
    assert (watched.watchers, len(looks)) == (0, 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_there_is_an_end_to_how_many_may_watch(page, monkeypatch):
    monkeypatch.setattr(live_updates, "MAX_WATCHERS", 1)
    stream = await listening(page, "/")
    status, body = await json_of(page, "/live", params={"at": "/", "seen": ""})
    assert (status, "Too many pages" in body["error"]) == (503, True)
    stream.answer.close()


async def test_who_does_not_keep_up_is_dropped_and_the_others_are_not(page):
    slow, quick = live_updates.PageWatcher(), live_updates.PageWatcher()
    for number in range(live_updates.MAX_QUEUED_EVENTS + 1):
        event = live_updates.ServerSentEvent.of_regions(str(number), {})
        slow.send(event)
        quick.send(event)
        assert await quick.next_payload(within_seconds=1) == event.payload
    assert slow.is_dropped
    assert await slow.next_payload(within_seconds=1) is None


async def test_a_line_that_is_not_read_is_cut(serve, fake, monkeypatch):
    monkeypatch.setattr(html_pages, "WRITE_SECONDS", 0.2)
    view = fake.show_plant(children=1000)
    running = await serve(view, update_every=timedelta(seconds=0.01))
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", int(running.address.rpartition(":")[2])))
        deaf.sendall(b"GET /live?at=/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        was_watched = False
        async with asyncio.timeout(100):  # the system's buffers take some megabytes first; a busy machine renders them slowly
            while not was_watched or running.server._live.watchers:
                was_watched = was_watched or running.server._live.watchers == 1
                for number in range(30):
                    view.silence(f"sn:acme/Meter {number + 1}", f"{view.asked} " * 600)
                await asyncio.sleep(0.01)
    assert (await text_of(running, "/healthz"))[0] == 200


async def test_a_quiet_line_beats_like_a_heart():
    assert await live_updates.PageWatcher().next_payload(within_seconds=0.01) == live_updates.HEARTBEAT


async def test_nonsense_is_not_watched(page):
    for at in ("", "/login", "/children/x/y", "http://[", "/children/%00"):
        assert (await text_of(page, "/live", params={"at": at}))[0] == 404


# start and stop ------------------------------------------------------------------------------------------------------


async def test_open_pages_do_not_hold_up_the_end(page):
    stream = await listening(page, "/")
    page.task.cancel()
    async with asyncio.timeout(20):
        await asyncio.gather(page.task, return_exceptions=True)
    with pytest.raises((aiohttp.ClientError, EOFError)):
        await stream.next()


async def test_a_taken_port_is_told_once_and_tried_again(view, caplog, monkeypatch):
    monkeypatch.setattr(base_server, "BIND_RETRY_SECONDS", 0.05)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = StatusServer(view, view.history, TokenAuth(tuple, host="127.0.0.1"), endpoint=Endpoint(port=port))
        running = asyncio.create_task(server.run())
        await asyncio.sleep(0.3)
        assert not server.listens.is_set()
    async with asyncio.timeout(60):
        await server.listens.wait()
    assert caplog.text.count("cannot be served") == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_the_page_says_how_long_the_outbox_holds_and_that_samples_wait_for_the_clock(page, view):
    view.outbox = view.outbox.model_copy(update={"holds_seconds": 792_000.0})
    _, text = await text_of(page, "/")
    assert "Holds 9 d 4 h at today" in text
    assert "The clock is not set" not in text
    view.outbox = view.outbox.model_copy(update={"waits_for_clock": True})
    async with asyncio.timeout(60):
        while "The clock is not set: samples wait" not in text:
            _, text = await text_of(page, "/")
