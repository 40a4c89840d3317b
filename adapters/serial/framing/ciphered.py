"""Find telegrams in plain text and encrypted ones, in frames of DLMS general global ciphering, on the same line. Pure."""

from __future__ import annotations

import re

from adapters.serial.framing.delimited import DelimitedFramer
from adapters.serial.framing.frames import DiscardReason, Frame

TAG = 0xDB
"""The first byte of an encrypted frame (IEC 62056-5-3, general-glo-ciphering). No telegram in plain text has a byte above 7F."""

FIXED_BYTES = {0: {TAG}, 1: {8}, 10: {0x82}, 13: {0x20, 0x30}}
"""Position -> possible bytes: the tag, the length of the system title, a length in two bytes, a security control byte."""

_TAG = bytes([TAG])
_BEGIN = re.compile(re.escape(_TAG) + rb"(?:\x08|\Z)")
"""Where an encrypted frame may begin: many tags in a row are noise."""

LENGTH_AT = 11
LENGTH_ENDS = 13

PAUSE_SECONDS = 0.5
"""An encrypted frame whose next byte does not come within this time is given up. Telegrams are at least a second apart."""


class TelegramFramer(DelimitedFramer):
    """Finds telegrams; the payload of an encrypted one is the whole frame, from its tag on."""

    _encrypted = b""
    """The beginning of an encrypted frame, and whatever follows."""

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that is still incomplete."""
        return super().pending + self._encrypted

    @property
    def deadline(self) -> float | None:
        """Time at which to call `expire`: an encrypted frame that lost bytes must not swallow the next one."""
        return self._fed_at + PAUSE_SECONDS if self._encrypted and self._fed_at is not None else super().deadline

    def clear(self) -> None:
        """Discard an incomplete frame."""
        self._give_up_encrypted()
        super().clear()

    def _extract(self, *, final: bool) -> list[Frame]:
        if final:
            self._give_up_encrypted()
        frames: list[Frame] = []
        while True:
            if not self._encrypted:
                at = self._buffer.find(TAG)
                if at < 0:
                    return frames + super()._extract(final=final)
                self._encrypted = bytes(self._buffer[at:])
                del self._buffer[at:]
            else:
                self._encrypted += bytes(self._buffer[self._plain_size :])
                del self._buffer[self._plain_size :]
            frames += super()._extract(final=False)
            self._plain_size = len(self._buffer)
            if not self._take_encrypted(frames):
                return frames

    _plain_size = 0
    """Bytes of an incomplete telegram in plain text that stand before an encrypted one, in the buffer."""

    def _take_encrypted(self, frames: list[Frame]) -> bool:
        """Move what is complete out of the encrypted bytes; return whether something was."""
        head = self._encrypted[:LENGTH_ENDS]
        is_possible = all(self._encrypted[at] in values for at, values in FIXED_BYTES.items() if at < len(self._encrypted))
        length = LENGTH_ENDS + int.from_bytes(head[LENGTH_AT:LENGTH_ENDS], "big")
        if not is_possible or length > self._longest:
            begin = _BEGIN.search(self._encrypted, 1)
            stop = len(self._encrypted) if begin is None else begin.start()
            damaged = self._encrypted[:stop].replace(_TAG, b"?")  # characters that no telegram may contain
            self._buffer += damaged + self._encrypted[stop:]
            self._encrypted = b""
            return True
        if len(head) < LENGTH_ENDS or len(self._encrypted) < length:
            return False
        raw, rest = self._encrypted[:length], self._encrypted[length:]
        super().clear()
        self._buffer += rest
        self._encrypted = b""
        frames.append(self._frame(raw, raw))
        return True

    def _give_up_encrypted(self) -> None:
        if self._encrypted:
            self.discards.add(DiscardReason.CUT_SHORT, self._encrypted)
            self._encrypted = b""
