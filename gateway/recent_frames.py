"""Keep the last frames of a bus in memory, for a person who looks for a fault."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from time import time

MOST_FRAMES = 300
LONGEST_FRAME = 300
"""In bytes; the rest of a longer frame is left out."""


class RecentFrames:
    """The frames that were sent and received last."""

    def __init__(self, most: int = MOST_FRAMES) -> None:
        self._frames: deque[tuple[float, str, bytes]] = deque(maxlen=most)

    def sent(self, frame: bytes) -> None:
        """Keep a frame that is sent now."""
        self._frames.append((time(), ">", frame[: LONGEST_FRAME + 1]))

    def received(self, frame: bytes) -> None:
        """Keep a frame, or a piece of one, that has arrived now."""
        self._frames.append((time(), "<", frame[: LONGEST_FRAME + 1]))

    def lines(self) -> Sequence[str]:
        """Return them, the oldest first: the time in UTC, `>` for sent or `<` for received, and the bytes."""
        return [f"{_clock(at)} {direction} {_bytes(frame)}" for at, direction, frame in self._frames]


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]


def _bytes(frame: bytes) -> str:
    text = frame[:LONGEST_FRAME].hex(" ")
    return text if len(frame) <= LONGEST_FRAME else f"{text} ..."
