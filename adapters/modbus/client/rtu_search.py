"""Find the awaited answer, and frames of others, at every offset of the bytes that arrived on an RTU line. Pure.

A receiver cannot rely on the pause between frames: drivers, USB adapters and networks hand characters over in pieces of their
own, and a stray byte before an answer is common. So each offset is tried:

- The awaited answer is found by its unit, function, length and checksum, whatever surrounds it.
- Frames of others, requests as well as answers of all functions, are set aside. The answer that follows a request of another
  master belongs to that, even where it would fit our request.
- Whatever is in no frame is noise and set aside as well. Only what may still become a frame stays in the buffer, which is never
  longer than a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from adapters.modbus.client.pdu import EXCEPTION_BIT, Request
from adapters.modbus.client.rtu_frames import CHECKSUM_BYTES, LONGEST_FRAME_BYTES, SHORTEST_FRAME_BYTES, is_intact
from adapters.modbus.client.rtu_shapes import NO_FRAME, UNKNOWN, answer_size, answers_to, awaited_size, request_size
from adapters.modbus.client.unit_ids import LAST_UNIT

FOREIGN_ANSWER_SECONDS = 1.0
"""How long an answer is taken for that to a request of another master."""


class FrameKind(StrEnum):
    """The kind of a frame on the line."""

    AWAITED = "the answer to our request"
    ECHO = "our own request"
    ANSWER = "an answer of a unit"
    FOREIGN_REQUEST = "a request of another master"
    FOREIGN_ANSWER = "an answer to another master"


@dataclass(frozen=True, slots=True)
class LineFrame:
    """A frame with a correct checksum."""

    kind: FrameKind
    unit: int
    pdu: bytes
    """The frame from its function code on, without the checksum."""


@dataclass(frozen=True, slots=True)
class Awaited:
    """The goal of the search: the answer of this unit to this request."""

    unit: int
    request: Request


@dataclass(frozen=True, slots=True)
class Heard:
    """The result of a search."""

    frames: Sequence[LineFrame]
    """All frames, in the order of their arrival; at most one is awaited."""
    noise: bytes
    """Bytes that are in no frame."""
    used: int
    """How many bytes are done with; the rest may still become a frame."""
    begun_at: int | None
    """The offset of a beginning of the awaited answer; `None` without one."""


@dataclass(slots=True)
class _Walk:
    """The state of one search."""

    frames: list[LineFrame] = field(default_factory=list)
    noise: bytearray = field(default_factory=bytearray)
    done: int = 0
    """The bytes before this offset are in a frame or noise."""
    open_at: int | None = None
    """The first offset since then at which a frame may have begun."""


class RtuSearch:
    """Searches the received bytes of one line; remembers the last request of another master."""

    def __init__(self) -> None:
        self.sent = b""
        """The last frame that we have sent: the line may return it."""
        self.echo_is_due = False
        """The next frame that equals ours is its echo, also where the answer would look the same."""
        self._foreign: tuple[int, int, int | None] | None = None
        self._foreign_until = 0.0
        self._kept = b""
        """What the last search left."""
        self._kept_for: Awaited | None = None
        self._settled = bytearray()
        """For each byte of that, whether surely no frame begins there: it is not looked at again."""

    def is_foreign_answer_due(self, now: float) -> bool:
        """Return whether another master waits for an answer now."""
        return self._foreign is not None and now < self._foreign_until

    def search(self, data: bytes, awaited: Awaited | None, now: float) -> Heard:
        """Return what is in the received bytes.

        Args:
            data: everything that arrived and was not used by an earlier search.
            awaited: what is waited for, if anything.
            now: the time, in seconds of any clock.
        """
        self._foreign = self._foreign if self.is_foreign_answer_due(now) else None
        if self._is_only_begun(data, awaited):
            self._kept, self._kept_for, self._settled = data, awaited, bytearray(len(data))
            return Heard((), b"", 0, 0)
        walk, begun_at, at = _Walk(), None, 0
        settled = self._settled_in(data, awaited)
        answers = [] if awaited is None else _whole_answers(data, awaited)
        while at < len(data):
            if settled[at] and at not in answers:
                at += 1
                continue
            size, kind = self._frame_at(data, at, answers, awaited)
            if size > 0:
                self._take(walk, data, at, size, kind, now)
                if kind is FrameKind.AWAITED:
                    awaited, answers = None, []
                at += size
                continue
            if size == UNKNOWN and walk.open_at is None:
                walk.open_at = at
            if awaited is not None and _may_be_awaited(data, at, awaited):
                begun_at = at
                if not answers:
                    break  # what follows is decided when this is complete
            elif size != UNKNOWN:
                settled[at] = True
            at += 1
        end = len(data) if walk.open_at is None else max(walk.open_at, len(data) - LONGEST_FRAME_BYTES)
        walk.noise += data[walk.done : end]
        self._kept, self._kept_for, self._settled = data[end:], awaited, settled[end:]
        return Heard(walk.frames, bytes(walk.noise), end, None if begun_at is None or begun_at < end else begun_at)

    def _is_only_begun(self, data: bytes, awaited: Awaited | None) -> bool:
        """Return whether the data is the beginning of the awaited answer, and none begins within it: the usual case, quickly."""
        if awaited is None or not data or data.startswith(self.sent or b"-"):
            return False
        if awaited_size(data, 0, awaited.unit, awaited.request) <= len(data):
            return False
        if 0 < (size := request_size(data, 0)) <= len(data) and is_intact(data[:size]):
            return False
        return all(data.find(head, 1) < 0 for head in _heads(awaited))

    def _settled_in(self, data: bytes, awaited: Awaited | None) -> bytearray:
        """Return for each byte whether an earlier search has settled that no frame begins there."""
        is_continued = bool(self._kept) and awaited == self._kept_for and data.startswith(self._kept)
        return (self._settled if is_continued else bytearray()).ljust(len(data), b"\0")

    def _frame_at(self, data: bytes, at: int, answers: Sequence[int], awaited: Awaited | None) -> tuple[int, FrameKind]:
        """Return length and kind of the whole frame that begins here; `UNKNOWN` when one may have begun."""
        is_answer = at in answers
        if self.sent and (self.echo_is_due or not is_answer) and data.startswith(self.sent, at):
            self.echo_is_due = False
            return len(self.sent), FrameKind.ECHO
        if is_answer and awaited is not None:
            size = awaited_size(data, at, awaited.unit, awaited.request)
            return size, FrameKind.FOREIGN_ANSWER if self._is_foreign(data, at, size) else FrameKind.AWAITED
        if data[at] > LAST_UNIT and (awaited is None or data[at] != awaited.unit):
            return NO_FRAME, FrameKind.ANSWER
        limit = next((place for place in answers if place > at), len(data))
        open_size = NO_FRAME
        for size, kind in ((answer_size(data, at), FrameKind.ANSWER), (request_size(data, at), FrameKind.FOREIGN_REQUEST)):
            if size == UNKNOWN or at + size > len(data):
                open_size = UNKNOWN
            elif size != NO_FRAME and at + size <= limit and is_intact(data[at : at + size]):
                is_foreign = kind is FrameKind.ANSWER and self._is_foreign(data, at, size)
                return size, FrameKind.FOREIGN_ANSWER if is_foreign else kind
        return open_size, FrameKind.ANSWER

    def _is_foreign(self, data: bytes, at: int, size: int) -> bool:
        """Return whether an answer belongs to the last request of another master."""
        if self._foreign is None:
            return False
        unit, function, wanted = self._foreign
        is_exception = data[at + 1] == function | 0x80
        return data[at] == unit and (is_exception or (data[at + 1] == function and wanted in {None, size}))

    def _take(self, walk: _Walk, data: bytes, at: int, size: int, kind: FrameKind, now: float) -> None:
        frame = data[at : at + size]
        if kind is FrameKind.FOREIGN_REQUEST:
            self._foreign, self._foreign_until = (frame[0], *answers_to(frame)), now + FOREIGN_ANSWER_SECONDS
        elif kind is FrameKind.FOREIGN_ANSWER:
            self._foreign = None
        walk.noise += data[walk.done : at]
        walk.frames.append(LineFrame(kind, frame[0], frame[1:-CHECKSUM_BYTES]))
        walk.done, walk.open_at = at + size, None


def frames_in(received: bytes) -> int:
    """Return how many RTU frames with a correct checksum the received bytes contain, with or without noise between them.

    Only frames of the length that belongs to their function count: noise has a correct checksum now and then.
    """
    return len(RtuSearch().search(received, None, 0.0).frames)


def _whole_answers(data: bytes, awaited: Awaited) -> list[int]:
    """Return the offsets of all complete answers to the request."""
    places = []
    for head in _heads(awaited):
        at = data.find(head)
        while 0 <= at <= len(data) - SHORTEST_FRAME_BYTES:
            size = awaited_size(data, at, awaited.unit, awaited.request)
            if size > 0 and at + size <= len(data) and is_intact(data[at : at + size]):
                places.append(at)
            at = data.find(head, at + 1)
    return sorted(places)


def _heads(awaited: Awaited) -> tuple[bytes, bytes]:
    """Return the first two bytes of an answer with a value and of an exception."""
    unit, function = awaited.unit, awaited.request.function
    return bytes((unit, function)), bytes((unit, function | EXCEPTION_BIT))


def _may_be_awaited(data: bytes, at: int, awaited: Awaited) -> bool:
    size = awaited_size(data, at, awaited.unit, awaited.request)
    return size == UNKNOWN or at + size > len(data) > at
