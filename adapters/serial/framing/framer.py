"""Bytes in, frames out: whatever the pieces are in which the bytes come, and whatever comes between. Nothing here waits."""

from __future__ import annotations

from adapters.serial.framing.delimited import EnclosedFramer
from adapters.serial.framing.formats import Enclosed, Fixed, Framing, LengthPrefixed, Silence
from adapters.serial.framing.frames import Frame, Framer, Reason

__all__ = ["Frame", "Framer", "Reason", "framer_for"]

TEN_BITS_AT_9600_BAUD = 10 / 9600


def framer_for(framing: Framing, *, character_seconds: float = TEN_BITS_AT_9600_BAUD, midway: bool = False) -> Framer:
    """Return a framer for a line whose characters take so long.

    `midway`: what comes first may be the rest of a frame whose beginning nobody heard, so it is thrown away up to its end. Where
    frames have a start, it makes no difference.
    """
    match framing:
        case Enclosed():
            return EnclosedFramer(framing, midway=midway)
        case Fixed() | LengthPrefixed():
            return SyncedFramer(framing)
        case Silence():
            return SilenceFramer(framing, character_seconds, midway=midway)


class SyncedFramer(Framer):
    """For binary frames that begin with known bytes and whose length is known or told."""

    def __init__(self, framing: Fixed | LengthPrefixed) -> None:
        super().__init__(framing.longest, framing.pause)
        self._framing = framing
        self._head = framing.head if isinstance(framing, LengthPrefixed) else len(framing.sync)

    def _cut(self, *, final: bool) -> list[Frame]:
        frames: list[Frame] = []
        at = self._find_sync(0, final=final)
        while len(self._buffer) - at >= max(1, self._head):
            length = self._length(at)
            is_whole = length is not None and at + length <= len(self._buffer)
            if length is not None and not is_whole and not final:
                break
            payload = self._read(at, length) if length is not None and is_whole else None
            if length is not None and payload is not None:
                frames.append(self._took(payload, bytes(self._buffer[at : at + length])))
            else:
                self._note(at, length, is_whole=is_whole)
                length = 1  # the next frame may begin within what is none
            at = self._find_sync(at + length, final=final)
        if final and at < len(self._buffer):
            self.losses.add(Reason.CUT_SHORT, bytes(self._buffer[at:]))
            at = len(self._buffer)
        del self._buffer[:at]
        return frames

    def _find_sync(self, at: int, *, final: bool) -> int:
        """Return where the next frame begins, or where its beginning may be that has not come as a whole."""
        sync = self._framing.sync
        found = self._buffer.find(sync, at)
        if found < 0:
            found = max(at, len(self._buffer) - (0 if final else len(sync) - 1))
        if found > at:
            self.losses.add(Reason.NOISE, bytes(self._buffer[at:found]))
        return found

    def _length(self, at: int) -> int | None:
        """Return how long the frame is that begins here; `None` when it tells what cannot be."""
        framing = self._framing
        if isinstance(framing, Fixed):
            return framing.length
        told = int.from_bytes(self._buffer[at + framing.at : at + framing.head], framing.byte_order)
        length = told + framing.uncounted
        return length if framing.shortest <= length <= framing.longest else None

    def _read(self, at: int, length: int) -> bytes | None:
        """Return the payload of a frame; `None` when its checksum or its end is wrong."""
        framing, rule = self._framing, self._framing.checksum
        stop = at + length - len(framing.end)
        body = bytes(self._buffer[at + len(framing.sync) : stop])
        if not self._buffer.startswith(framing.end, stop):
            return None
        if rule is not None:
            body, told = body[: -rule.length], body[-rule.length :]
            if not rule.agrees(framing.sync, body, told):
                return None
        if isinstance(framing, Fixed):
            return body
        before = framing.at - len(framing.sync)
        return body[:before] + body[before + framing.width :]

    def _note(self, at: int, length: int | None, *, is_whole: bool) -> None:
        """Note what is wrong with what begins here, and that its first byte is thrown away."""
        reason = Reason.BAD_LENGTH if length is None else Reason.CHECKSUM if is_whole else Reason.CUT_SHORT
        if not self._framing.sync and self.losses.is_open:
            reason = Reason.NOISE
        self.losses.add(reason, bytes(self._buffer[at : at + (length or self._head)]), dropped=1)


class SilenceFramer(Framer):
    """For frames that end when nothing comes for a while."""

    def __init__(self, framing: Silence, character_seconds: float, *, midway: bool = False) -> None:
        super().__init__(framing.longest, max(framing.at_least, framing.characters * character_seconds))
        self._rule = framing.checksum
        self._skips = midway

    def _cut(self, *, final: bool) -> list[Frame]:
        raw = bytes(self._buffer)
        if self._skips or len(raw) > self._longest:
            if raw:
                self.losses.add(Reason.NOISE if self._skips else Reason.TOO_LONG, raw)
            self._skips = not final
            self._buffer.clear()
            return []
        if not final:
            return []
        self._buffer.clear()
        return self._read(raw)

    def _read(self, raw: bytes) -> list[Frame]:
        rule = self._rule
        if rule is None:
            return [self._took(raw, raw)]
        payload, told = raw[: -rule.length], raw[-rule.length :]
        if rule.agrees(b"", payload, told):
            return [self._took(payload, raw)]
        self.losses.add(Reason.CHECKSUM, raw)
        return []
