"""Watching ports appear and disappear."""

import os

from adapters.serial.port.hotplug import PortWatcher
from adapters.serial.port.selection import PortSelector
from gateway.adapter import holder_of
from gateway.testing.serial import SerialLine


async def test_each_scan_returns_the_existing_ports(machine):
    machine.plug("ttyUSB0", "A1")
    watcher = machine.watcher("*")
    assert [port.identity.value for port in await watcher.ports()] == ["usb:0403:6001:A1"]
    machine.plug("ttyUSB1", "B2")
    assert [port.identity.value for port in await watcher.ports()] == ["usb:0403:6001:A1", "usb:0403:6001:B2"]
    machine.pull("ttyUSB0")
    assert [port.identity.value for port in await watcher.ports()] == ["usb:0403:6001:B2"]


async def test_ports_that_do_not_change_are_listed_once(machine):
    machine.plug("ttyUSB0", "A1")
    watcher = machine.watcher("*")
    for _ in range(20):
        await watcher.ports()
    assert machine.looks == 1


async def test_a_failed_scan_keeps_the_previous_ports(machine, monkeypatch):
    machine.plug("ttyUSB0", "A1")
    watcher = machine.watcher("*")
    before = await watcher.ports()

    def fail():
        raise OSError("they change")

    monkeypatch.setattr(watcher._machine, "_list_ports", fail)
    machine.plug("ttyUSB1", "B2")
    assert await watcher.ports() == before
    monkeypatch.undo()
    assert len(await watcher.ports()) == 2


async def test_a_port_excluded_by_a_link_is_never_returned(machine):
    machine.plug("ttyUSB0", "A1")
    machine.plug("ttyUSB1", "B2")
    own_name = machine.devices / "modbus"
    own_name.symlink_to(machine.devices / "ttyUSB1")
    told = await machine.watcher("*", excluded=[str(own_name)]).ports()
    assert [port.identity.value for port in told] == ["usb:0403:6001:A1"]


async def test_device_servers_always_exist(machine):
    (port,) = await machine.watcher("rfc2217://10.0.0.5:4001").ports()
    assert port.address == port.label == "rfc2217://10.0.0.5:4001"


async def test_a_real_port_that_is_replugged_has_the_same_identity_under_another_name(tmp_path):
    link = tmp_path / "usb-FTDI_A1-if00-port0"
    watcher = PortWatcher([PortSelector(str(tmp_path / "usb-*"))])
    async with SerialLine(link=link) as line:
        (before,) = await watcher.ports()
        assert (before.address, before.identity.value) == (line.tty_name, str(link))
        line.unplug()
        assert await watcher.ports() == ()
        line.replug()
        (after,) = await watcher.ports()
        assert after.address == line.tty_name != before.address
        assert after.identity == before.identity


async def test_the_holder_of_a_port_is_found_by_its_open_files(tmp_path):
    async with SerialLine(link=tmp_path / "port") as line:
        assert holder_of(line.port) is None
        number = os.open(line.port, os.O_RDWR | os.O_NOCTTY)
        assert str(holder_of(line.port)) == str(holder_of(line.tty_name)) == "this gateway"
        os.close(number)
        assert holder_of(line.port) is None


def test_a_missing_port_has_no_holder():
    assert holder_of("/dev/ttyUSB-that-is-not") is None
