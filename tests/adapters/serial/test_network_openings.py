"""Log-ins and openings of devices on a network, behind real sockets: a hash of its own, one request for each connection."""

import asyncio
import hashlib
from itertools import count
from types import SimpleNamespace
from typing import ClassVar

import pytest

from adapters.serial import SerialAdapter
from gateway.adapter import BusUnavailable, Command, DeviceUnreachable, Found
from gateway.testing.serial import DeviceServer, SerialDevice

pytestmark = pytest.mark.enable_socket

PASSWORD = "Projector"


class LineDevice(SerialDevice):
    """Answers lines by a table; keeps them without their hashes."""

    answers: ClassVar[dict[str, str]] = {}
    end = b"\r\n"

    def __init__(self):
        super().__init__("device of a test")
        self.requests = []
        self._buffer = b""

    def receive(self, data):
        *lines, self._buffer = (self._buffer + data).split(self.end)
        return [self.answer(line.decode()).encode() + self.end for line in lines]

    def answer(self, line):
        self.requests.append(line)
        return self.answers[line]


class AdcpProjector(LineDevice):
    """A Sony projector that wants the SHA-256 of a random text and the password on a line of its own."""

    answers: ClassVar = {
        "power_status ?": '"on"',
        "modelname ?": '"VPL-XW5000"',
        "serialnum ?": '"7001234"',
        'blank "on"': "ok",
        "blank ?": '"on"',
    }

    def __init__(self, password=PASSWORD):
        super().__init__()
        self.password = password
        self.is_open = False
        self.hashes = []

    def connected(self):
        self.is_open = self.password is None
        return b"NOKEY\r\n" if self.password is None else b"1a2b3c4d\r\n"

    def answer(self, line):
        if self.is_open:
            return super().answer(line) if line in self.answers else "err_cmd"
        self.hashes.append(line)
        self.is_open = line == hashlib.sha256(f"1a2b3c4d{self.password}".encode()).hexdigest()
        return "OK" if self.is_open else "err_auth"


class NtControlProjector(LineDevice):
    """A Panasonic projector that wants the MD5 of user, password and random text in front of the one request of a connection."""

    answers: ClassVar = {"00QPW": "00001", "00QID": "00RZ570", "00Q$S": "002", "00OSH:1": "00OSH:1", "00QSH": "001"}
    end = b"\r"

    def __init__(self, password=PASSWORD):
        super().__init__()
        self.password = password
        self.randoms = (f"09b075{number:02x}" for number in count())
        self.random = ""
        self.taken = 0

    def connected(self):
        self.random, self.taken = next(self.randoms), 0
        return b"NTCONTROL 0\r" if self.password is None else f"NTCONTROL 1 {self.random}\r".encode()

    def answer(self, line):
        self.taken += 1
        assert self.taken == 1, "a connection takes one request"
        wanted = hashlib.md5(f"admin1:{self.password}:{self.random}".encode(), usedforsecurity=False).hexdigest()
        hashed, line = ("", line) if self.password is None else (line[:32], line[32:])
        if self.password is not None and hashed != wanted:
            return "ERRA"
        return super().answer(line) if line in self.answers else "ER401"


class EpsonOnTheNetwork(LineDevice):
    """An Epson projector that takes commands only behind a request to connect."""

    answers: ClassVar = {"PWR?": "PWR=01", "SNO?": "SNO=X4B30000123"}
    end = b"\r"
    opening = b"ESC/VP.net\x10\x03\x00\x00\x00\x00"

    def __init__(self, status=b"\x20"):
        super().__init__()
        self.status = status
        self.is_open = False

    def connected(self):
        self.is_open = False
        return b""

    def receive(self, data):
        if data.startswith(self.opening):
            self.is_open = self.status == b"\x20"
            rest = data.removeprefix(self.opening)
            return [b"ESC/VP.net\x10\x03\x00\x00" + self.status + b"\x00", *(self.receive(rest) if rest else ())]
        return [answer + b":" for answer in super().receive(data)] if self.is_open else []

    def answer(self, line):
        return super().answer(line) if line in self.answers else "ERR"


class SharpDisplay(LineDevice):
    """A Sharp display that asks a connection over the network for user and password, and nothing on a serial line."""

    answers: ClassVar = {"POWR????": "1", "INF1????": "PN-E759", "SRNO????": "5X00123F", "VOLM????": "30"}

    def __init__(self, *, asks):
        super().__init__()
        self.asks = asks
        self.waits_for = []
        self.login = []

    def connected(self):
        self.waits_for = [b"Password: ", b"OK\r\n"] if self.asks else []
        return b"Login: " if self.asks else b""

    def receive(self, data):
        if not self.waits_for:
            return super().receive(data)
        self.login.append(data)
        return [self.waits_for.pop(0)]

    def answer(self, line):
        return super().answer(line) if line in self.answers else "ERR"


def adapter_for(server, profile, *, scheme="tcp", **device):
    port = f"{scheme}://{server.port.removeprefix('socket://')}"
    rule = {"port": port, "name": "hall", "profiles": [profile]}
    devices = [{"port": "hall", "profile": profile, **device}] if device else []
    adapter = SerialAdapter(
        SerialAdapter.settings_model.model_validate({"type": "serial", "name": "av", "ports": [rule], "devices": devices})
    )
    adapter.memory = {}
    return adapter


async def found_by(adapter):
    return [step async for step in adapter.discover() if isinstance(step, Found)]


async def readings_of(adapter, found):
    child = found.as_child(adapter="av", bus="hall", model_id="m")
    due = frozenset(adapter.poll_groups(child))
    return {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}


