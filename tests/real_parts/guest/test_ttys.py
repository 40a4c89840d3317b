"""Test the serial and the Modbus adapter on real tty drivers: two UARTs that are connected, and a USB adapter with its device.

A pty takes every setting as 8N1, has no modem signals, cannot send a break, and does not vanish as an unplugged adapter does.
"""

import asyncio
import fcntl
import os
import struct
import termios
import tty
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from adapters.modbus import ModbusAdapter
from adapters.serial import SerialAdapter
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.port.port import Port
from gateway.adapter import BusUnavailable, ChildDevice, Found
from gateway.testing.demo_devices import moxa_iologik_e1210
from gateway.testing.modbus import ModbusRtuBus
from gateway.testing.serial import Display, SerialLine

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]

UART = ("/dev/ttyS1", "/dev/ttyS2")
"""A port and its other end."""
USB = ("/dev/ttyACM0", "/dev/ttyGS0")
USB_PLUG = Path("/sys/bus/usb/devices/1-1/authorized")
"""A device that is not authorized loses its drivers, as one that is unplugged."""
PATIENCE_SECONDS = 120.0
CFLAG = 2
TIOCGICOUNT = 0x545D
BREAKS = 9
"""Where the kernel's counters of a port (`struct serial_icounter_struct`) have the breaks."""


@asynccontextmanager
async def connected(end, pty):
    """Connect the other end of a port to the pseudo-terminal of simulated devices."""
    loop = asyncio.get_running_loop()
    files = [os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) for path in (end, pty)]
    for file in files:
        tty.setraw(file)
    for source, sink in (files, reversed(files)):
        loop.add_reader(source, lambda source=source, sink=sink: os.write(sink, os.read(source, 4096)))
    yield
    for file in files:
        loop.remove_reader(file)
        os.close(file)


async def until(claim):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not claim():  # noqa: ASYNC110 - a claim about anything, not an event
            await asyncio.sleep(0.05)


async def found_by(adapter):
    return [step async for step in adapter.discover() if isinstance(step, Found)]


def child_of(found):
    return ChildDevice(
        key=found.identity.key, adapter="rack", bus="rack", address=found.address, profile=found.profile, family=found.family,
        model_id="m", sub_model=found.sub_model, firmware_version=found.firmware_version, name=found.name,
    )  # fmt: skip


async def values_of(adapter, found):
    child = child_of(found)
    due = frozenset(adapter.poll_groups(child))
    return {reading.metric.name: reading.value async for block in adapter.read(child, due) for reading in block}


def plug(*, connected):
    USB_PLUG.write_text("1" if connected else "0")


def serial_adapter(port):
    settings = {"type": "serial", "name": "rack", "ports": [{"port": port, "line": "9600 8N1", "profiles": ["samsung-mdc"]}]}
    return SerialAdapter(SerialAdapter.settings_model.model_validate(settings))


def test_the_usb_adapter_is_there():
    assert all(Path(path).exists() for path in (*UART, *USB))


@pytest.mark.parametrize("ends", [UART, USB], ids=["uart", "usb"])
async def test_a_display_is_found_and_read(ends):
    async with SerialLine(Display()) as line, connected(ends[1], line.port), serial_adapter(ends[0]) as adapter:
        (found,) = await found_by(adapter)
        assert found.profile == "samsung-mdc"
        assert (await values_of(adapter, found))["power"] == "on"


async def test_a_modbus_unit_is_found_and_read_over_a_uart_on_which_breaks_arrive():
    port, end = UART
    settings = {"type": "modbus", "name": "rack", "units": "1-3", "lines": [{"port": port, "baudrate": 19200, "parity": "E"}]}
    adapter = ModbusAdapter(ModbusAdapter.settings_model.model_validate({**settings, "scan_timeout": 2, "timeout": 2}))
    before = breaks_at(port)
    async with ModbusRtuBus([moxa_iologik_e1210(unit_id=2)]) as bus, connected(end, bus.port), adapter:
        (found,) = await found_by(adapter)
        assert found.profile == "moxa-iologik-e1210"
        async with asyncio.timeout(PATIENCE_SECONDS):
            while breaks_at(port) < before + 5:
                assert await values_of(adapter, found)


@pytest.mark.parametrize(
    ("written", "parity"), [("7E1", termios.PARENB), ("7O2", termios.PARENB | termios.PARODD | termios.CSTOPB)]
)
async def test_a_port_has_seven_data_bits_and_parity(written, parity):
    bits, name, stop = written
    port = Port(UART[0])
    await port.open(LineSettings(baudrate=9600, bytesize=int(bits), parity=name, stopbits=int(stop)))
    flags = termios.tcgetattr(port._pump.serial_port)[CFLAG]
    await port.close()
    assert flags & (termios.CSIZE | termios.PARENB | termios.PARODD | termios.CSTOPB) == termios.CS7 | parity


@pytest.mark.parametrize(("dtr", "rts"), [(True, False), (False, True), (False, False), (True, True)])
async def test_the_signals_are_as_the_settings_say(dtr, rts):
    port = Port(UART[0])
    await port.open(LineSettings(dtr=dtr, rts=rts))
    # asked on the port's own file: each further opening would raise both signals
    signals = struct.unpack("i", fcntl.ioctl(port._pump.serial_port, termios.TIOCMGET, bytes(4)))[0]
    await port.close()
    assert (bool(signals & termios.TIOCM_DTR), bool(signals & termios.TIOCM_RTS)) == (dtr, rts)


async def test_an_unplugged_adapter_is_a_lost_bus_and_comes_back():
    adapter = serial_adapter(USB[0])
    async with adapter:
        listening = asyncio.create_task(adapter.listen(None))
        await asyncio.sleep(0)
        plug(connected=False)
        with pytest.raises(BusUnavailable):
            await listening
    await until(lambda: not Path(USB[0]).exists())
    with pytest.raises(BusUnavailable, match="does not exist"):
        await adapter.__aenter__()
    plug(connected=True)
    await until(lambda: Path(USB[0]).exists())
    async with SerialLine(Display()) as line, connected(USB[1], line.port), adapter:
        assert len(await found_by(adapter)) == 1


def breaks_at(path):
    """Return how many breaks the driver of a port has counted."""
    file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        return struct.unpack("20i", fcntl.ioctl(file, TIOCGICOUNT, bytes(80)))[BREAKS]
    finally:
        os.close(file)
