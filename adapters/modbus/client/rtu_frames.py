"""Compute the lengths and checksums of RTU frames, and describe bad frames. Pure."""

from __future__ import annotations

from adapters.modbus.client.pdu import ReadDeviceIdentification, ReadRequest, ReportServerId, Request, Table, WriteRequest
from gateway.adapter import Cause

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


def is_intact(frame: bytes) -> bool:
    """Return whether the checksum at the end of a frame is correct."""
    return crc16(frame[:-CHECKSUM_BYTES]) == int.from_bytes(frame[-CHECKSUM_BYTES:], "little")


def with_checksum(content: bytes) -> bytes:
    """Return unit id and PDU with their checksum."""
    return content + crc16(content).to_bytes(CHECKSUM_BYTES, "little")


def crc16(frame: bytes, crc: int = 0xFFFF) -> int:
    """Return the checksum of these bytes, which is sent low byte first (Modbus over Serial Line V1.02, section 6.2.2).

    Args:
        frame: the bytes.
        crc: the checksum of the bytes before them.
    """
    for byte in frame:
        crc = crc >> 8 ^ _CRC_OF_BYTE[(crc ^ byte) & 0xFF]
    return crc


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC_OF_BYTE = tuple(map(_crc_of_byte, range(256)))


def describe_bad_frame(received: bytes, unit: int, *, is_rtu: bool) -> str:
    """Return what is wrong with the last bytes received before the time-out; empty when there were none."""
    if not received:
        return ""
    if len(received) < (SHORTEST_FRAME_BYTES if is_rtu else 8):
        return f"only {_bytes_text(len(received))} of an answer arrived"
    if is_rtu and not is_intact(received):  # so its first byte need not be a unit id
        return f"the answer is damaged or cut short: {len(received)} bytes with a wrong checksum"
    answering = received[0] if is_rtu else received[6]
    if not is_rtu and received[2:4] != b"\0\0":
        return "the answer is not Modbus TCP"
    if answering != unit:
        return f"unit {answering} answered for unit {unit}"
    if not is_rtu:
        missing = 6 + int.from_bytes(received[4:6]) - len(received)
        return f"the answer ended {_bytes_text(missing)} early" if missing > 0 else "the answer belongs to another request"
    return "the answer does not fit the request: if the unit is slow, this was a late one, and needs a longer `timeout`"


def cause_of_bad_frame(received: bytes, unit: int, *, is_rtu: bool) -> Cause:
    """Return what kind of fault the last bytes received before the time-out show."""
    if not received:
        return Cause.NO_ANSWER
    if is_rtu:
        if len(received) < SHORTEST_FRAME_BYTES or not is_intact(received):
            return Cause.CHECKSUM_ERRORS
        return Cause.OTHER_DEVICE if received[0] != unit else Cause.WRONG_ANSWER
    is_another = len(received) >= 8 and received[2:4] == b"\0\0" and received[6] != unit
    return Cause.OTHER_DEVICE if is_another else Cause.WRONG_ANSWER


def _bytes_text(number: int) -> str:
    return f"{number} byte{'' if number == 1 else 's'}"
