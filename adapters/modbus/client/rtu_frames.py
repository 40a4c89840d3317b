"""RTU frames as bytes: how long they are, whether they are whole, what was wrong with those that are not. Nothing here waits."""

from __future__ import annotations

from adapters.modbus.client.pdu import Question, Read, ReadIdentification, ReportServerId, Table, Write

READ_REQUEST_BYTES = 8
"""An RTU frame that asks for places of a table: unit id, function, address, count, checksum."""

ANSWER_OVERHEAD_BYTES = 5
"""What an RTU answer has beside its payload: unit id, function, length, checksum."""

CHECKSUM_BYTES = 2

LONGEST_FRAME_BYTES = 256

SHORTEST_FRAME_BYTES = 4
"""Unit id, function, checksum."""


def request_bytes(question: Question) -> int:
    """Return how many characters the RTU frame of a question has."""
    match question:
        case Read():
            return READ_REQUEST_BYTES
        case ReadIdentification():
            return 7
        case ReportServerId():
            return 4
        case Write(table, _, values):
            payload = (len(values) + 7) // 8 if table is Table.COIL else 2 * len(values)
            return 8 if len(values) == 1 else 9 + payload


def longest_answer(question: Question) -> int:
    """Return how many characters the RTU frame of an answer has at most."""
    match question:
        case Read():
            return ANSWER_OVERHEAD_BYTES + question.payload_bytes
        case Write():
            return 8
        case _:
            return LONGEST_FRAME_BYTES


def frames_in(heard: bytes) -> int:
    """Return how many RTU frames with a right checksum are in what was heard, one after the other or with noise between.

    Only frames of the length that their function asks for count: of all pieces of noise, some have a right checksum.
    """
    count = start = 0
    while start <= len(heard) - SHORTEST_FRAME_BYTES:
        ends = (start + length for length in _frame_lengths(heard[start : start + READ_REQUEST_BYTES]))
        end = next((end for end in ends if end <= len(heard) and is_intact(heard[start:end])), None)
        count, start = (count, start + 1) if end is None else (count + 1, end)
    return count


def _frame_lengths(head: bytes) -> tuple[int, ...]:
    """Return how long a request and an answer that begin like this are, checksum included."""
    function = head[1]
    if function in range(1, 5):
        return READ_REQUEST_BYTES, ANSWER_OVERHEAD_BYTES + head[2]
    if function in {5, 6}:
        return (READ_REQUEST_BYTES,)
    if function in {15, 16}:
        return (READ_REQUEST_BYTES, 9 + head[6]) if len(head) > 6 else (READ_REQUEST_BYTES,)
    return (5,) if function > 0x80 else ()


def is_intact(frame: bytes) -> bool:
    """Return whether the checksum at the end is the one of what stands before it."""
    return crc16(frame[:-CHECKSUM_BYTES]) == int.from_bytes(frame[-CHECKSUM_BYTES:], "little")


def crc16(frame: bytes) -> int:
    """Return the checksum of a frame without one, to be sent low byte first (Modbus over Serial Line V1.02, section 6.2.2)."""
    crc = 0xFFFF
    for byte in frame:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


def misheard(heard: bytes, unit: int, *, is_rtu: bool) -> str:
    """Return what was wrong with the last bytes that came before the time was up; empty when there were none."""
    if not heard:
        return ""
    if len(heard) < (SHORTEST_FRAME_BYTES if is_rtu else 8):
        return f"only {len(heard)} bytes of an answer came"
    answering = heard[0] if is_rtu else heard[6]
    if not is_rtu and heard[2:4] != b"\0\0":
        return "something answered that is not Modbus TCP"
    if answering != unit:
        return f"unit {answering} answered for unit {unit}"
    if not is_rtu:
        missing = 6 + int.from_bytes(heard[4:6]) - len(heard)
        return f"the answer ended {missing} bytes early" if missing > 0 else "the answer belongs to another request"
    if is_intact(heard):
        return "the answer came, but not in a form that can be read"
    return f"the answer is damaged or cut short: {len(heard)} bytes with a wrong checksum"
