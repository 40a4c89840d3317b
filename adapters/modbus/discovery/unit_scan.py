"""Scan the unit ids of one bus one after the other, and those again whose silence says nothing or whose answers came late."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Protocol

from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import FIRST_REGISTER, ExceptionResponse, Request
from adapters.modbus.client.transport import RetryPolicy, Transport
from adapters.modbus.discovery.distinct_devices import Roster
from adapters.modbus.discovery.identify import ProbeResult
from adapters.modbus.discovery.scan_timing import ScanTiming
from gateway.adapter import DeviceUnreachable, Found, Progress, SearchSummary, loop_time


class ProbeUnit(Protocol):
    """Probes a unit id."""

    def __call__(self, unit: int, *, seconds: float, waits_for_start: bool) -> AsyncGenerator[Request | ProbeResult, None]:
        """Yield the steps and the result.

        Args:
            unit: the unit id.
            seconds: how long to wait for its first answer.
            waits_for_start: ask again for as long as the host may not be ready.
        """


@dataclass(slots=True)
class UnitScan:
    """One scan.

    Nothing tells a unit that is not there from a host that does not answer yet on a fresh connection. So the units that were
    silent before the first answer on the connection are probed once more after it, or at the end.
    """

    roster: Roster
    timing: ScanTiming
    transport: Transport
    probe: ProbeUnit
    add: Callable[[int, ProbeResult], Found | None]
    """Adds a unit that was probed to the roster, and returns the device if it is a new one."""
    total: int
    """How many unit ids are to be probed."""
    answered: set[int] = field(default_factory=set)
    """The unit ids that answered anything of their own."""
    _done: int = 0
    _doubtful: list[int] = field(default_factory=list)

    async def take(self, unit: int) -> AsyncIterator[Found | Progress]:
        """Probe a unit id, and units whose answers came late by now."""
        async for step in self._probe(unit, f"unit {unit}", self.timing.timeout_seconds):
            yield step
        self._done += 1
        yield Progress(self._done, self.total, f"unit {unit}")
        async for step in self._ask_late_units():
            yield step

    @property
    def summary(self) -> SearchSummary:
        """How many unit ids were asked and stayed quiet."""
        asked, answered = max(self._done, len(self.answered)), len(self.answered)
        text = f"asked {asked} unit id{'' if asked == 1 else 's'}: {answered} answered, {asked - answered} stayed quiet"
        advice = "if a device is missing, check its unit id, its power and its wires; `units` sets which ids are asked"
        return SearchSummary(asked, answered, text, advice if asked > answered else None)

    async def finish(self, host_units: Iterable[int], *, may_queue: bool) -> AsyncIterator[Found | Progress]:
        """Probe what may have been missed, and wait for answers to the last requests, where they may be late.

        Args:
            host_units: the ids with which the host itself is addressed: asked in turn while no unit has answered.
            may_queue: requests may wait for each other in a Modbus gateway.
        """
        earlier, self._doubtful = self._doubtful, []
        for unit in reversed(earlier):
            async for step in self._probe(unit, f"unit {unit} again", self.timing.timeout_seconds, waits_for_start=True):
                yield step
        for unit in host_units:
            if not self.roster.has_answers:
                self.total += 1
                async for step in self.take(unit):
                    yield step
        async for step in self._hear_the_last(may_queue=may_queue):
            yield step

    async def _probe(
        self, unit: int, note: str, seconds: float, *, waits_for_start: bool = False
    ) -> AsyncIterator[Found | Progress]:
        """Probe a unit id and add its device, after those that were asked in vain before."""
        self.timing.asks(unit, loop_time())
        async with aclosing(self.probe(unit, seconds=seconds, waits_for_start=waits_for_start)) as steps:
            async for step in steps:
                if not isinstance(step, ProbeResult):
                    yield Progress(self._done, self.total, f"{note}: {step}")
                    continue
                async for earlier in self._after(unit, step):
                    yield earlier
                if (device := self.add(unit, step)) is not None:
                    yield device

    async def _after(self, unit: int, result: ProbeResult) -> AsyncIterator[Found | Progress]:
        if not result.alive:
            if self.transport.answer_seconds is not None:
                self.timing.served()
            self._doubtful += [unit] * self.transport.is_silence_doubtful
            return
        self.answered.add(unit)
        self.timing.answered(unit)
        earlier, self._doubtful = [one for one in self._doubtful if one != unit], []
        for one in earlier:
            async for step in self._probe(one, f"unit {one} again", self.timing.timeout_seconds):
                yield step

    async def _ask_late_units(self) -> AsyncIterator[Found | Progress]:
        """Probe units again whose answers came after the scan had gone on."""
        self._hear_late_answers()
        while (late := self.timing.next_late()) is not None:
            unit, seconds = late
            async for step in self._probe(unit, f"unit {unit}, whose answer came late", seconds):
                yield step
            self._hear_late_answers()

    async def _hear_the_last(self, *, may_queue: bool) -> AsyncIterator[Found | Progress]:
        while (last := self.timing.last_check(loop_time(), may_queue=may_queue)) is not None:
            begun_at = loop_time()
            if last.is_found:
                with suppress(ExceptionResponse, DeviceUnreachable):
                    await self.transport.ask(last.unit, FIRST_REGISTER, RetryPolicy(last.seconds))
                yield Progress(self._done, self.total, "late answers")
            else:
                async for step in self._probe(last.unit, "late answers", last.seconds):
                    yield step
            if self.transport.answer_seconds is not None or loop_time() < begun_at + last.seconds:
                self.timing.served()  # answered in time, or refused: nothing waits there
            async for step in self._ask_late_units():
                yield step

    def _hear_late_answers(self) -> None:
        while isinstance(self.transport, Link) and self.transport.late:
            self.timing.heard(self.transport.late.popleft())
            self._doubtful.clear()  # the requests wait for each other, so none was lost
