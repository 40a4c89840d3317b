"""Two servers, mixed-up hosts, faults, the journal and the answers to nonsense."""

import asyncio
import gzip
import re
import ssl

import aiohttp
import pytest
import trustme
from yarl import URL

from gateway.emulator import Emulator, ServerAddress
from gateway.emulator.entry_endpoints import ENDPOINTS as ENTRY_CALLS
from gateway.emulator.hub_endpoints import ENDPOINTS as HUB_CALLS

pytestmark = pytest.mark.enable_socket

MODEL_ID = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"


def test_all_calls_of_the_overview_are_there():
    names = {call.name for call in (*ENTRY_CALLS, *HUB_CALLS)}
    assert len(HUB_CALLS) + len(ENTRY_CALLS) - 1 == len(names) == 30


@pytest.mark.parametrize("call", HUB_CALLS, ids=lambda call: call.name)
async def test_a_hub_call_on_the_entry_server_is_not_found(xyte, gateway, call):
    url = f"{xyte.emulator.entry_url}{call.path.replace('{device_id}', gateway.id)}"
    heard = await xyte.ask(call.method, url, key=gateway.key, json={})
    assert heard.status == 404
    assert heard.error.startswith("Not found")
    assert gateway.id in xyte.emulator.cloud.devices


@pytest.mark.parametrize("call", [call for call in ENTRY_CALLS if call.name != "Add Event"], ids=lambda call: call.name)
async def test_an_entry_call_on_the_hub_is_not_found(xyte, gateway, call):
    url = f"{xyte.emulator.hub_url}{call.path.replace('{device_id}', gateway.id)}"
    heard = await xyte.ask(call.method, url, key=gateway.key, json=xyte.form(model_id=MODEL_ID))
    assert heard.status == 404
    assert len(xyte.emulator.cloud.devices) == 1


@pytest.mark.parametrize("server", ["entry_url", "hub_url"])
async def test_unknown_paths_and_methods_are_answered_in_json(xyte, gateway, server):
    base = getattr(xyte.emulator, server)
    for path in ("/", "/v1", "/v2/devices", f"/v1/devices/{gateway.id}/commands", "/_emulator/nothing", "/v1/devices//x"):
        heard = await xyte.ask("GET", base + path)
        assert (heard.refusal, heard.content_type) == ((404, "Not found"), "application/json")
    heard = await xyte.ask("PATCH", f"{base}/v1/devices/{gateway.id}")
    assert heard.refusal == (405, "Method not allowed")
    assert heard.headers["Allow"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\\ud800"}',
        b"[" * 101 + b"]" * 101,
        b"9" * 5000,
        '{"a": "\\ud800"}'.encode("utf-16"),
    ],
)
async def test_a_body_that_is_no_json_is_a_400(xyte, gateway, body):
    calls = [(xyte.emulator.entry_url, call) for call in ENTRY_CALLS] + [(xyte.emulator.hub_url, call) for call in HUB_CALLS]
    asked = 0
    xyte.emulator.cloud.claim(gateway.id)
    for base, call in calls:
        if call.method in ("POST", "PUT") and "dumps" not in call.path and (base, call.name) != (calls[0][0], "Add Event"):
            url = base + call.path.replace("{device_id}", gateway.id)
            heard = await xyte.ask(call.method, url, key=gateway.key, data=body)
            assert heard.refusal == (400, "Invalid JSON"), call.name
            asked += 1
    assert asked == 14


async def test_an_object_is_an_object(xyte, gateway):
    for body in (b"7", b'"text"', b"null", b"[]", b"[{}]"):
        assert (await xyte.own(gateway, "POST", "/telemetry", data=body)).refusal == (400, "Body must be a JSON object")


async def test_a_compressed_body_is_read_and_a_broken_one_refused(xyte, gateway):
    packed = gzip.compress(b'{"status": "online", "telemetries": {}}')
    headers = {"Content-Encoding": "gzip"}
    assert (await xyte.own(gateway, "POST", "/telemetry", data=packed, headers=headers)).status == 201
    heard = await xyte.own(gateway, "POST", "/telemetry", data=b"not gzip", headers=headers)
    assert heard.refusal == (400, "Body is broken")


