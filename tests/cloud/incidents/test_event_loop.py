"""Events reach the cloud at least once, together, and within the limits of the cloud."""

import asyncio
import random
from collections import Counter
from dataclasses import replace

import pytest

from gateway.cloud import guarded_calls
from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable, StoreError
from gateway.testing.hub import LOST_ANSWER

AWAY = HubUnreachable("no route", maybe_done=False)


def sent(device):
    return [(name, integers, strings) for name, _, integers, strings, _ in device.events]


def test_each_event_goes_up_with_the_key_of_its_own_device(run):
    async def test(told):
        told.send_events()
        told.events.report(None, "device_admitted", "device", "lamp")
        told.events.report("c1", "device_moved", "device", "from 1 to 2")
        await asyncio.sleep(20)
        assert sent(told.device()) == [("device_admitted", (1,), ("lamp",))]
        assert sent(told.device(1)) == [("device_moved", (1,), ("from 1 to 2",))]

    run(test)


def test_a_burst_becomes_one_event_and_its_rest_another_one_a_minute_later(run):
    async def test(told):
        told.send_events()
        for number in range(30):
            told.events.report(None, "device_admitted", "device", f"lamp {number}")
            await asyncio.sleep(0.1)
        await asyncio.sleep(10)
        told.events.report(None, "device_admitted", "device", "late")
        await asyncio.sleep(30)
        (first,) = sent(told.device())
        assert first[1] == (30,)
        await asyncio.sleep(60)
        assert sent(told.device())[1:] == [("device_admitted", (1,), ("late",))]

    run(test)


def test_a_day_of_events_stays_within_the_limit_and_every_one_is_counted(run):
    async def test(told):
        told.send_events()
        for number in range(480):
            told.events.report("c1", "command_failed", "command", f"number {number}")
            await asyncio.sleep(180)
        in_a_day = sent(told.device(1))
        assert 50 < len(in_a_day) <= 90
        await asyncio.sleep(3600)
        assert sum(integers[0] for _, integers, _ in sent(told.device(1))) == 480

    run(test)


@pytest.mark.parametrize("failure", [AWAY, LOST_ANSWER])
def test_an_event_is_sent_again_after_an_outage(run, failure):
    async def test(told):
        told.hub.fail("add_event", *[failure] * 3)
        told.send_events()
        told.events.report("c1", "device_moved", "device", "from 1 to 2")
        await asyncio.sleep(600)
        assert sent(told.device(1))[-1] == ("device_moved", (1,), ("from 1 to 2",))
        assert told.hub.calls["add_event"] == 4
        assert await told.events.oldest_of_each() == []

    run(test)


def test_an_event_of_a_former_run_is_sent_by_the_next(run):
    async def test(told):
        told.events.report("c1", "device_moved", "device", "from 1 to 2")
        await told.events.save()
        told.send_events()
        await asyncio.sleep(10)
        assert [name for name, _, _ in sent(told.device(1))] == ["device_moved"]

    run(test)


def test_an_event_that_the_cloud_refuses_is_dropped_and_the_next_one_goes_up(run):
    async def test(told):
        told.hub.fail("add_event", HubRejected("no", status=422, error="no"))
        told.send_events()
        told.events.report("c1", "first", "device", "a")
        await asyncio.sleep(1)
        told.events.report("c1", "second", "device", "b")
        await asyncio.sleep(200)
        assert [name for name, _, _ in sent(told.device(1))] == ["second"]

    run(test)


def test_a_daily_limit_of_the_cloud_stops_the_events_of_that_device_and_not_the_other_calls_again_and_again(run):
    async def test(told):
        told.hub.fail("add_event", HubBusy("429", retry_after_seconds=None))
        told.send_events()
        told.events.report("c1", "first", "device", "a")
        await asyncio.sleep(120)
        assert told.hub.calls["add_event"] == 1
        await asyncio.sleep(3600)
        assert [name for name, _, _ in sent(told.device(1))] == ["first"]

    run(test)


def test_a_refused_key_of_a_child_has_it_checked_and_keeps_its_event(run):
    async def test(told):
        told.hub.fail("add_event", HubUnauthorised("401", status=401, error="Not authorized"))
        told.send_events()
        told.events.report("c1", "first", "device", "a")
        await asyncio.sleep(30)
        assert told.checked == ["c1"]
        await asyncio.sleep(120)
        assert [name for name, _, _ in sent(told.device(1))] == ["first"]

    run(test)


def test_the_gateway_speaks_for_a_child_whose_key_was_lost(run):
    async def test(told):
        await told.registry.save_child(replace(told.registry.children["c1"], access_key=None))
        told.send_events()
        told.events.report("c1", "device_moved", "device", "from 1 to 2")
        await asyncio.sleep(30)
        assert sent(told.device()) == [("device_moved", (1,), ("child 1: from 1 to 2",))]

    run(test)


def test_an_event_of_a_child_waits_for_its_registration(run):
    async def test(told):
        told.send_events()
        await told.registry.admit(replace(told.registry.children["c1"].child, key="c3", address="3"))
        told.events.report("c3", "device_moved", "device", "from 1 to 2")
        await asyncio.sleep(200)
        assert told.hub.calls["add_event"] == 0
        await told.register(3)
        await asyncio.sleep(120)
        assert [name for name, _, _ in sent(told.device(3))] == ["device_moved"]

    run(test)


@pytest.mark.parametrize("seed", range(20))
def test_no_event_is_lost_by_faults_and_kills(run, seed, monkeypatch):
    monkeypatch.setattr(guarded_calls, "FINISH_SECONDS", 0.0)  # a kill waits for nothing
    chance = random.Random(seed)

    async def test(told):
        add_event, reported = told.hub.add_event, Counter()

        async def slow(*arguments, **options):
            await add_event(*arguments, **options)
            await asyncio.sleep(0.3)

        told.hub.add_event = slow
        told.send_events()
        for _ in range(40):
            match chance.choice(("report", "report", "fail", "kill")):
                case "report":
                    number = chance.choice((None, 1, 2))
                    told.events.report(None if number is None else f"c{number}", "device_moved", "device", "moved")
                    await told.events.save()
                    reported[number] += 1
                case "fail":
                    told.hub.fail("add_event", chance.choice([AWAY, LOST_ANSWER, HubBusy("429", retry_after_seconds=None)]))
                case "kill":
                    await told.restart()
                    told.send_events()
            await asyncio.sleep(chance.choice((0.1, 5.1, 5.3, 30, 90)))
        await asyncio.sleep(5 * 3600)
        for number, times in reported.items():
            assert sum(integers[0] for _, integers, _ in sent(told.device(number))) >= times
        assert await told.events.oldest_of_each() == []

    run(test)


def test_an_event_is_sent_once_although_the_store_cannot_take_that_for_long(run):
    async def test(told):
        confirm, is_full = told.events.confirm, True

        async def confirm_unless_full(event, device_id):
            if is_full:
                raise StoreError("disk full")
            await confirm(event, device_id)

        told.events.confirm = confirm_unless_full
        told.send_events()
        told.events.report("c1", "device_moved", "device", "from 1 to 2")
        await asyncio.sleep(3600)
        assert told.hub.calls["add_event"] == 1
        is_full = False
        await asyncio.sleep(600)
        assert told.hub.calls["add_event"] == 1
        assert await told.events.oldest_of_each() == []

    run(test)
