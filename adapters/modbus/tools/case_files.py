"""Read the case folder of a Modbus profile: what a device answers, and what the adapter must make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from adapters.modbus.client.pdu import ADDRESSES, Table
from adapters.modbus.tools.case_device import MemoryUnit
from gateway.adapter import CaseDevice, CaseExpected, CaseTable, CaseValue, Value, case_values, read_case_files


def _address(text: str) -> str:
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number < ADDRESSES:
        raise ValueError(f"{text!r} is no address: write one such as 0x5B00 or 23296")
    return text


def _words(text: str) -> str:
    digits = text.replace(" ", "")
    try:
        int(digits, 16)
    except ValueError:
        digits = ""
    if not digits or len(digits) % 4:
        raise ValueError(f'{text!r} is no sequence of registers: write four hexadecimal digits for each, such as "0000 08fd"')
    return digits


def _bits(text: str) -> str:
    digits = text.replace(" ", "")
    if not digits or set(digits) - set("01"):
        raise ValueError(f'{text!r} is no sequence of bits: write 0 or 1 for each, such as "1001"')
    return digits


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise ValueError(f'{text!r} is no sequence of bytes: write two hexadecimal digits for each, such as "01 06"') from error


Address = Annotated[str, AfterValidator(_address)]
AddressNumber = Annotated[int, Field(ge=0, lt=ADDRESSES)]
Registers = Annotated[dict[Address, Annotated[str, AfterValidator(_words)]], Field(default_factory=dict)]
Bits = Annotated[dict[Address, Annotated[str, AfterValidator(_bits)]], Field(default_factory=dict)]


class DeviceFile(CaseDevice):
    """`device.toml`."""

    unit: int = Field(ge=0, le=255, description="the unit id")
    holding: Registers
    input: Registers
    coil: Bits
    discrete: Bits
    zeros: dict[Table, tuple[AddressNumber, AddressNumber]] = Field(
        default={}, description="[first, last] address that holds 0 by table"
    )
    identification: dict[Literal["0", "1", "2", "3", "4", "5", "6"], str] = Field(
        default={}, description="objects of the device identification (function 43)"
    )
    server_id: Annotated[str, AfterValidator(lambda text: _bytes(text).hex())] = Field(
        default="", description="the answer to function 17"
    )

    def cells(self, table: Table) -> dict[int, int]:
        """Return words or bits by address: `0x5B00 = "0000 08fd"` is two registers from 0x5B00 on."""
        written: Mapping[str, str] = getattr(self, table.value)
        first, last = self.zeros.get(table, (0, -1))
        found = dict.fromkeys(range(first, last + 1), 0)
        size, base = (1, 2) if table.holds_bits else (4, 16)
        for address, digits in written.items():
            for place, at in enumerate(range(0, len(digits), size)):
                found[int(address, 0) + place] = int(digits[at : at + size], base)
        return found


class FoundFacts(CaseTable):
    """The facts that a scan must report about the device."""

    profile: str | None = None
    family: str | None = None
    sub_model: str | None = None
    identity: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    mac: str | None = None
    firmware_version: str | None = None
    name: str | None = None
    confidence: str | None = None


class CaseCommand(CaseTable):
    """A command and the frame that it sends."""

    name: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    frame: Annotated[str, AfterValidator(lambda text: _bytes(text).hex(" "))]
    after: dict[str, CaseValue] = Field(default_factory=dict)


class ExpectedFile(CaseExpected):
    """`expected.toml`."""

    found: FoundFacts
    commands: tuple[CaseCommand, ...] = ()
    settings: dict[str, CaseValue] = Field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """A case folder: the device in memory, and what is expected of it."""

    profile: str
    origin: str
    unit: int
    configured: bool
    device: MemoryUnit
    found: Mapping[str, str | None]
    readings: Mapping[str, Value]
    commands: tuple[CaseCommand, ...]
    settings: Mapping[str, Any]


def read_case(folder: Path) -> Case:
    """Return the case in a folder, whose parent has the name of the profile.

    Raises:
        ProfileProblems: a file of it is missing or has mistakes; the text lists those of both files.
    """
    device, expected = read_case_files(folder, DeviceFile, ExpectedFile)
    facts = expected.found.model_dump(exclude_unset=True)
    return Case(
        profile=folder.absolute().parent.name,
        origin=device.origin,
        unit=device.unit,
        configured=device.configured,
        device=MemoryUnit(
            tables={table: device.cells(table) for table in Table},
            identification={int(key): text.encode() for key, text in device.identification.items()},
            server_id=bytes.fromhex(device.server_id),
        ),
        found=case_values(facts),
        readings=case_values(expected.readings),
        commands=expected.commands,
        settings=expected.settings,
    )
