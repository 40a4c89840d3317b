"""What carries questions to units, and how patiently: what the adapter knows of a `Link`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from adapters.modbus.pdu import Question


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for an answer, and how often to ask."""

    timeout_seconds: float
    """From the end of the request to the first sign of an answer."""
    tries: int = 1


class Wire(Protocol):
    """A bus that one question at a time can be asked on."""

    answer_seconds: float | None
    """How long the unit that answered last took: from the end of the request to the end of its answer, less the time that the
    characters of the answer need on a line. `None` when the last question went unanswered."""

    async def open(self) -> None:
        """Connect, or raise `BusUnavailable`."""

    def close(self) -> None:
        """Close at once."""

    async def ask(self, unit: int, question: Question, patience: Patience) -> bytes | Mapping[int, bytes]:
        """Return the answer, or raise `Refused`, `DeviceUnreachable` or `BusUnavailable`."""
