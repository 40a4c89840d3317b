"""Find JSON objects that follow one another in the bytes of a line, without an end mark. Pure."""

from __future__ import annotations

import json

from adapters.serial.framing.formats import JsonFraming
from adapters.serial.framing.frames import DiscardReason, Frame, Framer

_QUOTE, _ESCAPE, _OPEN, _CLOSE = b'"\\{}'


class JsonFramer(Framer):
    """Finds JSON objects by their braces; what is between two objects is skipped."""

    def __init__(self, framing: JsonFraming) -> None:
        super().__init__(framing.longest, framing.pause)

    def _extract(self, *, final: bool) -> list[Frame]:
        frames: list[Frame] = []
        while True:
            begin = self._buffer.find(b"{")
            if begin < 0:
                self._drop(len(self._buffer))
                return frames
            self._drop(begin)
            length = _length_of_object(self._buffer)
            if length is None:
                if not final and len(self._buffer) <= self._longest:
                    return frames
                self.discards.add(DiscardReason.CUT_SHORT if final else DiscardReason.TOO_LONG, bytes(self._buffer), dropped=1)
                length = 1  # the next object may begin within these bytes
            elif _is_json(raw := bytes(self._buffer[:length])):
                frames.append(self._frame(raw, raw))
            else:
                self.discards.add(DiscardReason.NO_JSON, raw)
            del self._buffer[:length]

    def _drop(self, length: int) -> None:
        between = bytes(self._buffer[:length])
        if between.strip(b" \t\r\n\0"):
            self.discards.add(DiscardReason.NOISE, between)
        del self._buffer[:length]


def _length_of_object(data: bytes | bytearray) -> int | None:
    """Return the length of the object that begins here; `None` while it is incomplete."""
    depth, is_text, is_escaped = 0, False, False
    for at, byte in enumerate(data):
        if is_escaped:
            is_escaped = False
        elif is_text:
            is_escaped, is_text = byte == _ESCAPE, byte != _QUOTE
        elif byte == _QUOTE:
            is_text = True
        elif byte in (_OPEN, _CLOSE):
            depth += 1 if byte == _OPEN else -1
            if not depth:
                return at + 1
    return None


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True
