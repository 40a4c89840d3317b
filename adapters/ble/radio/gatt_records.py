"""Keep the last reads, writes and notifications of characteristics in memory, for a person who looks for a fault."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from adapters.ble.advertisements.advertisement import short_uuid
from gateway.adapter import RecordedFrame, loop_time

MOST_RECORDS = 300

HIDDEN = "(not kept: it may contain a secret)"


class Access(StrEnum):
    """A kind of use of a characteristic."""

    READ = "read"
    WRITE = "write"
    NOTIFICATION = "notification of"


class _Record(NamedTuple):
    at: float
    address: str
    access: Access
    characteristic: str
    value: bytes | None
    """`None` where it may contain a secret, or there is none."""
    failure: str | None


class GattRecords:
    """The last reads, writes and notifications over the connections of one radio."""

    def __init__(self) -> None:
        self._records: deque[_Record] = deque(maxlen=MOST_RECORDS)

    def add(self, address: str, access: Access, characteristic: str, value: bytes | None, failure: str | None = None) -> None:
        """Keep a use of a characteristic that has ended now.

        Args:
            address: the present Bluetooth address of the device.
            access: how it was used.
            characteristic: its uuid.
            value: the bytes; `None` where there are none, or they may contain a secret.
            failure: why it failed.
        """
        self._records.append(_Record(loop_time(), address, access, characteristic, value, failure))

    def of(self, address: str, known_as: str) -> Sequence[RecordedFrame]:
        """Return what was exchanged with one device, the oldest first.

        Args:
            address: its present Bluetooth address.
            known_as: the address that its frames get.
        """
        return [_frame(one, known_as) for one in self._records if one.address == address]


def _frame(record: _Record, address: str) -> RecordedFrame:
    is_secret = record.value is None and record.failure is None
    meaning = f"{record.access} {short_uuid(record.characteristic)}" + (f": {record.failure}" if record.failure else "")
    return RecordedFrame(
        HIDDEN if is_secret else (record.value or b"").hex(" "),
        wall_clock(record.at),
        ">" if record.access is Access.WRITE else "<",
        address,
        meaning,
        is_wrong=record.failure is not None,
    )


def wall_clock(at: float) -> datetime:
    """Return a time of the loop's clock as one of the day, by what the clock of this machine shows now."""
    return datetime.now(UTC) - timedelta(seconds=loop_time() - at)
