"""Try the changed point map of a child beside the one in use, and use it only if its values are plausible.

The changed map is read in the gaps of polling, and rests for twenty times as long as a round took: at most a twentieth of the
time of the bus. None of its values is sent. A map that is refused is not tried again until it changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from gateway.adapter import Adapter
from gateway.errors import AdapterError
from gateway.field.children.child_configuration import ConfigurationsInEffect
from gateway.field.configuration.device_settings import ReportEvent
from gateway.field.configuration.map_plausibility import implausible
from gateway.field.configuration.setting_writes import RunOnBus
from gateway.field.fleet import Fleet
from gateway.models import ChildDevice, Value
from gateway.state.point_maps import PointMaps, fingerprint
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored
from gateway.tasks import closed_after, loop_time

log = logging.getLogger(__name__)

ROUNDS = 5
"""How often both maps are read."""

REST_FACTOR = 20
"""How much longer than a round the rest after it is."""

SHORTEST_REST = timedelta(seconds=5)
"""Values that change slowly need some time to show that they jump."""

WITHIN = timedelta(minutes=5)
"""How long a round waits for a bus that is closed or busy."""

AGAIN_AFTER_SECONDS = 30.0
"""The wait before a round that failed is repeated."""

SHOWN_PROBLEMS = 5


class MapTrials:
    """The changed maps of all children.

    Args:
        registry: knows the children.
        fleet: knows the buses.
        maps: the maps in use.
        in_effect: gets what an operator should know about a refused map.
        run_in_gaps: does something on the bus of a child, in the gaps of polling.
        report_event: tells the cloud of a map that is not used.
        rest: the shortest rest between two rounds.
    """

    def __init__(
        self,
        registry: Registry,
        fleet: Fleet,
        maps: PointMaps,
        in_effect: ConfigurationsInEffect,
        *,
        run_in_gaps: RunOnBus,
        report_event: ReportEvent,
        rest: timedelta = SHORTEST_REST,
    ) -> None:
        self._registry = registry
        self._fleet = fleet
        self._maps = maps
        self._in_effect = in_effect
        self._run_in_gaps = run_in_gaps
        self._report_event = report_event
        self._rest_seconds = rest.total_seconds()
        self._wanted: dict[str, str] = {}
        self._unstored: dict[str, str | None] = {}
        self._has_work = asyncio.Event()

    def choose_map(self, adapter: Adapter[Any], child: ChildDevice) -> None:
        """Have a child read by the map in use, before it is read; a changed one is tried beside it."""
        changed = adapter.point_map(child)
        known = self._maps.of(child.key)
        if changed is None or known is None or known.text == changed:
            adapter.use_map(child.key, None)
            self._in_effect.map_problems.pop(child.key, None)
            if (changed is None) != (known is None):
                self._unstored[child.key] = changed
                self._has_work.set()
            return
        try:
            adapter.use_map(child.key, known.text)
        except ValueError as error:
            log.warning("%s: its former point map cannot be used any more, so the changed one is: %s", child.name, error)
            self._unstored[child.key] = changed
        else:
            if known.refused == fingerprint(changed):
                self._in_effect.map_problems[child.key] = f"its changed point map is not used: {known.why}"
                return
            self._wanted.setdefault(child.key, changed)
        self._has_work.set()

    async def run(self) -> None:
        """Try changed maps until cancelled."""
        async with asyncio.TaskGroup() as group:
            running: set[str] = set()
            while True:
                await self._has_work.wait()
                self._has_work.clear()
                while self._unstored:
                    child, text = self._unstored.popitem()
                    store = partial(self._maps.forget, child) if text is None else partial(self._maps.use, child, text)
                    await retry_until_stored(store, what="the point map of a child")
                for child in self._wanted.keys() - running:
                    running.add(child)
                    group.create_task(self._try(child, running.discard))

    async def _try(self, child: str, on_end: Callable[[str], None]) -> None:
        changed = self._wanted[child]
        log.info("%s: its point map has changed: it is read beside the former one first", self._name(child))
        old, new = list[dict[str, Value]](), list[dict[str, Value]]()
        while len(new) < ROUNDS and child in self._registry.children:
            try:
                before, after, seconds = await self._run_in_gaps(
                    child, "a changed map", partial(_read_both, changed), within=WITHIN
                )
            except AdapterError as error:
                log.debug("%s: its changed point map cannot be tried now: %s", self._name(child), error)
                await asyncio.sleep(AGAIN_AFTER_SECONDS)
                continue
            old.append(before)
            new.append(after)
            await asyncio.sleep(max(REST_FACTOR * seconds, self._rest_seconds))
        problems = implausible(old, new) if child in self._registry.children else []
        if problems:
            await self._refuse(child, changed, problems)
        elif new:
            await self._use(child, changed, len(new[-1]))
        self._wanted.pop(child, None)
        on_end(child)

    async def _use(self, child: str, changed: str, values: int) -> None:
        await retry_until_stored(partial(self._maps.use, child, changed), what="the point map of a child")
        self._in_effect.map_problems.pop(child, None)
        log.info("%s: its changed point map is used: its %d values are plausible", self._name(child), values)
        record = self._registry.children[child]
        supervisor = self._fleet.supervisors.get((record.child.adapter, record.child.bus))
        if supervisor is not None:
            await supervisor.read_as_configured(child)

    async def _refuse(self, child: str, changed: str, problems: list[str]) -> None:
        why = "; ".join(problems[:SHOWN_PROBLEMS])
        await retry_until_stored(partial(self._maps.refuse, child, changed, why), what="a refused point map")
        text = f"its changed point map is not used: {why}"
        self._in_effect.map_problems[child] = text
        log.warning("%s: %s; the former one stays in use", self._name(child), text)
        self._report_event(child, "point_map_refused", "configuration", text)

    def _name(self, child: str) -> str:
        return self._registry.name_of(child) or child


async def _read_both(changed: str, adapter: Adapter[Any], child: ChildDevice) -> tuple[dict[str, Value], dict[str, Value], float]:
    """Read a child by the map in use and, as a child of its own that nobody else knows, by the changed one.

    Return the values of both, and the seconds that it took.
    """
    began_at = loop_time()
    beside = replace(child, key=f"{child.key} by its changed map", profile=f"{child.profile} changed")
    adapter.use_map(beside.key, changed)
    try:
        before, after = await _values(adapter, child), await _values(adapter, beside)
        return before, after, loop_time() - began_at
    finally:
        adapter.use_map(beside.key, None)


async def _values(adapter: Adapter[Any], child: ChildDevice) -> dict[str, Value]:
    """Return all values of a child; what its map declares and the device refuses is not available."""
    values: dict[str, Value] = {metric.name: None for metrics in adapter.metrics(child).values() for metric in metrics}
    async with closed_after(adapter.read(child, frozenset(adapter.poll_groups(child)))) as batches:
        async for readings in batches:
            values |= {reading.metric.name: reading.value for reading in readings}
    return values
