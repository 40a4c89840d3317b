"""What the check of everything that an adapter yields costs, beside taking the same readings in unchecked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from comparison import Comparison

from gateway.field.adapter_data.readings import ReadingCheck
from gateway.field.adapter_data.refusals import Refusals
from gateway.field.telemetry.sampling import Sampler
from gateway.models import Block, Metric, MetricRow, Reading, Value

CHILDREN = 20
BLOCK = 125
"""As a Modbus transaction has at most."""
SHORT_LIST = 8
"""As the message of a small device has."""
ROUNDS = 400
RUNS = 5
"""The fastest run counts: another program may have the core meanwhile."""
POINTS_A_SECOND = 10_000
MOST_OF_A_CORE = 0.02


def compare() -> Iterator[Comparison]:
    """Take in blocks of numbers, blocks with a text in them, and lists of readings."""
    floats = [float(number) for number in range(BLOCK)]
    yield _compared("in blocks of 125 numbers", BLOCK, lambda child, row, at: Block(child, row, floats, at))
    mixed: list[Value] = [*floats[:-2], "running", None]
    yield _compared("in blocks of 125, one of them a text", BLOCK, lambda child, row, at: Block(child, row, mixed, at))
    yield _compared(
        "in lists of 8 readings",
        SHORT_LIST,
        lambda child, row, at: [Reading(child, metric, 1.5, at) for metric in row.metrics],
    )


def _compared(what: str, metrics: int, make: Callable[[str, MetricRow, datetime], Sequence[Reading]]) -> Comparison:
    row = MetricRow([Metric(f"point_{number}") for number in range(metrics)])
    children = [f"sn:benchmark/{number}" for number in range(CHILDREN)]
    check = ReadingCheck(Refusals("benchmark", "bus"), frozenset(children))
    sampler = Sampler()

    def unchecked(child: str) -> None:
        sampler.take(make(child, row, datetime.now(UTC)))

    def checked(child: str) -> None:
        sampler.take(check.checked(make(child, row, datetime.now(UTC)), "read", child))

    ours, bare = _seconds_a_point(checked, children, metrics), _seconds_a_point(unchecked, children, metrics)
    share = (ours - bare) * POINTS_A_SECOND
    return Comparison(
        what=f"checked readings {what}: {100 * share:.2f} % of a core for the check of 10,000 points/s",
        unit="ns/point",
        figure=1e9 * ours,
        baseline=1e9 * bare,
        baseline_is="the same, unchecked",
        more_is_better=False,
        goal=f"the check takes at most {100 * MOST_OF_A_CORE:g} % of a core",
        holds=share <= MOST_OF_A_CORE,
    )


def _seconds_a_point(take: Callable[[str], None], children: Sequence[str], metrics: int) -> float:
    best = float("inf")
    for _ in range(RUNS):
        begun = time.process_time()
        for _ in range(ROUNDS):
            for child in children:
                take(child)
        best = min(best, time.process_time() - begun)
    return best / (ROUNDS * len(children) * metrics)
