"""Find delimited frames, which have an end mark and maybe a start mark, in the bytes of a line. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

from adapters.serial.framing.formats import DelimitedChecksum, DelimitedFraming, JsonLinesFraming
from adapters.serial.framing.frames import DiscardReason, Frame, Framer

MAX_START_ATTEMPTS = 8
"""A damaged frame may contain the start of the next one. This many starts before an end are tried, and the last one of all: more
occur only in noise, and trying all of them would be slow."""


FRAMES_TO_FORGET_CHECKSUMS = 20
"""After as many frames without a checksum in a row, checksums are not required any more: another device is on the line."""


class _Found(NamedTuple):
    """A frame in the buffer: its payload, begin and stop."""

    payload: bytes
    begin: int
    stop: int


class DelimitedFramer(Framer):
    """Finds frames with an end mark, and maybe a start mark.

    Once a frame with an optional checksum was received, the checksum is required: a frame that lost it may have lost more.
    """

    def __init__(self, framing: DelimitedFraming, *, starts_mid_frame: bool = False) -> None:
        super().__init__(framing.longest, framing.pause)
        rule = framing.checksum
        self._framing, self._start = framing, framing.start
        ends = framing.received_ends
        self._ends = re.compile(b"|".join(map(re.escape, ends)))
        self._ignored = re.compile(b"|".join(map(re.escape, (*ends, *(bytes([one]) for one in framing.between)))))
        self._mark_pattern = _mark_pattern(framing, with_start=framing.restarts and (rule is None or rule.optional))
        self._longest_mark = max(2, len(self._start), *map(len, ends))
        self._at = 0
        """Begin of the frame whose end is searched."""
        self._searched = 0
        """There is no end mark before this position."""
        self._tries = 0
        self._requires_checksum = False
        self._frames_without_checksum = 0
        self._skips = starts_mid_frame and not self._start

    def clear(self) -> None:
        """Discard an incomplete frame."""
        super().clear()
        self._searched = 0

    def _extract(self, *, final: bool) -> list[Frame]:
        frames: list[Frame] = []
        while self._find_begin(final=final) and (outcome := self._next_frame(final=final)) is not None:
            if isinstance(outcome, Frame):
                frames.append(outcome)
        del self._buffer[: self._at]
        self._at, self._searched = 0, max(0, self._searched - self._at)
        return frames

    def _find_begin(self, *, final: bool) -> bool:
        """Move to the begin of the next frame; return whether there is one."""
        if self._skips and not self._skip_rest(final=final):
            return False
        if self._start:
            return self._find_start(final=final)
        while (empty := self._ignored.match(self._buffer, self._at)) is not None:
            self._move_to(empty.end())
        return self._at < len(self._buffer)

    def _skip_rest(self, *, final: bool) -> bool:
        """Move behind the end mark of bytes to skip; return whether the mark was found."""
        end = self._find_end()
        stop = end.end() if end is not None else len(self._buffer) if final else self._searched
        if stop > self._at:
            self.discards.add(DiscardReason.NOISE, self._bytes_to(stop))
        self._at, self._skips = stop, end is None and not final
        return not self._skips

    def _find_start(self, *, final: bool) -> bool:
        found = self._buffer.find(self._start, self._at)
        kept = 0 if final else len(self._start) - 1
        stop = found if found >= 0 else max(self._at, len(self._buffer) - kept)
        noise = self._bytes_to(stop).translate(None, self._framing.tail)
        if noise:
            self.discards.add(DiscardReason.NOISE, noise)
        if stop > self._at:
            self._move_to(stop)
        return found >= 0

    def _next_frame(self, *, final: bool) -> Frame | DiscardReason | None:
        """Move behind the frame that begins here; return it or why it is invalid; `None` if more bytes are needed."""
        end = self._find_end()
        if end is None or end.end() - self._at > self._longest:
            return self._check_unfinished(end, final=final)
        outcome = self._read(end, final=final)
        if outcome is None:
            self._searched = end.start()
            return None
        if isinstance(outcome, DiscardReason):
            self._frames_without_checksum = 0 if outcome is DiscardReason.CHECKSUM else self._frames_without_checksum
            return self._give_up(outcome, end.end())
        if outcome.begin > self._at:
            self.discards.add(DiscardReason.CHECKSUM, self._bytes_to(outcome.begin))
        raw, self._tries = bytes(self._buffer[outcome.begin : outcome.stop]), 0
        self._move_to(outcome.stop)
        return self._frame(outcome.payload, raw)

    def _find_end(self) -> re.Match[bytes] | None:
        """Return the end mark of the frame that begins here; a start mark before it begins the frame anew, if that is allowed."""
        at = max(self._searched, self._at + len(self._start))
        while (mark := self._mark_pattern.search(self._buffer, at)) is not None:
            at = mark.end()
            if mark.lastgroup == "end":
                return mark
            if mark.lastgroup == "start":
                self.discards.add(DiscardReason.CUT_SHORT, self._bytes_to(mark.start()))
                self._at = mark.start()
        self._searched = max(at, len(self._buffer) - self._longest_mark + 1)
        return None

    def _check_unfinished(self, end: re.Match[bytes] | None, *, final: bool) -> DiscardReason | None:
        """Give up an incomplete frame if it is too long, or if no more bytes follow."""
        is_too_long = end is not None or len(self._buffer) - self._at > self._longest
        if not is_too_long and not final:
            return None
        self._skips = not self._start and end is None and not final
        kept = 0 if final else len(self._start) - 1
        stop = end.end() if end is not None else self._searched if self._skips else len(self._buffer) - kept
        return self._give_up(DiscardReason.TOO_LONG if is_too_long else DiscardReason.CUT_SHORT, stop)

    def _give_up(self, reason: DiscardReason, stop: int) -> DiscardReason:
        """Discard bytes up to the next start mark before `stop`, else up to `stop`."""
        after = max(self._at + 1, stop - self._longest if reason is DiscardReason.TOO_LONG else 0)
        found = self._buffer.find(self._start, after, stop) if self._start else -1
        self._tries = self._tries + 1 if found >= 0 and reason is DiscardReason.CHECKSUM else 0
        if self._tries > MAX_START_ATTEMPTS:
            found = self._buffer.rfind(self._start, after, stop)
        behind = found if found >= 0 else stop
        self.discards.add(reason, self._bytes_to(behind))
        self._move_to(behind)
        return reason

    def _read(self, end: re.Match[bytes], *, final: bool) -> _Found | DiscardReason | None:
        """Return the frame before this end mark, or why it is invalid; `None` if more bytes are needed."""
        rule = self._framing.checksum
        found: _Found | DiscardReason | None
        if rule is None:
            found = _Found(self._payload_before(end.start()), self._at, end.end())
        elif rule.place == "before-end":
            found = self._read_checksum_before_end(rule, end, final=final)
        else:
            found = self._read_checksum_after_end(rule, end, final=final)
        if isinstance(self._framing, JsonLinesFraming) and isinstance(found, _Found) and not _is_json_object(found.payload):
            return DiscardReason.NO_JSON
        return _without_length(found) if self._framing.counted and isinstance(found, _Found) else found

    def _read_checksum_before_end(
        self, rule: DelimitedChecksum, end: re.Match[bytes], *, final: bool
    ) -> _Found | DiscardReason | None:
        """Read a frame whose checksum precedes its end mark: the checksum may contain an end mark, followed by the real one."""
        reach = 0 if self._framing.escape or rule.written == "hex" else rule.length + len(end[0]) - 1
        reason = DiscardReason.CHECKSUM
        for start, stop in self._ends_within(end, reach):
            for begin in self._starts_before(start):
                body = self._framing.unescape(bytes(self._buffer[begin + len(self._start) : start]))
                payload = _payload_if_valid(rule, self._start, body, bytes(self._buffer[start:stop]))
                if payload is None:
                    reason = DiscardReason.CHECKSUM
                    continue
                if len(payload) < len(body):
                    self._note_checksum()
                    return _Found(payload, begin, stop)
                if self._accepts_without_checksum():
                    return _Found(payload, begin, stop)
                reason = DiscardReason.NO_CHECKSUM
        is_all_there = final or not reach or len(self._buffer) >= end.start() + reach + self._longest_mark
        return reason if is_all_there else None

    def _accepts_without_checksum(self) -> bool:
        """Count a frame without a checksum; return whether this line may have such frames."""
        self._frames_without_checksum += 1
        if self._frames_without_checksum >= FRAMES_TO_FORGET_CHECKSUMS:
            self._requires_checksum = False
        return not self._requires_checksum

    def _note_checksum(self) -> None:
        """Note that a frame with a valid checksum was received."""
        self._requires_checksum, self._frames_without_checksum = True, 0

    def _ends_within(self, end: re.Match[bytes], reach: int) -> Iterator[tuple[int, int]]:
        yield end.span()
        for start in range(end.start() + 1, end.start() + reach + 1):
            if (later := self._ends.match(self._buffer, start)) is not None:
                yield later.span()

    def _starts_before(self, end: int) -> Iterator[int]:
        """Yield the positions where the frame with this end may begin: the current one first, then later start marks."""
        at = self._at
        yield at
        for _ in range(MAX_START_ATTEMPTS if self._start else 0):
            at = self._buffer.find(self._start, at + 1, end)
            if at < 0:
                return
            yield at

    def _read_checksum_after_end(
        self, rule: DelimitedChecksum, end: re.Match[bytes], *, final: bool
    ) -> _Found | DiscardReason | None:
        payload, checksum_at = self._payload_before(end.start()), end.end() + len(rule.separator)
        following = bytes(self._buffer[end.end() : end.end() + 1])
        if not following and not final:
            return None
        if rule.optional and (following == self._start[:1] or following in self._framing.tail):  # some readers send LF alone
            return _Found(payload, self._at, end.end()) if self._accepts_without_checksum() else DiscardReason.NO_CHECKSUM
        stop = checksum_at + rule.length
        if len(self._buffer) < stop and not final:
            return None
        covered = payload + (end[0] if rule.with_end else b"")
        received = bytes(self._buffer[end.end() : stop])
        is_right = received.startswith(rule.separator) and rule.matches(self._start, covered, received[len(rule.separator) :])
        if not is_right:
            return DiscardReason.CHECKSUM
        self._note_checksum()
        return _Found(payload, self._at, stop)

    def _payload_before(self, stop: int) -> bytes:
        return self._framing.unescape(bytes(self._buffer[self._at + len(self._start) : stop]))

    def _bytes_to(self, stop: int) -> bytes:
        return bytes(self._buffer[self._at : stop])

    def _move_to(self, at: int) -> None:
        self._at, self._searched = at, 0


def _mark_pattern(framing: DelimitedFraming, *, with_start: bool) -> re.Pattern[bytes]:
    """Return a pattern for the next end mark, escaped byte or, if requested, start mark.

    Escaped bytes that are also changed by an XOR cannot look like a mark, so the pattern leaves them out.
    """
    marks = [b"(?P<end>" + b"|".join(map(re.escape, framing.received_ends)) + b")"]
    if with_start and framing.start:
        marks.append(b"(?P<start>" + re.escape(framing.start) + b")")
    if framing.escape and not framing.escape_xor:
        marks.append(b"(?P<escaped>" + re.escape(framing.escape) + b".)")
    return re.compile(b"|".join(marks), re.DOTALL)


def _payload_if_valid(rule: DelimitedChecksum, start: bytes, body: bytes, end: bytes) -> bytes | None:
    """Return the payload before the checksum at the end of `body`; `None` if the checksum is wrong."""
    head, received = body[: -rule.length], body[-rule.length :]
    if not head.endswith(rule.separator):
        return body if rule.optional and rule.separator not in body else None
    payload = head[: len(head) - len(rule.separator)]
    return payload if rule.matches(start, payload + (end if rule.with_end else b""), received) else None


def _without_length(found: _Found) -> _Found | DiscardReason:
    """Return the frame without the length byte of its payload, if that is right."""
    is_right = found.payload[:1] == bytes([len(found.payload) - 1 & 0xFF])
    return found._replace(payload=found.payload[1:]) if is_right else DiscardReason.BAD_LENGTH


def _is_json_object(payload: bytes) -> bool:
    try:
        return isinstance(json.loads(payload), dict)
    except (ValueError, RecursionError):
        return False
