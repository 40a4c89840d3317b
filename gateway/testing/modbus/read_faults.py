"""Simulate devices that refuse some reads, for a time or for good, or do not return many registers at once. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal, TypeAlias

from gateway.testing.modbus.exception_codes import ExceptionResponse
from gateway.testing.modbus.signals import Table


class NotAnswered(Exception):
    """The unit does not answer this request."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefusedAddresses:
    """Addresses that cannot be read: a read that contains one of them is refused as a whole."""

    addresses: range
    table: Table | None = None
    """The table; `None` for all of them."""
    code: int | None = 0x02
    """The exception code, 0 to 255: also one that no specification has. `None`: such a read is not answered."""
    times: int | None = None
    """How many reads are refused before they are answered; `None` for all."""
    from_seconds: float = 0.0
    """From when on they are refused, after the unit was switched on and by its clock."""
    until_seconds: float = inf
    """Until when: a device that is starting, or asleep at night."""

    def concern(self, table: Table, start: int, count: int, seconds: float) -> bool:
        """Return whether a read is refused at this many seconds after the unit was switched on, if `times` are not over."""
        is_time = self.from_seconds <= seconds < self.until_seconds
        is_here = self.addresses.start < start + count and start < self.addresses.stop
        return is_time and is_here and self.table in {None, table}


TooLong: TypeAlias = Literal["silent", "short"] | int
"""What becomes of a read that is too long: no answer, an answer with as many registers as possible, or an exception code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongReads:
    """The reaction of a device to reads of more registers than it can return at once."""

    registers: int
    """The most that it returns, 1 to 125."""
    then: TooLong = "silent"


class ReadFaults:
    """The faults of a unit in reads, and how often it has refused each of its addresses."""

    def __init__(self) -> None:
        self._refused: dict[RefusedAddresses, int] = {}

    def refuse(self, faults: tuple[RefusedAddresses, ...], table: Table, start: int, count: int, seconds: float) -> None:
        """Refuse a read of these addresses where one of the faults says so.

        Raises:
            ExceptionResponse: the unit answers with an exception.
            NotAnswered: it does not answer.
        """
        for fault in faults:
            refused = self._refused.get(fault, 0)
            if fault.concern(table, start, count, seconds) and (fault.times is None or refused < fault.times):
                self._refused[fault] = refused + 1
                raise _outcome(fault.code)

    @staticmethod
    def shorten(fault: LongReads | None, table: Table, count: int) -> int:
        """Return how many registers are returned of so many.

        Raises:
            ExceptionResponse: the unit answers with an exception.
            NotAnswered: it does not answer.
        """
        if fault is None or table.holds_bits or count <= fault.registers:
            return count
        if fault.then == "short":
            return fault.registers
        raise _outcome(None if fault.then == "silent" else int(fault.then))


def _outcome(code: int | None) -> Exception:
    return NotAnswered() if code is None else ExceptionResponse(code)
