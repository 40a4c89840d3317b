"""What can be asked of a Modbus unit and what it can answer, in the protocol's own terms. Nothing here waits.

Section numbers are those of the Modbus Application Protocol Specification V1.1b3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias

from gateway.adapter import DeviceUnreachable

MAX_REGISTERS = 125
"""At most so many registers in one read (sections 6.3 and 6.4)."""

MAX_BITS = 2000
"""At most so many coils or discrete inputs in one read (sections 6.1 and 6.2)."""

MAX_REGISTERS_WRITTEN = 123
"""At most so many registers in one write (section 6.12)."""

MAX_BITS_WRITTEN = 1968
"""At most so many coils in one write (section 6.11)."""

ADDRESSES = 65536
"""Each table has so many places; the first one is address 0 on the wire, whatever a manual calls it (section 4.4)."""


class Table(StrEnum):
    """The four tables of a unit (section 4.3)."""

    COIL = "coil"
    DISCRETE = "discrete"
    INPUT = "input"
    HOLDING = "holding"

    @property
    def holds_bits(self) -> bool:
        """Whether a place in this table is one bit instead of one 16-bit register."""
        return self in {Table.COIL, Table.DISCRETE}


class Level(IntEnum):
    """How much of the device identification is asked for (section 6.21)."""

    BASIC = 1
    """Objects 0 to 2: vendor, product code, revision."""
    ONE_OBJECT = 4


_READ_FUNCTIONS: Mapping[Table, int] = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}


@dataclass(frozen=True, slots=True)
class Read:
    """Read neighbouring places of one table (functions 1 to 4)."""

    table: Table
    address: int
    """The first place, 0-based as on the wire."""
    count: int

    def __str__(self) -> str:
        last = self.address + self.count - 1
        return f"{self.table} {self.address}" + (f"-{last}" if self.count > 1 else "")

    @property
    def function(self) -> int:
        """The function code: 1 to 4."""
        return _READ_FUNCTIONS[self.table]

    @property
    def payload_bytes(self) -> int:
        """How many bytes a true answer holds."""
        return (self.count + 7) // 8 if self.table.holds_bits else 2 * self.count


FIRST_REGISTER = Read(Table.HOLDING, 0, 1)
"""The cheapest question that nearly every unit answers, if only with an exception."""


@dataclass(frozen=True, slots=True)
class ReadIdentification:
    """Read the device identification (function 43, MEI type 14)."""

    level: Level = Level.BASIC
    object_id: int = 0
    """Where to begin; the one object that is meant at `Level.ONE_OBJECT`."""

    @property
    def function(self) -> int:
        """The function code."""
        return 43

    def __str__(self) -> str:
        return "identification (43/14)" + (f" object {self.object_id}" if self.level is Level.ONE_OBJECT else "")


@dataclass(frozen=True, slots=True)
class ReportServerId:
    """Ask the unit what it is (function 17); what it says is each maker's own invention."""

    @property
    def function(self) -> int:
        """The function code."""
        return 17

    def __str__(self) -> str:
        return "server id (17)"


@dataclass(frozen=True, slots=True)
class Write:
    """Write neighbouring places of one table: functions 5 and 15 for coils, 6 and 16 for holding registers.

    Raises:
        ValueError: the table cannot be written to, or not with so many values at once (sections 6.11 and 6.12).
    """

    table: Table
    address: int
    """The first place, 0-based as on the wire."""
    values: tuple[int, ...]
    """A word for each register, 0 or 1 for each coil."""

    def __post_init__(self) -> None:
        most = {Table.COIL: MAX_BITS_WRITTEN, Table.HOLDING: MAX_REGISTERS_WRITTEN}.get(self.table, 0)
        if not 1 <= len(self.values) <= most:
            raise ValueError(f"{len(self.values)} values cannot be written to {self.table} at once: at most {most}")

    @property
    def function(self) -> int:
        """The function code: 5 or 6 for one value, 15 or 16 for several."""
        single = 5 if self.table is Table.COIL else 6
        return single if len(self.values) == 1 else single + 10

    @property
    def confirmation(self) -> bytes:
        """What a unit that has obeyed answers after the function code (sections 6.5, 6.6, 6.11 and 6.12)."""
        if len(self.values) > 1:
            return self.address.to_bytes(2) + len(self.values).to_bytes(2)
        value = self.values[0]
        return self.address.to_bytes(2) + ((0xFF00 if value else 0) if self.table is Table.COIL else value).to_bytes(2)

    def __str__(self) -> str:
        return f"a write to {Read(self.table, self.address, len(self.values))}"


Question: TypeAlias = Read | ReadIdentification | ReportServerId | Write

EXCEPTION_NAMES: Mapping[int, str] = {
    0x01: "illegal function",
    0x02: "illegal data address",
    0x03: "illegal data value",
    0x04: "device failure",
    0x05: "acknowledge",
    0x06: "device busy",
    0x07: "negative acknowledge",
    0x08: "memory parity error",
    0x0A: "gateway path unavailable",
    0x0B: "gateway target did not respond",
}
"""Exception codes (section 7)."""

ABSENCES = frozenset({0x0A, 0x0B})
"""With these a gateway says that the unit behind it is not there; the unit itself said nothing."""


class Refused(Exception):
    """The unit is alive and answers with a Modbus exception. Never leaves this adapter."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code:02X} {EXCEPTION_NAMES.get(code, 'of the maker')}")
        self.code = code
        """1 to 255 (section 7)."""


class NoSuchUnit(DeviceUnreachable):
    """A gateway on the way says that the unit is not there: no use asking it something else."""


@dataclass(frozen=True, slots=True)
class Silence:
    """No answer, or none that can be trusted."""

    reason: str
    certain: bool = False
    """A gateway said that nobody is there."""


Answer: TypeAlias = bytes | Mapping[int, bytes] | Refused | Silence
"""Bytes as they came (`Read`, `ReportServerId`), identification objects by id, or why there are none."""


MEI_IDENTIFICATION = 0x0E
"""What function 43 carries when it is about the device identification."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer to a read of the device identification."""

    objects: dict[int, bytes]
    next_object: int | None
    """Where to go on; `None` when that was all."""


def parse_identification(payload: bytes) -> Page | None:
    """Return the page in the bytes after the function code, `None` when they are none (section 6.21).

    Objects that are cut short are left out.
    """
    header = 6
    if len(payload) < header or payload[0] != MEI_IDENTIFICATION:
        return None
    more_follows, next_object, count = payload[3], payload[4], payload[5]
    objects: dict[int, bytes] = {}
    at = header
    for _ in range(count):
        if len(payload) < at + 2 or len(payload) < at + 2 + payload[at + 1]:
            break
        objects.setdefault(payload[at], payload[at + 2 : at + 2 + payload[at + 1]])
        at += 2 + payload[at + 1]
    return Page(objects, next_object if more_follows == 0xFF else None)
