"""Keep the last frames of a bus in memory, for a person who looks for a fault; and read the lines that describe them."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from time import time
from typing import NamedTuple

MOST_FRAMES = 300
LONGEST_FRAME = 520
"""In bytes, enough for Modbus ASCII; the rest of a longer frame is left out."""

CUT = " ..."
"""Behind the bytes of a longer frame."""

HIDDEN = "(not kept: it may contain a secret)"

_LINE = re.compile(
    r"(?P<at>(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}) (?P<direction>[<>])(?: \[(?P<address>[^\]]*)\])? (?P<content>.*)"
)


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

    def recorded(self) -> list[RecordedFrame]:
        """Return the same in their parts."""
        return [
            RecordedFrame(_bytes(one.frame), datetime.fromtimestamp(one.at, UTC), one.direction, one.address)
            for one in self._frames
        ]

    def _keep(self, direction: str, frame: bytes) -> None:
        kept = None if self._is_hidden else frame[: LONGEST_FRAME + 1]
        self._frames.append(_Kept(time(), direction, self._address, kept))


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """One frame, or a piece of one, in its parts."""

    text: str
    """The bytes as hex digits, or any other line that an adapter has written."""
    at: datetime | None = None
    """In UTC."""
    direction: str | None = None
    """`>` for sent, `<` for received."""
    address: str | None = None
    """The address of the device that it belongs to; `None` where the adapter does not tell devices apart."""
    meaning: str | None = None
    """What it says, in words, where that is known."""
    is_wrong: bool = False
    """It is damaged, an error, or not what was asked for."""

    def __str__(self) -> str:
        """Return it as one line: time in UTC, direction, address in brackets, bytes, meaning."""
        address = None if self.address is None else f"[{self.address}]"
        meaning = None if self.meaning is None else f"| {self.meaning}"
        return " ".join(filter(None, (self.clock, self.direction, address, self.text, meaning)))

    @property
    def content(self) -> bytes | None:
        """The bytes, as far as they were kept; `None` where the text is none."""
        try:
            return bytes.fromhex(self.text.removesuffix(CUT))
        except ValueError:
            return None

    @property
    def is_cut(self) -> bool:
        """Whether it was longer than what is kept."""
        return self.text.endswith(CUT)

    @property
    def clock(self) -> str | None:
        """The time of day in UTC, with milliseconds."""
        return None if self.at is None else _clock(self.at.timestamp())

    @property
    def characters(self) -> str | None:
        """The bytes as text, where most of them are printable; `None` where they are not."""
        content = self.content
        if content is None:
            return None
        printable = sum(0x20 <= byte < 0x7F or byte in b"\r\n" for byte in content)
        if not content or printable < 0.7 * len(content):
            return None
        return "".join(chr(byte) if 0x20 <= byte < 0x7F else "·" for byte in content)


def frames_of(frames: Sequence[RecordedFrame], address: str) -> Sequence[RecordedFrame]:
    """Return the frames of one device; all of them where none names an address."""
    if all(frame.address is None for frame in frames):
        return frames
    return [frame for frame in frames if frame.address == address]


def recorded_frame(line: str, now: datetime | None = None) -> RecordedFrame:
    """Return a line of `RecentFrames.lines` in its parts, of the last day; any other line as it is."""
    found = _LINE.fullmatch(line)
    if found is None:
        return RecordedFrame(line)
    now = now if now is not None else datetime.now(UTC)
    at = datetime.combine(now.date(), time_of_day.fromisoformat(found["at"]), UTC)
    at = at if at <= now else at - timedelta(days=1)
    return RecordedFrame(found["content"], at, found["direction"], found["address"])


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


def _bytes(frame: bytes | None) -> str:
    if frame is None:
        return HIDDEN
    text = frame[:LONGEST_FRAME].hex(" ")
    return text if len(frame) <= LONGEST_FRAME else f"{text}{CUT}"
