"""The small jobs beside buses and cloud."""

import asyncio
from datetime import UTC, datetime, timedelta

from gateway.models import Found, Identity, IdentityKind, Metric, Reading
from gateway.runtime.background_jobs import forget_removed_children, report_unknown_children
from gateway.state.parts import StateParts
from gateway.state.store import Store
from gateway.status.history import History


async def test_a_table_for_a_child_that_nobody_knows_is_told_once(tmp_path, caplog):
    found = Found(address="a1", identity=Identity(IdentityKind.SERIAL_NUMBER, "acme/1"), name="Meter")
    async with Store(tmp_path / "s.sqlite3") as store:
        state = StateParts.on(store, most_samples=1)
        await state.load()
        await state.registry.admit(found.as_child(adapter="plant", bus="bus", model_id="m"))
        await report_unknown_children(["sn:acme/1", "sn:acmee/1"], state, after=timedelta(0))
    assert [record.getMessage() for record in caplog.records] == [
        '[child."sn:acmee/1"] of the configuration names no device that is known; `xyte-gateway children` lists them'
    ]


async def test_the_history_of_a_child_that_was_retired_is_forgotten(tmp_path):
    history, at = History(), datetime.now(UTC)
    async with Store(tmp_path / "s.sqlite3") as store:
        state = StateParts.on(store, most_samples=1)
        await state.load()
        keys = []
        for number in ("1", "2"):
            found = Found(address=number, identity=Identity(IdentityKind.SERIAL_NUMBER, f"acme/{number}"), name="Meter")
            keys.append((await state.registry.admit(found.as_child(adapter="plant", bus="bus", model_id="m"))).child.key)
        history.take([Reading(key, Metric("power"), 1, at) for key in keys])
        job = asyncio.create_task(forget_removed_children(state.registry, history))
        await asyncio.sleep(0)
        await state.registry.retire(keys[0], why="a test", unused=None)
        async with asyncio.timeout(60):
            while history.latest_values(keys[0]):  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
        assert history.latest_values(keys[1])
        job.cancel()
