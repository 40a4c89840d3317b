"""Where the outbox is full, who has the most gives first, in detail before time, and events last."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from gateway.models import Sample, Status
from gateway.state.outbox import LossReason, Outbox, thinning
from gateway.state.outbox import outbox as outbox_module
from gateway.state.outbox.bounds import LEAST_BYTES, Bounds, DiskSpace, room
from gateway.state.outbox.losses import MOST_OF_A_CHILD, count_loss, sum_up_losses
from gateway.state.outbox.thinning import drop_expired
from gateway.state.store import Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MB = 1 << 20


def sample(child, minute, *, is_event=False, **values):
    return Sample(child, BEGIN + timedelta(minutes=minute), Status.ONLINE, values or {"n": minute}, is_event=is_event)


async def numbers(outbox, child):
    return [one.sample.values["n"] for one in await outbox.oldest_of(child, 10_000)]


async def test_a_chatty_child_evicts_nobody(store):
    outbox = Outbox(store, most_samples=400)
    for minute in range(100):
        await outbox.put([sample(f"quiet{n}", minute) for n in range(3)] + [sample("chatty", minute) for _ in range(50)])
    assert {loss.child for loss in await outbox.losses()} == {"chatty"}
    assert [await numbers(outbox, f"quiet{n}") for n in range(3)] == [list(range(100))] * 3


async def test_by_bytes_the_child_with_the_largest_samples_gives_first(store):
    outbox = Outbox(store, most_samples=100_000, most_bytes=200_000)
    for minute in range(100):
        await outbox.put([sample("large", minute, text="x" * 5_000), sample("small", minute)])
    assert outbox.size_bytes <= 200_000
    assert {loss.child for loss in await outbox.losses()} == {"large"}


async def test_events_are_dropped_after_everything_else_of_the_child(store):
    outbox = Outbox(store, most_samples=40)
    for minute in range(200):
        await outbox.put([sample("a", minute, is_event=minute % 20 == 0)])
    kept = await numbers(outbox, "a")
    assert [number for number in kept if number % 20 == 0] == list(range(0, 200, 20))
    assert kept[-10:] == list(range(190, 200)), "the newest are complete"


async def test_a_child_that_has_only_events_loses_detail_too(store):
    outbox = Outbox(store, most_samples=40)
    for minute in range(200):
        await outbox.put([sample("a", minute, is_event=True)])
    kept = await numbers(outbox, "a")
    assert (len(kept) <= 40, kept[0], kept[-10:]) == (True, 0, list(range(190, 200)))


async def test_on_a_disk_that_others_fill_the_outbox_gives_way_and_says_so_once(store, monkeypatch, caplog):
    disk = DiskSpace(total=1000 * MB, free=500 * MB)
    monkeypatch.setattr(outbox_module, "disk_space", lambda db, folder: disk)
    outbox = Outbox(store, most_samples=100_000, min_free_bytes=50 * MB)
    for minute in range(10):
        await outbox.put([sample("a", minute * 100 + n, text="x" * 10_000) for n in range(60)])
    full = outbox.size_bytes
    assert outbox.lost == 0
    disk = DiskSpace(total=1000 * MB, free=49 * MB)
    for minute in range(3):
        await outbox.put([sample("a", 2000 + minute)])
    assert LEAST_BYTES // 2 <= outbox.size_bytes < full - MB
    assert caplog.text.count("the disk is nearly full") == 1
    disk = DiskSpace(total=1000 * MB, free=0)
    await outbox.put([sample("a", 3000 + n, text="x" * 10_000) for n in range(60)])
    assert outbox.size_bytes <= LEAST_BYTES
    assert (await numbers_of_texts(outbox))[-1] == 3059, "what comes now is still stored"


async def test_a_child_with_very_many_samples_is_thinned_in_steps_and_evenly(store, monkeypatch):
    monkeypatch.setattr(thinning, "DROPPED_AT_ONCE", 10)
    outbox = Outbox(store, most_samples=400)
    await outbox.put([sample("a", minute) for minute in range(400)])
    depths = []
    for minute in range(400, 500):
        await outbox.put([sample("a", minute)])
        depths.append(outbox.depth)
    assert min(depths) > 400 - 2 * 10, "no put gives more than a step"
    assert max(depths) <= 400
    assert await numbers(outbox, "a") == [*range(0, 200, 2), *range(200, 500)], "as if it had been thinned at once"
    assert all(account.is_balanced for account in await outbox.accounts())


async def test_a_bound_that_became_much_lower_is_reached_in_steps(store, monkeypatch):
    monkeypatch.setattr(thinning, "LEAST_DROPPED", 100)
    monkeypatch.setattr(thinning, "DROPPED_AT_ONCE", 20)
    outbox = Outbox(store, most_samples=10_000)
    await outbox.put([sample(f"{n % 7}", n) for n in range(3_000)])
    outbox = Outbox(store, most_samples=500)
    depths = [3_000]
    for minute in range(40):
        await outbox.put([sample("a", minute)])
        depths.append(outbox.depth)
    assert all(before - after <= 100 + 20 for before, after in pairwise(depths))
    assert depths[-1] <= 500
    assert all(account.is_balanced for account in await outbox.accounts())


async def test_the_free_space_is_that_of_the_disk_with_the_file_and_not_with_a_symlink_to_it(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(outbox_module, "disk_space", lambda db, folder: asked.append(folder))
    (tmp_path / "card").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "card" / "store.sqlite3")
    async with Store(tmp_path / "link") as store:
        await Outbox(store, most_samples=10, min_free_bytes=MB).put([sample("a", 0)])
    assert asked == [tmp_path / "card"]


async def numbers_of_texts(outbox):
    return [(one.sample.at - BEGIN) // timedelta(minutes=1) for one in await outbox.oldest_of("a", 10_000)]


def test_on_a_small_disk_a_tenth_of_it_stays_free():
    bounds = Bounds(samples=10, bytes=1000 * MB, free_bytes=256 * MB)
    assert room(bounds, 20 * MB, DiskSpace(total=100 * MB, free=40 * MB)).bytes == 50 * MB
    assert room(bounds, 20 * MB, DiskSpace(total=4000 * MB, free=266 * MB)).bytes == 30 * MB
    assert room(bounds, 20 * MB, None).bytes == 1000 * MB


async def test_the_oldest_are_dropped_when_they_are_too_old(store):
    outbox = Outbox(store, most_samples=100)
    await outbox.put([sample("a", minute) for minute in range(10)])
    assert await store.transact(lambda db: drop_expired(db, BEGIN + timedelta(minutes=4))) == 4
    assert await numbers(outbox, "a") == list(range(4, 10))
    assert [(loss.why, loss.samples) for loss in await outbox.losses()] == [(LossReason.EXPIRED, 4)]


@pytest.mark.parametrize("bad", [[1, 2], {"a": 1}, b"x", (1,)], ids=["a list", "a table", "bytes", "a tuple"])
async def test_a_sample_that_cannot_be_stored_costs_no_other(store, bad, caplog):
    outbox = Outbox(store, most_samples=100)
    for minute in range(3):
        await outbox.put([sample("a", minute), sample("b", minute, n=bad), sample("c", minute)])
    assert (await numbers(outbox, "a"), await numbers(outbox, "c")) == ([0, 1, 2], [0, 1, 2])
    assert [(loss.child, loss.why, loss.samples) for loss in await outbox.losses()] == [("b", LossReason.UNSTORABLE, 3)]
    assert caplog.text.count("b: a sample cannot be stored: n is a") == 1


@pytest.mark.parametrize(
    ("bad", "stored"),
    [(float("nan"), None), (float("-inf"), None), (10**5_000, None), (2**64, 2**64), ("\ud800x", "?x"), (True, True)],
    ids=["no number", "infinite", "thousands of digits", "a large number", "half a character", "a truth value"],
)
async def test_a_value_that_no_message_can_contain_becomes_one_that_it_can(store, bad, stored):
    outbox = Outbox(store, most_samples=100)
    await outbox.put([sample("a", 1, n=bad)])
    assert await numbers(outbox, "a") == [stored]


async def test_a_sample_with_an_impossible_time_is_a_loss(store):
    outbox = Outbox(store, most_samples=100)
    end = datetime.max.replace(tzinfo=UTC).astimezone()  # in some zones that is after the end of the calendar
    await outbox.put([Sample("a", None, Status.ONLINE, {"n": 1}), Sample("b", end, Status.ONLINE, {"n": 2}), sample("c", 3)])
    assert await numbers(outbox, "c") == [3]
    assert next(loss.child for loss in await outbox.losses()) == "a"


async def test_losses_that_are_apart_are_separate_records_and_the_oldest_are_summed_up(store):
    def lose(day):
        at = (BEGIN + timedelta(days=day)).isoformat()
        return lambda db: count_loss(db, "a", LossReason.THINNED, at, at, 1)

    outbox = Outbox(store, most_samples=100)
    for day in range(2):
        for _ in range(2):
            await store.transact(lose(day))
    assert [(loss.first_at, loss.samples) for loss in await outbox.losses()] == [
        (BEGIN, 2), (BEGIN + timedelta(days=1), 2),
    ]  # fmt: skip
    for day in range(2, 30):
        await store.transact(lose(day))
    losses = await outbox.losses()
    assert (len(losses), sum(loss.samples for loss in losses)) == (MOST_OF_A_CHILD, 32)
    assert (losses[0].first_at, losses[-1].last_at) == (BEGIN, BEGIN + timedelta(days=29))


async def test_records_of_children_that_are_gone_are_summed_up_when_there_are_too_many(store, monkeypatch):
    monkeypatch.setattr("gateway.state.outbox.losses.MOST_RECORDS", 5)
    for number in range(6):
        at = (BEGIN + timedelta(days=number)).isoformat()
        await store.transact(lambda db, number=number, at=at: count_loss(db, f"c{number}", LossReason.REJECTED, at, at, 2))
    await store.transact(sum_up_losses)
    (loss,) = await Outbox(store, most_samples=100).losses()
    assert (loss.child, loss.samples, loss.first_at, loss.last_at) == ("", 12, BEGIN, BEGIN + timedelta(days=5))


async def test_the_accounts_are_read_without_the_samples_at_a_start(store):
    outbox = Outbox(store, most_samples=100_000)
    await outbox.put([sample(f"c{minute % 7}", minute) for minute in range(5_000)])
    read = []

    def watched(db):
        db.set_authorizer(lambda action, table, column, *_: read.append((table, column)) or 0)

    await store.transact(watched)
    again = Outbox(store, most_samples=100_000)
    await again.load()
    assert again.depth == 5_000
    assert {column for table, column in read if table == "outbox"} == {"boot"}, "of which an index has the undated ones only"
