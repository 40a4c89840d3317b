"""Build the framer for a frame format; framers for fixed-length, length-prefixed and silence-separated frames. Pure."""

from __future__ import annotations

from adapters.serial.framing.ciphered import TelegramFramer
from adapters.serial.framing.delimited import DelimitedFramer
from adapters.serial.framing.formats import (
    DelimitedFraming,
    FixedLengthFraming,
    Framing,
    JsonFraming,
    LengthPrefixedFraming,
    SilenceFraming,
    TelegramFraming,
)
from adapters.serial.framing.frames import DiscardReason, Frame, Framer
from adapters.serial.framing.json_objects import JsonFramer

__all__ = ["DiscardReason", "Frame", "Framer", "framer_for"]

DEFAULT_CHARACTER_SECONDS = 10 / 9600


def framer_for(
    framing: Framing, *, character_seconds: float = DEFAULT_CHARACTER_SECONDS, starts_mid_frame: bool = False
) -> Framer:
    """Return a framer for a line with this character duration.

    `starts_mid_frame`: the first bytes may be the rest of a frame whose beginning was missed, so they are discarded up to its
    end. Irrelevant for frames that begin with a start mark.
    """
    match framing:
        case TelegramFraming(ciphered=True):
            return TelegramFramer(framing)
        case DelimitedFraming():
            return DelimitedFramer(framing, starts_mid_frame=starts_mid_frame)
        case JsonFraming():
            return JsonFramer(framing)
        case FixedLengthFraming() | LengthPrefixedFraming():
            return SyncedFramer(framing)
        case SilenceFraming():
            return SilenceFramer(framing, character_seconds, starts_mid_frame=starts_mid_frame)


class SyncedFramer(Framer):
    """Finds binary frames that begin with sync bytes and have a fixed length or a length field."""

    def __init__(self, framing: FixedLengthFraming | LengthPrefixedFraming) -> None:
        super().__init__(framing.longest, framing.pause)
        self._framing = framing
        self._head = framing.head if isinstance(framing, LengthPrefixedFraming) else len(framing.sync)

    def _extract(self, *, final: bool) -> list[Frame]:
        frames: list[Frame] = []
        at = self._find_sync(0, final=final)
        while len(self._buffer) - at >= max(1, self._head):
            length = self._length(at)
            is_whole = length is not None and at + length <= len(self._buffer)
            if length is not None and not is_whole and not final:
                break
            payload = self._read(at, length) if length is not None and is_whole else None
            if length is not None and payload is not None:
                frames.append(self._frame(payload, bytes(self._buffer[at : at + length])))
            else:
                self._count_discard(at, length, is_whole=is_whole)
                length = 1  # the next frame may begin within these bytes
            at = self._find_sync(at + length, final=final)
        if final and at < len(self._buffer):
            self.discards.add(DiscardReason.CUT_SHORT, bytes(self._buffer[at:]))
            at = len(self._buffer)
        del self._buffer[:at]
        return frames

    def _find_sync(self, at: int, *, final: bool) -> int:
        """Return the position of the next sync bytes, or of an incomplete beginning of them."""
        sync = self._framing.sync
        found = self._buffer.find(sync, at)
        if found < 0:
            found = max(at, len(self._buffer) - (0 if final else len(sync) - 1))
        if found > at:
            self.discards.add(DiscardReason.NOISE, bytes(self._buffer[at:found]))
        return found

    def _length(self, at: int) -> int | None:
        """Return the length of the frame that begins here; `None` if its length field is impossible."""
        framing = self._framing
        if isinstance(framing, FixedLengthFraming):
            return framing.length
        received = int.from_bytes(self._buffer[at + framing.at : at + framing.head], framing.byte_order)
        length = received + framing.uncounted
        return length if framing.shortest <= length <= framing.longest else None

    def _read(self, at: int, length: int) -> bytes | None:
        """Return the payload of a frame; `None` if its checksum or its end is wrong."""
        framing, rule = self._framing, self._framing.checksum
        stop = at + length - len(framing.end)
        body = bytes(self._buffer[at + len(framing.sync) : stop])
        if not self._buffer.startswith(framing.end, stop):
            return None
        if rule is not None:
            body, received = body[: -rule.length], body[-rule.length :]
            if not rule.matches(framing.sync, body, received):
                return None
        if isinstance(framing, FixedLengthFraming):
            return body
        before = framing.at - len(framing.sync)
        return body[:before] + body[before + framing.width :]

    def _count_discard(self, at: int, length: int | None, *, is_whole: bool) -> None:
        """Count an invalid frame that begins here; its first byte is discarded."""
        reason = DiscardReason.BAD_LENGTH if length is None else DiscardReason.CHECKSUM if is_whole else DiscardReason.CUT_SHORT
        if not self._framing.sync and self.discards.is_out_of_sync:
            reason = DiscardReason.NOISE
        self.discards.add(reason, bytes(self._buffer[at : at + (length or self._head)]), dropped=1)


class SilenceFramer(Framer):
    """Finds frames that are separated by silence."""

    def __init__(self, framing: SilenceFraming, character_seconds: float, *, starts_mid_frame: bool = False) -> None:
        super().__init__(framing.longest, max(framing.at_least, framing.characters * character_seconds))
        self._rule = framing.checksum
        self._skips = starts_mid_frame

    def _extract(self, *, final: bool) -> list[Frame]:
        raw = bytes(self._buffer)
        if self._skips or len(raw) > self._longest:
            if raw:
                self.discards.add(DiscardReason.NOISE if self._skips else DiscardReason.TOO_LONG, raw)
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
            return [self._frame(raw, raw)]
        payload, received = raw[: -rule.length], raw[-rule.length :]
        if rule.matches(b"", payload, received):
            return [self._frame(payload, raw)]
        self.discards.add(DiscardReason.CHECKSUM, raw)
        return []
