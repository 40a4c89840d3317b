import asyncio
from datetime import timedelta
from functools import wraps

import pytest

from gateway.cloud.rate_control import MAX_BUSY_SECONDS, MAX_QUIET_SECONDS, CallKind, RateControl
from gateway.errors import HubBusy, HubUnreachable
from gateway.testing.clock import simulated

AWAY = HubUnreachable("no route", maybe_done=False)


def busy(seconds=None):
    return HubBusy("429", retry_after_seconds=seconds)


def in_simulated_time(test):
    @wraps(test)
    def run(*args, **kwargs):
        simulated(test(*args, **kwargs))

    return run


@in_simulated_time
async def test_a_kind_of_calls_that_fails_waits_longer_and_longer_whatever_the_others_get():
    control, waits = RateControl(jitter=0), []
    for _ in range(8):
        control.failed(CallKind.REGISTRATION, AWAY)
        waits.append(control.seconds_left(CallKind.REGISTRATION))
        control.answered(CallKind.TELEMETRY)
        assert control.seconds_left(CallKind.TELEMETRY) <= 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert control.problem == "no route"
    control.answered(CallKind.REGISTRATION)
    assert control.problem is None
    control.failed(CallKind.REGISTRATION, AWAY)
    assert control.seconds_left(CallKind.REGISTRATION) == 1, "a success starts the waits over"


@in_simulated_time
async def test_a_429_stops_every_kind_of_calls():
    control = RateControl()
    control.failed(CallKind.CHILD_CHECK, busy())
    assert {control.seconds_left(kind) for kind in CallKind} == {5}
    await control.wait(CallKind.TELEMETRY)
    assert asyncio.get_running_loop().time() == 5


@in_simulated_time
async def test_a_wait_that_is_prolonged_meanwhile_ends_only_at_its_new_end():
    control = RateControl()
    control.failed(CallKind.CHILD_CHECK, busy(10))
    waiting = asyncio.create_task(control.wait(CallKind.TELEMETRY))
    await asyncio.sleep(5)
    control.failed(CallKind.CHILD_CHECK, busy(100))
    await waiting
    assert asyncio.get_running_loop().time() == 105


@in_simulated_time
async def test_429s_to_calls_that_were_already_running_count_once():
    control = RateControl()
    for kind in CallKind:
        control.failed(kind, busy())
    control.answered(CallKind.TELEMETRY)
    assert control.seconds_left(CallKind.TELEMETRY) == 5
    assert control.problem is not None, "a response to a call from before does not end the quiet time"
    await asyncio.sleep(5)
    control.failed(CallKind.TELEMETRY, busy())
    assert control.seconds_left(CallKind.TELEMETRY) == 10, "it wants more quiet"
    await asyncio.sleep(10)
    control.answered(CallKind.TELEMETRY)
    control.failed(CallKind.TELEMETRY, busy())
    assert control.seconds_left(CallKind.TELEMETRY) == 5


@in_simulated_time
async def test_waits_after_429s_stay_bounded():
    control = RateControl()
    for _ in range(12):
        control.failed(CallKind.TELEMETRY, busy())
        await control.wait(CallKind.TELEMETRY)
    control.failed(CallKind.TELEMETRY, busy())
    assert control.seconds_left(CallKind.TELEMETRY) == MAX_BUSY_SECONDS


@in_simulated_time
async def test_a_retry_after_during_the_quiet_time_prolongs_it_and_never_shortens_it():
    control = RateControl()
    control.failed(CallKind.TELEMETRY, busy(30))
    await asyncio.sleep(10)
    control.failed(CallKind.CHILD_CHECK, busy(120))
    assert control.seconds_left(CallKind.TELEMETRY) == 120
    control.failed(CallKind.REGISTRATION, busy(2))
    assert control.seconds_left(CallKind.TELEMETRY) == 120
    await control.wait(CallKind.TELEMETRY)
    control.failed(CallKind.TELEMETRY, busy())
    assert control.seconds_left(CallKind.TELEMETRY) == 10, "the 429 during the quiet time did not count as a second one"


@pytest.mark.parametrize(("asked", "kept"), [(0, 1), (7, 7), (timedelta(days=400).total_seconds(), MAX_QUIET_SECONDS)])
def test_a_retry_after_is_obeyed_within_reason(asked, kept):
    async def main():
        control = RateControl()
        control.failed(CallKind.TELEMETRY, busy(asked))
        assert control.seconds_left(CallKind.TELEMETRY) == kept

    simulated(main())


@in_simulated_time
async def test_that_there_was_nothing_to_register_does_not_mean_that_the_hub_answers():
    control = RateControl()
    control.answered(CallKind.REGISTRATION)
    assert control.is_reachable is None
    before = control.since
    control.answered(CallKind.TELEMETRY)
    assert control.is_reachable is True
    assert control.since > before, "it answers since its first response"


@in_simulated_time
async def test_a_server_that_only_accepts_no_children_does_not_make_the_hub_unreachable():
    control = RateControl()
    control.answered(CallKind.TELEMETRY)
    since = control.since
    control.failed(CallKind.REGISTRATION, AWAY)
    assert (control.is_reachable, control.since, control.problem) == (True, since, "no route")
    assert 0 < control.next_try_seconds <= 1
    await asyncio.sleep(5)
    assert control.next_try_seconds == 0
    control.failed(CallKind.TELEMETRY, AWAY)
    assert control.is_reachable is False
    assert control.since > since
    away_since = control.since
    control.failed(CallKind.TELEMETRY, AWAY)
    assert control.since == away_since, "one outage has one beginning"
    control.answered(CallKind.REGISTRATION)
    assert (control.is_reachable, control.since) == (False, away_since)
    control.answered(CallKind.TELEMETRY)
    assert (control.is_reachable, control.problem, control.next_try_seconds) == (True, None, None)


@in_simulated_time
async def test_an_outage_of_all_kinds_is_logged_once_and_so_is_its_end(caplog):
    caplog.set_level("INFO")
    control = RateControl()
    for kind in CallKind:
        control.failed(kind, AWAY)
    for kind in CallKind:
        control.answered(kind)
    assert [record.message.partition(";")[0].partition(" after")[0] for record in caplog.records] == [
        "the hub is not reachable, everything is kept",
        "the hub answers again",
    ]
