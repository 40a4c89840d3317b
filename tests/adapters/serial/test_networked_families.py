"""Families on the network: found, read and commanded over a real socket, by the bytes of their cases."""

from __future__ import annotations

import asyncio
import tomllib
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.serial import SerialAdapter
from adapters.serial.framing.framer import framer_for
from adapters.serial.framing.notation import text_bytes
from adapters.serial.port import port as port_module
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import Command, CommandRejected, Found

pytestmark = pytest.mark.enable_socket

CASES = Path(__file__).parent / "cases"
PROFILES = PROFILE_FILES.load()

FAMILIES = {
    "blackmagic-videohub": ("smart-videohub-4-outputs-shown", b"NAK\n\n"),
    "qsys-core": ("core-500i-emulated", b'{"error":{"code":-32601,"message":"Method not found."},"id":1}\0'),
    "lightware-lw3": ("mmx8x8-hdmi", b"nE / %E002:Not exist\r\n"),
    "shure-ulxd": ("ulxd4d-two-channels", b"< REP ERR >"),
    "biamp-tesira": ("forte-with-no-fault", b"-ERR\r\n"),
    "extron-matrix": ("crosspoint-450-plus", b"E10\r\n"),
    "lutron-integration": ("homeworks-qs", b"~ERROR,6\r\nQNET> "),
    "wattbox": ("wb-800-five-outlets", b"#Error\n"),
}
"""Profile -> the case that is served, and what the device answers to all that the case does not have."""

USER, PASSWORD = "installer", "outlet-secret"


class ServedCase:
    """A device on a socket that answers as its case says."""

    def __init__(self, name: str) -> None:
        folder, self._refusal = CASES / name / FAMILIES[name][0], FAMILIES[name][1]
        device, self.expected = (tomllib.loads((folder / f"{part}.toml").read_text("utf-8")) for part in ("device", "expected"))
        self.answers = {text_bytes(asked): text_bytes(answered) for asked, answered in device["answers"].items()}
        self.greeting = b"".join(map(text_bytes, device.get("talks", [])))
        self.profile = PROFILES[name]
        self.sent: list[bytes] = []
        self.connections: set[asyncio.Task[None]] = set()

    @property
    def metrics_told_when_asked(self) -> set[str]:
        """The metrics of the case without those of messages, and of queries that its device refuses, which it tells unasked."""
        refused = self.expected.get("refused", {})
        parts = [*self.profile.messages, *(query for query in self.profile.queries if query.name in refused)]
        unasked = {point.metric for part in parts for point in part.points}
        return set(self.expected["readings"]) - unasked

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.add(asyncio.ensure_future(self._serve(reader, writer)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.profile.talk.login:
            await self._log_in(reader, writer)
        writer.write(self.greeting)
        rest = b""
        while piece := await reader.read(4096):
            rest = self._answer(rest + piece, writer)
        writer.close()
        await writer.wait_closed()

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        user, password = self.profile.talk.login
        writer.write(bytes.fromhex("FFFD18") + b"Welcome\r\n" + user.expect)
        assert (await reader.readuntil(b"\n")).rstrip().endswith(USER.encode())
        writer.write(password.expect)
        assert (await reader.readuntil(b"\n")).rstrip() == PASSWORD.encode()
        writer.write(b"\r\nSuccessfully Logged In!\r\n" if not self.profile.framing.between else b"\r\nQNET> ")

    def _answer(self, received: bytes, writer: asyncio.StreamWriter) -> bytes:
        """Answer the requests in these bytes, and return the incomplete rest; a request without an end mark is all that came."""
        if self.profile.ends_with == b"":
            self._answer_one(received, writer)
            return b""
        framer = framer_for(self.profile.framing)
        frames = framer.feed(received)
        for frame in frames:
            self._answer_one(self.profile.framing.wrap(frame.payload), writer)
        return framer.pending

    def _answer_one(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.sent.append(request)
        writer.write(self.answers.get(request, self._refusal))


@asynccontextmanager
async def serving(name, monkeypatch, tmp_path):
    """Yield a served case, and the adapter for it."""
    case = ServedCase(name)
    monkeypatch.setattr(port_module, "is_telnet", lambda address: bool(case.profile.talk.login))
    (tmp_path / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    (tmp_path / "password").chmod(0o600)
    server = await asyncio.start_server(case.connect, "127.0.0.1", 0)
    address = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    device = {"port": "rack", "profile": name}
    if case.profile.talk.login:
        device |= {"user": USER, "password_file": str(tmp_path / "password")}
    settings = {"type": "serial", "name": "av", "ports": [{"port": address, "name": "rack"}], "devices": [device]}
    adapter = SerialAdapter(SerialAdapter.settings_model.model_validate(settings))
    adapter.memory = {}
    async with server:
        async with adapter:
            yield case, adapter
        await asyncio.gather(*case.connections)


@pytest.mark.parametrize("name", FAMILIES)
async def test_a_device_is_found_read_and_commanded_over_a_socket(name, monkeypatch, tmp_path):
    async with asyncio.timeout(60), serving(name, monkeypatch, tmp_path) as (case, adapter):
        (found,) = [step async for step in adapter.discover() if isinstance(step, Found)]
        assert (found.profile, found.serial_number) == (name, case.expected["facts"].get("serial_number"))
        child = found.as_child(adapter="av", bus="rack", model_id="m")
        due = frozenset(adapter.poll_groups(child))
        told = {one.metric.name: one.value async for block in adapter.read(child, due) for one in block}
        assert case.metrics_told_when_asked <= told.keys()
        await _refuse_each_command(case, adapter, child)


async def _refuse_each_command(case: ServedCase, adapter: SerialAdapter, child) -> None:
    """Send each command of the case whose refusal it has; the device gives that refusal, and a person reads the reason."""
    for wanted in case.expected["commands"]:
        if "refused" not in wanted:
            continue
        request = text_bytes(wanted["sends"])
        case.answers[request] = text_bytes(wanted["refused"])
        with pytest.raises(CommandRejected, match=wanted["reason"]):
            await adapter.execute(child, Command(1, child.key, wanted["name"], wanted.get("parameters", {})))
        assert request in case.sent