async def test_faults_that_prevent_a_call(xyte, gateway):
    for kind, status in (("401", 401), ("404", 404), ("429", 429), ("500-html", 500)):
        xyte.emulator.faults.add(kind)
        heard = await xyte.say(gateway, {"kind": kind})
        assert heard.status == status
        if kind == "500-html":
            assert heard.content_type == "text/html"
            assert heard.text.startswith("<!DOCTYPE html>")
        else:
            assert heard.error
        assert "Retry-After" not in heard.headers
    assert xyte.emulator.cloud.devices[gateway.id].state == {}
    assert (await xyte.say(gateway)).status == 201
    xyte.emulator.faults.add("429", retry_after=7)
    assert (await xyte.say(gateway)).headers["Retry-After"] == "7"


@pytest.mark.parametrize(("kind", "is_carried_out"), [("drop", False), ("drop-after", True)])
async def test_a_dropped_call_is_carried_out_or_not(xyte, gateway, kind, is_carried_out, caplog):
    xyte.emulator.faults.add(kind, call="Register Child Device")
    with pytest.raises(aiohttp.ClientConnectionError):
        await xyte.register_child(gateway)
    assert len(xyte.emulator.cloud.devices) == 1 + is_carried_out
    (entry,) = [one for one in xyte.emulator.journal.entries() if one.call == "Register Child Device"]
    assert (entry.status, entry.fault) == (None, kind)
    assert (await xyte.say(gateway)).status == 201
    assert not caplog.records


async def test_a_slow_call_is_carried_out_at_once_and_answered_late(xyte, gateway):
    xyte.emulator.faults.add("slow", seconds=30)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await xyte.say(gateway, {"t": 1})
    assert xyte.emulator.cloud.devices[gateway.id].state == {"t": 1, "status": "online"}
    xyte.emulator.faults.add("slow", seconds=0.01)
    assert (await xyte.say(gateway)).status == 201


async def test_garbage_is_a_200_that_nobody_can_read(xyte, gateway):
    xyte.emulator.faults.add("garbage")
    heard = await xyte.say(gateway, {"t": 1})
    assert (heard.status, heard.content_type) == (200, "application/json")
    with pytest.raises(ValueError, match="Expecting value"):
        heard.body  # noqa: B018 - reading it is the test
    assert xyte.emulator.cloud.devices[gateway.id].state["t"] == 1


async def test_a_fault_meets_only_its_call_and_its_device_and_so_often(xyte, gateway, child):
    faults = xyte.emulator.faults
    faults.add("500-html", call="Send Telemetry", device=child.id, times=2)
    assert (await xyte.say(gateway)).status == 201
    assert (await xyte.own(child, "GET", "/command")).status == 200
    assert [(await xyte.say(child)).status for _ in range(3)] == [500, 500, 201]
    faults.add("404", times=None)
    assert [(await xyte.say(child)).status for _ in range(5)] == [404] * 5
    faults.clear()
    assert (await xyte.say(child)).status == 201


async def test_the_journal_tells_what_came_in_without_secrets(xyte):
    seen = []
    xyte.emulator.journal._listener = seen.append
    form = xyte.form()
    heard = await xyte.entry("POST", "", json=form)
    device_id, key = heard.body["id"], heard.body["access_key"]
    await xyte.hub("POST", "/telemetries", json={device_id: {"access_token": key, "status": "online", "telemetries": {}}})
    await xyte.hub("GET", f"/{device_id}/command", key=f"Bearer {key}")
    registered, mass, refused = xyte.emulator.journal.entries()
    assert (registered.server, registered.call, registered.status) == ("entry", "Register Device", 201)
    assert (registered.device, registered.device_name) == (device_id, "Gateway, room 12")
    assert registered.body == {**form, "hardware_key": "***"}
    assert mass.body == {device_id: {"access_token": "***", "status": "online", "telemetries": {}}}
    assert (refused.server, refused.path) == ("hub", f"/v1/devices/{device_id}/command")
    assert (refused.method, refused.status, refused.error) == ("GET", 401, "Not authorized")
    assert key not in repr(xyte.emulator.journal.entries())
    assert form["hardware_key"] not in repr(xyte.emulator.journal.entries())
    assert seen == [registered, mass, refused]
    assert [entry.number for entry in seen] == [1, 2, 3]


