import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.hub import MESSAGE_BYTES
from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.state.outbox import PART_BYTES, LossReason, Outbox
from gateway.state.registry import Registry

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def sample(child, minute, **values):
    return Sample(child, BEGIN + timedelta(minutes=minute), Status.ONLINE, values or {"power": minute})


def child(key):
    return ChildDevice(
        key=key, adapter="a", bus="b", address="1", profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=key,
    )  # fmt: skip


@pytest.fixture
async def registered(store):
    registry = Registry(store)
    await registry.load()

    async def register(*keys):
        for key in keys:
            record = await registry.admit(child(key))
            await registry.save_child(replace(record, state=ChildState.REGISTERED, device_id=f"id-{key}", parent_id="p"))

    return register


@pytest.fixture
def outbox(store):
    return Outbox(store, most_samples=1000)


async def test_a_batch_holds_the_oldest_sample_of_each_child_oldest_first(outbox, registered):
    await registered("a", "b")
    await outbox.put([sample("b", 1), sample("a", 2), sample("b", 3), sample("a", 4)])
    first = await outbox.oldest(100, parent_id="p")
    assert [(one.sample.child, one.sample.values["power"]) for one in first] == [("b", 1), ("a", 2)]
    await outbox.confirm(first)
    assert [one.sample.values["power"] for one in await outbox.oldest(100, parent_id="p")] == [3, 4]
    assert outbox.depth == 2


async def test_a_sample_comes_out_as_it_went_in(outbox, registered):
    await registered("a")
    kept = Sample(
        "a", BEGIN + timedelta(microseconds=123), Status.OFFLINE, {"t": "Überdruck", "n": None, "b": True, "f": 0.1, "i": 7}
    )
    await outbox.put([kept])
    assert [one.sample for one in await outbox.oldest(1, parent_id="p")] == [kept]


async def test_samples_of_a_child_without_a_cloud_id_wait_for_its_registration(outbox, registered):
    await outbox.put([sample("late", 1)])
    assert await outbox.oldest(100, parent_id="p") == []
    await registered("late")
    assert len(await outbox.oldest(100, parent_id="p")) == 1


async def test_children_of_an_earlier_registration_wait_until_they_are_brought_over(outbox, registered):
    await registered("a")
    await outbox.put([sample("a", 1)])
    assert await outbox.oldest(100, parent_id="another") == []


async def test_children_that_are_held_back_hold_back_nobody_else(outbox, registered):
    await registered("a", "b", "c")
    await outbox.put([sample("a", 1), sample("b", 2), sample("c", 3)])
    assert [one.sample.child for one in await outbox.oldest(2, parent_id="p", without={"a"})] == ["b", "c"]


async def test_what_an_earlier_run_left_is_sent_by_the_next(outbox, registered, store):
    await registered("a")
    await outbox.put([sample("a", 1), sample("a", 2)])
    reopened = Outbox(store, most_samples=1000)
    await reopened.load()
    assert reopened.depth == 2
    assert reopened.arrived.is_set()


async def test_a_full_outbox_loses_detail_before_time_and_counts_it(store, registered):
    await registered("a", "b")
    outbox = Outbox(store, most_samples=100)
    for minute in range(120):
        await outbox.put([sample("a" if minute % 3 else "b", minute)])
    assert outbox.depth <= 100
    losses = await outbox.losses()
    assert sum(loss.samples for loss in losses) == 120 - outbox.depth == outbox.lost
    assert {loss.why for loss in losses} == {LossReason.THINNED}
    assert {loss.child for loss in losses} == {"a"}, "the child with the most gives"
    minutes = []
    while batch := await outbox.oldest(100, parent_id="p"):
        minutes += [one.sample.values["power"] for one in batch]
        await outbox.confirm(batch)
    assert min(minutes) <= 1, "the beginning of the outage is still told"
    assert sorted(minutes)[-30:] == list(range(90, 120)), "the newest are complete"


async def test_one_sample_each_of_more_children_than_fit_drops_the_oldest(store):
    outbox = Outbox(store, most_samples=1000)
    await outbox.put([sample(f"c{n}", n) for n in range(1500)])
    assert outbox.depth == 1000
    assert outbox.lost == 500
    assert (await outbox.losses())[0].child == "c0"


