"""What a benchmark tells: a figure of ours, the same figure of a baseline, and their ratio."""

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

    @property
    def ratio(self) -> float:
        """The figure in baselines."""
        return self.figure / self.baseline
