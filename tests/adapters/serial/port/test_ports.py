"""Which ports there are and who they are, from what machines told; and how soon it is noticed that they come and go."""

import asyncio
import os

import pytest

from adapters.serial.port.hotplug import MachinePorts, PortWatcher
from adapters.serial.port.selection import (
    BY_ID,
    ListedPort,
    PortIdentity,
    PortSelector,
    device_server_port,
    identify_ports,
    select_ports,
)
from adapters.serial.served_ports import ServedPort
from adapters.serial.settings import PortRule
from gateway.adapter import holder_of
from gateway.testing.serial import SerialLine

FTDI = ListedPort(
    path="/dev/ttyUSB0",
    links=(BY_ID + "usb-FTDI_FT232R_USB_UART_A10K3X9Q-if00-port0",),
    vid=0x0403,
    pid=0x6001,
    serial_number="A10K3X9Q",
    location="1-1.2",
)
CH340 = ListedPort(
    path="/dev/ttyUSB1", links=(BY_ID + "usb-1a86_USB2.0-Serial-if00-port0",), vid=0x1A86, pid=0x7523, location="1-1.3"
)
SECOND_CH340 = ListedPort(path="/dev/ttyUSB2", vid=0x1A86, pid=0x7523, location="1-1.4")
CLONE = ListedPort(path="/dev/ttyUSB3", vid=0x10C4, pid=0xEA60, serial_number="0001", location="1-1.5")
SOLDERED = ListedPort(path="/dev/ttyS0")
QUAD = [
    ListedPort(path=f"/dev/ttyUSB{4 + number}", vid=0x0403, pid=0x6011, serial_number="FT5X", location=f"1-2:1.{number}")
    for number in range(2)
]


def who(port, *others):
    return identify_ports([port, *others])[port.path]


def selectors(*written):
    return [PortSelector.parse(one) for one in written]


# who a port is --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "others", "identity"),
    [
        (FTDI, [SOLDERED], PortIdentity("usb:0403:6001:A10K3X9Q", is_stable=True)),
        (QUAD[1], [QUAD[0]], PortIdentity("usb:0403:6011:FT5X:1.1", is_stable=True)),
        (CH340, [], PortIdentity(BY_ID + "usb-1a86_USB2.0-Serial-if00-port0", is_stable=True)),
        (CH340, [SECOND_CH340], PortIdentity("usb:1a86:7523@1-1.3", is_stable=False)),
        (SECOND_CH340, [CH340], PortIdentity("usb:1a86:7523@1-1.4", is_stable=False)),
        (CLONE, [], PortIdentity("/dev/ttyUSB3", is_stable=False)),
        (SOLDERED, [], PortIdentity("/dev/ttyS0", is_stable=True)),
        (ListedPort(path="/dev/pts/7"), [], PortIdentity("/dev/pts/7", is_stable=False)),
        (ListedPort(path="/dev/pts/7", links=("/dev/scale",)), [], PortIdentity("/dev/scale", is_stable=True)),
        (ListedPort(path="/dev/rfcomm0"), [], PortIdentity("/dev/rfcomm0", is_stable=False)),
    ],
)
def test_who_a_port_is_rests_on_the_best_that_its_adapter_says(port, others, identity):
    assert who(port, *others) == identity


def test_two_ports_with_one_serial_number_are_told_apart_by_where_they_are_plugged_in():
    twin = ListedPort(path="/dev/ttyUSB9", vid=0x0403, pid=0x6001, serial_number="A10K3X9Q", location="1-4")
    assert who(FTDI, twin) == PortIdentity("usb:0403:6001@1-1.2", is_stable=False)
    assert who(twin, FTDI) == PortIdentity("usb:0403:6001@1-4", is_stable=False)


def test_a_port_behind_a_device_server_is_who_its_address_says():
    assert device_server_port("socket://10.0.0.5:4001").identity == PortIdentity("socket://10.0.0.5:4001", is_stable=True)


