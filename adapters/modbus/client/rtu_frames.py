"""Compute the lengths and checksums of RTU frames, count frames in received bytes, and describe bad frames. Pure."""

from __future__ import annotations

from adapters.modbus.client.pdu import ReadDeviceIdentification, ReadRequest, ReportServerId, Request, Table, WriteRequest

READ_REQUEST_BYTES = 8
"""The length of a read request: unit id, function, address, count, checksum."""

ANSWER_OVERHEAD_BYTES = 5
"""The bytes of an answer to a read beside its payload: unit id, function, byte count, checksum."""

CHECKSUM_BYTES = 2

LONGEST_FRAME_BYTES = 256

SHORTEST_FRAME_BYTES = 4
"""Unit id, function, checksum."""


def request_bytes(request: Request) -> int:
    """Return how many characters the RTU frame of a request has."""
    match request:
        case ReadRequest():
            return READ_REQUEST_BYTES
        case ReadDeviceIdentification():
            return 7
        case ReportServerId():
            return 4
        case WriteRequest(table, _, values):
            payload = (len(values) + 7) // 8 if table is Table.COIL else 2 * len(values)
            return 8 if len(values) == 1 else 9 + payload


def longest_answer(request: Request) -> int:
    """Return how many characters the RTU frame of the answer to a request has at most."""
    match request:
        case ReadRequest():
            return ANSWER_OVERHEAD_BYTES + request.payload_bytes
        case WriteRequest():
            return 8
        case _:
            return LONGEST_FRAME_BYTES


def frames_in(received: bytes) -> int:
    """Return how many RTU frames with a correct checksum the received bytes contain, with or without noise between them.

    Only frames of the length that belongs to their function count: noise has a correct checksum now and then.
    """
    count = start = 0
    while start <= len(received) - SHORTEST_FRAME_BYTES:
        ends = (start + length for length in _frame_lengths(received[start : start + READ_REQUEST_BYTES]))
        end = next((end for end in ends if end <= len(received) and is_intact(received[start:end])), None)
        count, start = (count, start + 1) if end is None else (count + 1, end)
    return count


def _frame_lengths(head: bytes) -> tuple[int, ...]:
    """Return the lengths of a request and of an answer that begin like this, checksum included."""
    function = head[1]
    if function in range(1, 5):
        return READ_REQUEST_BYTES, ANSWER_OVERHEAD_BYTES + head[2]
    if function in {5, 6}:
        return (READ_REQUEST_BYTES,)
    if function in {15, 16}:
        return (READ_REQUEST_BYTES, 9 + head[6]) if len(head) > 6 else (READ_REQUEST_BYTES,)
    return (5,) if function > 0x80 else ()


def is_intact(frame: bytes) -> bool:
    """Return whether the checksum at the end of a frame is correct."""
    return crc16(frame[:-CHECKSUM_BYTES]) == int.from_bytes(frame[-CHECKSUM_BYTES:], "little")


def crc16(frame: bytes) -> int:
    """Return the checksum of these bytes, which is sent low byte first (Modbus over Serial Line V1.02, section 6.2.2)."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def describe_bad_frame(received: bytes, unit: int, *, is_rtu: bool) -> str:
    """Return what is wrong with the last bytes received before the time-out; empty when there were none."""
    if not received:
        return ""
    if len(received) < (SHORTEST_FRAME_BYTES if is_rtu else 8):
        return f"only {len(received)} bytes of an answer arrived"
    answering = received[0] if is_rtu else received[6]
    if not is_rtu and received[2:4] != b"\0\0":
        return "the answer is not Modbus TCP"
    if answering != unit:
        return f"unit {answering} answered for unit {unit}"
    if not is_rtu:
        missing = 6 + int.from_bytes(received[4:6]) - len(received)
        return f"the answer ended {missing} bytes early" if missing > 0 else "the answer belongs to another request"
    if is_intact(received):
        return "the answer arrived in a form that cannot be decoded"
    return f"the answer is damaged or cut short: {len(received)} bytes with a wrong checksum"
