"""Define how requests are sent to units: the `Transport` protocol, which `Link` implements, and the retry policy. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from adapters.modbus.client.pdu import Request


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """The time-out of an answer, and the number of times that the request is sent."""

    timeout_seconds: float
    """Until the answer begins; on a line, the time of the characters is added. Over a network, until it is complete."""
    tries: int = 1
    late_seconds: float = 0.0
    """How long the answer to an abandoned request may still arrive; never shorter than the time-out."""
    waits_for_start: bool = True
    """On a fresh connection a read is sent again for as long as the host may not be ready; a scan does that once at its end."""


class Transport(Protocol):
    """A bus over which one request at a time is sent."""

    @property
    def answer_seconds(self) -> float | None:
        """The turnaround of the last answer, from the end of the request to the end of the answer.

        The time that the characters of the answer need on a line is subtracted. Where the request was sent more than once and the
        answer may belong to the first time, it counts from then on, so that a unit that has become slow does not look quick.
        `None` when the last request was not answered.
        """

    @property
    def echoes(self) -> bool:
        """Whether the line returns each request to the sender, as some RS-485 adapters do."""

    @property
    def is_silence_doubtful(self) -> bool:
        """Whether silence says nothing about a unit: the host has not answered yet on this connection, and may not be ready."""

    def pause_seconds(self, unit: int) -> float:
        """Return the pause that is kept before each request to this unit."""

    async def open(self) -> None:
        """Connect, or raise `BusUnavailable`."""

    def close(self) -> None:
        """Close at once."""

    async def ask(self, unit: int, request: Request, policy: RetryPolicy) -> bytes | Mapping[int, bytes]:
        """Return the answer, or raise `ExceptionResponse`, `DeviceUnreachable` or `BusUnavailable`."""
