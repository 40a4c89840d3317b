"""What the hub has settled while the store takes nothing is neither sent again nor counted, and goes when it takes again."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import StoreError
from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.state.outbox import LossReason, Outbox, settled
from gateway.state.registry import Registry

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}


def child(key):
    return ChildDevice(
        key=key, adapter="a", bus="b", address="1", profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=key,
    )  # fmt: skip


def samples(key, *minutes):
    return [Sample(key, BEGIN + timedelta(minutes=minute), Status.ONLINE, {"power": minute}) for minute in minutes]


@pytest.fixture
async def outbox(store):
    registry = Registry(store)
    await registry.load()
    for key in ("a", "b"):
        record = await registry.admit(child(key))
        await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id=f"id-{key}", parent_id="p"))
    return Outbox(store, most_samples=1000)


@pytest.fixture
def fill(store):
    """Return a function that lets SQLite refuse every write, as on a full disk, or take them again."""

    def allow(action, table, *_of):
        return sqlite3.SQLITE_DENY if action in WRITES and table != "sqlite_master" else sqlite3.SQLITE_OK

    async def set_full(is_full):
        await store._run(lambda: store._connection.set_authorizer(allow if is_full else None))

    return set_full


async def oldest(outbox):
    return await outbox.oldest(100, parent_id="p")


def powers(queued):
    return [one.sample.values["power"] for one in queued]


async def accounts(outbox):
    return {one.child: (one.produced, one.delivered, one.lost, one.waiting) for one in await outbox.accounts()}


async def test_what_the_hub_has_accepted_is_not_sent_again_while_the_store_fails(outbox, fill, caplog):
    await outbox.put(samples("a", 1, 2) + samples("b", 3))
    await fill(True)
    sent = []
    while batch := await oldest(outbox):
        sent += powers(batch)
        await outbox.confirm(batch)
    assert sorted(sent) == [1, 2, 3]
    assert await outbox.oldest_of("a", 10) == []
    assert await outbox.newest(10, parent_id="p", after="", at_least=1) == []
    assert await outbox.heads(["a", "b"]) == {}
    assert await outbox.last_samples(["a", "b"]) == {}
    assert not await outbox.has_several_of_a_child()
    assert await outbox.deliverable("p") == (0, 0)
    assert await outbox.oldest_at() is None
    assert outbox.depth == 0
    said = [record.getMessage() for record in caplog.records if "cannot be removed" in record.getMessage()]
    assert len(said) == 1


async def test_what_is_left_of_a_child_is_still_sent_and_counted(outbox, fill):
    await outbox.put(samples("a", 1, 2, 3) + samples("b", 4))
    await fill(True)
    await outbox.confirm(await oldest(outbox))
    assert powers(await oldest(outbox)) == [2]
    assert powers(await outbox.newest(10, parent_id="p", after="", at_least=1)) == [3]
    assert await outbox.deliverable("p") == (2, 1)
    assert await outbox.has_several_of_a_child()
    await outbox.confirm(await oldest(outbox))
    assert not await outbox.has_several_of_a_child()
    assert powers((await outbox.last_samples(["a", "b"])).values()) == [3]
    assert await outbox.oldest_at() == BEGIN + timedelta(minutes=3)
    assert outbox.depth == 1


@pytest.mark.parametrize("write", ["put", "confirm", "deliverable", "drop_child"])
async def test_it_is_removed_and_accounted_for_when_the_store_takes_again(outbox, fill, write):
    await outbox.put(samples("a", 1, 2) + samples("b", 3))
    await fill(True)
    await outbox.confirm(await oldest(outbox))
    await fill(False)
    if write == "put":
        await outbox.put(samples("b", 4))
    elif write == "confirm":
        await outbox.confirm([])
    elif write == "deliverable":
        await outbox.deliverable("p")
    else:
        await outbox.drop_child("b", LossReason.RETIRED)
    more = int(write == "put")
    assert await accounts(outbox) == {"a": (2, 1, 0, 1), "b": (1 + more, 1, 0, more)}, "what was delivered is not lost"
    assert outbox.depth == 1 + more


async def test_a_sample_that_the_hub_rejects_is_lost_once_and_not_sent_again(outbox, fill):
    await outbox.put(samples("a", 1, 2))
    await fill(True)
    await outbox.drop(await oldest(outbox), LossReason.REJECTED)
    assert powers(await oldest(outbox)) == [2]
    await fill(False)
    await outbox.put(samples("a", 3))
    assert await accounts(outbox) == {"a": (3, 0, 1, 2)}
    assert [(loss.why, loss.samples) for loss in await outbox.losses()] == [(LossReason.REJECTED, 1)]


async def test_with_too_much_that_cannot_be_removed_nothing_is_sent_until_the_store_takes_again(outbox, fill, monkeypatch):
    monkeypatch.setattr(settled, "MOST_SETTLED", 2)
    await outbox.put(samples("a", 1, 2, 3))
    await fill(True)
    for minute in (1, 2):
        batch = await oldest(outbox)
        assert powers(batch) == [minute]
        await outbox.confirm(batch)
    for ask in (oldest(outbox), outbox.oldest_of("a", 1), outbox.newest(1, parent_id="p", after="", at_least=1)):
        with pytest.raises(StoreError):
            await ask
    await fill(False)
    assert powers(await oldest(outbox)) == [3]
    assert await accounts(outbox) == {"a": (3, 2, 0, 1)}


async def test_a_delivered_sample_is_not_thinned_out_as_lost(store, outbox, fill):
    small = Outbox(store, most_samples=4)
    await small.load()
    await small.put(samples("a", 1, 2, 3, 4))
    await fill(True)
    for _ in range(4):
        await small.confirm(await oldest(small))
    await fill(False)
    await small.put(samples("a", 5, 6, 7, 8))
    assert await accounts(small) == {"a": (8, 4, 0, 4)}