# which are meant ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "met"),
    [
        ("/dev/ttyUSB0", [FTDI]),
        ("/dev/ttyUSB*", [FTDI, CH340]),
        (BY_ID + "usb-FTDI*", [FTDI]),
        ("usb:0403", [FTDI]),
        ("usb:0403:6001", [FTDI]),
        ("usb:0403:6001:A10K*", [FTDI]),
        ("usb:0403:6001:B*", []),
        ("USB:1A86:7523", [CH340]),
        ("*", [FTDI, CH340, SOLDERED]),
        ("/dev/ttyACM*", []),
    ],
)
def test_a_selector_means_the_ports_that_it_names(written, met):
    assert [port for port in (FTDI, CH340, SOLDERED) if PortSelector.parse(written).matches(port)] == met


@pytest.mark.parametrize(
    "written", ["ttyUSB0", "usb:123", "usb:0403:60", "loop://", "socket://host", "rfc2217://:99", "", "COM3"]
)
def test_what_is_no_selector_is_refused_with_how_one_is_written(written):
    with pytest.raises(ValueError, match="write"):
        PortSelector.parse(written)


@pytest.mark.parametrize(
    ("written", "definite"),
    [("/dev/ttyUSB0", True), ("/dev/ttyUSB?", False), ("socket://h:1", True), ("usb:0403:6001:A", False), ("*", False)],
)
def test_a_selector_says_whether_it_means_one_port(written, definite):
    assert PortSelector.parse(written).is_definite is definite


def test_a_port_is_chosen_once_however_often_it_is_named():
    ports = select_ports([FTDI, CH340], selectors(FTDI.links[0], "usb:0403:6001", "/dev/ttyUSB0", "*"))
    assert [port.address for port in ports] == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert ports[0].label == FTDI.links[0]


def test_what_is_excluded_is_not_chosen_by_whichever_of_its_names_it_is_barred():
    for excluded_selectors in ("/dev/ttyUSB0", FTDI.links[0], "usb:0403", BY_ID + "*FTDI*"):
        assert [port.address for port in select_ports([FTDI, CH340], selectors("*"), selectors(excluded_selectors))] == [
            "/dev/ttyUSB1"
        ]
    url = "socket://10.0.0.5:4001"
    assert select_ports([], selectors(url), selectors(url)) == ()


def test_a_pseudo_terminal_is_chosen_only_by_its_name():
    terminal = ListedPort(path="/dev/pts/3", is_enumerated=False)
    assert select_ports([terminal], selectors("*")) == ()
    assert [port.address for port in select_ports([terminal], selectors("/dev/pts/3"))] == ["/dev/pts/3"]


# what became of them --------------------------------------------------------------------------------------------------


def test_a_port_that_came_back_under_another_name_is_the_same_port():
    before = select_ports([FTDI, CH340], selectors("*"))
    moved = ListedPort(path="/dev/ttyUSB7", links=FTDI.links, vid=FTDI.vid, pid=FTDI.pid, serial_number=FTDI.serial_number)
    after = select_ports([moved, SOLDERED], selectors("*"))
    assert [port.address for port in before] == ["/dev/ttyUSB0", "/dev/ttyUSB1"]
    assert [port.address for port in after] == ["/dev/ttyUSB7", "/dev/ttyS0"]
    assert before[0].identity == after[0].identity
    assert after[1].identity not in [port.identity for port in before]


# a machine ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path):
    """A machine whose device files lie in a folder of the test, and which tells of those that are called ttyUSB."""

    class Fake:
        devices, by_id = tmp_path / "dev", tmp_path / "dev" / "serial" / "by-id"
        looks = 0

        def listed(self):
            Fake.looks += 1
            return [
                ListedPort(path=str(path), vid=0x0403, pid=0x6001, serial_number=path.read_text(), location="1-1")
                for path in sorted(self.devices.glob("ttyUSB*"))
            ]

        def plug(self, name, number):
            (self.devices / name).write_text(number)
            (self.by_id / f"usb-FTDI_{number}-if00-port0").symlink_to(self.devices / name)

        def pull(self, name):
            for link in self.by_id.iterdir():
                if link.readlink() == self.devices / name:
                    link.unlink()
            (self.devices / name).unlink()

        def watcher(self, *written, excluded=()):
            wanted, excluded_selectors = selectors(*written), selectors(*excluded)
            machine = MachinePorts([*wanted, *excluded_selectors], list_ports=self.listed, devices=self.devices, by_id=self.by_id)
            return PortWatcher(wanted, excluded_selectors, machine=machine)

    Fake.by_id.mkdir(parents=True)
    return Fake()


