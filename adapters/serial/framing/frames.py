"""What comes out of a framer, what it throws away, and what all framers have in common. Nothing here waits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from adapters.serial.framing.notation import readable

SHOWN_BYTES = 48
"""So much of what was thrown away last is kept to be shown."""


class Frame(NamedTuple):
    """What somebody said."""

    payload: bytes
    """Without start, sync bytes, length, checksum and end."""
    raw: bytes
    """As it came, up to its end or the checksum behind that."""
    at: float
    """When its last byte came, by the clock of whoever feeds the framer."""


class Reason(StrEnum):
    """Why bytes were thrown away."""

    NOISE = "no part of a frame"
    CHECKSUM = "wrong checksum or end"
    TOO_LONG = "longer than a frame can be"
    CUT_SHORT = "never ended"
    BAD_LENGTH = "impossible length"
    NO_JSON = "no JSON object"


@dataclass(slots=True)
class Loss:
    """What was thrown away for one reason."""

    times: int = 0
    size: int = 0
    """In bytes."""
    last: bytes = b""
    """The beginning of the last."""


@dataclass(slots=True)
class Losses:
    """What a framer threw away, and why."""

    by_reason: dict[Reason, Loss] = field(default_factory=dict)
    _latest: Reason | None = None

    def add(self, reason: Reason, raw: bytes, dropped: int | None = None) -> None:
        """Note that these bytes were thrown away, or the first of them. Noise behind what was thrown away belongs to it."""
        length = len(raw) if dropped is None else dropped
        if reason is Reason.NOISE and self._latest is not None:
            self.by_reason[self._latest].size += length
            return
        loss = self.by_reason.setdefault(reason, Loss())
        loss.times, loss.size, loss.last, self._latest = loss.times + 1, loss.size + length, raw[:SHOWN_BYTES], reason

    @property
    def is_open(self) -> bool:
        """Whether no good frame came since something was thrown away."""
        return self._latest is not None

    def over(self) -> None:
        """Note that a good frame came: what is thrown away from now on is something new."""
        self._latest = None

    def __str__(self) -> str:
        r"""Return what an operator should know, as `3 x wrong checksum (last: AB\x12)`; empty when nothing was thrown away."""
        return ", ".join(f"{loss.times} x {reason} (last: {readable(loss.last)})" for reason, loss in self.by_reason.items())


class Framer(ABC):
    """Cuts the bytes of one line into frames. After whatever garbage, the next whole frame comes out.

    It keeps at most `longest` bytes of a frame that has not ended, and a checksum.
    """

    def __init__(self, longest: int, pause: float | None) -> None:
        self.losses = Losses()
        self._longest = longest
        self._pause = pause
        self._buffer = bytearray()
        self._fed_at: float | None = None
        self._skips = False
        """What comes belongs to a frame that was given up, or whose beginning nobody heard."""

    @property
    def pending(self) -> bytes:
        """What came of a frame that has not ended: also a prompt, which never will."""
        return bytes(self._buffer)

    @property
    def deadline(self) -> float | None:
        """When `expire` has something to do, if nothing comes until then; `None`: not before more bytes come."""
        if self._fed_at is None or self._pause is None or not (self._buffer or self._skips):
            return None
        return self._fed_at + self._pause

    def feed(self, data: bytes, now: float = 0.0) -> list[Frame]:
        """Take the bytes that came now, and return the frames that ended with them."""
        frames = self.expire(now)
        self._buffer += data
        self._fed_at = now
        frames += self._cut(final=False)
        return frames

    def expire(self, now: float) -> list[Frame]:
        """Return the frames that ended by nothing having come for so long, and give up one that does not go on."""
        deadline = self.deadline
        return self._cut(final=True) if deadline is not None and now >= deadline else []

    def clear(self) -> None:
        """Throw away what came of a frame that has not ended, as before a question that is answered by a new frame."""
        if self._buffer:
            self.losses.add(Reason.CUT_SHORT, self.pending)
            self._buffer.clear()
        self._skips = False

    @abstractmethod
    def _cut(self, *, final: bool) -> list[Frame]:
        """Take the frames out of the buffer; when `final`, nothing more comes, and nothing is left in it."""

    def _took(self, payload: bytes, raw: bytes) -> Frame:
        self.losses.over()
        return Frame(payload, raw, self._fed_at if self._fed_at is not None else 0.0)
