"""What comes back from a real server, whatever it is, ends in the right branch of the error tree (reference, section 14)."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

import pytest
from aiohttp import web

from gateway.causes import Cause
from gateway.cloud import http
from gateway.cloud.client import CloudAccess, HttpHub
from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import ChildRegistration, TelemetryMessage, TelemetryResponse
from gateway.models import Status

pytestmark = pytest.mark.enable_socket

MESSAGE = TelemetryMessage(status=Status.ONLINE, values={"a": 1})
SHORT = 2.0  # seconds: given up soon, and a request is sent and answered within them also on a busy machine
PAGE = "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, HubRejected, "Hardware key is invalid"),
        (401, HubUnauthorised, "Not authorized"),
        (403, HubRejected, "Only allowed to set: inuse/removed/error"),
        (404, HubRejected, "no command"),
        (409, HubRejected, "conflict"),
        (413, HubRejected, "too large"),
        (422, HubRejected, "Missing 'telemetries' object"),
    ],
)
async def test_a_refusal_keeps_the_hubs_own_words(hub, hub_server, child, status, kind, words):
    hub_server.answers({"error": words}, status=status)
    with pytest.raises(HubRejected) as caught:
        await hub.send_telemetry(child, MESSAGE)
    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.error) == (status, words)
    assert str(caught.value).startswith("Send Telemetry: 127.0.0.1:")
    assert str(caught.value).endswith(words)
    assert len(hub_server.arrived) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599, 408, 425, 407])
@pytest.mark.parametrize("body", [PAGE, '{"error":"try later"}', "", "not json"])
async def test_a_server_in_trouble_keeps_everything_and_may_have_done_it(hub, hub_server, child, status, body):
    hub_server.answers(text=body, status=status, content_type="text/html")
    with pytest.raises(HubUnreachable) as caught:
        await hub.send_telemetry(child, MESSAGE)
    assert not isinstance(caught.value, HubBusy)
    assert (caught.value.status, caught.value.maybe_done) == (status, True)
    assert str(status) in str(caught.value)
    assert caught.value.cause is (Cause.PROXY if status == 407 or (body == PAGE and status < 500) else Cause.HUB_UNREACHABLE)
    assert "<" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "Mon, 03 Feb 2025 04:05:36 GMT", "Date": "Mon, 03 Feb 2025 04:05:06 GMT"}, 30),
        ({"Retry-After": "Mon, 03 Feb 2025 04:05:36 GMT"}, 0),
    ],
)
async def test_a_busy_hub_says_how_long_it_wants_to_be_left_alone(hub, hub_server, child, headers, seconds):
    hub_server.answers({"error": "Too many requests"}, status=429, headers=headers)
    with pytest.raises(HubBusy) as caught:
        await hub.get_command(child)
    assert caught.value.retry_after_seconds == seconds
    assert (caught.value.maybe_done, caught.value.status) == (False, 429)


async def test_the_error_for_a_missing_model_is_json_that_is_sent_as_plain_text(hub, entry, parent):
    entry.answers({"error": "Model not found"}, status=404, content_type="text/plain")
    with pytest.raises(HubRejected) as caught:
        await hub.register_child(parent, ChildRegistration(model_id="m", firmware_version="1.0.0"))
    assert caught.value.error == "Model not found"


async def test_json_is_read_whatever_its_content_type_and_byte_order_mark(hub, hub_server, child):
    hub_server.answers(text='\ufeff{"command":true}', content_type="application/octet-stream", status=201)
    assert (await hub.send_telemetry(child, MESSAGE)).command


async def test_a_compressed_answer_is_read(hub, hub_server, child):
    async def answer(_request):
        return web.Response(body=gzip.compress(b'{"command":true}'), headers={"Content-Encoding": "gzip"})

    hub_server.does(answer)
    assert (await hub.send_telemetry(child, MESSAGE)).command


@pytest.mark.parametrize("body", ["", "OK", PAGE, '{"command":', "[1,2]", '"yes"', "7", "\x00", "[" * 50_000])
async def test_a_success_that_is_not_the_hubs_language_is_none(hub, hub_server, child, body):
    hub_server.answers(text=body, status=201)
    with pytest.raises(HubUnreachable) as caught:
        await hub.send_telemetry(child, MESSAGE)
    assert (caught.value.status, caught.value.maybe_done) == (201, True)


async def test_no_content_is_a_success_without_flags(hub, hub_server, child):
    async def answer(_request):
        return web.Response(status=204)

    hub_server.does(answer)
    assert await hub.send_telemetry(child, MESSAGE) == TelemetryResponse()
    assert await hub.get_command(child) is None


@pytest.mark.parametrize("body", ["", "OK", "{}", '{"success":true}'])
async def test_where_nothing_is_asked_for_success_alone_says_enough(hub, hub_server, child, body):
    hub_server.answers(text=body)
    assert await hub.update_command(child, "c", "done", None) is None


async def test_a_page_in_the_hubs_place_did_not_take_the_report(hub, hub_server, child):
    hub_server.answers(text=PAGE, content_type="text/html")
    with pytest.raises(HubUnreachable, match="with a web page") as caught:
        await hub.update_command(child, "c", "done", None)
    assert caught.value.cause is Cause.PROXY


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": "Not found"}, "Not found"),
        ({"error": {"code": 7}}, '{"code": 7}'),
        ({"success": False}, "success: false"),
    ],
)
async def test_a_success_with_an_error_in_it_is_a_failure(hub, hub_server, child, body, words):
    hub_server.answers(body, status=200)
    with pytest.raises(HubRejected) as caught:
        await hub.send_telemetry(child, MESSAGE)
    assert (caught.value.status, caught.value.error) == (200, words)


@pytest.mark.parametrize("error", [None, "", False])
async def test_an_error_field_that_says_nothing_is_none(hub, hub_server, child, error):
    hub_server.answers({"error": error, "config_version": 2}, status=201)
    assert (await hub.send_telemetry(child, MESSAGE)).config_version == 2


@pytest.mark.parametrize("status", [200, 422])
async def test_an_error_for_the_whole_bulk_call_is_no_childs(hub, hub_server, parent, status):
    hub_server.answers({"error": "Too many children"}, status=status)
    with pytest.raises(HubRejected) as caught:
        await hub.send_child_telemetries(parent, {"error": MESSAGE, "a": MESSAGE})
    assert caught.value.error == "Too many children"


async def test_a_422_without_entries_is_a_refusal_of_the_whole_call(hub, hub_server, parent):
    hub_server.answers({"message": "no"}, status=422)
    with pytest.raises(HubRejected) as caught:
        await hub.send_child_telemetries(parent, {"a": MESSAGE})
    assert caught.value.error == "Unprocessable Entity"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_since_the_key_would_travel(hub, hub_server, entry, child, status):
    entry.answers({"command": True})
    hub_server.answers({}, status=status, headers={"Location": f"{entry.url}/v1/devices"})
    with pytest.raises(HubUnreachable, match="is not followed") as caught:
        await hub.send_telemetry(child, MESSAGE)
    assert (caught.value.status, caught.value.cause) == (status, Cause.PROXY)
    assert entry.arrived == []


async def test_an_answer_is_bounded_in_size(hub, hub_server, child):
    hub_server.answers(text="[" + " " * http.MAX_RESPONSE_BYTES + "]")
    with pytest.raises(HubUnreachable, match="answered with more than 8 MB") as caught:
        await hub.get_children(child)
    assert caught.value.maybe_done


async def test_a_slow_server_is_given_up_in_time_and_may_have_done_it(access, hub_server, child):
    async def answer(_request):
        await asyncio.sleep(30)
        return web.Response()

    hub_server.does(answer)
    async with HttpHub(CloudAccess(entry_url=access.entry_url, allow_plain_http=True, timeout_seconds=SHORT)) as hub:
        with pytest.raises(HubUnreachable, match=r"did not answer within 2 s") as caught:
            await hub.send_telemetry(child, MESSAGE)
    assert caught.value.maybe_done


async def test_an_answer_that_trickles_is_given_up_in_time(access, hub_server, child):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)

    hub_server.does(answer)
    async with HttpHub(CloudAccess(entry_url=access.entry_url, allow_plain_http=True, timeout_seconds=SHORT)) as hub:
        with pytest.raises(HubUnreachable, match=r"within 2 s") as caught:
            await hub.get_children(child)
    assert (caught.value.maybe_done, caught.value.status) == (True, 200)


@pytest.mark.parametrize("call", ["send_telemetry", "get_command", "delete_device"])
async def test_a_connection_that_drops_after_the_request_is_not_tried_again_and_may_have_done_it(hub, hub_server, child, call):
    async def drop(request):
        request.transport.abort()
        return web.Response()

    hub_server.does(drop)
    arguments = (MESSAGE,) if call == "send_telemetry" else ()
    with pytest.raises(HubUnreachable, match="closed the connection instead of answering") as caught:
        await getattr(hub, call)(child, *arguments)
    assert caught.value.maybe_done
    assert len(hub_server.arrived) == 1


async def test_an_answer_that_breaks_off_may_have_been_done(hub, hub_server, child):
    async def break_off(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"command":')
        request.transport.close()
        return response

    hub_server.does(break_off)
    with pytest.raises(HubUnreachable, match="in the middle of its response") as caught:
        await hub.send_telemetry(child, MESSAGE)
    assert caught.value.maybe_done


@pytest.mark.parametrize(
    "raw",
    [
        [b"SSH-2.0-OpenSSH_9.6\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", b"zz\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Encoding: gzip\r\n\r\n", b"{}"],
        [b"HTTP/1.1 200 OK\r\nX: " + b"a" * 20_000 + b"\r\n\r\n"],
    ],
)
async def test_what_is_not_http_is_no_answer(hub, child, raw):
    spoken = asyncio.Event()

    async def speak(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        for part in raw:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.05)  # so that the parts arrive one by one
        writer.close()
        spoken.set()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(HubUnreachable) as caught:
            await hub.get_command(replace(child, hub_url=url))
        await spoken.wait()
    assert caught.value.maybe_done


async def test_a_port_without_a_server_certainly_did_nothing(access, closed_port, child):
    told = []
    async with HttpHub(access, on_call=lambda *call: told.append(call)) as hub:
        with pytest.raises(HubUnreachable, match="accepts no connection: Connection refused") as caught:
            await hub.send_telemetry(replace(child, hub_url=f"http://{closed_port}"), MESSAGE)
    assert (caught.value.maybe_done, caught.value.status) == (False, None)
    assert caught.value.cause is Cause.HUB_UNREACHABLE
    assert [(name, status) for name, status, _ in told] == [("Send Telemetry", None)]


async def test_a_name_that_does_not_resolve_certainly_did_nothing(hub, child):
    nowhere = replace(child, hub_url="http://nowhere.invalid")
    with pytest.raises(HubUnreachable, match=r"Get Command: nowhere.invalid cannot be found") as caught:
        await hub.get_command(nowhere)
    assert not caught.value.maybe_done
    assert caught.value.cause is Cause.NAME_UNKNOWN


async def test_a_handshake_that_hangs_certainly_did_nothing(access, deaf, child):
    unheard = replace(child, hub_url=f"https://{deaf}")
    async with HttpHub(CloudAccess(entry_url=access.entry_url, allow_plain_http=True, timeout_seconds=0.2)) as hub:
        with pytest.raises(HubUnreachable, match=r"did not accept a connection within 0.2 s") as caught:
            await hub.get_command(unheard)
    assert not caught.value.maybe_done


async def test_cancelling_a_call_is_no_error_of_the_hub(hub, hub_server, child):
    arrived = asyncio.Event()

    async def answer(_request):
        arrived.set()
        await asyncio.sleep(30)

    hub_server.does(answer)
    call = asyncio.create_task(hub.get_command(child))
    await arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_hub_outside_of_its_context_says_so(access, child):
    with pytest.raises(RuntimeError, match="async with"):
        await HttpHub(access).get_command(child)


async def test_no_cookie_of_one_device_reaches_the_next_call(hub, serve, child):
    async with serve(host="localhost") as server:
        server.answers({}, headers={"Set-Cookie": "session=1"})
        named = replace(child, hub_url=server.url)
        await hub.get_command(named)
        await hub.get_command(named)
    assert "Cookie" not in server.arrived[1].headers


async def test_a_server_that_listens_is_reachable(entry):
    assert await http.reachable(entry.url)


async def test_a_server_that_does_not_listen_or_has_no_address_is_not_reachable(closed_port):
    assert not await http.reachable(f"https://{closed_port}")
    assert not await http.reachable("https://nowhere.invalid")
    assert not await http.reachable("https://")
    assert not await http.reachable("")


async def test_looking_for_a_server_is_bounded_in_time(entry):
    assert not await http.reachable(entry.url, within_seconds=0)


async def test_a_lone_surrogate_is_replaced_and_reaches_no_store_or_log(hub, hub_server, child):
    hub_server.answers(text=r'{"id": "L\ud800", "data": "\uD83D\uDE00 pro\udc00", "action": "add", "expires_at": "\ud800"}')
    licence = await hub.get_license(child)
    assert (licence.id, licence.payload, licence.expires_at) == ("L?", "\N{GRINNING FACE} pro?", "?")


async def test_an_integer_of_thousands_of_digits_costs_its_own_field_and_not_the_response(hub, hub_server, child):
    hub_server.answers(text=f'{{"id": 7, "data": "pro", "action": "add", "device_id": {"9" * 5000}, "extra": {"9" * 5000}}}')
    licence = await hub.get_license(child)
    assert (licence.id, licence.payload) == (7, "pro")
