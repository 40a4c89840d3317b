"""One damaged row, in any table and of any kind, costs that row and nothing else."""

import asyncio
import logging
import shutil

import pytest

from gateway.models import Sample, Status
from gateway.state.command_ledger import CommandLedger, Outcome
from gateway.state.outbox import LossReason, Outbox
from gateway.state.records import ChildState
from gateway.state.registry import Registry
from gateway.state.store import Store
from tests.state.damage import COLUMNS, ROWS, damage, everything, fill, kinds, of_good_child


async def read(path):
    async with Store(path) as store:
        return await everything(store)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "whole.sqlite3"
    asyncio.run(fill(path))
    return path, asyncio.run(read(path))


@pytest.fixture
def damaged(whole, tmp_path):
    """Return a function that makes a copy of the whole store with one damaged cell."""

    def make(table, column, value):
        path = tmp_path / "damaged.sqlite3"
        shutil.copyfile(whole[0], path)
        damage(path, table, column, value)
        return path

    return make


async def test_the_store_that_is_damaged_below_has_rows_in_every_table(whole):
    path, before = whole
    async with Store(path) as store:
        tables = await store.transact(
            lambda db: {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        )
        assert tables - {"set_aside_rows", "sqlite_sequence"} == ROWS.keys(), "add a row of the new table to `ROWS`"
        assert store.rows_set_aside == 0
    assert [table for table, rows in before.items() if not rows] == []


@pytest.mark.parametrize("table", ROWS)
async def test_a_damaged_row_costs_nothing_but_itself(damaged, whole, table, caplog):
    caplog.set_level(logging.CRITICAL)
    _, before = whole
    for column in [column for name, column in COLUMNS if name == table]:
        for kind, value in kinds(table, column).items():
            async with Store(damaged(table, column, value)) as store:
                after = await everything(store)
                assert of_good_child(after) == of_good_child(before), f"{column}: {kind}"
                others = (
                    after.keys() - {table, "losses", "outbox_accounts"} - ({"children", "met"} if table == "names" else set())
                )
                assert {name: after[name] for name in others} == {name: before[name] for name in others}, f"{column}: {kind}"


async def test_a_gateway_with_damaged_credentials_is_still_the_same_gateway(damaged, caplog):
    path = damaged("gateway", "credentials", '{"device_id": "p", "access_key": null, "hub_url": "https://h"}')
    async with Store(path) as store:
        registry = Registry(store)
        await registry.load()
        gateway = registry.gateway
        assert (gateway.serial_number, gateway.mac, gateway.cloud_id, gateway.credentials) == ("S", "m", "c", None)
        assert gateway.former_credentials.device_id == "p"
        kept = await store.transact(lambda db: db.execute("SELECT table_name, content FROM set_aside_rows").fetchall())
        assert [table for table, _ in kept] == ["gateway"]
        assert b"https://h" in kept[0][1], "a person can look at what was there"
        await registry.load()
        assert store.rows_set_aside == 1, "the row was mended"
    assert "credentials lack the id, the key or the hub's address" in caplog.text


@pytest.mark.parametrize(
    ("column", "state", "has_key"),
    [
        ("state", ChildState.REGISTERED, True),
        ("problem", ChildState.REGISTERED, True),
        ("since", ChildState.REGISTERED, True),
        ("access_key", ChildState.REGISTERED, False),
        ("device_id", ChildState.REGISTERING, False),
    ],
)
async def test_a_child_with_a_damaged_column_is_not_registered_a_second_time(damaged, column, state, has_key):
    """Without its id, it is looked for in the cloud by its marker, as after a lost response."""
    async with Store(damaged("children", column, b"\xff")) as store:
        registry = Registry(store)
        await registry.load()
        record = registry.children["b"]
        assert (record.state, record.access_key is not None, record.marker) == (state, has_key, "m-b")
        assert record.device_id == (None if column == "device_id" else "d-b")


async def test_a_command_whose_record_is_damaged_is_not_carried_out_again(damaged):
    async with Store(damaged("commands", "parameters", b"\xff")) as store:
        ledger = CommandLedger(store)
        (entry,) = [one for one in await ledger.undelivered() if one.device_id == "d-b"]
        assert (entry.outcome, entry.command_id) == (Outcome.UNKNOWN, "1")
        offered = await ledger.receive(entry)
        assert offered.outcome is Outcome.UNKNOWN, "it has ended, so its outcome is reported again and nothing is done"
        assert await ledger.waiting() == []


async def test_a_damaged_sample_is_a_loss_of_its_child_and_the_next_one_is_sent(damaged):
    async with Store(damaged("outbox", "payload", "{")) as store:
        outbox, registry = Outbox(store, most_samples=10), Registry(store)
        await registry.load()
        await outbox.load()
        good = Sample("b", registry.children["b"].since, Status.ONLINE, {"power": 2})
        await outbox.put([good])
        assert [one.sample for one in await outbox.oldest(1, parent_id="p", without={"g"})] == [good]
        losses = [(one.child, one.samples) for one in await outbox.losses() if one.why is LossReason.UNREADABLE]
        assert (losses, outbox.depth) == ([("b", 1)], 2)
        assert outbox.lost == 7, "with the six of the store"


async def test_a_full_outbox_makes_room_of_damaged_samples(damaged):
    async with Store(damaged("outbox", "child", b"\xff")) as store:
        outbox = Outbox(store, most_samples=1)
        await outbox.load()
        await outbox.put([Sample("g", (await outbox.oldest_at()), Status.ONLINE, {"power": 2})])
        assert outbox.depth == 1
        assert outbox.lost == 6 + 2
