"""Events wait on disk, put together by name, within an allowance for each device."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import StoreError
from gateway.state.events import ALLOWED_AT_ONCE, TEXT_LENGTH, EventQueue
from gateway.state.store import Store

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def queue_of(store, at=BEGIN):
    return EventQueue(store, now=lambda: at)


async def test_events_of_one_name_become_one_with_a_count_and_their_texts(store):
    events = queue_of(store)
    events.report(None, "device_admitted", "device", "lamp")
    await events.save()
    events.report(None, "device_admitted", "device", "pump")
    events.report(None, "device_admitted", "device", "pump")
    await events.save()
    (event,) = await events.oldest_of_each()
    assert (event.times, event.text, event.at) == (3, "lamp; pump", BEGIN)


async def test_a_thousand_events_stay_one_row_with_a_bounded_text(store):
    events = queue_of(store)
    for number in range(1000):
        events.report("c1", "device_moved", "device", f"it moved to the address {number}")
        if number % 100 == 0:
            await events.save()
    await events.save()
    (event,) = await events.oldest_of_each()
    assert event.times == 1000
    assert len(event.text) <= TEXT_LENGTH


async def test_a_long_text_is_cut(store):
    events = queue_of(store)
    events.report("c1", "command_failed", "command", "x" * 1000)
    await events.save()
    (event,) = await events.oldest_of_each()
    assert len(event.text) == TEXT_LENGTH


async def test_an_event_survives_a_restart(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        events = queue_of(store)
        events.report("c1", "device_moved", "device", "it moved")
        await events.save()
        await events.take((await events.oldest_of_each())[0])
    async with Store(tmp_path / "s.sqlite3") as store:
        (event,) = await queue_of(store).oldest_of_each()
    assert (event.child, event.name, event.times) == ("c1", "device_moved", 1)


async def test_an_event_that_is_being_sent_is_not_changed_by_a_later_one(store):
    events = queue_of(store)
    events.report(None, "device_moved", "device", "first")
    await events.save()
    taken = await events.take((await events.oldest_of_each())[0])
    events.report(None, "device_moved", "device", "second")
    await events.save()
    await events.confirm(taken, "id")
    (left,) = await events.oldest_of_each()
    assert (taken.text, left.text) == ("first", "second")


async def test_a_failing_store_loses_no_event_and_counts_those_reported_meanwhile(store, monkeypatch):
    events = queue_of(store)
    events.report(None, "device_moved", "device", "first")

    async def fail(work):
        events.report(None, "device_moved", "device", "second")
        raise StoreError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "transact", fail)
        with pytest.raises(StoreError):
            await events.save()
    await events.save()
    (event,) = await events.oldest_of_each()
    assert (event.times, event.text) == (2, "first; second")


async def test_the_queue_stores_what_is_reported_without_being_asked(store):
    events = queue_of(store)
    running = asyncio.create_task(events.run())
    events.report(None, "gateway_started", "gateway", "version 1")
    await events.arrived.wait()
    running.cancel()
    assert [event.name for event in await events.oldest_of_each()] == ["gateway_started"]


async def test_a_device_never_has_more_than_90_events_in_a_day(store):
    at, sent = BEGIN, []
    while at < BEGIN + timedelta(days=3):
        events = queue_of(store, at)
        if not await events.wait_for_allowance("id"):
            events.report(None, "device_moved", "device", "again")
            await events.save()
            await events.confirm((await events.oldest_of_each())[0], "id")
            sent.append(at)
        at += timedelta(minutes=7)
    assert sent[int(ALLOWED_AT_ONCE) - 1] - BEGIN < timedelta(hours=6)
    for end in sent:
        assert len([one for one in sent if end - timedelta(days=1) < one <= end]) <= 90
    assert len(sent) > 40 + 2 * 50


async def test_an_allowance_that_the_cloud_refused_comes_back_within_the_hour(store):
    await queue_of(store).use_up_allowance("id")
    wait = await queue_of(store).wait_for_allowance("id")
    assert timedelta(minutes=10) < wait < timedelta(hours=1)
    assert not await queue_of(store, BEGIN + wait).wait_for_allowance("id")
