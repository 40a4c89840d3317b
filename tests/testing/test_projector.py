"""The simulated projector answers as the PJLink specification and public reports have it, also over a real socket."""

import asyncio
import hashlib

import pytest

from gateway.testing.serial import DeviceServer, Projector, SerialFaults
from gateway.testing.serial.projector import RANDOM_TEXT, STANDBY

HASH = hashlib.md5(b"498e4a67JBMIAProjectorLink", usedforsecurity=False).hexdigest().encode()


def asked(projector, *commands):
    return [answer for command in commands for answer in projector.receive(command + b"\r")]


def test_class_1_is_answered_and_class_2_is_not_known():
    projector = Projector()
    assert projector.connected() == b"PJLINK 0\r"
    assert asked(projector, b"%1CLSS ?", b"%1POWR ?", b"%2FREZ ?") == [b"%1CLSS=1\r", b"%1POWR=1\r", b"%2FREZ=ERR1\r"]


def test_class_2_is_answered_with_letters_as_inputs():
    projector = Projector(pjlink_class=2)
    assert asked(projector, b"%1INPT 6A", b"%1INPT ?", b"%2FREZ 1", b"%2FREZ ?") == [
        b"%1INPT=OK\r", b"%1INPT=6A\r", b"%2FREZ=OK\r", b"%2FREZ=1\r",
    ]  # fmt: skip


def test_in_standby_it_refuses_to_tell_its_name():
    projector = Projector()
    projector.power = STANDBY
    answers = asked(projector, b"%1INF1 ?", b"%1INF2 ?", b"%1INFO ?", b"%1POWR ?")
    assert answers == [b"%1INF1=ERR3\r", b"%1INF2=ERR3\r", b"%1INFO=ERR3\r", b"%1POWR=0\r"]
    assert asked(projector, b"%1POWR 1", b"%1INF1 ?") == [b"%1POWR=OK\r", b"%1INF1=NEC\r"]


def test_with_a_password_it_wants_the_hash_of_the_specification_once_per_connection():
    projector = Projector(password="JBMIAProjectorLink")
    assert projector.connected() == f"PJLINK 1 {RANDOM_TEXT}\r".encode()
    assert asked(projector, b"%1POWR ?", b"0" * 32 + b"%1POWR ?") == [b"PJLINK ERRA\r"] * 2
    assert asked(projector, HASH + b"%1POWR ?", b"%1POWR ?") == [b"%1POWR=1\r"] * 2
    projector.connected()
    assert asked(projector, b"%1POWR ?") == [b"PJLINK ERRA\r"]


def test_it_answers_in_lower_case_and_with_another_end():
    assert asked(Projector(lower_case=True, end=b"\r\n"), b"%1POWR ?", b"%1NONE ?") == [b"%1powr=1\r\n", b"%1none=err1\r\n"]


@pytest.mark.enable_socket
async def test_a_device_server_greets_answers_and_closes_idle_connections():
    projector = Projector()
    async with DeviceServer(projector, close_idle_seconds=0.3) as server:
        host, port = server.port.removeprefix("socket://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        assert await reader.readuntil(b"\r") == b"PJLINK 0\r"
        writer.write(b"%1POWR ?\r")
        assert await reader.readuntil(b"\r") == b"%1POWR=1\r"
        projector.faults = SerialFaults(silent=True)
        writer.write(b"%1POWR ?\r")
        assert await asyncio.wait_for(reader.read(), 60) == b"", "it is silent, then closes"
        writer.close()
    assert bytes(server.received) == b"%1POWR ?\r%1POWR ?\r"


@pytest.mark.enable_socket
async def test_a_device_server_greets_late_with_other_bytes_in_front_and_again():
    projector = Projector(password="secret")
    async with DeviceServer(projector) as server:
        server.greets_after_seconds, server.before_greeting = 0.2, b"\xff\xfd\x18"
        host, port = server.port.removeprefix("socket://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"%1POWR ?\r")
        assert await reader.readuntil(b"\r") == b"PJLINK ERRA\r", "it answers before it greets"
        assert await reader.readuntil(b"\r") == b"\xff\xfd\x18PJLINK 1 498e4a67\r"
        server.greet_again()
        assert await reader.readuntil(b"\r") == b"PJLINK 1 498e4a67\r"
        writer.close()
