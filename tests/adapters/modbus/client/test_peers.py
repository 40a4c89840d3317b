"""The whole adapter against Modbus units that were not written with pymodbus."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tty
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import trustme

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.buses import SerialLine, TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ExceptionResponse, ReadRequest, Table
from adapters.modbus.client.tls_settings import TlsSettings
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import Found, Progress

pytestmark = pytest.mark.enable_socket

HERE = Path(__file__).parents[1]
NODE_PACKAGE = HERE.parents[2] / ".venv/npm/node_modules/modbus-serial"
SERIAL_NUMBERS = {4: 20650004, 17: 20650017}
"""Two SDM630 meters, by unit id."""

Units = Mapping[int, Mapping[str, Mapping[int, object]]]
Start = Callable[..., str]


@pytest.fixture
def start():
    """Start a peer in a process of its own; return the line it writes when it is ready."""
    running: list[subprocess.Popen[str]] = []

    def start_peer(*command: object) -> str:
        process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        running.append(process)
        return process.stdout.readline().strip()

    yield start_peer
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def umodbus(start: Start, units: Units) -> str:
    return start(sys.executable, HERE / "peers/umodbus_host.py", json.dumps(units))


def modbus_tk(start: Start, units: Units) -> str:
    return start(sys.executable, HERE / "peers/modbus_tk_units.py", json.dumps(units))


def modbus_serial(start: Start, units: Units) -> str:
    if shutil.which("node") is None or not NODE_PACKAGE.is_dir():
        reason = f"node or {NODE_PACKAGE} is missing: npm install --no-save --prefix .venv/npm modbus-serial@8.0.25"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return start("node", HERE / "peers/modbus_serial_host.js", NODE_PACKAGE, json.dumps(units))


PEERS = {"umodbus": umodbus, "modbus-tk": modbus_tk, "modbus-serial": modbus_serial}


@pytest.fixture
def sdm630(read_case):
    return read_case(HERE / "cases/eastron-sdm630/three-phases")


@pytest.fixture
def meters(sdm630) -> Units:
    def meter(serial_number: int) -> dict[str, dict[int, object]]:
        tables = {table.value: dict(cells) for table, cells in sdm630.device.tables.items()}
        tables["holding"] |= {0xFC00: serial_number >> 16, 0xFC01: serial_number & 0xFFFF}
        return tables

    return {unit: meter(serial_number) for unit, serial_number in SERIAL_NUMBERS.items()}


async def met_by(adapter: ModbusAdapter) -> tuple[list[Found], list[Progress]]:
    steps = [step async for step in adapter.discover()]
    return [step for step in steps if isinstance(step, Found)], [step for step in steps if isinstance(step, Progress)]


async def read_all(adapter, child) -> dict[str, object]:
    blocks = [block async for block in adapter.read(child, frozenset(adapter.poll_groups(child)))]
    return {reading.metric.name: reading.value for block in blocks for reading in block}


@pytest.mark.parametrize("peer", PEERS.values(), ids=PEERS.keys())
async def test_a_scan_of_twenty_units_finds_the_two_that_live_and_reads_them(peer, start, meters, sdm630, settings, admitted):
    port = peer(start, meters)
    given = settings(hosts=[f"127.0.0.1:{port}"], units="1-20", scan_timeout=0.1, timeout=1)
    async with ModbusAdapter(given) as adapter:
        found, progress = await met_by(adapter)
        assert {int(device.address): device.serial_number for device in found} == {
            unit: str(serial_number) for unit, serial_number in SERIAL_NUMBERS.items()
        }
        assert progress[-1].done == progress[-1].total
        for device in found:
            assert device.profile == "eastron-sdm630"
            assert await read_all(adapter, admitted(device)) == sdm630.readings


async def test_a_device_behind_an_identification_in_pages_is_known_by_it(start, read_case, settings, admitted):
    case = read_case(HERE / "cases/schneider-iem3000/with-identification")
    tables = {table.value: dict(cells) for table, cells in case.device.tables.items()}
    objects = {0: "Schneider Electric", 1: "A9MEM3155", 2: "001.300", 0x80: "x" * 240, 0x81: "y" * 240}
    port = modbus_serial(start, {1: {**tables, "identification": objects}})
    async with ModbusAdapter(settings(hosts=[f"127.0.0.1:{port}"], units=1, timeout=1)) as adapter:
        found = await adapter.identify("1")
        assert found.identity.key == case.found["identity"]
        assert found.evidence["identification (43/14)"] == 'vendor "Schneider Electric", product "A9MEM3155", revision "001.300"'
        assert await read_all(adapter, admitted(found)) == case.readings


async def test_bits_are_read_from_a_real_peer(start, read_case, settings, admitted):
    case = read_case(HERE / "cases/moxa-iologik-e1210/inputs-0-and-15-on")
    tables = {table.value: dict(cells) for table, cells in case.device.tables.items()}
    port = modbus_tk(start, {1: tables})
    async with ModbusAdapter(settings(hosts=[f"127.0.0.1:{port}"], units=1, timeout=1)) as adapter:
        found = await adapter.identify("1")
        assert found.mac == case.found["mac"]
        assert await read_all(adapter, admitted(found)) == case.readings


@pytest.fixture
async def cable():
    """A serial cable: two pseudo terminals whose bytes are carried from one to the other; yields the two ports."""
    loop = asyncio.get_running_loop()
    left, left_port = os.openpty()
    right, right_port = os.openpty()
    for end, port in ((left, left_port), (right, right_port)):
        os.set_blocking(end, False)
        tty.setraw(port)

    def carry(source: int, target: int) -> None:
        try:
            os.write(target, os.read(source, 4096))
        except BlockingIOError:
            return

    loop.add_reader(left, carry, left, right)
    loop.add_reader(right, carry, right, left)
    yield os.ttyname(left_port), os.ttyname(right_port)
    loop.remove_reader(left)
    loop.remove_reader(right)
    for descriptor in (left, left_port, right, right_port):
        os.close(descriptor)


async def test_meters_on_a_serial_line_are_found_and_read(cable, start, meters, sdm630, settings, admitted):
    ours, theirs = cable
    ready = await asyncio.to_thread(start, sys.executable, HERE / "peers/modbus_tk_units.py", json.dumps(meters), theirs)
    assert ready == "ready"
    line = SerialLine(port=ours, baudrate=115200, parity="N", name="cabinet")
    given = settings(lines=[line.model_dump()], units="3-5, 17", scan_timeout=0.2, timeout=1)
    async with ModbusAdapter(given) as adapter:
        found, _ = await met_by(adapter)
        assert {int(device.address): device.identity.key for device in found} == {
            unit: f"sn:eastron/{serial_number}" for unit, serial_number in SERIAL_NUMBERS.items()
        }
        assert await read_all(adapter, admitted(found[0])) == sdm630.readings


def pymodbus(start: Start, *arguments: object) -> int:
    return int(start(sys.executable, HERE / "peers/pymodbus_host.py", *arguments))


async def registers_of(bus: TcpHost) -> list[int]:
    link = Link(bus)
    await link.open()
    try:
        raw = await link.ask(1, ReadRequest(Table.HOLDING, 0, 10), RetryPolicy(5))
        with pytest.raises(ExceptionResponse):
            await link.ask(1, ReadRequest(Table.HOLDING, 5000, 1), RetryPolicy(5))
    finally:
        link.close()
    return [int.from_bytes(raw[at : at + 2]) for at in range(0, 20, 2)]


@pytest.mark.parametrize("keys", [{"framing": "ascii"}, {"transport": "udp"}], ids=["ASCII over TCP", "UDP"])
async def test_registers_of_pymodbus_are_read(start, keys):
    port = await asyncio.to_thread(pymodbus, start, *keys.values())
    assert await registers_of(TcpHost(host="127.0.0.1", port=port, **keys)) == list(range(10))


async def test_registers_of_pymodbus_are_read_through_tls(start, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    for name, identity in (("server", "127.0.0.1"), ("gateway", "gateway.local")):
        made = authority.issue_cert(identity)
        made.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        made.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    files = [tmp_path / "ca.pem", tmp_path / "server.pem", tmp_path / "server.key"]
    port = await asyncio.to_thread(pymodbus, start, "tls", *files)
    tls = TlsSettings(ca_file=files[0], certificate_file=tmp_path / "gateway.pem", key_file=tmp_path / "gateway.key")
    assert await registers_of(TcpHost(host="127.0.0.1", port=port, tls=tls)) == list(range(10))
