"""Do something on the bus of a child, wherever the child is: follow one that moves, wait for a bus that appears."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeAlias, TypeVar

from gateway.adapter import Adapter
from gateway.errors import CommandRejected
from gateway.field.fleet import Fleet
from gateway.field.polling.bus_jobs import NotOnThisBus
from gateway.field.polling.supervisor import Supervisor
from gateway.models import ChildDevice
from gateway.state.child_alarms import exchanged_for
from gateway.state.records import replacement_question
from gateway.state.registry import Registry
from gateway.tasks import loop_time

T = TypeVar("T")

Begin: TypeAlias = Callable[[], Awaitable[None]]
"""Is awaited right before something is sent to a device."""

BUS_APPEARS_WITHIN = timedelta(seconds=60)
"""How long a command waits for a bus that has not appeared since the start of the gateway."""


async def _nothing() -> None:
    pass


class ChildBuses:
    """Knows which bus serves a child.

    Args:
        registry: knows the children.
        fleet: knows the buses.
    """

    def __init__(self, registry: Registry, fleet: Fleet) -> None:
        self._registry = registry
        self._fleet = fleet

    async def do(
        self, child: str, name: str, work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]], *, within: timedelta
    ) -> T:
        """Do something with a child next, ahead of polling, wherever it is; see `Supervisor.do`."""

        async def run(supervisor: Supervisor, device: ChildDevice, left: timedelta, begin: Begin) -> T:
            return await supervisor.do(device.key, name, work, within=left, before_start=begin)

        return await self.where_the_child_is(child, run, within=within)

    async def step(
        self, child: str, name: str, work: Callable[[Adapter[Any], ChildDevice], Awaitable[T]], *, within: timedelta
    ) -> T:
        """Do one step of a long command on the bus of a child; see `ChildBus.step`."""

        async def run(supervisor: Supervisor, device: ChildDevice, left: timedelta, begin: Begin) -> T:
            return await supervisor.step(device.key, name, work, within=left, before_start=begin)

        return await self.where_the_child_is(child, run, within=within)

    async def where_the_child_is(
        self,
        key: str,
        run: Callable[[Supervisor, ChildDevice, timedelta, Begin], Awaitable[T]],
        *,
        within: timedelta,
        before_start: Begin = _nothing,
    ) -> T:
        """Run something on the bus of a child. Until it has begun, it follows a child that moves to another bus."""
        start_before, has_begun = loop_time() + within.total_seconds(), False

        async def begin() -> None:
            nonlocal has_begun
            has_begun = True
            await before_start()

        while True:
            await self._bus_appeared(key, start_before)
            supervisor, child = self.place_of(key)
            left = timedelta(seconds=max(start_before - loop_time(), 0.0))
            running = asyncio.ensure_future(run(supervisor, child, left, begin))
            moving = asyncio.ensure_future(self._moves(supervisor, child))
            try:
                await asyncio.wait({running, moving}, return_when=asyncio.FIRST_COMPLETED)
                if not running.done() and not has_begun:
                    running.cancel()
                await asyncio.wait({running})
            finally:
                moving.cancel()
                running.cancel()
                await asyncio.wait({running})  # it ends at once, or when a long command has left its device in a working state
            if self._is_elsewhere(supervisor, child) and (running.cancelled() or isinstance(running.exception(), NotOnThisBus)):
                continue
            return await running

    async def _bus_appeared(self, key: str, start_before: float) -> None:
        """Wait for the bus of a child, which may appear some time after the start of the gateway."""
        seconds = min(start_before - loop_time(), BUS_APPEARS_WITHIN.total_seconds())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while (record := self._registry.children.get(key)) is not None:
                    if (record.child.adapter, record.child.bus) in self._fleet.supervisors:
                        return
                    await self._fleet.bus_appears()

    async def _moves(self, supervisor: Supervisor, child: ChildDevice) -> None:
        """Return when a child is on another bus, or is no child any more."""
        async with self._registry.changed:
            await self._registry.changed.wait_for(lambda: self._is_elsewhere(supervisor, child))

    def _is_elsewhere(self, supervisor: Supervisor, child: ChildDevice) -> bool:
        """Return whether a child is no longer served by this supervisor; its bus gets another one with new settings."""
        place = (child.adapter, child.bus)
        record = self._registry.children.get(child.key)
        is_moved = record is None or (record.child.adapter, record.child.bus) != place
        return is_moved or self._fleet.supervisors.get(place) is not supervisor

    def place_of(self, key: str) -> tuple[Supervisor, ChildDevice]:
        """Return a child, and the supervisor of its bus.

        Raises:
            CommandRejected: there is no such child or bus (any more).
        """
        record = self._registry.children.get(key)
        if record is None:
            raise CommandRejected("this device is not a child of the gateway any more")
        child = record.child
        if (new := exchanged_for(self._registry, key)) is not None:
            raise CommandRejected(
                f"{child.name} is gone: at its address {child.address} answers {new.name} (serial number"
                f" {new.serial_number or 'unknown'}), so nothing was sent. {replacement_question(child, new.key)}"
            )
        supervisor = self._fleet.supervisors.get((child.adapter, child.bus))
        if supervisor is None:
            raise CommandRejected(f"the bus {child.bus} of {child.name} does not exist (any more)")
        return supervisor, child
