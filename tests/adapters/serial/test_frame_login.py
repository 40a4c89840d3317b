"""A log-in by a frame of the protocol, and replies to questions of the device, behind a real socket."""

import asyncio

import pytest

from adapters.serial import SerialAdapter
from adapters.serial.framing.framer import framer_for
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import Found
from gateway.testing.serial import DeviceServer, SerialDevice

pytestmark = pytest.mark.enable_socket

PASSWORD = "Rack|Room"
PROFILE = "middle-atlantic-racklink"
FRAMING = PROFILE_FILES.load()[PROFILE].framing
PING = bytes.fromhex("000101")
PONG = bytes.fromhex("000110")
LOGIN = bytes.fromhex("000201")
WANTS_LOGIN = bytes.fromhex("00101008")


class RackLink(SerialDevice):
    """Two outlets that are switched off; takes requests behind a log-in, and a reply to its first ping."""

    def __init__(self):
        super().__init__("device of a test")
        self.payloads = []
        self.logins = []
        self.state = "waits for the log-in"
        self.third_reply = asyncio.Event()
        self._framer = framer_for(FRAMING)

    def connected(self):
        self.state = "waits for the log-in"
        return b""

    def receive(self, data):
        return [FRAMING.wrap(one) for frame in self._framer.feed(data) for one in self.answers(frame.payload)]

    def answers(self, payload):
        self.payloads.append(payload)
        if payload.startswith(LOGIN):
            self.logins.append(payload[3:].decode())
            is_right = payload[3:] == f"user|{PASSWORD}".encode()
            self.state = "waits for the reply" if is_right else self.state
            return [bytes.fromhex("00021001"), PING] if is_right else [bytes.fromhex("00021000")]
        if payload == PONG:
            self.state = "takes requests"
            if self.payloads.count(PONG) == 3:
                self.third_reply.set()
            return []
        if self.state != "takes requests":
            return [WANTS_LOGIN]
        match payload.hex():
            case "002202":
                return [bytes.fromhex("002210") + b"CC" + b"X" * 14]
            case "00200201" | "00200202":
                return [PING, bytes.fromhex("002010") + payload[3:] + b"\x00" + b"0000"]
        return [bytes.fromhex("00101004")]


def adapter_for(server, password=PASSWORD):
    port = {"port": server.port.replace("socket://", "tcp://"), "name": "rack", "profiles": [PROFILE]}
    devices = [{"port": "rack", "profile": PROFILE, "password": password}] if password else []
    adapter = SerialAdapter(
        SerialAdapter.settings_model.model_validate({"type": "serial", "name": "av", "ports": [port], "devices": devices})
    )
    adapter.memory = {}
    return adapter


async def found_by(adapter):
    return [step async for step in adapter.discover() if isinstance(step, Found)]


async def readings_of(adapter, found):
    child = found.as_child(adapter="av", bus="rack", model_id="m")
    due = frozenset(adapter.poll_groups(child))
    return {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}


async def test_a_device_is_asked_behind_its_log_in_and_its_first_question():
    device = RackLink()
    async with DeviceServer(device) as server, adapter_for(server) as adapter:
        (found,) = await found_by(adapter)
        readings = await readings_of(adapter, found)
        kept = adapter.recent_frames()
    assert (found.profile, readings["outlet_1"], readings["outlet_2"]) == (PROFILE, "off", "off")
    assert device.logins == [f"user|{PASSWORD}"]
    assert device.payloads[:3] == [LOGIN + f"user|{PASSWORD}".encode(), PONG, bytes.fromhex("002202")]
    assert PASSWORD not in str(kept)


async def test_each_question_of_the_device_between_answers_gets_its_reply():
    device = RackLink()
    async with DeviceServer(device) as server, adapter_for(server) as adapter:
        (found,) = await found_by(adapter)
        await readings_of(adapter, found)
        async with asyncio.timeout(60):
            await device.third_reply.wait()


async def test_a_device_that_forgot_the_log_in_gets_it_again():
    device = RackLink()
    async with DeviceServer(device) as server, adapter_for(server) as adapter:
        (found,) = await found_by(adapter)
        device.state = "waits for the log-in"
        await readings_of(adapter, found)  # its first request is refused, and the next ones are behind the log-in
        assert (await readings_of(adapter, found))["outlet_1"] == "off"
    assert len(device.logins) == 2


async def test_a_wrong_password_is_sent_once_and_told():
    device = RackLink()
    async with DeviceServer(device) as server, adapter_for(server, password="wrong") as adapter:
        assert await found_by(adapter) == []
        assert any("rejects" in remark for remark in adapter.bus_remarks())
    assert device.logins == ["user|wrong"]


async def test_a_device_without_a_password_in_the_config_is_not_logged_in_to():
    device = RackLink()
    async with DeviceServer(device) as server, adapter_for(server, password=None) as adapter:
        assert await found_by(adapter) == []
    assert device.logins == []


def test_the_escapes_of_the_makers_example_are_neither_counted_nor_summed():
    payload = bytes.fromhex("000600FF")
    assert FRAMING.wrap(payload) == bytes.fromhex("FE04000600FD0007FF")
    (frame,) = framer_for(FRAMING).feed(bytes.fromhex("FE04000600FD0007FF"))
    assert frame.payload == payload


@pytest.mark.parametrize("damaged", ["FE05002010030059FF", "FE04000600FD0008FF"])
def test_a_frame_with_a_wrong_length_or_sum_is_discarded(damaged):
    framer = framer_for(FRAMING)
    raw = bytes.fromhex(damaged)
    assert framer.feed(raw) == []
    assert str(framer.discards)
