"""The whole gateway, on a store that gets damaged while it runs: it ends in order, and the next start goes on with the rest."""

import logging
from datetime import timedelta

import pytest

from gateway.errors import StoreDamaged
from gateway.state.recovery.recoveries import RecoveryKind
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket
PAGE = 4096
SYNTHETIC = {"type": "synthetic"}


async def test_a_store_that_is_damaged_while_the_gateway_runs_is_opened_anew_with_what_can_be_read(
    running, until, tmp_path, caplog
):
    caplog.set_level(logging.CRITICAL)
    path = tmp_path / "gateway.sqlite3"
    adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([SyntheticDevice("1", "a1", poll_every=timedelta(seconds=0.05))]))}
    with pytest.raises(ExceptionGroup) as ended:  # noqa: PT012 - the group of the fixture ends with the block
        async with running(adapters, SYNTHETIC) as gateway:
            registry, store = gateway.parts.state.registry, gateway.parts.state.store
            await until(lambda: [one.device_id for one in registry.children.values() if one.device_id])
            await until(lambda: gateway.parts.state.mirror.problem is None)
            ids = {key: record.device_id for key, record in registry.children.items()}
            find = "SELECT rootpage FROM sqlite_master WHERE name = 'firmware_jobs'"
            (root,) = await store.transact(lambda db: db.execute(find).fetchone())
            for pragma in ("wal_checkpoint(TRUNCATE)", "shrink_memory"):  # so that the page is read from the file
                await store._run(lambda pragma=pragma: store._connection.execute(f"PRAGMA {pragma}").fetchall())
            with path.open("r+b") as file:
                file.seek((root - 1) * PAGE)
                file.write(b"\xff" * PAGE)
            with pytest.raises(StoreDamaged):
                await gateway.parts.state.firmware_jobs.all()
            await gateway.task
    assert ended.group_contains(StoreDamaged)
    async with running(adapters, SYNTHETIC) as gateway:
        assert {key: record.device_id for key, record in gateway.parts.state.registry.children.items()} == ids
        assert gateway.parts.state.recoveries.all[-1].kind is RecoveryKind.SALVAGED
        assert await gateway.parts.state.firmware_jobs.all() == []
