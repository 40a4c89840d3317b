"""Describe the current status of a bus, and of a child on it, for an operator. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.field.polling.budget import Budget
from gateway.field.polling.load import LoadPurpose
from gateway.models import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPollingStatus:
    """The state of one child on its bus at the moment."""

    next_try_seconds: float | None
    """In how many seconds it is tried again; `None` while it answers, and while the bus is not open."""
    load: float
    """The share of the bus's time that it took lately."""
    is_slow: bool
    """It is so much slower than the other children that it is read in the gaps between them."""
    remarks: Sequence[str]
    """What its adapter reports about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusStatus:
    """The status of one bus, with its planned and its actual load."""

    entry: str
    bus: str
    problem: str | None
    """Why it is not open; `None` while it is."""
    budget: Budget
    """The planned load of reading it."""
    stretch: float
    """The factor by which all intervals are longer than configured."""
    load: Mapping[LoadPurpose, float]
    """The share of its time that each purpose took lately."""
    discovery: Progress | None
    """How far the running discovery has come; `None` while none is running."""
    waiting_commands: int
    refused: Mapping[str, int]
    """How much of what its adapter returned was refused since the start, by reason."""

    remarks: Sequence[str] = ()
    """What an operator should know about it besides."""

    @property
    def live_load(self) -> float:
        """The share of the bus's time that was used lately, for all purposes together."""
        return sum(self.load.values())

    def __str__(self) -> str:
        """Return the planned and the actual load, or the problem, in one line."""
        if self.problem is not None:
            return f"{self.bus}: {self.problem}"
        used = ", ".join(f"{purpose} {100 * share:.1f} %" for purpose, share in self.load.items() if share >= 0.0005)
        stretched = f"; all intervals stretched {self.stretch:.1f} times" if self.stretch > 1 else ""
        return f"{self.bus}: {self.budget}; lately {used or 'idle'}{stretched}"
