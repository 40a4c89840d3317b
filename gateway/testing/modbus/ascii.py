"""Extract requests from a stream of characters, and frame answers, for Modbus ASCII. Pure."""

from __future__ import annotations

import string
from collections.abc import Iterator
from typing import Literal, TypeAlias

from gateway.testing.modbus.framing import Frame, Framing, Rtu

SerialFraming: TypeAlias = Literal["rtu", "ascii"]

_COLON, _CR, _LF = b":", b"\r", b"\n"
_DIGITS = frozenset(string.hexdigits.encode())
_LONGEST = 513


class Ascii:
    """Frames of hexadecimal digits between a colon and CR LF (Modbus over Serial Line V1.02, section 2.5.2).

    Requests are understood in capitals and in small letters. What is no frame is skipped up to the next colon.

    Args:
        lower_case: answers have small letters, as of some units.
        begins_with: what begins an answer: a colon, or `>` as of some wall boxes.
        ends_with: what ends an answer: CR LF, or CR and another delimiter (Modbus Application Protocol V1.1b3, section 6.8).
    """

    def __init__(self, *, lower_case: bool = False, begins_with: bytes = _COLON, ends_with: bytes = _CR + _LF) -> None:
        self._lower_case = lower_case
        self._begins_with = begins_with
        self._ends_with = ends_with

    def take(self, buffer: bytearray, *, after_silence: bool = False) -> Iterator[Frame]:
        """Cut requests with a correct checksum off; a pause has no meaning here."""
        while (end := buffer.find(_CR)) >= 0:
            begin = buffer.rfind(_COLON, 0, end)
            digits = bytes(buffer[begin + 1 : end]) if begin >= 0 else b""
            del buffer[: end + 1]
            if (frame := _frame(digits)) is not None:
                yield frame
        begin = buffer.rfind(_COLON)
        del buffer[: len(buffer) if begin < 0 or len(buffer) - begin > _LONGEST else begin]

    def bytes_of(self, frame: Frame, *, wrong_crc: bool = False) -> bytes:
        """Return the characters of the frame; `wrong_crc` spoils its checksum, the LRC."""
        content = bytes([frame.unit_id]) + frame.pdu
        digits = (content + bytes([_lrc(content) ^ (0xFF if wrong_crc else 0)])).hex()
        return self._begins_with + (digits if self._lower_case else digits.upper()).encode() + self._ends_with


def serial_framing(written: SerialFraming | Framing) -> Framing:
    """Return the framing of this name; one that is no name is returned as it is."""
    if isinstance(written, str):
        return Ascii() if written == "ascii" else Rtu()
    return written


def _frame(digits: bytes) -> Frame | None:
    if len(digits) < 6 or len(digits) % 2 or not _DIGITS.issuperset(digits):
        return None
    content = bytes.fromhex(digits.decode())
    return Frame(content[0], content[1:-1]) if sum(content) % 256 == 0 else None


def _lrc(content: bytes) -> int:
    """Return what is missing to a sum of 0 in a byte (section 6.2.1)."""
    return (256 - sum(content) % 256) % 256
