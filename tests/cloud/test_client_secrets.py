"""No key in any text: not in an error, not in what caused it, not in a repr, not in a log, whatever a server plays back."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from aiohttp import web
from pydantic import SecretStr

from gateway.cloud.client import HttpHub
from gateway.cloud.protocol.response_errors import mask_keys
from gateway.errors import HubError
from gateway.hub import ChildRegistration, Credentials, GatewayRegistration, RejectedEntry, TelemetryMessage
from gateway.models import Status

pytestmark = pytest.mark.enable_socket

ACCESS_KEY, HARDWARE_KEY, NEW_KEY = "planted-access-key", "planted-hardware-key", "planted-new-key"
MESSAGE = TelemetryMessage(status=Status.ONLINE, values={"a": 1})

CALLS = {
    "telemetry": lambda hub, own: hub.send_telemetry(own, MESSAGE),
    "child telemetries": lambda hub, own: hub.send_child_telemetries(own, {"c": MESSAGE}),
    "mass telemetry": lambda hub, own: hub.send_mass_telemetry([(own, MESSAGE)]),
    "command": lambda hub, own: hub.update_command(own, "c", "done", None),
    "info": lambda hub, own: hub.get_device_info(own),
    "child": lambda hub, own: hub.register_child(own, ChildRegistration(model_id="m", firmware_version="1.0.0")),
    "register": lambda hub, _: hub.register_device(
        GatewayRegistration(hardware_key=SecretStr(HARDWARE_KEY), serial_number="S", firmware_version="1.0.0")
    ),
}


def planted(request, body: str):
    """What a careless server plays back: every key that it saw and the one that it just made."""
    return body.replace("KEYS", f"{request.headers.get('Authorization')} {HARDWARE_KEY} {ACCESS_KEY}")


def answering(status, body, headers=None):
    async def answer(request):
        told = {name: planted(request, value) for name, value in (headers or {}).items()}
        return web.Response(status=status, text=planted(request, body), headers=told)

    return answer


async def malformed(request):
    request.transport.write(f"HTTP/1.1 {planted(request, 'KEYS')}\r\n\r\n".encode())
    request.transport.close()
    return web.Response()


async def dropped(request):
    request.transport.abort()
    return web.Response()


ANSWERS = {
    "refused": answering(422, '{"error":"KEYS is wrong"}'),
    "unauthorised": answering(401, '{"error":"KEYS"}'),
    "plain words": answering(404, "no KEYS here"),
    "odd error": answering(400, '{"error":{"seen":["KEYS"]}}'),
    "in trouble": answering(500, '{"error":"KEYS"}'),
    "error in success": answering(200, '{"error":"KEYS"}'),
    "redirect": answering(302, "", {"Location": "https://KEYS/"}),
    "page": answering(200, "<html>KEYS</html>"),
    "malformed": malformed,
    "dropped": dropped,
}
REGISTRATIONS = {
    "not json": answering(200, "KEYS" + NEW_KEY),
    "broken json": answering(201, '{"id":"d","access_key":"' + NEW_KEY),
    "key without id": answering(201, '{"id":null,"access_key":"' + NEW_KEY + '"}'),
    "key of the wrong kind": answering(201, '[{"id":"d","access_key":["' + NEW_KEY + '"]}]'),
}


def everything_in(error: BaseException) -> str:
    """All texts of an error, of what it holds and of whatever is chained to it, shown in a traceback or not."""
    chain, seen = [error], []
    while chain:
        link = chain.pop()
        seen += [str(link), repr(link), repr(link.args), repr(vars(link))]
        chain += [cause for cause in (link.__cause__, link.__context__) if cause is not None]
    return "\n".join(seen)


async def texts_of_a_failure(access, call, own) -> str:
    """Whatever anybody can read of a call that fails, but for the log."""
    told = []
    async with HttpHub(access, on_call=lambda *each: told.append(each)) as hub:
        with pytest.raises(HubError) as caught:
            await CALLS[call](hub, own)
        return "\n".join([everything_in(caught.value), repr(told), repr(hub), repr(own)])


def logged(caplog) -> str:
    return "\n".join(f"{record.getMessage()} {record.args} {record.exc_info}" for record in caplog.records)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_no_key_of_ours_is_in_an_error_or_a_log(access, entry, hub_server, parent, caplog, call, answer):
    caplog.set_level(logging.DEBUG)
    entry.does(ANSWERS[answer])
    hub_server.does(ANSWERS[answer])
    text = await texts_of_a_failure(access, call, replace(parent, access_key=SecretStr(ACCESS_KEY)))
    assert (HARDWARE_KEY if call == "register" else ACCESS_KEY) not in text + logged(caplog)


@pytest.mark.parametrize("call", ["register", "child"])
@pytest.mark.parametrize("answer", REGISTRATIONS)
async def test_a_new_key_is_in_no_error_and_no_log(access, entry, parent, caplog, call, answer):
    caplog.set_level(logging.DEBUG)
    entry.does(REGISTRATIONS[answer])
    text = await texts_of_a_failure(access, call, parent)
    assert NEW_KEY not in text + logged(caplog)


async def test_a_refusal_within_a_bulk_answer_does_not_play_a_key_back(hub, hub_server, parent):
    own: Credentials = replace(parent, access_key=SecretStr(ACCESS_KEY))
    hub_server.answers({"c": {"error": f"{ACCESS_KEY} is wrong"}}, status=422)
    assert await hub.send_child_telemetries(own, {"c": MESSAGE}) == {"c": RejectedEntry("*** is wrong")}


def test_a_key_that_begins_with_another_one_is_masked_whole():
    assert mask_keys("long-key key", (SecretStr("long"), SecretStr("long-key"), SecretStr(""))) == "*** key"


async def test_what_a_hub_says_is_one_printable_line_of_bounded_length(hub, hub_server, parent):
    hub_server.answers({"error": "first\nINFO forged line\x1b[31m" + "x" * 2000}, status=422)
    with pytest.raises(HubError) as caught:
        await hub.send_telemetry(parent, MESSAGE)
    assert str(caught.value).isprintable()
    assert "first INFO forged line [31mx" in str(caught.value)
    assert len(str(caught.value)) < 700
