"""After an outage the cloud shows first what holds now; the backlog follows in order, below the hub's limits, with progress."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.backlog_drain import LEAST_CALLS, MOST_CALLS, PER_SECONDS, BacklogDrain, BacklogPace
from gateway.cloud.delivery import Delivery
from gateway.cloud.rate_control import CallKind, RateControl
from gateway.errors import HubBusy, HubRejected
from gateway.models import ChildDevice, Sample, Status
from gateway.state.child_states import ChildState
from gateway.testing.clock import simulated

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def child(number):
    return ChildDevice(
        key=f"c{number:03}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name=f"child {number}",
    )  # fmt: skip


class Waiting:
    """A delivery for children with a backlog of so many minutes each."""

    def __init__(self, made, children, minutes):
        self.made, self.children, self.minutes = made, children, minutes
        self.hub, self.registry, self.outbox = made.hub, made.registry, made.outbox
        self.delivery = Delivery(self.hub, self.registry, self.outbox, on_event=lambda _: None, on_doubt=lambda _: None)

    async def __aenter__(self):
        self.parent = await self.made.enrolment.credentials()
        for number in range(self.children):
            await self.registry.admit(child(number))
        while any(record.state is not ChildState.REGISTERED for record in self.registry.children.values()):
            await self.made.registrar.step(self.parent)
        for minute in range(self.minutes):
            await self.put(minute)
        return self

    async def __aexit__(self, *exc):
        pass

    async def put(self, minute, status=Status.ONLINE, children=None):
        at = BEGIN + timedelta(minutes=minute)
        numbers = range(self.children) if children is None else children
        await self.outbox.put([Sample(f"c{n:03}", at, status, {"minute": minute}) for n in numbers])

    def minutes_of(self, number):
        device = self.hub.devices[self.registry.children[f"c{number:03}"].device_id]
        return [message.values["minute"] for message in device.messages]

    async def send(self, calls=10_000):
        """Send as the telemetry loop does in one round, this many calls at most; return how many there were."""
        self.delivery.begin_round()
        made = 0
        while made < calls and await self.delivery.send_next(self.parent, with_backlog=True):
            made += 1
        return made


def run(parts, test, *, children, minutes):
    async def main():
        async with parts(most_samples=1_000_000) as made, Waiting(made, children, minutes) as waiting:
            await test(waiting)

    simulated(main())


def test_the_newest_sample_of_each_child_goes_first_and_the_others_follow_in_order(parts):
    async def test(waiting):
        assert await waiting.send(2) == 2  # 150 children: two calls
        assert [waiting.minutes_of(number) for number in range(150)] == [[9]] * 150
        await waiting.send()
        assert [waiting.minutes_of(number) for number in range(150)] == [[9, *range(9)]] * 150
        assert waiting.outbox.depth == 0

    run(parts, test, children=150, minutes=10)


def test_what_comes_while_the_backlog_is_sent_goes_first_too_once_in_each_round(parts):
    async def test(waiting):
        await waiting.send(3)
        await waiting.put(100)
        await waiting.send(3)
        await waiting.put(101)
        await waiting.send()
        for number in (0, 1):
            minutes = waiting.minutes_of(number)
            assert minutes[:1] == [399]
            assert [minute for minute in minutes if minute < 100] == list(range(100))
            assert minutes.index(100) < 6
            assert minutes.index(101) < 9
            assert sorted(minutes) == sorted([*range(400), 100, 101])

    run(parts, test, children=2, minutes=400)


def test_a_child_that_has_nothing_newer_sends_its_newest_sample_once_more_at_the_end(parts):
    """A device that fell silent during the outage: the cloud must not show it as online because older samples came last."""

    async def test(waiting):
        await waiting.put(400, Status.OFFLINE, children=[0])
        for _ in range(3):
            await waiting.send()
        device = waiting.hub.devices[waiting.registry.children["c000"].device_id]
        assert [message.status for message in device.messages if message.status is Status.OFFLINE] == [Status.OFFLINE] * 2
        assert waiting.minutes_of(0) == [400, *range(400), 400]
        accounts = {account.child: account for account in await waiting.outbox.accounts()}
        assert accounts["c000"].delivered == 401
        assert accounts["c000"].is_balanced

    run(parts, test, children=2, minutes=400)


def test_few_samples_go_in_order_alone(parts):
    async def test(waiting):
        await waiting.send()
        assert waiting.minutes_of(0) == list(range(60))

    run(parts, test, children=2, minutes=60)


def test_a_newest_sample_that_is_refused_holds_up_nothing_and_is_not_sent_ahead_again_and_again(parts):
    async def test(waiting):
        send, bad = waiting.hub.send_child_telemetries, waiting.registry.children["c001"].device_id
        refused = []

        async def refuse(parent, messages):
            if bad in messages and messages[bad].values["minute"] == 399:
                refused.append(bad)
                raise HubRejected("no", status=422, error="no")
            return await send(parent, messages)

        waiting.hub.send_child_telemetries = refuse
        for _ in range(5):
            await waiting.send(100)
        assert waiting.minutes_of(0)[0] == 399
        assert len(waiting.minutes_of(0)) > 300
        assert len(refused) < 10

    run(parts, test, children=3, minutes=400)


def test_a_backlog_goes_slower_after_a_429_and_faster_again_after_a_while():
    async def main():
        rate_control = RateControl(jitter=0)
        pace = BacklogPace(rate_control)
        loop = asyncio.get_running_loop()

        async def calls_in(seconds):
            made, end = 0, loop.time() + seconds
            while loop.time() < end:
                if pace.next_at() <= loop.time():
                    pace.called()
                    made += 1
                else:
                    await asyncio.sleep(min(pace.next_at(), end) - loop.time())
            return made

        await asyncio.sleep(1)
        assert await calls_in(PER_SECONDS) == MOST_CALLS
        rate_control.failed(CallKind.TELEMETRY, HubBusy("429", retry_after_seconds=1))
        assert await calls_in(PER_SECONDS) <= MOST_CALLS / 2
        for _ in range(20):
            rate_control.failed(CallKind.TELEMETRY, HubBusy("429", retry_after_seconds=1))
            pace.next_at()
        await asyncio.sleep(PER_SECONDS)
        assert await calls_in(PER_SECONDS) == LEAST_CALLS
        await calls_in(3 * 3600)
        assert await calls_in(PER_SECONDS) >= MOST_CALLS - 1

    simulated(main())


def test_a_session_sends_a_backlog_at_its_pace_and_its_own_telemetry_beside_it(parts):
    async def main():
        async with parts(most_samples=1_000_000) as made, Waiting(made, 1, 1000) as waiting:
            session = asyncio.create_task(made.session.run())
            await asyncio.sleep(61)
            assert 2 * MOST_CALLS <= len(waiting.minutes_of(0)) <= 3 * MOST_CALLS + 3
            assert len(waiting.hub.devices[waiting.parent.device_id].messages) >= 2
            progress = made.session.drain.progress
            assert progress is not None
            assert progress.left + progress.sent >= 1000
            assert progress.seconds_left is not None
            await asyncio.sleep(600)
            assert waiting.outbox.depth == 0
            assert made.session.drain.progress is None
            session.cancel()
            await asyncio.wait({session})

    simulated(main())


def test_a_drain_is_logged_at_its_beginning_each_minute_and_at_its_end(caplog):
    async def main():
        drain = BacklogDrain()
        drain.waiting(100_000, 1000, BEGIN)
        for minute in range(1, 10):
            await asyncio.sleep(30)
            drain.sent(5000)
            await asyncio.sleep(30)
            drain.sent(5000)
            drain.waiting(100_000 - 10_000 * minute, 1000, BEGIN)
        assert drain.progress.seconds_left == pytest.approx(60)
        drain.waiting(900, 900, BEGIN)
        assert drain.progress is None

    caplog.set_level(logging.INFO)
    simulated(main())
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0].startswith("sending what waited: 100000 samples of 1000 children, the oldest from 2026-01-01 00:00 UTC")
    assert lines[1] == "sending what waited: 10000 samples are sent, 90000 are left, for about 0:09:00"
    assert lines[-1] == "what waited is sent: 90000 samples in 0:09:00; 900 wait as usual"
    assert len(lines) == 11
