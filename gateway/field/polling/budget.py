"""What reading a bus costs by plan, and whether the bus can bear it. Nothing here waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.models import PlannedRead


@dataclass(frozen=True, slots=True)
class Budget:
    """The planned reads of one bus beside what it may be given to do."""

    reads: Sequence[PlannedRead]
    limit: float
    """The share of the bus's time that reading may take."""

    @property
    def load(self) -> float:
        """The share of the bus's time that the plan asks for; more than 1 is more than there is."""
        return sum(read.load for read in self.reads)

    @property
    def stretch(self) -> float:
        """How much longer all intervals have to be for the plan to keep the limit; 1 when it does."""
        return max(1.0, self.load / self.limit)

    @property
    def by_device(self) -> Mapping[str, float]:
        """The load of each device by its name, the heaviest first."""
        return _summed((read.name, read.load) for read in self.reads)

    @property
    def by_group(self) -> Mapping[str, float]:
        """The load of each poll group over all devices, the heaviest first."""
        return _summed((read.group, read.load) for read in self.reads)

    def __str__(self) -> str:
        """Say what the plan asks for, for a person."""
        if not self.reads:
            return "nothing has to be asked"
        (name, most), *others = self.by_device.items()
        told = f"needs {self.load:.2f} s of each 1.00 s"
        return f"{told}; {name} takes {100 * most / self.load:.0f} %" if others and self.load > 0 else told


def over_budget(bus: str, budget: Budget) -> str:
    """Return what is wrong with a plan that a bus cannot bear, and what would help."""
    return (
        f"{bus} {budget}, which is more than its load_limit of {budget.limit:.2f} s; read less often or fewer points, spread the "
        "devices over more buses, or raise the speed of the line"
    )


def _summed(loads: Iterable[tuple[str, float]]) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for name, load in loads:
        sums[name] += load
    return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))