async def test_the_journal_is_bounded_and_its_counts_are_not(xyte, gateway):
    journal = xyte.emulator.journal
    for _ in range(1005):
        await xyte.own(gateway, "GET", "/command")
    assert journal.calls() == {"Register Device": 1, "Get Command": 1005}
    assert len(journal.entries()) == 1000
    assert [entry.number for entry in journal.entries(since=1004)] == [1005, 1006]
    journal.clear()
    assert not journal.calls()
    await xyte.own(gateway, "GET", "/command")
    assert [entry.number for entry in journal.entries()] == [1007]


async def test_https_with_a_certificate_of_ones_own(connect):
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    async with Emulator(ServerAddress(ssl_context=server)) as emulator:
        xyte = connect(emulator)
        assert emulator.entry_url.startswith("https://")
        heard = await xyte.entry("POST", "", json=xyte.form(), ssl=client)
        assert heard.body["hub_url"] == emulator.hub_url
        device_id, key = heard.body["id"], heard.body["access_key"]
        assert (await xyte.hub("GET", f"/{device_id}/command", key=key, ssl=client)).status == 200
        emulator.faults.add("drop")
        with pytest.raises(aiohttp.ClientConnectionError):
            await xyte.hub("POST", f"/{device_id}/command", key=key, ssl=client)


async def test_behind_a_wildcard_address_the_hub_has_the_name_that_the_client_used(connect):
    async with Emulator(ServerAddress(host="0.0.0.0")) as emulator:
        xyte = connect(emulator)
        port = emulator.hub_url.rpartition(":")[2]
        heard = await xyte.entry("POST", "", json=xyte.form(), headers={"Host": "emulator.lan:8080"})
        assert heard.body["hub_url"] == f"http://emulator.lan:{port}"
        static_port = emulator.static_hub_url.rpartition(":")[2]
        assert heard.body["hub_url_static_cert"] == f"http://emulator.lan:{static_port}"
        model_id = emulator.cloud.devices[heard.body["id"]].model_id
        emulator.cloud.add_file(model_id, name="fw", version="9.0.0", content=b"x")
        path, key = f"/{heard.body['id']}/files", heard.body["access_key"]
        (file,) = (await xyte.hub("GET", path, key=key, headers={"Host": "emulator.lan:8080"})).body
        assert file["url"].startswith(f"http://emulator.lan:{emulator.files_url.rpartition(':')[2]}/files/")
        heard = await xyte.entry("POST", "", json=xyte.form(), headers={"Host": "[nonsense"})
        assert heard.body["hub_url"] == f"http://127.0.0.1:{port}"


async def test_the_hub_with_the_static_certificate_has_the_same_calls_at_another_host_and_port(xyte, gateway):
    static, hub = URL(xyte.emulator.static_hub_url), URL(xyte.emulator.hub_url)
    assert static.host != hub.host
    assert static.port != hub.port
    for call in HUB_CALLS:
        url = xyte.emulator.static_hub_url + re.sub(r"\{\w+\}", "x", call.path.replace("{device_id}", "x"))
        await xyte.ask(call.method, url, key=gateway.key, json={})
    received = xyte.emulator.journal.entries(since=1)
    assert [(entry.server, entry.call) for entry in received] == [("static", call.name) for call in HUB_CALLS]
    heard = await xyte.ask("POST", f"{xyte.emulator.static_hub_url}/v1/devices", json=xyte.form())
    assert heard.refusal == (404, "Not found: Register Device is on the entry server")
    assert (await xyte.ask("GET", f"{xyte.emulator.static_hub_url}/_emulator/devices")).status == 404


async def test_a_port_in_use_is_said_and_nothing_stays_open(emulator, connect):
    port = int(emulator.hub_url.rpartition(":")[2])
    second = Emulator(ServerAddress(hub_port=port))
    with pytest.raises(OSError, match=f"hub port {port} of 127.0.0.1: is in use"):
        await second.__aenter__()
    with pytest.raises(aiohttp.ClientConnectorError):
        await connect(second).entry("GET", "")


async def test_an_emulator_that_ended_can_be_entered_again_on_the_same_ports(connect):
    emulator = Emulator()
    xyte = connect(emulator)
    async with emulator:
        addresses = emulator.entry_url, emulator.hub_url
        device = await xyte.register()
    with pytest.raises(aiohttp.ClientConnectorError):
        await xyte.say(device)
    async with emulator:
        assert (emulator.entry_url, emulator.hub_url) == addresses
        assert (await xyte.say(device)).status == 201
