"""Entries are replaced one by one: those whose settings are the same are not touched."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Self

import pytest

from gateway.adapter import Adapter, AdapterSettings
from gateway.field.fleet import Fleet


class Settings(AdapterSettings):
    labels: tuple[str, ...] = ("bus",)
    speed: int = 1


class Wire(Adapter[Settings]):
    settings_model = Settings
    label = ""

    @property
    def bus(self) -> str:
        return self.label

    @classmethod
    async def buses(cls, settings: Settings) -> AsyncIterator[Self]:
        for label in settings.labels:
            wire = cls(settings)
            wire.label = label
            yield wire
        await asyncio.sleep(0 if settings.speed else 3600)  # one that waits for more

    def discover(self):
        raise NotImplementedError

    def poll_groups(self, child):
        return {}

    def read(self, child, due):
        raise NotImplementedError


class Supervised:
    """A supervisor that records when it runs."""

    def __init__(self, adapter, log):
        self.adapter, self.log = adapter, log

    async def run(self):
        self.log.append(f"{self.adapter.bus} begins at {self.adapter.settings.speed}")
        try:
            await asyncio.sleep(3600)
        finally:
            self.log.append(f"{self.adapter.bus} ends")


def entry(name, **keys):
    return Settings(type="wire", name=name, **keys)


@pytest.fixture
async def started():
    @contextlib.asynccontextmanager
    async def start(*entries):
        log = []
        fleet = Fleet(entries, {"wire": Wire}, lambda adapter, _name: Supervised(adapter, log))
        task = asyncio.create_task(fleet.run())
        for _ in range(20):
            await asyncio.sleep(0)
        yield fleet, log
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return start


async def turns():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_only_the_entry_whose_settings_differ_is_restarted(started):
    async with started(entry("a", labels=("a1", "a2")), entry("b", labels=("b1",))) as (fleet, log):
        before = fleet.supervisors["b", "b1"]
        log.clear()
        await fleet.replace([entry("a", labels=("a1", "a3"), speed=2), entry("b", labels=("b1",))])
        await turns()
        assert sorted(log) == ["a1 begins at 2", "a1 ends", "a2 ends", "a3 begins at 2"]
        assert fleet.supervisors.keys() == {("a", "a1"), ("a", "a3"), ("b", "b1")}
        assert fleet.supervisors["b", "b1"] is before


async def test_the_same_entries_again_change_nothing(started):
    async with started(entry("a"), entry("b", labels=("b1",), speed=0)) as (fleet, log):
        log.clear()
        await fleet.replace([entry("a"), entry("b", labels=("b1",), speed=0)])
        await turns()
        assert log == []


async def test_a_bus_has_ended_before_its_successor_begins(started):
    async with started(entry("a", speed=0)) as (fleet, log):
        for speed in (1, 0, 1):
            await fleet.replace([entry("a", speed=speed)])
            await turns()
        assert log == [
            "bus begins at 0",
            "bus ends",
            "bus begins at 1",
            "bus ends",
            "bus begins at 0",
            "bus ends",
            "bus begins at 1",
        ]


async def test_entries_that_are_replaced_before_the_start_are_what_is_started():
    log = []
    fleet = Fleet([entry("a")], {"wire": Wire}, lambda adapter, _name: Supervised(adapter, log))
    await fleet.replace([entry("a", speed=7)])
    task = asyncio.create_task(fleet.run())
    await turns()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert log == ["bus begins at 7", "bus ends"]


async def test_a_bus_that_cannot_be_used_costs_none_that_comes_after_it(caplog):
    class Odd(Wire):
        @classmethod
        async def buses(cls, settings):
            for label in ("one", 7, "\x1b[2J", "", None):
                wire = cls(settings)
                wire.label = label
                yield wire
            yield None
            yield object()
            wire = cls(settings)
            wire.label = "two"
            yield wire

    log = []
    fleet = Fleet([entry("a")], {"wire": Odd}, lambda adapter, _name: Supervised(adapter, log))
    task = asyncio.create_task(fleet.run())
    await turns()
    assert fleet.supervisors.keys() == {("a", "one"), ("a", "two")}
    told = caplog.messages[0]
    assert "a: a bug in the adapter a: one of its buses cannot be used: WrongAdapterData: Adapter.bus is something" in told
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
