"""Cut Modbus TCP answers out of a stream of bytes, also where their header is wrong and their content is unambiguous. Pure.

Section numbers are those of the Modbus Messaging on TCP/IP Implementation Guide V1.0b. The header is described in 3.1.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from adapters.modbus.client.pdu import Request
from adapters.modbus.client.rtu_frames import CHECKSUM_BYTES, crc16
from adapters.modbus.client.rtu_shapes import awaited_size

HEADER_BYTES = 7
"""Transaction id, protocol id, length, unit id."""

UNIT_AT = 6

SHORTEST_FRAME_BYTES = HEADER_BYTES + 1

LONGEST_LENGTH = 260
"""The largest plausible length field: 254 (section 4.1), and what wrong ones are too large by."""

HOST_UNITS = frozenset({0, 255})
"""Unit ids that mean the host itself (section 4.4.2)."""


class Deviation(StrEnum):
    """A mistake of a host in the header of its answers."""

    LENGTH = "their length field is wrong"
    CHECKSUM = "they end with the checksum of RTU"
    TRANSACTION = "they carry the transaction id of another request"
    PROTOCOL = "their protocol id is not 0"
    UNIT = "they name unit 0 or 255 instead of the one that is asked"


@dataclass(frozen=True, slots=True)
class MbapFrame:
    """An answer that is complete."""

    transaction: int
    unit: int
    pdu: bytes
    size: int
    """How many bytes it takes of the stream."""
    fits: bool
    """Its content answers the request by which it was cut."""
    deviations: Sequence[Deviation] = ()


def is_header(data: bytes, at: int) -> bool:
    """Return whether a header may begin here: protocol id 0 and a plausible length."""
    length = data[at + 4 : at + UNIT_AT]
    is_plausible = len(length) < 2 or 2 <= int.from_bytes(length) <= LONGEST_LENGTH
    return is_plausible and not any(data[at + 2 : at + 4])


def cut(data: bytes, at: int, request: Request | None) -> MbapFrame | None:
    """Return the answer that begins here, `None` while it is not complete.

    Its content decides where it ends if it answers the request, unless the length field is wrong by more than a checksum; any
    other answer ends where its length field says.
    """
    available = len(data) - at - HEADER_BYTES
    if available < 1:
        return None
    transaction, unit = int.from_bytes(data[at : at + 2]), data[at + UNIT_AT]
    announced = int.from_bytes(data[at + 4 : at + UNIT_AT]) - 1
    needed = 0 if request is None else _content_bytes(data, at, unit, request)
    error = announced - needed
    if needed and available >= needed and -1 <= error <= CHECKSUM_BYTES:
        return _by_content(data, at, needed, error)
    waits_for_last_byte = needed and error == -1
    if available < announced or waits_for_last_byte:
        return None
    content = data[at + HEADER_BYTES : at + HEADER_BYTES + announced]
    return MbapFrame(transaction, unit, content, HEADER_BYTES + announced, fits=False)


def _by_content(data: bytes, at: int, needed: int, error: int) -> MbapFrame:
    """Return the answer whose content has so many bytes; what its length field counts beyond them belongs to it, if there."""
    start = at + HEADER_BYTES
    end = start + needed
    deviations = [Deviation.PROTOCOL] if any(data[at + 2 : at + 4]) else []
    deviations += [Deviation.LENGTH] if error == -1 else []
    behind = data[end : end + CHECKSUM_BYTES]
    if len(behind) == CHECKSUM_BYTES and behind == crc16(data[at + UNIT_AT : end]).to_bytes(CHECKSUM_BYTES, "little"):
        deviations.append(Deviation.CHECKSUM)
        size = HEADER_BYTES + needed + CHECKSUM_BYTES
    else:
        size = min(HEADER_BYTES + needed + max(error, 0), len(data) - at)
        if size < HEADER_BYTES + needed + error:
            deviations.append(Deviation.LENGTH)
    transaction, unit = int.from_bytes(data[at : at + 2]), data[at + UNIT_AT]
    return MbapFrame(transaction, unit, data[start:end], size, fits=True, deviations=deviations)


def _content_bytes(data: bytes, at: int, unit: int, request: Request) -> int:
    """Return how many bytes the PDU here has if it answers the request; 0 when it does not, or that is not known yet.

    An RTU frame has the same content, between a unit id and a checksum.
    """
    size = awaited_size(data, at + UNIT_AT, unit, request)
    return max(size - 1 - CHECKSUM_BYTES, 0)
