"""Frames, the log of discarded bytes, and the base class of all framers. Pure."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from adapters.serial.framing.notation import escaped_text

SHOWN_BYTES = 48
"""Number of discarded bytes that are kept for display."""


class Frame(NamedTuple):
    """One frame that was received."""

    payload: bytes
    """Without start, sync bytes, length, checksum and end."""
    raw: bytes
    """As received, up to its end or the checksum behind the end."""
    at: float
    """Time of its last byte, by the clock of the framer's caller."""


class DiscardReason(StrEnum):
    """Why bytes were discarded."""

    NOISE = "not part of a frame"
    CHECKSUM = "wrong checksum or end"
    NO_CHECKSUM = "without a checksum, on a line whose frames have one"
    TOO_LONG = "longer than a frame can be"
    CUT_SHORT = "incomplete frame"
    BAD_LENGTH = "impossible length"
    NO_JSON = "not a JSON object"


@dataclass(slots=True)
class DiscardCount:
    """Number and size of discards for one reason."""

    times: int = 0
    size: int = 0
    """In bytes."""
    last: bytes = b""
    """The beginning of the last discarded bytes."""


@dataclass(slots=True)
class DiscardLog:
    """Counts of the bytes that a framer discarded, by reason."""

    by_reason: dict[DiscardReason, DiscardCount] = field(default_factory=dict)
    _latest: DiscardReason | None = None

    def add(self, reason: DiscardReason, raw: bytes, dropped: int | None = None) -> None:
        """Count discarded bytes: all of `raw`, or its first `dropped` bytes. Noise after another discard counts with that one."""
        length = len(raw) if dropped is None else dropped
        if reason is DiscardReason.NOISE and self._latest is not None:
            self.by_reason[self._latest].size += length
            return
        count = self.by_reason.setdefault(reason, DiscardCount())
        count.times, count.size, count.last, self._latest = count.times + 1, count.size + length, raw[:SHOWN_BYTES], reason

    @property
    def is_out_of_sync(self) -> bool:
        """Whether no valid frame was received since the last discard."""
        return self._latest is not None

    def frame_received(self) -> None:
        """Note that a valid frame was received: later discards are counted as new ones."""
        self._latest = None

    def __str__(self) -> str:
        r"""Return a summary for the operator: `3 x wrong checksum (last: AB\x12)`; empty if nothing was discarded."""
        return ", ".join(
            f"{count.times} x {reason} (last: {escaped_text(count.last)})" for reason, count in self.by_reason.items()
        )


class Framer(ABC):
    """Base class: finds frames in the bytes of one line, and resynchronizes on the next whole frame after any garbage.

    Buffers at most `longest` bytes of an incomplete frame, plus a checksum.
    """

    def __init__(self, longest: int, pause: float | None) -> None:
        self.discards = DiscardLog()
        self._longest = longest
        self._pause = pause
        self._buffer = bytearray()
        self._fed_at: float | None = None
        self._skips = False
        """Incoming bytes belong to a frame that was given up, or whose beginning was missed."""

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that is still incomplete; also a prompt, which never becomes a frame."""
        return bytes(self._buffer)

    @property
    def deadline(self) -> float | None:
        """Time at which to call `expire` if no more bytes are received until then; `None` if that is not needed."""
        if self._fed_at is None or self._pause is None or not (self._buffer or self._skips):
            return None
        return self._fed_at + self._pause

    def feed(self, data: bytes, now: float = 0.0) -> list[Frame]:
        """Process received bytes, and return the frames that they complete."""
        frames = self.expire(now)
        self._buffer += data
        self._fed_at = now
        frames += self._extract(final=False)
        return frames

    def expire(self, now: float) -> list[Frame]:
        """Return the frames that are ended by a silence, and give up an incomplete frame that does not continue."""
        deadline = self.deadline
        return self._extract(final=True) if deadline is not None and now >= deadline else []

    def clear(self) -> None:
        """Discard an incomplete frame, for example before a request that is answered by a new frame."""
        if self._buffer:
            self.discards.add(DiscardReason.CUT_SHORT, self.pending)
            self._buffer.clear()
        self._skips = False

    @abstractmethod
    def _extract(self, *, final: bool) -> list[Frame]:
        """Remove the complete frames from the buffer; if `final`, no more bytes follow, and the buffer is emptied."""

    def _frame(self, payload: bytes, raw: bytes) -> Frame:
        self.discards.frame_received()
        return Frame(payload, raw, self._fed_at if self._fed_at is not None else 0.0)