async def test_each_look_tells_the_ports_that_are_there_then(machine):
    machine.plug("ttyUSB0", "A1")
    watcher = machine.watcher("*")
    assert [port.identity.value for port in await watcher.ports()] == ["usb:0403:6001:A1"]
    machine.plug("ttyUSB1", "B2")
    assert [port.identity.value for port in await watcher.ports()] == ["usb:0403:6001:A1", "usb:0403:6001:B2"]
    machine.pull("ttyUSB0")
    assert [port.identity.value for port in await watcher.ports()] == ["usb:0403:6001:B2"]


async def test_a_port_that_is_waited_for_is_found_under_its_new_name_within_a_second(machine):
    machine.plug("ttyUSB0", "A1")
    watcher = machine.watcher("*")
    (port,) = await watcher.ports()
    served = ServedPort("a port", PortRule(port="*"), watcher, port.identity)
    machine.pull("ttyUSB0")
    assert await watcher.find(port.identity) is None
    waiting = asyncio.create_task(served.reappears(port.address))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    machine.plug("ttyUSB5", "A1")
    async with asyncio.timeout(1):
        await waiting
    there = await served.find()
    assert there is not None
    assert there.address == str(machine.devices / "ttyUSB5")


async def test_a_machine_whose_ports_stay_is_not_asked_about_them_again(machine):
    machine.plug("ttyUSB0", "A1")
    watcher = machine.watcher("*")
    for _ in range(20):
        await watcher.ports()
    assert machine.looks == 1


async def test_what_cannot_be_told_right_now_leaves_everything_as_it_was(machine, monkeypatch):
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


async def test_excluded_ports_are_never_told_of_under_whatever_name_they_are_excluded(machine):
    machine.plug("ttyUSB0", "A1")
    machine.plug("ttyUSB1", "B2")
    own_name = machine.devices / "modbus"
    own_name.symlink_to(machine.devices / "ttyUSB1")
    told = await machine.watcher("*", excluded=[str(own_name)]).ports()
    assert [port.identity.value for port in told] == ["usb:0403:6001:A1"]


async def test_device_servers_are_always_there(machine):
    (port,) = await machine.watcher("rfc2217://10.0.0.5:4001").ports()
    assert port.address == port.label == "rfc2217://10.0.0.5:4001"


async def test_a_real_port_that_is_pulled_and_put_back_is_the_same_under_another_name(tmp_path):
    link = tmp_path / "usb-FTDI_A1-if00-port0"
    watcher = PortWatcher(selectors(str(tmp_path / "usb-*")))
    async with SerialLine(link=link) as line:
        (before,) = await watcher.ports()
        assert (before.address, before.identity.value) == (line.tty_name, str(link))
        line.unplug()
        assert await watcher.ports() == ()
        line.replug()
        (after,) = await watcher.ports()
        assert after.address == line.tty_name != before.address
        assert after.identity == before.identity


async def test_who_holds_a_port_is_seen_by_the_files_that_are_open(tmp_path):
    async with SerialLine(link=tmp_path / "port") as line:
        assert holder_of(line.port) is None
        number = os.open(line.port, os.O_RDWR | os.O_NOCTTY)
        assert str(holder_of(line.port)) == str(holder_of(line.tty_name)) == "this gateway"
        os.close(number)
        assert holder_of(line.port) is None


def test_a_port_that_is_not_there_is_held_by_nobody():
    assert holder_of("/dev/ttyUSB-that-is-not") is None
