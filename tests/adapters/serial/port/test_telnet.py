"""Options of Telnet in the bytes of a device on port 23."""

from __future__ import annotations

import asyncio

import pytest

from adapters.serial.port import port as module
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.port import Port
from adapters.serial.port.selection import is_telnet
from adapters.serial.port.telnet import MAX_NEGOTIATION, TelnetOptions, sent_by_telnet

GREETING = bytes.fromhex("FFFD18 FFFB01 FFFB03") + b"Welcome\r\n"


class Listener:
    def __init__(self):
        self.data = b""
        self.is_complete = asyncio.Event()

    def data_received(self, data):
        self.data += data
        if self.data.endswith(b"A\xffB"):
            self.is_complete.set()

    def port_lost(self, why):
        raise AssertionError(why)


def test_each_option_is_refused_once_and_the_text_is_left():
    options = TelnetOptions()
    assert options.received(GREETING) == (b"Welcome\r\n", bytes.fromhex("FFFC18 FFFE01 FFFE03"))
    assert options.received(bytes.fromhex("FFFD18 FFFC05")) == (b"", b"")


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_command_in_several_pieces_is_one(size):
    options, data, answer = TelnetOptions(), b"", b""
    raw = b"A" + bytes.fromhex("FFFD18 FFFA1801FFF0 FFF1") + b"B\xff\xffC"
    for at in range(0, len(raw), size):
        got = options.received(raw[at : at + size])
        data, answer = data + got.data, answer + got.answer
    assert (data, answer) == (b"AB\xffC", bytes.fromhex("FFFC18"))


def test_a_negotiation_that_never_ends_does_not_hold_the_text_back():
    options = TelnetOptions()
    assert options.received(b"\xff\xfa" + b"x" * (MAX_NEGOTIATION - 2)) == (b"", b"")
    assert options.received(b"OK\r\n").data.endswith(b"xOK\r\n")


def test_a_byte_255_is_doubled_when_it_is_sent():
    assert sent_by_telnet(b"a\xffb") == b"a\xff\xffb"


@pytest.mark.parametrize(
    ("address", "is_one"),
    [("tcp://10.0.0.1:23", True), ("tcp://10.0.0.1:2202", False), ("socket://10.0.0.1:23", False), ("/dev/ttyUSB0", False)],
)
def test_telnet_is_what_is_on_its_port(address, is_one):
    assert is_telnet(address) is is_one


@pytest.mark.enable_socket
async def test_a_device_that_waits_for_its_options_greets_after_they_are_refused(monkeypatch):
    monkeypatch.setattr(module, "is_telnet", lambda address: True)
    answered, gone = asyncio.get_running_loop().create_future(), asyncio.Event()

    async def serve(reader, writer):
        writer.write(GREETING[:9])
        answered.set_result(await reader.readexactly(9))
        writer.write(b"Welcome\r\n")
        writer.write(await reader.readexactly(4))
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port, listener = Port(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"), Listener()
    async with server, asyncio.timeout(60):
        await port.open(LineSettings())
        port.attach(listener)
        assert await answered == bytes.fromhex("FFFC18 FFFE01 FFFE03")
        await port.wait_for_first_bytes(lambda seen: b"Welcome" in seen, 60)
        await port.write(b"A\xffB")
        await listener.is_complete.wait()
        assert port.first_bytes.startswith(b"Welcome\r\n")
        await port.close()
        await gone.wait()
