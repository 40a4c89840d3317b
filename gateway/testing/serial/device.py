"""A device on a serial line: what it answers, what it says unasked, what it has said so far, and what is wrong with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

SaidT = TypeVar("SaidT", bool, int, float, str)


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a device. Each is seen in everything that it sends."""

    silent: bool = False
    """It hears, and says nothing."""
    deaf: bool = False
    """It talks as ever, and hears nothing."""
    late_seconds: float = 0.0
    """So much later it answers."""
    noise: bytes = b""
    """What the line makes of itself in front of each frame."""
    half: bool = False
    """Its frames break off in the middle."""
    wrong_checksum: bool = False
    """A bit of each frame is wrong."""
    one_byte_at_a_time: bool = False
    """Each byte comes alone, a millisecond after the one before."""

    def mar(self, frame: bytes) -> bytes:
        """Return what becomes of a frame on its way."""
        if self.silent:
            return b""
        middle = len(frame) // 2
        if self.wrong_checksum:
            frame = frame[:middle] + bytes([frame[middle] ^ 1]) + frame[middle + 1 :]
        return self.noise + (frame[:middle] if self.half else frame)


HEALTHY = Faults()


class SerialDevice:
    """A device that hears nothing and says nothing: the one to inherit from.

    Args:
        name: what a person would call it.
        speaks_every_seconds: how often it says something unasked; `None` when it does not.
    """

    def __init__(self, name: str, *, speaks_every_seconds: float | None = None) -> None:
        self.name = name
        self.speaks_every_seconds = speaks_every_seconds
        self.faults = HEALTHY
        self.sent: defaultdict[str, set[bool | int | float | str]] = defaultdict(set)
        """Metric -> every value of it that went over the line."""

    def hear(self, data: bytes) -> Sequence[bytes]:
        """Take in what came, in whatever pieces, and return the frames that it answers."""
        return ()

    def speak(self) -> bytes:
        """Return what it says unasked now."""
        return b""

    def says(self, metric: str, value: SaidT) -> SaidT:
        """Remember a value that is being sent, and return it."""
        self.sent[metric].add(value)
        return value


class ScriptedDevice(SerialDevice):
    """A device that does what its author's functions say.

    Args:
        answer: what it answers to what came, `None` for nothing; asked for each `end` that came, or for whatever comes.
        speech: what it says unasked.
        speaks_every_seconds: how often.
        end: what a question ends with; empty when each piece that comes is one.
        name: what a person would call it.
    """

    def __init__(
        self,
        answer: Callable[[bytes], bytes | None] = lambda question: None,
        *,
        speech: Callable[[], bytes] = lambda: b"",
        speaks_every_seconds: float | None = None,
        end: bytes = b"",
        name: str = "scripted device",
    ) -> None:
        super().__init__(name, speaks_every_seconds=speaks_every_seconds)
        self.heard: list[bytes] = []
        """Every question that it heard, without its end."""
        self._answer = answer
        self._speech = speech
        self._end = end
        self._begun = b""

    def hear(self, data: bytes) -> Sequence[bytes]:
        """Return what the author's function answers to each question that ended."""
        *questions, self._begun = (self._begun + data).split(self._end) if self._end else [data, b""]
        self.heard += questions
        return [answer for answer in map(self._answer, questions) if answer is not None]

    def speak(self) -> bytes:
        """Return what the author's function says."""
        return self._speech()
