"""A gateway whose store is lost goes on as the same gateway, and a person is told what is lost."""

import asyncio
import os
import shutil
from datetime import timedelta

import pytest

from gateway.config.settings import StoreSection
from gateway.errors import StoreDamaged
from gateway.state.record_rows import read_gateway
from gateway.state.recovery.identity_mirror import mirror_file
from gateway.state.recovery.recoveries import RecoveryKind
from gateway.state.store import read_store
from gateway.status.health import readiness
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}


def device(number):
    return SyntheticDevice(f"{number}", f"a{number}", poll_every=timedelta(milliseconds=100))


def children_of(emulator):
    return {one.sn: one for one in emulator.cloud.devices.values() if one.parent_id is not None}


def is_told(emulator, *numbers):
    children = children_of(emulator)
    return all(f"{number}" in children and emulator.journal.telemetry(children[f"{number}"].id) for number in numbers)


def remove(path):
    for file in path.parent.glob("gateway.sqlite3*"):
        if not file.name.endswith(".identity"):
            file.unlink()


def damage(path):
    path.write_bytes(b"\0" * 10_000)


@pytest.mark.parametrize("lose", [remove, damage])
async def test_a_lost_store_costs_no_registration_and_repeats_no_command(emulator, running, until, tmp_path, lose):
    bus = SyntheticBus([device(1), device(2)])
    adapters = {"synthetic": SyntheticAdapter.on(bus)}
    async with running(adapters, SYNTHETIC, cloud={"commands_every": timedelta(seconds=0.2)}):
        await until(lambda: is_told(emulator, 1, 2))
    ids = {one.sn: one.id for one in children_of(emulator).values()}
    begun = emulator.cloud.queue_command(ids["1"], "set", {"power": 42.5})
    lose(tmp_path / "gateway.sqlite3")
    told = {number: len(emulator.journal.telemetry(ids[number])) for number in ids}
    async with running(adapters, SYNTHETIC, cloud={"commands_every": timedelta(seconds=0.2)}) as gateway:
        await until(lambda: not begun.is_open)
        await until(lambda: all(len(emulator.journal.telemetry(ids[number])) > told[number] for number in ids))
        snapshot = await gateway.parts.view.snapshot()
        assert "goes on as" in snapshot.gateway.recoveries[0].text
        await until(lambda: "store_recovered" in gateway.parts.state.incidents.wanted)
        next_one = emulator.cloud.queue_command(ids["1"], "set", {"power": 1.5})
        await until(lambda: not next_one.is_open)
    assert {one.sn: one.id for one in children_of(emulator).values()} == ids
    calls = emulator.journal.calls()
    assert calls["Register Child Device"] == 2
    assert calls["Register Device"] == 1
    assert (begun.status, next_one.status) == ("failed", "done")
    assert "has lost its record of commands" in begun.message
    assert len(bus.devices["a1"].executed) == 1


def remove_while_running(path):
    path.unlink()


def remove_folder(path):
    path.parent.rename(path.parent.with_name("removed"))  # at once: the gateway writes into it meanwhile
    shutil.rmtree(path.parent.with_name("removed"), ignore_errors=True)


@pytest.mark.parametrize("lose", [remove_while_running, remove_folder])
async def test_a_store_that_vanishes_while_the_gateway_runs_is_told_and_put_back(emulator, running, until, tmp_path, lose):
    bus = SyntheticBus([device(1)])
    path = tmp_path / "state" / "gateway.sqlite3"
    async with running({"synthetic": SyntheticAdapter.on(bus)}, SYNTHETIC, store=StoreSection(path=path)) as gateway:
        await until(lambda: is_told(emulator, 1))
        state, view = gateway.parts.state, gateway.parts.view
        token = path.with_name("status-token").read_text()
        lose(path)
        await until(lambda: state.recoveries.all)
        assert path.with_name("status-token").read_text() == token
        assert state.recoveries.all[0].kind is RecoveryKind.PUT_BACK
        problem = await view.store_problem()
        assert "was removed" in problem
        snapshot = await view.snapshot()
        assert "was put back" in snapshot.gateway.recoveries[0].text
        ready = readiness(snapshot, problem, hub_gone_limit=None)
        assert not ready.is_ready
        assert "was removed" in ready.reasons[0]
        await until(lambda: "store_recovered" in state.incidents.wanted)
        await until(mirror_file(path).exists)
        told = len(emulator.journal.telemetry(children_of(emulator)["1"].id))
        await until(lambda: len(emulator.journal.telemetry(children_of(emulator)["1"].id)) > told)
    assert read_store(path, read_gateway).credentials is not None
    assert emulator.journal.calls()["Register Child Device"] == 1


async def test_a_store_that_is_cut_while_the_gateway_runs_is_recovered_by_a_new_one(emulator, running, until, tmp_path):
    bus = SyntheticBus([device(1)])
    path, adapters = tmp_path / "gateway.sqlite3", {"synthetic": SyntheticAdapter.on(bus)}
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the gateway ends by itself
        async with running(adapters, SYNTHETIC) as gateway:
            await until(lambda: is_told(emulator, 1))
            await until(lambda: '"d' in mirror_file(path).read_text())
            store = gateway.parts.state.store
            await store.transact(
                lambda db: db.executemany("INSERT INTO notes VALUES ('b', ?, ?)", ((f"{n}", "x" * 1000) for n in range(6000)))
            )
            await store._run(lambda: store._connected().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
            os.truncate(path, 8192)
            await asyncio.sleep(30)
    assert caught.group_contains(StoreDamaged)
    ids = {one.sn: one.id for one in children_of(emulator).values()}
    told = len(emulator.journal.telemetry(ids["1"]))
    async with running(adapters, SYNTHETIC) as gateway:
        await until(lambda: len(emulator.journal.telemetry(ids["1"])) > told)
        assert gateway.parts.state.recoveries.all[0].kind is RecoveryKind.LOST
    assert emulator.journal.calls()["Register Child Device"] == 1
