"""How often the register detective names the right place, type, order and scale first, in devices as makers build them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from comparison import Comparison

from adapters.modbus.tools.register_finder import explain

sys.path.insert(0, str(Path(__file__).parents[1] / "adapters" / "modbus" / "tools"))
from register_cases import RegisterCase, cases

CASES = 500
GOALS = {1: None, 2: None, 3: 95.0}


def compare() -> Iterator[Comparison]:
    """With one, two and three looks at the display."""
    for samples, goal in GOALS.items():
        made = list(cases(CASES, samples, seed=2026))
        first = 100 * sum(map(is_first, made)) / CASES
        yield Comparison(
            what=f"right answer first in {CASES} devices, {samples} look{'s' if samples > 1 else ''} at the display",
            unit="%",
            figure=first,
            baseline=100 * sum(map(is_only_hit, made)) / CASES,
            baseline_is="devices where one float or unscaled register alone has the value",
            goal=None if goal is None else f"at least {goal:g} %",
            holds=goal is None or first >= goal,
        )


def is_first(case: RegisterCase) -> bool:
    found = explain(case.seen, tolerance=0.0)
    return bool(found) and case.is_explained_by(found[0].where)


def is_only_hit(case: RegisterCase) -> bool:
    """What a person with a register viewer finds: the one place that shows the value as it is."""
    hits = [one for one in explain(case.seen, tolerance=0.0) if " x " not in one.where and "first" not in one.where]
    return len(hits) == 1 and case.is_explained_by(hits[0].where)