async def test_a_refused_sample_is_dropped_and_counted(outbox, registered):
    await registered("a")
    await outbox.put([sample("a", 1), sample("a", 2)])
    await outbox.drop(await outbox.oldest(1, parent_id="p"), LossReason.REJECTED)
    assert outbox.depth == 1
    loss = (await outbox.losses())[0]
    assert (loss.child, loss.why, loss.samples, loss.first_at) == ("a", LossReason.REJECTED, 1, BEGIN + timedelta(minutes=1))


async def test_a_child_that_is_gone_leaves_the_outbox_with_everything_it_had(outbox, registered, store):
    await registered("a", "b")
    await outbox.put([sample("a", 1), sample("a", 2), sample("b", 3)])
    assert await outbox.drop_child("a", LossReason.DELETED) == 2
    assert await outbox.drop_child("a", LossReason.DELETED) == 0
    assert (outbox.depth, outbox.lost) == (1, 2)
    counted = Outbox(store, most_samples=1000)
    await counted.load()
    assert (counted.depth, counted.lost) == (1, 2), "the disk agrees"
    assert [one.sample.child for one in await counted.oldest(10, parent_id="p")] == ["b"]
    (loss,) = await counted.losses()
    assert (loss.child, loss.why, loss.samples) == ("a", LossReason.DELETED, 2)
    assert (loss.first_at, loss.last_at) == (BEGIN + timedelta(minutes=1), BEGIN + timedelta(minutes=2))


async def test_the_depth_is_right_whoever_writes_at_the_same_time_and_whoever_is_cancelled(outbox, registered, store):
    await registered("a", "b")
    await outbox.put([sample(key, minute) for minute in range(20) for key in "ab"])
    first = await outbox.oldest(2, parent_id="p")
    writing = [
        asyncio.create_task(work)
        for work in (
            outbox.confirm(first),
            outbox.put([sample("a", 30)]),
            outbox.drop(await outbox.oldest_of("a", 5), LossReason.REJECTED),
            outbox.put([sample("b", 31)]),
        )
    ]
    await asyncio.sleep(0)
    for task in writing[1:]:
        task.cancel()
    await asyncio.gather(*writing, return_exceptions=True)
    counted = Outbox(store, most_samples=1000)
    await counted.load()
    assert (outbox.depth, outbox.lost) == (counted.depth, counted.lost)
    assert len(await outbox.oldest_of("a", 100)) + len(await outbox.oldest_of("b", 100)) == outbox.depth


async def test_a_sample_too_large_for_one_message_becomes_several_that_say_the_same(outbox):
    values = {f"metric_{number}": number * 1.000001 for number in range(20_000)}
    await outbox.put([sample("a", 1, **values)])
    parts = await outbox.oldest_of("a", 100)
    assert len(parts) > 1
    assert all(len(json.dumps(dict(part.sample.values))) < MESSAGE_BYTES for part in parts)
    assert {name: value for part in parts for name, value in part.sample.values.items()} == values
    assert {part.sample.at for part in parts} == {BEGIN + timedelta(minutes=1)}
    assert outbox.depth == len(parts)


async def test_nothing_is_kept_for_a_child_that_is_left_deleted(outbox, registered, store):
    await registered("a", "b")
    registry = Registry(store)
    await registry.load()
    await registry.save_child(replace(registry.children["a"], state=ChildState.DELETED, device_id=None))
    await outbox.put([sample("a", 1), sample("b", 1)])
    assert outbox.depth == 1
    assert await outbox.oldest_of("a", 10) == []


async def test_a_value_of_a_foreign_type_costs_no_more_than_its_form(outbox):
    await outbox.put([sample("a", 1, odd=timedelta(seconds=1), power=2)])
    assert (await outbox.oldest_of("a", 1))[0].sample.values == {"odd": "0:00:01", "power": 2}


