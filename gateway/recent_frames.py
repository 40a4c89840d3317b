"""Keep the last frames of a bus in memory, for a person who looks for a fault; and read the lines that describe them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from time import time
from typing import NamedTuple

MOST_FRAMES = 300
LONGEST_FRAME = 300
"""In bytes; the rest of a longer frame is left out."""

HIDDEN = "(not kept: it may contain a secret)"

_LINE = re.compile(r"(?P<at>\d\d:\d\d:\d\d\.\d{3}) (?P<direction>[<>])(?: \[(?P<address>[^\]]*)\])? (?P<content>.*)")


class _Kept(NamedTuple):
    at: float
    direction: str
    address: str | None
    frame: bytes | None
    """`None` for one that may contain a secret."""


class RecentFrames:
    """The frames that were sent and received last."""

    def __init__(self, most: int = MOST_FRAMES) -> None:
        self._frames: deque[_Kept] = deque(maxlen=most)
        self._address: str | None = None
        self._is_hidden = False

    def sent(self, frame: bytes, address: str | None = None) -> None:
        """Keep a frame that is sent now, to the device with this address; what arrives after it counts as its answer."""
        self._address = address
        self._keep(">", frame)

    def received(self, frame: bytes) -> None:
        """Keep a frame, or a piece of one, that has arrived now."""
        self._keep("<", frame)

    @contextmanager
    def hiding(self) -> Iterator[None]:
        """Keep no bytes meanwhile, since a secret is sent, and may be echoed."""
        self._is_hidden = True
        try:
            yield
        finally:
            self._is_hidden = False

    def lines(self) -> Sequence[str]:
        """Return them, the oldest first: time in UTC, `>` for sent or `<` for received, the address in brackets, the bytes."""
        return [
            f"{_clock(one.at)} {one.direction}{'' if one.address is None else f' [{one.address}]'} {_bytes(one.frame)}"
            for one in self._frames
        ]

    def _keep(self, direction: str, frame: bytes) -> None:
        kept = None if self._is_hidden else frame[: LONGEST_FRAME + 1]
        self._frames.append(_Kept(time(), direction, self._address, kept))


@dataclass(frozen=True, slots=True)
class FrameLine:
    """One line of `RecentFrames.lines`, or any other that an adapter has written."""

    text: str
    """The bytes as hex digits, or the whole line where it is of another form."""
    at: str | None = None
    """Time of day in UTC."""
    direction: str | None = None
    address: str | None = None

    @property
    def characters(self) -> str | None:
        """The bytes as text, where most of them are printable; `None` where they are not."""
        try:
            content = bytes.fromhex(self.text.removesuffix(" ..."))
        except ValueError:
            return None
        printable = sum(0x20 <= byte < 0x7F for byte in content)
        if not content or printable < 0.7 * len(content):
            return None
        return "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in content)


def frame_line(line: str) -> FrameLine:
    """Return a line in its parts."""
    found = _LINE.fullmatch(line)
    if found is None:
        return FrameLine(line)
    return FrameLine(found["content"], found["at"], found["direction"], found["address"])


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


def _bytes(frame: bytes | None) -> str:
    if frame is None:
        return HIDDEN
    text = frame[:LONGEST_FRAME].hex(" ")
    return text if len(frame) <= LONGEST_FRAME else f"{text} ..."