def command_for(found, name, **parameters):
    return found.as_child(adapter="av", bus="hall", model_id="m"), Command(1, found.identity.key, name, parameters)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr("adapters.serial.session.digest_login.GREETING_SECONDS", 0.2)


async def test_a_hash_on_a_line_of_its_own_is_answered_before_the_first_request():
    projector = AdcpProjector()
    async with DeviceServer(projector) as server, adapter_for(server, "sony-adcp", password=PASSWORD) as adapter:
        (found,) = await found_by(adapter)
        readings = await readings_of(adapter, found)
        await adapter.execute(*command_for(found, "set_video_mute", video_mute="on"))
    assert (found.model, found.serial_number, found.needs) == ("VPL-XW5000", "7001234", None)
    assert (readings["power"], readings["video_mute"]) == ("on", "on")
    assert len(projector.hashes) == 1, "once in the connection"
    assert PASSWORD.encode() not in server.received
    assert not any("1a2b3c4d" in line for line in adapter.recent_frames())


async def test_a_projector_without_a_password_is_read_after_its_greeting():
    async with DeviceServer(AdcpProjector(password=None)) as server, adapter_for(server, "sony-adcp") as adapter:
        (found,) = await found_by(adapter)
    assert (found.profile, found.model) == ("sony-adcp", "VPL-XW5000")


async def test_a_wrong_password_is_sent_once_and_told():
    projector = AdcpProjector()
    async with DeviceServer(projector) as server, adapter_for(server, "sony-adcp", password="wrong") as adapter:
        found = await found_by(adapter)
        assert found[0].needs is not None
        with pytest.raises(DeviceUnreachable, match="it rejects the password"):
            await readings_of(adapter, found[0])
    assert len(projector.hashes) == 1
    assert projector.requests == []


@pytest.mark.parametrize("hangs_up", [True, False])
async def test_each_request_gets_a_connection_of_its_own_with_a_new_hash(hangs_up):
    projector = NtControlProjector()
    async with DeviceServer(projector) as server:
        server.hangs_up = hangs_up
        async with adapter_for(server, "panasonic-projector-lan", password=PASSWORD) as adapter:
            (found,) = await found_by(adapter)
            readings = await readings_of(adapter, found)
            await adapter.execute(*command_for(found, "set_video_mute", shutter="on"))
    assert (found.model, readings["power"], readings["operating_state"]) == ("RZ570", "on", "on")
    assert server.connections >= len(projector.requests)
    assert PASSWORD.encode() not in server.received


async def test_a_panasonic_projector_without_a_password_is_read():
    projector = NtControlProjector(password=None)
    async with DeviceServer(projector) as server:
        server.hangs_up = True
        async with adapter_for(server, "panasonic-projector-lan") as adapter:
            (found,) = await found_by(adapter)
            assert (await readings_of(adapter, found))["power"] == "on"


async def test_a_connection_that_cannot_be_renewed_is_a_lost_port():
    projector = NtControlProjector(password=None)
    server = DeviceServer(projector)
    await server.__aenter__()
    async with adapter_for(server, "panasonic-projector-lan") as adapter:
        (found,) = await found_by(adapter)
        await server.__aexit__(None, None, None)
        with pytest.raises(BusUnavailable):
            await readings_of(adapter, found)
        with pytest.raises(BusUnavailable):
            async with asyncio.timeout(60):
                await adapter.listen(SimpleNamespace())


async def test_an_opening_is_sent_once_before_the_first_request():
    projector = EpsonOnTheNetwork()
    async with DeviceServer(projector) as server, adapter_for(server, "epson-vp21") as adapter:
        (found,) = await found_by(adapter)
        readings = await readings_of(adapter, found)
    assert (found.serial_number, readings["power"]) == ("X4B30000123", "on")
    assert bytes(server.received).count(b"ESC/VP.net") == 1
    assert bytes(server.received).startswith(EpsonOnTheNetwork.opening + b"PWR?\r")


async def test_a_device_that_refuses_the_opening_says_what_to_do():
    async with DeviceServer(EpsonOnTheNetwork(status=b"\x41")) as server, adapter_for(server, "epson-vp21") as adapter:
        assert await found_by(adapter) == []
        assert any("Monitor Password" in remark for remark in adapter.bus_remarks())


async def test_a_log_in_by_prompts_is_answered_over_the_network():
    display = SharpDisplay(asks=True)
    async with DeviceServer(display) as server, adapter_for(server, "sharp-display", user="ann", password=PASSWORD) as adapter:
        (found,) = await found_by(adapter)
        readings = await readings_of(adapter, found)
    assert display.login == [b"ann\r", b"Projector\r"]
    assert (found.model, readings["power"], readings["volume"]) == ("PN-E759", "on", 30)


async def test_the_same_log_in_is_not_waited_for_behind_a_device_server():
    display = SharpDisplay(asks=False)
    async with DeviceServer(display) as server, adapter_for(server, "sharp-display", scheme="socket") as adapter:
        (found,) = await found_by(adapter)
        assert (await readings_of(adapter, found))["power"] == "on"
    assert bytes(server.received).startswith(b"INF1????")


async def test_a_device_that_asks_for_a_log_in_is_no_console_where_only_its_profile_is_tried():
    display = SharpDisplay(asks=True)
    async with DeviceServer(display) as server, adapter_for(server, "sharp-display") as adapter:
        assert await found_by(adapter) == []
        assert adapter.bus_remarks() == []