async def test_losses_of_one_child_for_one_reason_add_up(outbox, registered):
    await registered("a")
    await outbox.put([sample("a", minute) for minute in (5, 3, 9)])
    for _ in range(2):
        await outbox.drop(await outbox.oldest(1, parent_id="p"), LossReason.REJECTED)
    await outbox.drop_child("a", LossReason.DELETED)
    losses = {loss.why: loss for loss in await outbox.losses()}
    assert {why: loss.samples for why, loss in losses.items()} == {LossReason.REJECTED: 2, LossReason.DELETED: 1}
    assert (losses[LossReason.REJECTED].first_at, losses[LossReason.REJECTED].last_at) == (
        BEGIN + timedelta(minutes=3),
        BEGIN + timedelta(minutes=5),
    )
    assert outbox.lost == 3


async def test_a_sample_that_was_confirmed_is_not_lost_when_it_is_dropped_later(outbox, registered):
    await registered("a")
    await outbox.put([sample("a", 1)])
    batch = await outbox.oldest(1, parent_id="p")
    await outbox.confirm(batch)
    await outbox.confirm(batch)
    await outbox.drop(batch, LossReason.REJECTED)
    assert (outbox.depth, outbox.lost, await outbox.losses()) == (0, 0, [])


@pytest.mark.parametrize(("samples", "lost"), [(10, 0), (11, 1)])
async def test_an_outbox_takes_as_many_samples_as_it_may_and_not_one_more(store, samples, lost, caplog):
    outbox = Outbox(store, most_samples=10)
    assert outbox.capacity == 10
    await outbox.put([sample(f"c{minute}", minute) for minute in range(samples)])
    assert (outbox.depth, outbox.lost) == (10, lost)
    assert ("older ones are thinned out" in caplog.text) == bool(lost)


async def test_where_dropping_every_second_sample_makes_too_little_room_just_enough_of_the_oldest_go_too(store):
    outbox = Outbox(store, most_samples=10)
    await outbox.put([sample(child, minute) for minute, child in enumerate("aabcdefg" + "hijklmno")])
    assert (outbox.depth, outbox.lost) == (10, 6)
    assert {loss.child: loss.samples for loss in await outbox.losses()} == {"a": 2, "b": 1, "c": 1, "d": 1, "e": 1}


async def test_the_time_of_the_oldest_sample_is_known_while_one_waits(outbox):
    assert await outbox.oldest_at() is None
    await outbox.put([sample("a", 7), sample("b", 3)])
    assert await outbox.oldest_at() == BEGIN + timedelta(minutes=7), "the one that was put in first"


async def test_each_put_wakes_the_reader(outbox):
    await outbox.load()
    assert not outbox.arrived.is_set(), "nothing waits"
    await outbox.put([])
    assert not outbox.arrived.is_set()
    await outbox.put([sample("a", 1)])
    assert outbox.arrived.is_set()


@pytest.mark.parametrize(
    ("value_bytes", "parts"),
    [((PART_BYTES - len('{"a":"","b":""}'), 0), 1), ((PART_BYTES - len('{"a":"","b":""}'), 1), 2), ((PART_BYTES * 2,), 1)],
    ids=["as large as a part may be", "one byte larger", "one value cannot be cut"],
)
async def test_a_sample_is_cut_where_its_values_are_larger_than_a_part(outbox, value_bytes, parts):
    values = {name: "x" * length for name, length in zip("ab", value_bytes, strict=False)}
    await outbox.put([sample("a", 1, **values)])
    queued = await outbox.oldest_of("a", 10)
    assert len(queued) == parts
    assert {name: value for part in queued for name, value in part.sample.values.items()} == values
    assert all(part.size_bytes == len(json.dumps(part.sample.values, separators=(",", ":"))) for part in queued)


def test_a_part_leaves_room_for_the_frame_of_its_message():
    assert MESSAGE_BYTES - PART_BYTES >= 8 * 1024


async def test_a_sample_without_values_is_kept(outbox):
    await outbox.put([Sample("a", BEGIN, Status.OFFLINE, {})])
    (queued,) = await outbox.oldest_of("a", 1)
    assert (queued.sample.values, queued.size_bytes) == ({}, 2)


async def test_a_batch_is_no_larger_than_its_limit_also_with_children_held_back(outbox, registered):
    await registered(*"abcd")
    await outbox.put([sample(child, minute) for minute, child in enumerate("abcd")])
    assert [one.sample.child for one in await outbox.oldest(2, parent_id="p", without={"d"})] == ["a", "b"]
