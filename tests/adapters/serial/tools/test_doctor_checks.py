"""What is said of ports before any is opened; the command itself is tried in tests/doctor."""

import socket
from pathlib import Path

import pytest

from adapters.serial.port.hotplug import MachinePorts
from adapters.serial.port.selection import ListedPort
from adapters.serial.settings import SerialSettings
from adapters.serial.tools.doctor_checks import examine_ports
from gateway.testing.serial import SerialLine


@pytest.fixture
async def machine(tmp_path):
    """A machine with one USB adapter, which is a pseudo-terminal."""
    async with SerialLine(link=tmp_path / "port") as line:
        told = ListedPort(
            path=line.tty_name, vid=0x0403, pid=0x6001, serial_number="A10K3X9Q", manufacturer="FTDI", product="FT232R"
        )
        yield MachinePorts(list_ports=lambda: [told], by_id=Path("/nowhere")), line.tty_name


def settings(*ports, **more):
    return SerialSettings(type="serial", name="rack", ports=list(ports), **more)


async def test_a_port_is_found_by_its_adapter(machine):
    known, path = machine
    (found,) = [one async for one in examine_ports(settings("usb:0403:6001"), known)]
    assert (found.what, found.state) == (f"port {path}", "fine")


async def test_excluded_and_individually_named_ports_are_reported_once(machine):
    known, path = machine
    assert [one.what async for one in examine_ports(settings("*", path), known)] == ["ports *", f"port {path}"]
    (found,) = [one async for one in examine_ports(settings("*", exclude=["usb:0403:6001"]), known)]
    assert (found.what, found.state) == ("ports *", "warning")


async def test_a_selector_without_a_match_is_reported_with_the_existing_ports(machine):
    known, path = machine
    (found,) = [one async for one in examine_ports(settings("usb:10c4:ea60"), known)]
    assert path in found.meaning
    assert found.fix.endswith(f'ports = ["{path}"]')
    (found,) = [
        one async for one in examine_ports(settings("usb:10c4:ea60"), MachinePorts(list_ports=list, by_id=Path("/nowhere")))
    ]
    assert "this machine has no serial port now" in found.meaning


async def test_without_an_entry_the_ports_of_the_machine_are_suggested(machine):
    known, path = machine
    (found,) = [one async for one in examine_ports(None, known)]
    assert found.state == "fine"
    assert f'FTDI FT232R, could be used: ports = ["{path}"]' in found.meaning
    (found,) = [one async for one in examine_ports(None, MachinePorts(list_ports=list, by_id=Path("/nowhere")))]
    assert found.state == "not looked at"


@pytest.mark.enable_socket
@pytest.mark.parametrize("kind", ["tcp", "socket", "rfc2217"])
async def test_the_name_of_a_host_is_looked_up_without_a_connection(machine, kind):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        there, nowhere = f"{kind}://localhost:{closed.getsockname()[1]}", f"{kind}://nowhere.invalid:4352"
        known, lost = [one async for one in examine_ports(settings(there, nowhere), machine[0])]
    assert (known.what, known.state) == (f"port {there}", "not looked at")
    assert "one connection only" in known.meaning
    assert known.fix == "xyte-gateway scan rack"
    assert (lost.what, lost.state) == (f"port {nowhere}", "fault")
    assert "the host name nowhere.invalid cannot be looked up" in lost.meaning
    assert "correct the name in `ports`" in lost.fix
