"""What a benchmark tells: a figure of ours, the same figure of a baseline, their ratio, and whether the goal is reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One figure against its baseline, both measured in the same run: figures of two runs do not compare, ratios do."""

    what: str
    """What was done, for a reader of the table."""
    unit: str
    figure: float
    baseline: float
    baseline_is: str
    more_is_better: bool = True
    goal: str | None = None
    """What has to hold, for a reader; `None` when the figure is only told."""
    holds: bool = True
    """Whether the goal was reached in this run."""

    @property
    def ratio(self) -> float:
        """The figure in baselines."""
        return self.figure / self.baseline if self.baseline else float("inf")
