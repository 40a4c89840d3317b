"""How a bus stands at one moment, and what it does about a child: what is told to a person. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.field.polling.budget import Budget
from gateway.field.polling.load import LoadPurpose
from gateway.models import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPollingStatus:
    """What a bus does about one of its children."""

    next_try_seconds: float | None
    """In how many seconds it is asked again; `None` while it answers, and while the bus is not open."""
    load: float
    """The share of the bus's time that it took lately."""
    is_slow: bool
    """It takes so much longer than its neighbours that it is read in the gaps they leave."""
    remarks: Sequence[str]
    """What its adapter has to say of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusStatus:
    """One bus, its plan beside its life."""

    entry: str
    bus: str
    problem: str | None
    """Why it is not open; `None` while it is."""
    budget: Budget
    """What reading it costs by plan."""
    stretch: float
    """How much longer than configured all intervals are."""
    load: Mapping[LoadPurpose, float]
    """What its time went into lately, in shares."""
    discovery: Progress | None
    """How far a search has come; `None` while there is none."""
    waiting_commands: int

    @property
    def live_load(self) -> float:
        """The share of the bus's time that was taken lately, for whatever purpose."""
        return sum(self.load.values())

    def __str__(self) -> str:
        """Say in one line what the bus has to do and what it does, for a person."""
        if self.problem is not None:
            return f"{self.bus}: {self.problem}"
        spent = ", ".join(f"{purpose} {100 * share:.1f} %" for purpose, share in self.load.items() if share >= 0.0005)
        stretched = f"; all intervals stretched {self.stretch:.1f} times" if self.stretch > 1 else ""
        return f"{self.bus}: {self.budget}; lately {spent or 'idle'}{stretched}"
