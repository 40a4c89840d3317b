"""Compare the planned load of reading a bus with the load that it is allowed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.models import PlannedRead
from gateway.plain_numbers import share_text


@dataclass(frozen=True, slots=True)
class Budget:
    """The planned reads of one bus and the load that they may cause."""

    reads: Sequence[PlannedRead]
    limit: float
    """The share of the bus's time that reading may take."""

    @property
    def load(self) -> float:
        """The share of the bus's time that the planned reads need; over 1 it is more than there is."""
        return sum(read.load for read in self.reads)

    @property
    def stretch(self) -> float:
        """The factor by which all intervals must be longer for the planned reads to keep the limit; 1 when they do."""
        return max(1.0, self.load / self.limit)

    @property
    def by_device(self) -> Mapping[str, float]:
        """The load of each device by its name, the highest first."""
        return _sum_by_name((read.name, read.load) for read in self.reads)

    @property
    def by_group(self) -> Mapping[str, float]:
        """The load of each poll group over all devices, the highest first."""
        return _sum_by_name((read.group, read.load) for read in self.reads)

    def __str__(self) -> str:
        """Return the load in one line, with the device that needs most of it."""
        if not self.reads:
            return "nothing has to be read"
        (name, highest), *others = self.by_device.items()
        needed = f"needs {share_text(self.load)} of its time"
        return f"{needed}; {name} takes {100 * highest / self.load:.0f} % of that" if others and self.load > 0 else needed


def over_budget(bus: str, budget: Budget) -> str:
    """Return a message for a bus whose planned reads exceed the limit, with what would help."""
    return (
        f"{bus} {budget}, which is more than its load_limit of {share_text(budget.limit)}; read less often or fewer points, "
        "distribute the devices over more buses, or raise the speed of the line"
    )


def _sum_by_name(loads: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for name, load in loads:
        sums[name] += load
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))
