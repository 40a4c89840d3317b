"""Units in memory, and settings, children and adapters for the tests in this folder."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.pdu import (
    ExceptionResponse,
    IdentificationLevel,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Request,
    Table,
)
from adapters.modbus.client.transport import RetryPolicy
from adapters.modbus.settings import ModbusSettings
from gateway.adapter import ChildDevice, DeviceUnreachable, Found


@dataclass
class MemoryUnit:
    """A unit that answers from tables: 16-bit words or bits by address; what is not there is an illegal address."""

    tables: Mapping[Table, Mapping[int, int]] = field(default_factory=dict)
    identification: Mapping[int, bytes] = field(default_factory=dict)
    server_id: bytes = b""
    silent_to: frozenset[type] = frozenset()

    def answer(self, request: Request) -> bytes | Mapping[int, bytes]:
        if type(request) in self.silent_to:
            raise DeviceUnreachable("no answer")
        if isinstance(request, ReadRequest):
            return self._read(request)
        if isinstance(request, ReadDeviceIdentification) and self.identification:
            wanted = [request.object_id] if request.level is IdentificationLevel.ONE_OBJECT else range(request.object_id, 3)
            return {key: self.identification[key] for key in wanted if key in self.identification}
        if isinstance(request, ReportServerId) and self.server_id:
            return self.server_id
        raise ExceptionResponse(0x01)

    def _read(self, read: ReadRequest) -> bytes:
        cells = self.tables.get(read.table, {})
        addresses = range(read.address, read.address + read.count)
        if not all(address in cells for address in addresses):
            raise ExceptionResponse(0x02)
        if read.table.holds_bits:
            return sum(cells[address] << place for place, address in enumerate(addresses)).to_bytes(read.payload_bytes, "little")
        return b"".join(cells[address].to_bytes(2) for address in addresses)


@dataclass
class MemoryTransport:
    """A bus in memory, as a `Link` is one on a wire. Unknown units are silent, or answered as `default_unit`."""

    units: Mapping[int, MemoryUnit]
    default_unit: MemoryUnit | None = None
    asked: list[tuple[int, Request]] = field(default_factory=list)
    is_open: bool = False
    answer_seconds: float | None = None
    echoes: bool = False
    is_silence_doubtful: bool = False

    def pause_seconds(self, unit: int) -> float:
        return 0.0

    async def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False

    async def ask(self, unit: int, request: Request, policy: RetryPolicy) -> bytes | Mapping[int, bytes]:
        assert policy.timeout_seconds > 0
        self.asked.append((unit, request))
        there = self.units.get(unit, self.default_unit)
        if there is None:
            raise DeviceUnreachable(f"unit {unit}: no answer")
        return there.answer(request)


NONE = "<none>"
"""How a case says that there is no value: TOML has no word for it."""


@dataclass(frozen=True)
class Case:
    """A case folder: `device.toml` says what a device answers, `expected.toml` what the adapter must make of it."""

    profile: str
    origin: str
    unit: int
    configured: bool
    device: MemoryUnit
    found: Mapping[str, Any]
    readings: Mapping[str, Any]
    commands: Sequence[Mapping[str, Any]]
    settings: Mapping[str, Any]


def cells(table: Table, device: Mapping[str, Any]) -> dict[int, int]:
    """`0x5B00 = "0000 08fd"` is two registers from 0x5B00 on, `0 = "1001"` four bits from 0 on."""
    first, last = device.get("zeros", {}).get(table.value, (0, -1))
    found = dict.fromkeys(range(first, last + 1), 0)
    for address, content in device.get(table.value, {}).items():
        digits = content.replace(" ", "")
        size = 1 if table.holds_bits else 4
        for place, at in enumerate(range(0, len(digits), size)):
            found[int(address, 0) + place] = int(digits[at : at + size], 2 if table.holds_bits else 16)
    return found


def expectations(section: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if value == NONE else value for name, value in section.items()}


@pytest.fixture
def read_case() -> Callable[[Path], Case]:
    def read(folder: Path) -> Case:
        device = tomllib.loads((folder / "device.toml").read_text(encoding="utf-8"))
        expected = tomllib.loads((folder / "expected.toml").read_text(encoding="utf-8"))
        return Case(
            profile=folder.parent.name,
            origin=device["origin"],
            unit=device["unit"],
            configured=device.get("configured", False),
            device=MemoryUnit(
                tables={table: cells(table, device) for table in Table},
                identification={int(key): text.encode() for key, text in device.get("identification", {}).items()},
                server_id=bytes.fromhex(device.get("server_id", "")),
            ),
            found=expectations(expected["found"]),
            readings=expectations(expected["readings"]),
            commands=expected.get("commands", []),
            settings=expected.get("settings", {}),
        )

    return read


@pytest.fixture
def memory_unit() -> type[MemoryUnit]:
    return MemoryUnit


@pytest.fixture
def memory_transport() -> type[MemoryTransport]:
    return MemoryTransport


@pytest.fixture
def settings() -> Callable[..., ModbusSettings]:
    def make(**given: Any) -> ModbusSettings:
        buses = {} if given.keys() & {"hosts", "lines"} else {"hosts": [{"host": "127.0.0.1", "name": "bus"}]}
        return ModbusSettings.model_validate({"type": "modbus", "name": "plant", **buses, **given})

    return make


@pytest.fixture
def adapter_on(settings: Callable[..., ModbusSettings]) -> Callable[..., ModbusAdapter]:
    """An adapter on a bus in memory."""

    def make(transport: MemoryTransport, **given: Any) -> ModbusAdapter:
        return ModbusAdapter(settings(**given), transport=transport)

    return make


@pytest.fixture
def admitted() -> Callable[[Found], ChildDevice]:
    """Make a found device a child, as the gateway does."""

    def make(found: Found) -> ChildDevice:
        return ChildDevice(
            key=found.identity.key,
            adapter="plant",
            bus="bus",
            address=found.address,
            profile=found.profile,
            family=found.family,
            model_id="model",
            sub_model=found.sub_model,
            firmware_version=found.firmware_version,
            name=found.name,
        )

    return make
