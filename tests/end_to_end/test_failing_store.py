"""The whole gateway, on a store that takes nothing for a while: it is told once, no bus and no loop ends, and it goes on."""

import asyncio
import logging
import sqlite3
from datetime import timedelta

import pytest

from gateway.errors import StoreError
from gateway.state.store import Store
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
SYNTHETIC = {"type": "synthetic", "discover_every": 0.2}


def device(number):
    return SyntheticDevice(f"{number}", f"a{number}", poll_every=timedelta(milliseconds=50))


@pytest.fixture
def break_store(monkeypatch):
    """Return a function that lets every transaction fail, as on a disk that is gone, or work again."""
    real = Store._transact

    def set_broken(why):
        def fail(self, work):
            self.problem = why
            raise StoreError(f"{self.path}: {why}")

        monkeypatch.setattr(Store, "_transact", real if why is None else fail)

    return set_broken


async def test_no_bus_and_no_loop_ends_because_the_store_fails(running, until, break_store, caplog):
    caplog.set_level(logging.INFO)
    bus = SyntheticBus([device(1), device(2)])
    async with running({"synthetic": SyntheticAdapter.on(bus)}, {"type": "synthetic"}) as gateway:
        registry, fleet = gateway.parts.state.registry, gateway.parts.field.fleet

        def registered():
            return sum(record.device_id is not None for record in registry.children.values())

        await until(lambda: registered() == 2)
        (supervisor,) = fleet.supervisors.values()
        break_store("disk I/O error")
        caplog.clear()
        bus.devices["a3"] = device(3)
        for _ in range(2):
            await supervisor.start_discovery()
            await until(lambda: supervisor.status().discovery is None)
        await until(lambda: "becomes no child yet" in caplog.text)
        await until(lambda: "samples cannot be stored" in caplog.text)
        await asyncio.sleep(1.5)  # several rounds of every loop
        assert supervisor.problem is None
        assert not gateway.task.done()
        errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
        assert [record.getMessage() for record in errors if record.exc_info] == []
        said = [record.msg for record in errors]
        assert len(said) == len(set(said)), f"each is said once: {said}"
        assert "the hub is not reachable" not in caplog.text, "it is, and nothing is wrong with it"
        assert (await gateway.parts.view.snapshot()).gateway.store_problem == "disk I/O error"
        assert await gateway.parts.view.store_problem() is not None
        break_store(None)
        await supervisor.start_discovery()
        await until(lambda: registered() == 3)
        await until(lambda: "samples can be stored again" in caplog.text)
        assert await gateway.parts.view.store_problem() is None


async def test_a_full_disk_has_nothing_sent_twice(running, until, emulator):
    """SQLite can read, and refuses what is written: samples, and that the cloud has them."""
    bus = SyntheticBus([device(1), device(2)])
    messages = []
    record = emulator.journal.record_telemetry

    def counting(device_id, message):
        messages.append((device_id, message.at, tuple(message.values.items())))
        record(device_id, message)

    emulator.journal.record_telemetry = counting
    async with running({"synthetic": SyntheticAdapter.on(bus)}, {"type": "synthetic"}) as gateway:
        store, outbox = gateway.parts.state.store, gateway.parts.state.outbox
        children = gateway.parts.state.registry.children
        await until(lambda: len({of for of, *_ in messages} & {one.device_id for one in children.values()}) == 2)

        def allow(action, table, *_of):
            return sqlite3.SQLITE_DENY if action in WRITES and table != "sqlite_master" else sqlite3.SQLITE_OK

        async def set_full(is_full):
            await store._run(lambda: store._connection.set_authorizer(allow if is_full else None))

        emulator.faults.add("drop", times=10_000)
        await until(lambda: outbox.depth > 10)
        before = len(messages)
        await set_full(True)
        emulator.faults.clear()
        await until(lambda: outbox.depth == 0)
        await until(lambda: len(messages) > before + 12)
        assert store.problem is not None
        await set_full(False)
        await until(lambda: outbox._totals.waiting < 10 and not outbox._settled)
        ids = {one.device_id for one in children.values()}
        of_children = [one for one in messages if one[0] in ids]
        assert len(of_children) == len(set(of_children))
        accounts = await outbox.accounts()
        assert all(one.is_balanced for one in accounts)


async def test_a_stop_with_a_store_that_fails_says_how_many_samples_it_costs(running, until, break_store, caplog):
    bus = SyntheticBus([device(1)])
    async with running({"synthetic": SyntheticAdapter.on(bus)}, {"type": "synthetic"}) as gateway:
        await until(lambda: any(record.device_id for record in gateway.parts.state.registry.children.values()))
        break_store("disk I/O error")
        await until(lambda: gateway.parts.field.sampler.unstored >= 3)
        assert "are lost with this stop" not in caplog.text
        gateway.stop.set()
        await gateway.task
        assert "samples are lost with this stop" in caplog.text
