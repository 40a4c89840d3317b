"""Build Modbus ASCII frames, find them in received characters, and describe bad ones. Pure.

A frame is a colon, two hexadecimal digits for each byte, and CR LF; its last byte is a checksum, the LRC (Modbus over Serial
Line V1.02, section 2.5.2). More is accepted than the specification asks for, since the checksum decides: lower-case digits, `>`
instead of the colon, with which some wall boxes begin their answers, a frame that ends with CR or LF alone, and any second
delimiter, which a unit can be told to send instead of LF (Modbus Application Protocol V1.1b3, section 6.8, sub-function 3).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.adapter import Cause

CHARACTER_GAP_SECONDS = 1.0
"""The longest pause between two characters of one frame (Modbus over Serial Line V1.02, section 2.5.2.1)."""

LONGEST_FRAME_CHARACTERS = 513
"""Colon, 255 bytes of unit id, function, data and checksum, CR and LF (section 2.5.2.1)."""

_FRAME = re.compile(rb"[:>]([0-9A-Fa-f]*)[\r\n]")
_BEGUN = re.compile(rb"[:>][0-9A-Fa-f]*\Z")
_SHORTEST_BYTES = 3
"""Unit id, function and checksum."""


@dataclass(frozen=True, slots=True)
class AsciiFrame:
    """A frame with a correct checksum."""

    unit: int
    pdu: bytes
    """The frame from its function code on, without the checksum."""


def frame_of(unit: int, pdu: bytes) -> bytes:
    """Return the characters of a frame."""
    content = bytes([unit]) + pdu
    return b":" + (content + bytes([lrc(content)])).hex().upper().encode() + b"\r\n"


def lrc(content: bytes) -> int:
    """Return the checksum of these bytes: the two's complement of their sum (section 6.2.1)."""
    return -sum(content) & 0xFF


def characters_of(rtu_bytes: int) -> int:
    """Return how many characters the ASCII frame has for which an RTU frame has this many bytes."""
    return 2 * rtu_bytes + 1  # a checksum byte less, each byte twice, and three characters around them


def frames_in(received: bytes) -> list[AsciiFrame]:
    """Return the frames with a correct checksum that the received characters contain, with or without noise between them."""
    return list(_intact_frames(received))


def noise_in(received: bytes) -> bytes:
    """Return the characters that are in no frame with a correct checksum."""
    return _FRAME.sub(lambda found: b"" if any(_intact_frames(found[0])) else found[0], received)


def length_used(received: bytes) -> int:
    """Return how many of the received characters are of no further use: all before a frame that has begun and not ended."""
    begun = _BEGUN.search(received[-LONGEST_FRAME_CHARACTERS:])
    return len(received) if begun is None else len(received) - len(begun[0])


@dataclass(frozen=True, slots=True)
class OverheardFrames:
    """The ASCII frames that a port with 8N1 has received from others, and the form of their characters."""

    frames: int
    bytesize: int
    parity: str
    stopbits: int


def overheard_at_8n1(received: bytes) -> OverheardFrames:
    """Return the ASCII frames in what a port with 8 data bits and no parity has received, whatever ten bits they were sent with.

    ASCII needs 7 bits (section 2.5.2), so the highest tells what stands there: the parity of 7E1 or 7O1, the first stop bit of
    7N2, or the data bit of 8N1.
    """
    plain = bytes(character & 0x7F for character in received)
    intact = [found for found in _FRAME.finditer(plain) if any(_intact_frames(found[0]))]
    high = [received[at] >> 7 for found in intact for at in range(*found.span())]
    odd = [character.bit_count() % 2 for found in intact for character in found[0]]
    if not any(high):
        return OverheardFrames(len(intact), 8, "N", 1)
    if all(high):
        return OverheardFrames(len(intact), 7, "N", 2)
    return OverheardFrames(len(intact), 7, "E" if high == odd else "O", 1)


def describe_bad_frame(received: bytes, unit: int) -> str:
    """Return what is wrong with the last characters received before the time-out; empty when there were none."""
    if not received.strip(b"\r\n"):
        return ""
    if b":" not in received and b">" not in received:
        return "the answer is no Modbus ASCII: it has no colon; does the unit speak RTU?"
    frames = frames_in(received)
    if frames and frames[-1].unit != unit:
        return f"unit {frames[-1].unit} answered for unit {unit}"
    if frames:
        return "the answer belongs to another request"
    if begun := len(received) - length_used(received):
        return f"only {begun} characters of an answer arrived"
    return f"the answer is damaged or cut short: {len(received)} characters with a wrong checksum"


def cause_of_bad_frame(received: bytes, unit: int) -> Cause:
    """Return what kind of fault the last characters received before the time-out show."""
    if not received.strip(b"\r\n"):
        return Cause.NO_ANSWER
    if frames := frames_in(received):
        return Cause.OTHER_DEVICE if frames[-1].unit != unit else Cause.WRONG_ANSWER
    return Cause.CHECKSUM_ERRORS


def _intact_frames(received: bytes) -> Iterator[AsciiFrame]:
    for digits in _FRAME.findall(received):
        if len(digits) % 2 or len(digits) < 2 * _SHORTEST_BYTES or len(digits) > LONGEST_FRAME_CHARACTERS:
            continue
        content = bytes.fromhex(digits.decode())
        if lrc(content[:-1]) == content[-1]:
            yield AsciiFrame(content[0], content[1:-1])
