"""What carries questions to units, and how patiently: what the adapter knows of a `Link`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from adapters.modbus.client.pdu import Question


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for an answer, and how often to ask."""

    timeout_seconds: float
    """For the unit to begin with its answer; what the characters need on a line comes on top. Over a network, for the whole."""
    tries: int = 1
    late_seconds: float = 0.0
    """An answer that was given up on may still come for so long; never shorter than the timeout."""


class Wire(Protocol):
    """A bus that one question at a time can be asked on."""

    answer_seconds: float | None
    """How long the unit that answered last took: from the end of the request to the end of its answer, less the time that the
    characters of the answer need on a line. Where the question was asked more than once and the answer may belong to the first
    time, from then on: a unit that has become slow is not taken for a quick one. `None` when the last question went
    unanswered."""

    echoes: bool
    """The line hears its own requests, as some RS-485 adapters do."""

    async def open(self) -> None:
        """Connect, or raise `BusUnavailable`."""

    def close(self) -> None:
        """Close at once."""

    async def ask(self, unit: int, question: Question, patience: Patience) -> bytes | Mapping[int, bytes]:
        """Return the answer, or raise `Refused`, `DeviceUnreachable` or `BusUnavailable`."""
