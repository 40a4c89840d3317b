"""Base classes of simulated serial devices: answers, unsolicited messages, recorded values and faults. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

ValueT = TypeVar("ValueT", bool, int, float, str)


@dataclass(frozen=True, slots=True)
class SerialFaults:
    """Faults of a device, which affect every frame that it sends."""

    silent: bool = False
    """It receives, but sends nothing."""
    deaf: bool = False
    """It sends unasked as usual, but receives nothing."""
    late_seconds: float = 0.0
    """Additional delay of its answers."""
    noise: bytes = b""
    """Bytes on the line before each frame."""
    truncated: bool = False
    """Its frames end in the middle."""
    wrong_checksum: bool = False
    """One bit of each frame is inverted."""
    one_byte_at_a_time: bool = False
    """Each byte is sent separately, a millisecond after the previous one."""

    def damage(self, frame: bytes) -> bytes:
        """Return the frame as it arrives with these faults."""
        if self.silent:
            return b""
        middle = len(frame) // 2
        if self.wrong_checksum:
            frame = frame[:middle] + bytes([frame[middle] ^ 1]) + frame[middle + 1 :]
        return self.noise + (frame[:middle] if self.truncated else frame)


HEALTHY = SerialFaults()


class SerialDevice:
    """Base class: a device that neither answers nor sends unasked.

    Args:
        name: name for people.
        sends_every_seconds: interval at which it sends unasked; `None` if it does not.
    """

    def __init__(self, name: str, *, sends_every_seconds: float | None = None) -> None:
        self.name = name
        self.sends_every_seconds = sends_every_seconds
        self.faults = HEALTHY
        self.sent: defaultdict[str, set[bool | int | float | str]] = defaultdict(set)
        """Metric -> all values that were sent."""

    def receive(self, data: bytes) -> Sequence[bytes]:
        """Process received bytes, in arbitrary pieces, and return the frames of its answers."""
        return ()

    def connected(self) -> bytes:
        """Return the bytes with which it greets a new network connection."""
        return b""

    def unsolicited(self) -> bytes:
        """Return the bytes that it sends unasked now."""
        return b""

    def record(self, metric: str, value: ValueT) -> ValueT:
        """Record a value that is being sent, and return it."""
        self.sent[metric].add(value)
        return value


class ScriptedDevice(SerialDevice):
    """A device that calls the functions of a test.

    Args:
        answer: returns the answer to a request, `None` for none.
        message: returns the bytes that it sends unasked.
        sends_every_seconds: interval at which it does so.
        end: end mark of a request; empty if each received piece is a request.
        name: name for people.
    """

    def __init__(
        self,
        answer: Callable[[bytes], bytes | None] = lambda question: None,
        *,
        message: Callable[[], bytes] = lambda: b"",
        sends_every_seconds: float | None = None,
        end: bytes = b"",
        name: str = "scripted device",
    ) -> None:
        super().__init__(name, sends_every_seconds=sends_every_seconds)
        self.requests: list[bytes] = []
        """All received requests, without their end marks."""
        self._answer = answer
        self._message = message
        self._end = end
        self._incomplete = b""

    def receive(self, data: bytes) -> Sequence[bytes]:
        """Return the answers to the requests that these bytes complete."""
        *requests, self._incomplete = (self._incomplete + data).split(self._end) if self._end else [data, b""]
        self.requests += requests
        return [answer for answer in map(self._answer, requests) if answer is not None]

    def unsolicited(self) -> bytes:
        """Return the message of the test's function."""
        return self._message()
