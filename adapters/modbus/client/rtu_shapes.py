"""Compute how long an RTU request or answer is that begins at an offset of received bytes. Pure.

An RTU frame states neither its length nor its direction; both follow from its function (Modbus Application Protocol V1.1b3,
section 6). `UNKNOWN` says that more bytes are needed, `NO_FRAME` that no frame begins there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from adapters.modbus.client.pdu import (
    ADDRESSES,
    EXCEPTION_BIT,
    MAX_BITS,
    MAX_BITS_WRITTEN,
    MAX_REGISTERS,
    MAX_REGISTERS_WRITTEN,
    MEI_IDENTIFICATION,
    ReadRequest,
    Request,
    WriteRequest,
)
from adapters.modbus.client.rtu_frames import ANSWER_OVERHEAD_BYTES, CHECKSUM_BYTES, LONGEST_FRAME_BYTES

NO_FRAME = 0
UNKNOWN = -1

EXCEPTION_BYTES = 5
"""Unit id, function, exception code, checksum."""

_Size: TypeAlias = Callable[[bytes, int], int]
"""Returns the length of the frame at this offset, checksum included, `UNKNOWN` or `NO_FRAME`."""


def answer_size(data: bytes, at: int) -> int:
    """Return the length of an answer of any unit that begins here."""
    if len(data) < at + 2:
        return UNKNOWN
    function = data[at + 1]
    if function & EXCEPTION_BIT:
        return EXCEPTION_BYTES if function ^ EXCEPTION_BIT in _ANSWERS else NO_FRAME
    size = _ANSWERS.get(function)
    return NO_FRAME if size is None else size(data, at)


def request_size(data: bytes, at: int) -> int:
    """Return the length of a request of another master that begins here."""
    if len(data) < at + 2:
        return UNKNOWN
    size = _REQUESTS.get(data[at + 1])
    return NO_FRAME if size is None else size(data, at)


def awaited_size(data: bytes, at: int, unit: int, request: Request) -> int:
    """Return the length of the answer to this request, if it begins here: of the right size, or an exception."""
    if data[at] != unit:
        return NO_FRAME
    if len(data) == at + 1:
        return UNKNOWN
    function = data[at + 1]
    if function == request.function | EXCEPTION_BIT:
        return EXCEPTION_BYTES
    if function != request.function:
        return NO_FRAME
    match request:
        case ReadRequest(payload_bytes=wanted):
            if len(data) == at + 2:
                return UNKNOWN
            return ANSWER_OVERHEAD_BYTES + wanted if data[at + 2] == wanted else NO_FRAME
        case WriteRequest(confirmation=confirmation):
            return 4 + len(confirmation) if confirmation.startswith(data[at + 2 : at + 2 + len(confirmation)]) else NO_FRAME
        case _:
            return answer_size(data, at)


def answers_to(request: bytes) -> tuple[int, int | None]:
    """Return the function and the length of the answer to a request frame of another master; `None` for any length."""
    function, count = request[1], int.from_bytes(request[4:6])
    if function in {1, 2}:
        return function, ANSWER_OVERHEAD_BYTES + (count + 7) // 8
    if function in {3, 4}:
        return function, ANSWER_OVERHEAD_BYTES + 2 * count
    return function, None


def _fixed(size: int) -> _Size:
    return lambda data, at: size


def _counted(place: int) -> _Size:
    """Return the size of a frame whose byte count is at this place."""

    def size(data: bytes, at: int) -> int:
        if len(data) <= at + place:
            return UNKNOWN
        whole = place + 1 + data[at + place] + CHECKSUM_BYTES
        return whole if whole <= LONGEST_FRAME_BYTES else NO_FRAME

    return size


def _queue_size(data: bytes, at: int) -> int:
    """Return the size of an answer to Read FIFO Queue, whose byte count has two bytes (section 6.18)."""
    if len(data) < at + 4:
        return UNKNOWN
    whole = 4 + int.from_bytes(data[at + 2 : at + 4]) + CHECKSUM_BYTES
    return whole if whole <= LONGEST_FRAME_BYTES else NO_FRAME


def _identification_size(data: bytes, at: int) -> int:
    """Return the size of an answer with identification objects, each with a length of its own (section 6.21)."""
    end, header = len(data), at + 8
    if end > at + 2 and data[at + 2] != MEI_IDENTIFICATION:
        return NO_FRAME
    if end < header:
        return UNKNOWN
    place = header
    for _ in range(data[header - 1]):
        if end < place + 2:
            return UNKNOWN if place + 2 - at <= LONGEST_FRAME_BYTES else NO_FRAME
        place += 2 + data[place + 1]
    whole = place - at + CHECKSUM_BYTES
    return whole if whole <= LONGEST_FRAME_BYTES else NO_FRAME


def _read_size(most: int) -> _Size:
    """Return the size of a read request, if its addresses and its count can be."""

    def size(data: bytes, at: int) -> int:
        if len(data) < at + 6:
            return UNKNOWN
        address, count = int.from_bytes(data[at + 2 : at + 4]), int.from_bytes(data[at + 4 : at + 6])
        return 8 if 1 <= count <= most and address + count <= ADDRESSES else NO_FRAME

    return size


def _coil_size(data: bytes, at: int) -> int:
    """Return the size of a write of one coil, whose value is FF00 or 0000 (section 6.5)."""
    if len(data) < at + 6:
        return UNKNOWN
    return 8 if data[at + 4 : at + 6] in {b"\xff\x00", b"\x00\x00"} else NO_FRAME


def _long_write_size(most: int, *, bits: bool) -> _Size:
    """Return the size of a write of several values, if its count and its byte count fit together."""

    def size(data: bytes, at: int) -> int:
        if len(data) < at + 7:
            return UNKNOWN
        count = int.from_bytes(data[at + 4 : at + 6])
        payload = (count + 7) // 8 if bits else 2 * count
        return 9 + payload if 1 <= count <= most and data[at + 6] == payload else NO_FRAME

    return size


def _search_size(data: bytes, at: int) -> int:
    """Return the size of a request for device identification (section 6.21)."""
    if len(data) < at + 4:
        return UNKNOWN
    return 7 if data[at + 2] == MEI_IDENTIFICATION and 1 <= data[at + 3] <= 4 else NO_FRAME


_SHARED: Mapping[int, _Size] = {5: _coil_size, 6: _fixed(8), 8: _fixed(8), 22: _fixed(10)}
"""Functions whose answer looks like the request."""

_ANSWERS: Mapping[int, _Size] = {
    **dict.fromkeys((1, 2, 3, 4, 12, 17, 20, 21, 23), _counted(2)),
    **_SHARED,
    7: _fixed(5),
    11: _fixed(8),
    15: _fixed(8),
    16: _fixed(8),
    24: _queue_size,
    43: _identification_size,
}

_REQUESTS: Mapping[int, _Size] = {
    **dict.fromkeys((1, 2), _read_size(MAX_BITS)),
    **dict.fromkeys((3, 4), _read_size(MAX_REGISTERS)),
    **dict.fromkeys((7, 11, 12, 17), _fixed(4)),
    **_SHARED,
    15: _long_write_size(MAX_BITS_WRITTEN, bits=True),
    16: _long_write_size(MAX_REGISTERS_WRITTEN, bits=False),
    20: _counted(2),
    21: _counted(2),
    23: _counted(10),
    24: _fixed(6),
    43: _search_size,
}
