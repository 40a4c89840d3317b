"""Scan the unit ids of one bus one after the other, and those again that were asked before the host was ready to answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from adapters.modbus.client.pdu import Request
from adapters.modbus.discovery.distinct_devices import Roster
from adapters.modbus.discovery.identify import ProbeResult
from gateway.adapter import Found, Progress


class ProbeUnit(Protocol):
    """Probes a unit id."""

    def __call__(self, unit: int, *, is_patient: bool) -> AsyncGenerator[Request | ProbeResult, None]:
        """Yield the steps and the result; `is_patient`: wait for a host that may not be ready."""


@dataclass(slots=True)
class UnitScan:
    """One scan. Nothing tells a unit that is not there from a host that does not answer yet on a fresh connection.

    So the units that were silent before the first answer on the connection are probed once more after it, or at the end.
    """

    roster: Roster
    probe: ProbeUnit
    add: Callable[[int, ProbeResult], Found | None]
    """Adds a unit that was probed to the roster, and returns the device if it is a new one."""
    is_silence_doubtful: Callable[[], bool]
    """Whether the host may not be ready."""
    total: int
    """How many unit ids are to be probed."""
    _done: int = 0
    _doubtful: list[int] = field(default_factory=list)

    async def take(self, unit: int, *, again: bool = False, is_patient: bool = False) -> AsyncIterator[Found | Progress]:
        """Probe a unit id and add its device, after those that were asked in vain before."""
        note = f"unit {unit} again" if again else f"unit {unit}"
        async with aclosing(self.probe(unit, is_patient=is_patient)) as steps:
            async for step in steps:
                if not isinstance(step, ProbeResult):
                    yield Progress(self._done, self.total, f"{note}: {step}")
                    continue
                async for earlier in self._after(unit, step):
                    yield earlier
                if (device := self.add(unit, step)) is not None:
                    yield device
                self._done += not again
                yield Progress(self._done, self.total, note)

    async def finish(self, host_units: Iterable[int]) -> AsyncIterator[Found | Progress]:
        """Probe what may have been missed while no unit has answered.

        Args:
            host_units: the ids with which the host itself is addressed; one after the other, until one is answered.
        """
        while self._doubtful and not self.roster.has_answers:
            async for step in self.take(self._doubtful.pop(), again=True, is_patient=True):
                yield step
        for unit in host_units:
            if not self.roster.has_answers:
                self.total += 1
                async for step in self.take(unit):
                    yield step

    async def _after(self, unit: int, result: ProbeResult) -> AsyncIterator[Found | Progress]:
        if not result.alive:
            self._doubtful += [unit] * self.is_silence_doubtful()
            return
        earlier, self._doubtful = self._doubtful, []
        for one in earlier:
            async for step in self.take(one, again=True):
                yield step
