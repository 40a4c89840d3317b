"""Frames with an end of their own, taken out of the bytes of a line. Nothing here waits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from adapters.serial.framing.formats import Enclosed, EnclosedChecksum, JsonLines
from adapters.serial.framing.frames import Frame, Framer, Reason

TRIED_STARTS = 8
"""A damaged frame may hold the start of the next one. So many starts before an end are tried, and the last of all: more are there
only in noise, and trying them all takes its time."""


class _Found(NamedTuple):
    """A frame: what it says, and where it begins and stops."""

    payload: bytes
    begin: int
    stop: int


class EnclosedFramer(Framer):
    """For frames that have an end, and maybe a start."""

    def __init__(self, framing: Enclosed, *, midway: bool = False) -> None:
        super().__init__(framing.longest, framing.pause)
        rule = framing.checksum
        self._framing, self._start = framing, framing.start
        self._ends = re.compile(b"|".join(map(re.escape, framing.end)))
        self._marks = _marks(framing, with_start=framing.restarts and (rule is None or rule.optional))
        self._longest_mark = max(2, len(self._start), *map(len, framing.end))
        self._at = 0
        """Where the frame begins whose end is looked for."""
        self._searched = 0
        """Up to here, it has no end."""
        self._tries = 0
        self._skips = midway and not self._start

    def clear(self) -> None:
        """Throw away what came of a frame that has not ended."""
        super().clear()
        self._searched = 0

    def _cut(self, *, final: bool) -> list[Frame]:
        frames: list[Frame] = []
        while self._begins(final=final) and (outcome := self._next(final=final)) is not None:
            if isinstance(outcome, Frame):
                frames.append(outcome)
        del self._buffer[: self._at]
        self._at, self._searched = 0, max(0, self._searched - self._at)
        return frames

    def _begins(self, *, final: bool) -> bool:
        """Go to where a frame begins; say whether one does."""
        if self._skips and not self._skip(final=final):
            return False
        if self._start:
            return self._find_start(final=final)
        while (empty := self._ends.match(self._buffer, self._at)) is not None:
            self._go_on(empty.end())
        return self._at < len(self._buffer)

    def _skip(self, *, final: bool) -> bool:
        """Go behind the end of what is not wanted; say whether it was there."""
        end = self._find_end()
        stop = end.end() if end is not None else len(self._buffer) if final else self._searched
        if stop > self._at:
            self.losses.add(Reason.NOISE, self._from_here_to(stop))
        self._at, self._skips = stop, end is None and not final
        return not self._skips

    def _find_start(self, *, final: bool) -> bool:
        found = self._buffer.find(self._start, self._at)
        kept = 0 if final else len(self._start) - 1
        stop = found if found >= 0 else max(self._at, len(self._buffer) - kept)
        noise = self._from_here_to(stop).translate(None, self._framing.tail)
        if noise:
            self.losses.add(Reason.NOISE, noise)
        if stop > self._at:
            self._go_on(stop)
        return found >= 0

    def _next(self, *, final: bool) -> Frame | Reason | None:
        """Go behind the frame that begins here and return it, or why it is none; `None` when more bytes have to come."""
        end = self._find_end()
        if end is None or end.end() - self._at > self._longest:
            return self._endless(end, final=final)
        outcome = self._read(end, final=final)
        if outcome is None:
            self._searched = end.start()
            return None
        if isinstance(outcome, Reason):
            return self._give_up(outcome, end.end())
        if outcome.begin > self._at:
            self.losses.add(Reason.CHECKSUM, self._from_here_to(outcome.begin))
        raw, self._tries = bytes(self._buffer[outcome.begin : outcome.stop]), 0
        self._go_on(outcome.stop)
        return self._took(outcome.payload, raw)

    def _find_end(self) -> re.Match[bytes] | None:
        """Return the end of the frame that begins here; a start in the middle begins it anew, where that may be believed."""
        at = max(self._searched, self._at + len(self._start))
        while (mark := self._marks.search(self._buffer, at)) is not None:
            at = mark.end()
            if mark.lastgroup == "end":
                return mark
            if mark.lastgroup == "start":
                self.losses.add(Reason.CUT_SHORT, self._from_here_to(mark.start()))
                self._at = mark.start()
        self._searched = max(at, len(self._buffer) - self._longest_mark + 1)
        return None

    def _endless(self, end: re.Match[bytes] | None, *, final: bool) -> Reason | None:
        """Give up a frame that is too long, or that nothing more comes of."""
        is_too_long = end is not None or len(self._buffer) - self._at > self._longest
        if not is_too_long and not final:
            return None
        self._skips = not self._start and end is None and not final
        kept = 0 if final else len(self._start) - 1
        stop = end.end() if end is not None else self._searched if self._skips else len(self._buffer) - kept
        return self._give_up(Reason.TOO_LONG if is_too_long else Reason.CUT_SHORT, stop)

    def _give_up(self, reason: Reason, stop: int) -> Reason:
        """Go to the next start before `stop`, or there."""
        after = max(self._at + 1, stop - self._longest if reason is Reason.TOO_LONG else 0)
        found = self._buffer.find(self._start, after, stop) if self._start else -1
        self._tries = self._tries + 1 if found >= 0 and reason is Reason.CHECKSUM else 0
        if self._tries > TRIED_STARTS:
            found = self._buffer.rfind(self._start, after, stop)
        behind = found if found >= 0 else stop
        self.losses.add(reason, self._from_here_to(behind))
        self._go_on(behind)
        return reason

    def _read(self, end: re.Match[bytes], *, final: bool) -> _Found | Reason | None:
        """Return what stands before this end, or why it cannot be believed; `None` when more bytes have to come."""
        rule = self._framing.checksum
        found: _Found | Reason | None
        if rule is None:
            found = _Found(self._body(end.start()), self._at, end.end())
        elif rule.place == "before-end":
            found = self._read_before(rule, end, final=final)
        else:
            found = self._read_behind(rule, end, final=final)
        if isinstance(self._framing, JsonLines) and isinstance(found, _Found) and not _is_json_object(found.payload):
            return Reason.NO_JSON
        return found

    def _read_before(self, rule: EnclosedChecksum, end: re.Match[bytes], *, final: bool) -> _Found | Reason | None:
        """Read a frame with its checksum before the end: a checksum may look like an end, and the real one come behind it."""
        reach = 0 if self._framing.escape or rule.written == "hex" else rule.length + len(end[0]) - 1
        for start, stop in self._ends_up_to(end, reach):
            for begin in self._starts_up_to(start):
                body = self._framing.unescape(bytes(self._buffer[begin + len(self._start) : start]))
                payload = _checked(rule, self._start, body, bytes(self._buffer[start:stop]))
                if payload is not None:
                    return _Found(payload, begin, stop)
        is_all_there = final or not reach or len(self._buffer) >= end.start() + reach + self._longest_mark
        return Reason.CHECKSUM if is_all_there else None

    def _ends_up_to(self, end: re.Match[bytes], reach: int) -> Iterator[tuple[int, int]]:
        yield end.span()
        for start in range(end.start() + 1, end.start() + reach + 1):
            if (later := self._ends.match(self._buffer, start)) is not None:
                yield later.span()

    def _starts_up_to(self, end: int) -> Iterator[int]:
        """Yield where the frame with this end may begin: here or, where this is not believed, later."""
        at = self._at
        yield at
        for _ in range(TRIED_STARTS if self._start else 0):
            at = self._buffer.find(self._start, at + 1, end)
            if at < 0:
                return
            yield at

    def _read_behind(self, rule: EnclosedChecksum, end: re.Match[bytes], *, final: bool) -> _Found | Reason | None:
        payload, told_at = self._body(end.start()), end.end() + len(rule.separator)
        following = bytes(self._buffer[end.end() : end.end() + 1])
        if not following and not final:
            return None
        if rule.optional and following in {b"", self._framing.tail[:1], self._start[:1]}:
            return _Found(payload, self._at, end.end())
        stop = told_at + rule.length
        if len(self._buffer) < stop and not final:
            return None
        covered = payload + (end[0] if rule.with_end else b"")
        told = bytes(self._buffer[end.end() : stop])
        is_right = told.startswith(rule.separator) and rule.agrees(self._start, covered, told[len(rule.separator) :])
        return _Found(payload, self._at, stop) if is_right else Reason.CHECKSUM

    def _body(self, stop: int) -> bytes:
        return self._framing.unescape(bytes(self._buffer[self._at + len(self._start) : stop]))

    def _from_here_to(self, stop: int) -> bytes:
        return bytes(self._buffer[self._at : stop])

    def _go_on(self, at: int) -> None:
        self._at, self._searched = at, 0


def _marks(framing: Enclosed, *, with_start: bool) -> re.Pattern[bytes]:
    """Return what finds the next end, escaped byte or, where it counts, start. Bytes that are changed need not be found."""
    marks = [b"(?P<end>" + b"|".join(map(re.escape, framing.end)) + b")"]
    if with_start and framing.start:
        marks.append(b"(?P<start>" + re.escape(framing.start) + b")")
    if framing.escape and not framing.escape_xor:
        marks.append(b"(?P<escaped>" + re.escape(framing.escape) + b".)")
    return re.compile(b"|".join(marks), re.DOTALL)


def _checked(rule: EnclosedChecksum, start: bytes, body: bytes, end: bytes) -> bytes | None:
    """Return the payload before the checksum at the end of `body`; `None` when that is wrong."""
    head, told = body[: -rule.length], body[-rule.length :]
    if not head.endswith(rule.separator):
        return body if rule.optional and rule.separator not in body else None
    payload = head[: len(head) - len(rule.separator)]
    return payload if rule.agrees(start, payload + (end if rule.with_end else b""), told) else None


def _is_json_object(payload: bytes) -> bool:
    try:
        return isinstance(json.loads(payload), dict)
    except (ValueError, RecursionError):
        return False
