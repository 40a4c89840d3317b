"""Define Modbus requests and responses, exception codes and protocol limits. Pure.

Section numbers are those of the Modbus Application Protocol Specification V1.1b3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final, TypeAlias

from gateway.adapter import Cause, DeviceUnreachable

MAX_REGISTERS = 125
"""The most registers in one read (sections 6.3 and 6.4)."""

MAX_BITS = 2000
"""The most coils or discrete inputs in one read (sections 6.1 and 6.2)."""

MAX_REGISTERS_WRITTEN = 123
"""The most registers in one write (section 6.12)."""

MAX_BITS_WRITTEN = 1968
"""The most coils in one write (section 6.11)."""

ADDRESSES = 65536
"""How many addresses each table has; the first is 0 in a frame, whatever a manual calls it (section 4.4)."""


class Table(StrEnum):
    """The four tables of a unit (section 4.3)."""

    COIL = "coil"
    DISCRETE = "discrete"
    INPUT = "input"
    HOLDING = "holding"

    @property
    def holds_bits(self) -> bool:
        """Whether an address of this table holds one bit instead of a 16-bit register."""
        return self in {Table.COIL, Table.DISCRETE}


class IdentificationLevel(IntEnum):
    """The part of the device identification that is read (section 6.21)."""

    BASIC = 1
    """Objects 0 to 2: vendor, product code, revision."""
    ONE_OBJECT = 4


_READ_FUNCTIONS: Mapping[Table, int] = {Table.COIL: 1, Table.DISCRETE: 2, Table.HOLDING: 3, Table.INPUT: 4}


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """A read of consecutive addresses of one table (functions 1 to 4)."""

    table: Table
    address: int
    """The first address, 0-based as in the frame."""
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
        """The number of bytes that the answer must hold."""
        return (self.count + 7) // 8 if self.table.holds_bits else 2 * self.count


FIRST_REGISTER = ReadRequest(Table.HOLDING, 0, 1)
"""The cheapest request that nearly every unit answers, if only with an exception."""


@dataclass(frozen=True, slots=True)
class ReadDeviceIdentification:
    """A read of the device identification (function 43, MEI type 14)."""

    level: IdentificationLevel = IdentificationLevel.BASIC
    object_id: int = 0
    """The first object; at `IdentificationLevel.ONE_OBJECT` the only one."""

    @property
    def function(self) -> int:
        """The function code."""
        return 43

    def __str__(self) -> str:
        return "identification (43/14)" + (f" object {self.object_id}" if self.level is IdentificationLevel.ONE_OBJECT else "")


@dataclass(frozen=True, slots=True)
class ReportServerId:
    """A read of the server id (function 17), whose content each maker defines."""

    @property
    def function(self) -> int:
        """The function code."""
        return 17

    def __str__(self) -> str:
        return "server id (17)"


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """A write to consecutive addresses of one table: functions 5 and 15 for coils, 6 and 16 for holding registers.

    Raises:
        ValueError: the table cannot be written, or there are too many values for one write (sections 6.11 and 6.12).
    """

    table: Table
    address: int
    """The first address, 0-based as in the frame."""
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
        """The bytes after the function code in the response to a successful write (sections 6.5, 6.6, 6.11 and 6.12)."""
        if len(self.values) > 1:
            return self.address.to_bytes(2) + len(self.values).to_bytes(2)
        value = self.values[0]
        return self.address.to_bytes(2) + ((0xFF00 if value else 0) if self.table is Table.COIL else value).to_bytes(2)

    def __str__(self) -> str:
        return f"a write to {ReadRequest(self.table, self.address, len(self.values))}"


Request: TypeAlias = ReadRequest | ReadDeviceIdentification | ReportServerId | WriteRequest

EXCEPTION_BIT = 0x80
"""Set in the function code of an exception response (section 7)."""

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

TARGET_DID_NOT_RESPOND = 0x0B
"""The exception code of a Modbus gateway that passed the request on and got no answer."""

ABSENT_UNIT_CODES = frozenset({0x0A, TARGET_DID_NOT_RESPOND})
"""Exception codes with which a Modbus gateway reports that the unit behind it is not there; the unit itself did not answer."""


class ExceptionResponse(Exception):
    """The unit answered with a Modbus exception. Never leaves this adapter."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code:02X} {EXCEPTION_NAMES.get(code, 'defined by the maker')}")
        self.code = code
        """1 to 255 (section 7)."""


BEHIND_STEP: Final = (
    "The host answers, but not the device behind it: check its power, its unit id and the line between both. If it answers at "
    "times, lengthen `request_pause`, and let no other program ask the host"
)


class NoSuchUnit(DeviceUnreachable):
    """A Modbus gateway reported that the unit is not there: further requests to it are useless."""

    def __init__(self, text: str, *, was_forwarded: bool = False) -> None:
        super().__init__(text, cause=Cause.NO_ANSWER, next_step=BEHIND_STEP)
        self.was_forwarded = was_forwarded
        """The Modbus gateway has sent the request to the unit, which may have received it."""


@dataclass(frozen=True, slots=True)
class NoResponse:
    """There was no answer, or none that can be trusted."""

    reason: str
    is_absent: bool = False
    """A Modbus gateway reported that the unit is not there."""


Response: TypeAlias = bytes | Mapping[int, bytes] | ExceptionResponse | NoResponse
"""The bytes (`ReadRequest`, `ReportServerId`), the identification objects by id, or why there are none."""


MEI_IDENTIFICATION = 0x0E
"""The MEI type of the device identification in function 43."""


@dataclass(frozen=True, slots=True)
class IdentificationPage:
    """The content of one response to a read of the device identification."""

    objects: dict[int, bytes]
    next_object: int | None
    """The first object of the next page; `None` on the last page."""


def parse_identification(payload: bytes) -> IdentificationPage | None:
    """Return the page in the bytes after the function code, `None` when they are not a page (section 6.21).

    Truncated objects are left out.
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
    return IdentificationPage(objects, next_object if more_follows == 0xFF else None)
