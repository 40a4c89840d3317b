"""Whatever an answer is made of, it ends in the tree of `HubError`, in bounded and printable text, and never ends the caller."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import json
import tracemalloc
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.cloud.client import CloudAccess, HttpHub
from gateway.cloud.protocol.response_errors import MAX_ERROR_TEXT, MAX_RETRY_AFTER_SECONDS
from gateway.emulator.raw_answers import BODIES, RAW_ANSWERS, http_answer
from gateway.errors import HubBusy, HubError, HubRejected, HubUnreachable
from gateway.hub import ChildRegistration, Credentials, DeviceUpdate, GatewayRegistration, TelemetryMessage
from gateway.models import Status

pytestmark = pytest.mark.enable_socket

KEY = "planted-access-key"
MESSAGE = TelemetryMessage(status=Status.ONLINE, values={"a": 1})
GATEWAY = GatewayRegistration(hardware_key=SecretStr("hardware-key"), serial_number="S", firmware_version="1.0.0")
CHILD = ChildRegistration(model_id="m", firmware_version="1.0.0")


async def read_file(hub, own) -> None:
    """Fetch a file, up to 1 MB of it."""
    size = 0
    async with hub.open_file(f"{own.hub_url}/file") as response:
        async for chunk in response.chunks():
            size += len(chunk)
            if size > 1024 * 1024:
                break


CALLS = {
    "register_device": lambda hub, own: hub.register_device(GATEWAY),
    "offer_hardware_key": lambda hub, own: hub.offer_hardware_key(GATEWAY.hardware_key),
    "bulk_register_devices": lambda hub, own: hub.bulk_register_devices([GATEWAY]),
    "register_child": lambda hub, own: hub.register_child(own, CHILD),
    "get_children": lambda hub, own: hub.get_children(own),
    "send_telemetry": lambda hub, own: hub.send_telemetry(own, MESSAGE),
    "send_child_telemetries": lambda hub, own: hub.send_child_telemetries(own, {"c": MESSAGE}),
    "send_mass_telemetry": lambda hub, own: hub.send_mass_telemetry([(own, MESSAGE)]),
    "get_command": lambda hub, own: hub.get_command(own),
    "get_commands_with_children": lambda hub, own: hub.get_commands_with_children(own),
    "update_command": lambda hub, own: hub.update_command(own, "c", "done", None),
    "get_config": lambda hub, own: hub.get_config(own),
    "set_config": lambda hub, own: hub.set_config(own, {"a": 1}),
    "get_device_info": lambda hub, own: hub.get_device_info(own),
    "update_device": lambda hub, own: hub.update_device(own, DeviceUpdate(name="n")),
    "delete_device": lambda hub, own: hub.delete_device(own),
    "set_cloud_settings": lambda hub, own: hub.set_cloud_settings(own, "p", True),
    "get_space_info": lambda hub, own: hub.get_space_info(own),
    "space_move": lambda hub, own: hub.space_move(own, "unsorted"),
    "get_license": lambda hub, own: hub.get_license(own),
    "get_licenses": lambda hub, own: hub.get_licenses(own),
    "update_license": lambda hub, own: hub.update_license(own, "l", "inuse"),
    "send_dump": lambda hub, own: hub.send_dump(own, "text/plain", "f.log", b"x"),
    "append_dump": lambda hub, own: hub.append_dump(own, "d", "text/plain", b"x"),
    "get_files": lambda hub, own: hub.get_files(own),
    "get_file": lambda hub, own: hub.get_file(own, "f"),
    "open_file": read_file,
    "open_incident": lambda hub, own: hub.open_incident(own, "t"),
    "get_incidents": lambda hub, own: hub.get_incidents(own),
    "close_incident": lambda hub, own: hub.close_incident(own, "i"),
    "close_incidents": lambda hub, own: hub.close_incidents(own),
    "add_event": lambda hub, own: hub.add_event(own, "n", "c"),
}
"""Every method of the client that makes a call, by its name."""

DIFFERENT = ("register_device", "send_telemetry", "send_child_telemetries", "get_children", "get_license", "open_file")
"""Calls of the entry and of the hub that read their answers in different ways."""

FINITE = {name: answer for name, answer in RAW_ANSWERS.items() if not answer.is_endless}


class RawHub:
    """A server that answers every request with the same bytes: entry and hub at once."""

    def __init__(self) -> None:
        self.parts: tuple[bytes, ...] = ()
        self.is_endless = False
        self.requests = 0
        self.url = ""
        self.speakers: set[asyncio.Task[None]] = set()

    def answers(self, *parts: bytes, is_endless: bool = False) -> None:
        self.parts, self.is_endless = parts, is_endless

    async def speak(self, reader, writer) -> None:
        self.speakers.add(asyncio.current_task())
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                for part in self.parts:
                    writer.write(part)
                    await writer.drain()
                while self.is_endless:
                    writer.write(self.parts[-1])
                    await writer.drain()
                    await asyncio.sleep(0.005)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()


@asynccontextmanager
async def raw_hub(timeout_seconds=20.0):
    """Run the server with a client to it, and the credentials of a device there."""
    server = RawHub()
    listening = await asyncio.start_server(server.speak, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    own = Credentials(device_id="device-1", access_key=SecretStr(KEY), hub_url=server.url)
    access = CloudAccess(entry_url=server.url, allow_plain_http=True, timeout_seconds=timeout_seconds)
    async with listening:
        async with HttpHub(access) as hub:
            yield server, hub, own
        for speaker in server.speakers:
            speaker.cancel()
        await asyncio.wait(server.speakers) if server.speakers else None


async def outcome(call, hub, own) -> HubError | None:
    """Make a call and return its error. An error of any other kind fails the test, and so does a text that cannot be shown."""
    try:
        await CALLS[call](hub, own)
    except HubError as error:
        text = f"{error}{getattr(error, 'error', '')}"
        assert text.isprintable(), text[:2000]
        assert len(text) <= 2 * MAX_ERROR_TEXT + 300
        assert KEY not in text
        return error
    return None


def test_every_call_of_the_client_is_tried():
    made = {name for name, method in inspect.getmembers(HttpHub, inspect.isfunction) if not name.startswith("_")}
    assert set(CALLS) == made


@pytest.mark.parametrize("name", FINITE)
async def test_no_answer_ends_a_caller(name):
    async with raw_hub() as (server, hub, own):
        server.answers(*FINITE[name].make())
        for call in DIFFERENT:
            await outcome(call, hub, own)
        assert server.requests <= len(DIFFERENT), "nothing is followed or repeated"


@pytest.mark.parametrize("call", CALLS)
async def test_no_answer_ends_any_call(call):
    async with raw_hub() as (server, hub, own):
        for name in FINITE:
            if name.startswith(("shape", "redirect", "date")) and "mb" not in name and "bomb" not in name:
                server.answers(*FINITE[name].make())
                await outcome(call, hub, own)
        for body in [made for make in BODIES.values() if len(made := make()) < 20_000]:
            for status in (200, 422):
                server.answers(http_answer(status, body))
                await outcome(call, hub, own)


@pytest.mark.parametrize("name", [name for name in FINITE if name.startswith("redirect")])
async def test_a_redirect_to_anywhere_is_no_answer_and_its_password_is_not_told(name):
    async with raw_hub() as (server, hub, own):
        server.answers(*FINITE[name].make())
        for call in ("register_device", "register_child", "send_telemetry"):
            error = await outcome(call, hub, own)
            assert isinstance(error, HubUnreachable)
            assert "secret-word" not in str(error)


@pytest.mark.parametrize("name", [name for name in FINITE if name.startswith("date")])
async def test_a_time_that_cannot_be_is_taken_as_absent(name):
    async with raw_hub() as (server, hub, own):
        server.answers(*FINITE[name].make())
        for _ in range(3):
            error = await outcome("get_command", hub, own)
            assert isinstance(error, HubBusy)
            assert 0 <= (error.retry_after_seconds or 0) <= MAX_RETRY_AFTER_SECONDS
        assert hub.clock.ahead is None, "no date of these is compared with our clock"


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [400, 401, 404, 422, 429, 500])
async def test_an_error_with_any_body_is_an_error_in_bounded_text(body, status):
    async with raw_hub() as (server, hub, own):
        server.answers(http_answer(status, BODIES[body]()))
        for call in ("register_device", "send_telemetry", "get_command"):
            error = await outcome(call, hub, own)
            assert error is not None
            assert getattr(error, "status", None) == status


async def test_a_list_nested_1000_deep_is_a_refusal_in_bounded_text():
    async with raw_hub() as (server, hub, own):
        server.answers(http_answer(422, BODIES["list-nested-1000-deep"]()))
        error = await outcome("send_child_telemetries", hub, own)
    assert isinstance(error, HubRejected)
    assert error.status == 422


@pytest.mark.parametrize("name", [name for name, answer in RAW_ANSWERS.items() if answer.is_endless])
async def test_an_answer_without_an_end_is_given_up_in_time(name):
    async with raw_hub(timeout_seconds=0.3) as (server, hub, own):
        server.answers(*RAW_ANSWERS[name].make(), is_endless=True)
        assert isinstance(await outcome("send_telemetry", hub, own), HubUnreachable)


async def test_a_gzip_bomb_is_given_up_before_it_fills_the_memory():
    bomb = FINITE["shape-gzip-bomb"].make()
    async with raw_hub() as (server, hub, own):
        server.answers(*bomb)
        tracemalloc.start()
        error = await outcome("get_children", hub, own)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert isinstance(error, HubUnreachable)
    assert "more than 8 MB" in str(error)
    assert most < 40 * 1024 * 1024


async def test_an_answer_that_lets_the_reader_fail_says_with_which_kind_of_error(monkeypatch):
    async with raw_hub() as (server, hub, own):
        server.answers(http_answer(200, b'{"command":true}'))

        def fail(_body):
            raise ZeroDivisionError("with a key in its text")

        monkeypatch.setattr("gateway.cloud.client.parse_telemetry_response", fail)
        error = await outcome("send_telemetry", hub, own)
    assert isinstance(error, HubUnreachable)
    assert str(error).endswith("answered 200, and its response cannot be read (ZeroDivisionError)")
    assert error.__cause__ is error.__context__ is None
    assert error.maybe_done


HEADERS = st.sampled_from([b"Content-Type", b"Date", b"Retry-After", b"Location", b"Set-Cookie", b"Content-Encoding", b"Link"])
VALUES = st.binary(max_size=40).map(lambda raw: raw.replace(b"\r", b"").replace(b"\n", b"")) | st.sampled_from(
    [b"gzip", b"text/html; charset=utf-7", b"http://[x/", b"Mon, 03 Feb 2025 04:05:36 +99999999", b"9" * 400, b"-1", b"1e308"]
)
FIELDS = st.sampled_from([
    "id", "access_key", "hub_url", "error", "success", "c", "device-1", "config", "version", "length", "command", "name",
    "parameters", "data", "action", "incident_id", "expires_at", "location", "device_id", "config_version", "details",
])  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(
    SCALARS | st.sampled_from(["..", "a/b", "9" * 400, "null", "", "\x00", 10**400, -(10**30), "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=5), inner, max_size=6),
    max_leaves=12,
)
ANSWERS = st.binary(max_size=300) | st.builds(
    lambda status, body, headers, cut: http_answer(status, body, *[name + b": " + value for name, value in headers])[:cut],
    st.integers(0, 999) | st.sampled_from([200, 201, 204, 401, 404, 422, 429, 503]),
    JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60),
    st.lists(st.tuples(HEADERS, VALUES), max_size=4),
    st.none() | st.integers(1, 200),
)


async def storm(answers) -> None:
    async with raw_hub(timeout_seconds=20) as (server, hub, own):
        for call, answer in answers:
            server.answers(answer)
            await outcome(call, hub, own)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(st.tuples(st.sampled_from(list(CALLS)), ANSWERS), min_size=4, max_size=12))
def test_only_errors_of_the_hub_come_out_of_any_call_with_any_answer(answers):
    asyncio.run(storm(answers))


# answers that nobody has asked for -------------------------------------------------------------------------------------


@asynccontextmanager
async def speaking(speak):
    """Run a server that speaks so over each connection, with a client to it; the result has the number of connections."""
    connections = []

    async def serve(reader, writer):
        connections.append(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await speak(reader, writer)
        writer.transport.abort()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    own = Credentials(device_id="device-1", access_key=SecretStr(KEY), hub_url=url)
    async with listening:
        async with HttpHub(CloudAccess(entry_url=url, allow_plain_http=True, timeout_seconds=20)) as hub:
            yield hub, own, connections
        for one in connections:
            one.cancel()


def command_answer(command_id):
    return http_answer(200, json.dumps({"id": command_id, "name": "reboot", "status": "pending"}).encode()).replace(
        b"Connection: close\r\n", b""
    )


async def test_an_answer_that_comes_while_a_connection_rests_is_nobodys():
    is_sent, asked = asyncio.Event(), []

    async def speak(reader, writer):
        while True:
            await reader.readuntil(b"\r\n\r\n")
            asked.append(writer)
            writer.write(command_answer(f"asked-{len(asked)}"))
            if len(asked) == 1:
                await asyncio.sleep(0.05)  # the first answer was read
                writer.write(command_answer("unasked"))
                await writer.drain()
                is_sent.set()

    async with speaking(speak) as (hub, own, connections):
        assert (await hub.get_command(own)).id == "asked-1"
        await is_sent.wait()
        await asyncio.sleep(0.05)  # it has come
        assert (await hub.get_command(own)).id == "asked-2"
        assert (await hub.get_command(own)).id == "asked-3"
        assert len(connections) == 2, "the connection with the unasked answer is not used any more, the other one is"
