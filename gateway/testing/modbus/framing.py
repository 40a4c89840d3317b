"""Extract requests from a stream of bytes, and frame answers, for Modbus TCP and RTU. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

_MBAP = struct.Struct(">HHHB")
_RTU_LONGEST = 256
_FIXED_SIZES: Mapping[int, int] = MappingProxyType(
    {1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 6: 8, 7: 4, 8: 8, 11: 4, 12: 4, 17: 4, 22: 10, 24: 6, 43: 7}
)
_BYTE_COUNT_AT: Mapping[int, int] = MappingProxyType({15: 6, 16: 6, 20: 2, 21: 2, 23: 10})


@dataclass(frozen=True, slots=True)
class Frame:
    """A request or an answer with its addressing."""

    unit_id: int
    pdu: bytes
    transaction: int = 0
    """Returned unchanged in the answer. Modbus TCP only."""


class NotModbus(ValueError):
    """The received bytes are not in this framing, so that the start of the next request cannot be found."""


class Framing(Protocol):
    """The framing of requests and answers in a stream of bytes."""

    def take(self, buffer: bytearray, *, after_silence: bool = False) -> Iterator[Frame]:
        """Cut all complete requests off the front of the buffer.

        After a pause the buffer is complete: bytes that are not a request by then are dropped.

        Raises:
            NotModbus: no request can begin like this.
        """

    def bytes_of(self, frame: Frame, *, wrong_crc: bool = False) -> bytes:
        """Return the bytes of the frame."""


class Mbap:
    """Frames with the header of Modbus TCP (Modbus Messaging on TCP/IP V1.0b, section 3.1.3)."""

    def take(self, buffer: bytearray, *, after_silence: bool = False) -> Iterator[Frame]:
        """Cut requests off by the length in their headers; a pause has no meaning here."""
        while len(buffer) >= _MBAP.size:
            transaction, protocol, length, unit_id = _MBAP.unpack_from(buffer)
            if protocol != 0 or not 2 <= length <= 254:
                raise NotModbus(f"protocol {protocol}, length {length}")
            end = _MBAP.size - 1 + length
            if len(buffer) < end:
                return
            pdu = bytes(buffer[_MBAP.size : end])
            del buffer[:end]
            yield Frame(unit_id, pdu, transaction)

    def bytes_of(self, frame: Frame, *, wrong_crc: bool = False) -> bytes:
        """Return header and PDU; there is no checksum."""
        return _MBAP.pack(frame.transaction, 0, len(frame.pdu) + 1, frame.unit_id) + frame.pdu


class Rtu:
    """Frames with a checksum and no length (Modbus over Serial Line V1.02, section 2.5.1).

    A request whose length follows from its function is recognized as soon as it is complete, any other by the pause after it.
    Bytes with a wrong checksum are skipped one by one until a request begins, so noise before a request costs at most one pause.
    """

    def take(self, buffer: bytearray, *, after_silence: bool = False) -> Iterator[Frame]:
        """Cut requests with a correct checksum off; after a pause leave nothing."""
        while buffer:
            size = _request_size(buffer)
            if after_silence and (size is None or size > len(buffer)) and _is_intact(buffer):
                size = len(buffer)
            if size is not None and size <= len(buffer) and _is_intact(buffer[:size]):
                frame = Frame(buffer[0], bytes(buffer[1 : size - 2]))
                del buffer[:size]
                yield frame
            elif not after_silence and (size is None or size > len(buffer)) and len(buffer) < _RTU_LONGEST:
                return
            else:
                del buffer[0]

    def bytes_of(self, frame: Frame, *, wrong_crc: bool = False) -> bytes:
        """Return unit id, PDU and checksum."""
        content = bytes([frame.unit_id]) + frame.pdu
        return content + (crc16(content) ^ (0xFFFF if wrong_crc else 0)).to_bytes(2, "little")


def crc16(content: bytes | bytearray) -> int:
    """Return the checksum of an RTU frame, to be sent low byte first (Modbus over Serial Line V1.02, section 6.2.2)."""
    crc = 0xFFFF
    for byte in content:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def _is_intact(frame: bytes | bytearray) -> bool:
    return len(frame) >= 4 and crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")


def _request_size(buffer: bytearray) -> int | None:
    """Return how long the request at the front is, with its checksum; `None` when that is not known (yet)."""
    if len(buffer) < 2:
        return None
    count_at = _BYTE_COUNT_AT.get(buffer[1])
    if count_at is None:
        return _FIXED_SIZES.get(buffer[1])
    return None if len(buffer) <= count_at else count_at + 1 + buffer[count_at] + 2
