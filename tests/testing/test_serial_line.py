"""The simulated serial line, looked at from its port with nothing but the operating system's calls."""

import asyncio
import os
import termios
import tty
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.testing.serial import ScriptedDevice, SerialFaults, SerialLine

QUIET_SECONDS = 0.05


@contextmanager
def opened(path, speed=None):
    port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        if speed is not None:
            tty.setraw(port)
            attributes = termios.tcgetattr(port)
            attributes[4] = attributes[5] = speed
            termios.tcsetattr(port, termios.TCSANOW, attributes)
        yield port
    finally:
        os.close(port)


async def heard(port, count=None, seconds=60.0):
    """Return this many bytes or, without a count, what is received until it is quiet; only a busy machine needs all the time."""
    data = b""
    deadline = asyncio.get_running_loop().time() + seconds
    quiet_at = asyncio.get_running_loop().time() + QUIET_SECONDS
    while (now := asyncio.get_running_loop().time()) < deadline:
        try:
            data += os.read(port, 4096)
            quiet_at = now + QUIET_SECONDS
        except BlockingIOError:
            if count is None and now > quiet_at:
                break
        if count is not None and len(data) >= count:
            break
        await asyncio.sleep(0.001)
    return data


def parrot(**options):
    return ScriptedDevice(lambda question: b"<" + question + b">", end=b"\r", **options)


async def test_a_device_answers_each_complete_request():
    async with SerialLine(parrot()) as line:
        with opened(line.port) as port:
            os.write(port, b"on")
            assert await heard(port) == b""
            os.write(port, b"e\rtwo\r")
            assert await heard(port, 10) == b"<one><two>"


async def test_a_line_is_used_by_one_program_after_the_other():
    async with SerialLine(parrot()) as line:
        for _ in range(3):
            with opened(line.port) as port:
                os.write(port, b"a\r")
                assert await heard(port, 3) == b"<a>"
            async with asyncio.timeout(60):
                while line.is_open:  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(0.005)


async def test_bytes_sent_while_the_port_is_not_open_are_lost():
    async with SerialLine() as line:
        line.send(b"into the void")
        await asyncio.sleep(0.02)
        with opened(line.port) as port:
            assert await heard(port) == b""


async def test_a_device_sends_unasked():
    said = iter(range(1000))
    talker = ScriptedDevice(message=lambda: b"%d;" % next(said), sends_every_seconds=0.01)
    async with SerialLine(talker) as line:
        with opened(line.port) as port:
            heard_numbers = [int(number) for number in (await heard(port, 12)).split(b";") if number]
    assert heard_numbers[:3] == list(range(heard_numbers[0], heard_numbers[0] + 3))


async def test_each_device_receives_everything():
    left, right = parrot(), parrot()
    async with SerialLine(left, right) as line:
        with opened(line.port) as port:
            os.write(port, b"a\r")
            assert await heard(port, 6) == b"<a><a>"
    assert left.requests == right.requests == [b"a"]


async def test_an_unplugged_line_is_lost_and_comes_back_under_another_name(tmp_path):
    link = tmp_path / "by-id" / "usb-FTDI_A1"
    async with SerialLine(parrot(), link=link) as line:
        before = line.tty_name
        with opened(line.port) as port:
            line.unplug()
            assert not link.is_symlink()
            with pytest.raises(OSError, match="Input/output"):
                os.write(port, b"a\r")
        line.replug()
        assert line.tty_name != before
        assert link.readlink() == Path(line.tty_name)
        with opened(line.port) as port:
            os.write(port, b"a\r")
            assert await heard(port, 3) == b"<a>"
    assert not link.is_symlink()


async def test_a_line_that_echoes_repeats_the_request_before_the_answer():
    async with SerialLine(parrot()) as line:
        line.echoes = True
        with opened(line.port) as port:
            os.write(port, b"a\r")
            assert await heard(port, 5) == b"a\r<a>"


async def test_at_another_speed_only_garbage_is_received():
    async with SerialLine(parrot(), baudrate=9600) as line:
        with opened(line.port, termios.B19200) as port:
            os.write(port, b"a\r")
            assert await heard(port) == b""
            line.send(b"hello")
            assert b"hello" not in await heard(port, 5)
        with opened(line.port, termios.B9600) as port:
            os.write(port, b"a\r")
            assert await heard(port, 3) == b"<a>"


async def test_characters_take_their_time_at_the_speed_of_the_line():
    async with SerialLine(baudrate=1200) as line:
        with opened(line.port, termios.B1200) as port:
            await asyncio.sleep(0.02)
            begun = asyncio.get_running_loop().time()
            line.send(bytes(10))
            await heard(port, 10)
            assert asyncio.get_running_loop().time() - begun >= 10 * 10 / 1200


async def test_an_unsupported_speed_is_an_error():
    with pytest.raises(ValueError, match="no serial port supports 12345 bit/s"):
        SerialLine(baudrate=12345)


@pytest.mark.parametrize(
    ("faults", "comes"),
    [
        (SerialFaults(silent=True), b""),
        (SerialFaults(deaf=True), b""),
        (SerialFaults(truncated=True), b"<ab"),
        (SerialFaults(noise=b"\0\xff"), b"\0\xff<abcd>"),
        (SerialFaults(wrong_checksum=True), b"<abbd>"),
        (SerialFaults(one_byte_at_a_time=True), b"<abcd>"),
        (SerialFaults(late_seconds=0.02), b"<abcd>"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else str(value),
)
async def test_a_fault_is_seen_in_what_the_device_sends(faults, comes):
    device = parrot()
    device.faults = faults
    async with SerialLine(device) as line:
        with opened(line.port) as port:
            os.write(port, b"abcd\r")
            assert await heard(port, len(comes) or None) == comes


async def test_a_late_answer_is_late():
    device = parrot()
    device.faults = SerialFaults(late_seconds=0.1)
    async with SerialLine(device) as line:
        with opened(line.port) as port:
            begun = asyncio.get_running_loop().time()
            os.write(port, b"a\r")
            assert await heard(port, 3) == b"<a>"
            assert asyncio.get_running_loop().time() - begun >= 0.1
