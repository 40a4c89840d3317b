"""Keep what the units of one bus refuse, remember what is confirmed for their models, and tell the operator."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final, TypeVar

from adapters.modbus.polling.bisection import Bisection
from adapters.modbus.polling.plan import ReadBlock
from adapters.modbus.polling.refusal_facts import facts_as_text, facts_from_text
from adapters.modbus.polling.refusals import NO_ANSWER, Refusal, describe_code
from adapters.modbus.polling.unit_refusals import Facts, KnownLimit, UnitRefusals
from gateway.adapter import ChildDevice, loop_time

K = TypeVar("K", bound=Hashable)

log = logging.getLogger("adapters.modbus")

TOLD_FROM: Final = 2
"""A refusal is logged when it is repeated: a single one is nothing that a person could act on."""

NAMES_SHOWN: Final = 12
"""How many metrics and places a remark names."""


class RefusalMemory:
    """The refusals of the units of one bus.

    Args:
        bus: its label, for the log.
        memory: gives the adapter's memory as it is now; all buses of an entry share it.
    """

    def __init__(self, bus: str, memory: Callable[[], MutableMapping[str, str]]) -> None:
        self._bus = bus
        self._memory = memory
        self._units: dict[tuple[str, str], UnitRefusals] = {}
        self._facts: dict[str, Facts] = {}
        self._busy: dict[str, int] = {}
        """The units, by address, that answered the last read only with a code which does not depend on what is read."""

    def of(self, child: ChildDevice) -> UnitRefusals:
        """Return what this unit refuses; at first what is known of its model and firmware."""
        key = child.address, _model(child)
        unit = self._units.get(key)
        if unit is None:
            self.forget(child.address)
            unit = self._units[key] = UnitRefusals.of_model(self._facts_of(key[1]), now())
        return unit

    def forget(self, address: str) -> None:
        """Forget what the unit at this address refuses: another device may be there now, or another firmware."""
        self._units = {key: unit for key, unit in self._units.items() if key[0] != address}
        self._busy.pop(address, None)

    def note_busy(self, child: ChildDevice, code: int | None) -> None:
        """Note that the unit answered a whole read only with this code, of those that say "not now"; `None`: it did not."""
        if code is None:
            self._busy.pop(child.address, None)
        else:
            self._busy[child.address] = code

    def was_read(self, child: ChildDevice, unit: UnitRefusals, block: ReadBlock, at_once: int) -> None:
        """Record that the unit of this child answered a block, so many of its registers at once."""
        limit = unit.limit
        metrics = (point.metric.name for point in block.points) if unit.points else ()
        over = unit.was_read(block.read, metrics, at_once=at_once, now=now())
        if told := sorted(metric for metric, refusal in over.items() if refusal.times >= TOLD_FROM):
            log.info("%s: %s answers again: %s", self._bus, child.name, _few(told))
        if over or (limit is not None and unit.limit is None):
            self._remember(child, disproved=over)

    def learn(self, child: ChildDevice, bisection: Bisection) -> None:
        """Take over the result of bisecting a block that failed; log what is repeated, and remember what is confirmed."""
        unit = self.of(child)
        limit = unit.limit
        unit.learn(bisection, now=now(), today=datetime.now(UTC))
        failed = {one.point.metric.name for one in bisection.refused} | {one.metric.name for one in bisection.unresolved}
        if told := {metric: unit.points[metric] for metric in failed if unit.points[metric].times == TOLD_FROM}:
            log.warning("%s: %s %s; the rest is read", self._bus, child.name, "; ".join(_descriptions(told)))
        if limit is None and unit.limit is not None:
            log.warning("%s: %s %s", self._bus, child.name, _describe_limit(unit.limit))
        self._remember(child)

    def remarks(self, child: ChildDevice) -> list[str]:
        """Return what is left out, why, since when, and when it is asked for again."""
        unit = self.of(child)
        told = [_describe_limit(unit.limit)] if unit.limit is not None else []
        return [*_descriptions(unit.points), *told]

    def why_nothing_is_read(self, child: ChildDevice, metrics: Collection[str]) -> str | None:
        """Return why none of these metrics of a child is read; `None` where one of them is, or may be."""
        if (busy := self._busy.get(child.address)) is not None:
            return f"it answers each read with {describe_code(busy)}: it may be busy, starting, or asleep"
        refused = self.of(child).points
        if not metrics or not refused.keys() >= set(metrics):
            return None
        refusals = [refused[metric] for metric in metrics]
        codes = _few(sorted({describe_code(refusal.code) for refusal in refusals}))
        since, next_at = min(refusal.since for refusal in refusals), min(refusal.next_at for refusal in refusals)
        many = f"all of its {len(refusals)} metrics" if len(refusals) > 1 else "its one metric"
        return f"it answers, and refuses {many} since {_clock(since)} ({codes}); asked for again at {_clock(_date(next_at))}"

    def _facts_of(self, model: str) -> Facts:
        if model not in self._facts:
            self._facts[model] = facts_from_text(self._memory().get(model))
        return self._facts[model]

    def _remember(self, child: ChildDevice, disproved: Iterable[str] = ()) -> None:
        """Store what is confirmed of the model, where that has changed; not more often, since flash wears out."""
        model, own = _model(child), self.of(child)
        before = self._facts_of(model)
        others = [unit for (_, name), unit in self._units.items() if name == model and unit is not own]
        points = {metric: refusal for metric, refusal in before.points.items() if metric not in disproved}
        boundaries = dict(before.boundaries)
        if own.answers_others(now()):
            points |= _confirmed(own.points, [unit.points for unit in others])
            boundaries |= _confirmed(own.boundaries, [unit.boundaries for unit in others])
        after = Facts(points, boundaries, _confirmed_limit(own, before.limit))
        if _compared(after) != _compared(before):
            self._facts[model] = after
            self._memory()[model] = facts_as_text(after)


def _model(child: ChildDevice) -> str:
    return f"refused by {child.profile} {child.sub_model or child.model or '-'} firmware {child.firmware_version or '-'}"


def _confirmed(own: Mapping[K, Refusal], others: Iterable[Mapping[K, Refusal]]) -> dict[K, Refusal]:
    """Return what one unit has refused often enough, or two units have."""
    seconded = {key for other in others for key, refusal in other.items() if refusal.is_confirmed_with_another}
    return {
        key: refusal
        for key, refusal in own.items()
        if refusal.is_confirmed or (refusal.is_confirmed_with_another and key in seconded)
    }


def _confirmed_limit(own: UnitRefusals, before: KnownLimit | None) -> KnownLimit | None:
    if own.limit is not None:
        return own.limit if before is not None or own.limit.refusal.is_confirmed else None
    return None if before is not None and own.longest_read >= before.length.fails else before


def _compared(facts: Facts) -> tuple[object, ...]:
    return facts.points.keys(), facts.boundaries.keys(), None if facts.limit is None else facts.limit.length


def _descriptions(points: Mapping[str, Refusal]) -> list[str]:
    """Return a clause for each kind of refusal: its places, metrics and code, since when, and when it is asked for next."""

    def kind(metric: str) -> tuple[str, bool]:
        return describe_code(points[metric].code), points[metric].is_alone

    clauses = []
    for (what, is_alone), named in groupby(sorted(points, key=lambda metric: (kind(metric), metric)), key=kind):
        metrics = list(named)
        refusals = [points[metric] for metric in metrics]
        places = _few(sorted({str(refusal.read) for refusal in refusals}))
        since, next_at = min(refusal.since for refusal in refusals), min(refusal.next_at for refusal in refusals)
        verb = ("refuses" if is_alone else "refuses all of") if what != NO_ANSWER else "does not answer"
        clauses.append(
            f"{verb} {places}: {_few(metrics)} left out since {_clock(since)} ({what}, {_times(refusals)}), asked for again at "
            f"{_clock(_date(next_at))}"
        )
    return clauses


def _times(refusals: Iterable[Refusal]) -> str:
    times = max(refusal.times for refusal in refusals)
    return "once" if times == 1 else f"{times} times"


def _describe_limit(limit: KnownLimit) -> str:
    works, fails, refusal = limit.length.works, limit.length.fails, limit.refusal
    registers = "1 register" if works == 1 else f"{works} registers"
    return (
        f"answers at most {registers} at once, not {fails} ({describe_code(refusal.code)}), since {_clock(refusal.since)}: "
        f"longer values are read in parts; a longer read is tried at {_clock(_date(refusal.next_at))}"
    )


def _few(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names) if more <= 0 else f"{', '.join(names[:NAMES_SHOWN])} and {more} more"


def _date(at: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=max(at - now(), 0.0))


def _clock(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def now() -> float:
    """Return the time of the event loop; where none runs, as in a plan without a bus, that of the clock that a loop has."""
    try:
        return loop_time()
    except RuntimeError:
        return time.monotonic()
