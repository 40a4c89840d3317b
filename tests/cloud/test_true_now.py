"""Check that what is said about the cloud is what its last call brought, and that the next one can be made at once."""

import asyncio
from functools import wraps

import pytest

from gateway.causes import Cause
from gateway.cloud.hub_reasons import reason_of
from gateway.cloud.rate_control import CallKind, RateControl
from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable
from gateway.testing.clock import simulated

TELEMETRY, COMMANDS = CallKind.TELEMETRY, CallKind.COMMANDS
REFUSED = HubUnreachable("hub.example accepts no connection: Connection refused", maybe_done=False)
NO_KEY = HubUnauthorised("hub.example does not accept this id with this key (401)", status=401, error="no")


def in_simulated_time(test):
    @wraps(test)
    def run():
        simulated(test())

    return run


@in_simulated_time
async def test_a_hub_that_answers_again_with_401_is_not_said_to_refuse_the_connection():
    rate = RateControl(jitter=0)
    rate.failed(TELEMETRY, REFUSED)
    rate.refused(TELEMETRY, NO_KEY)

    assert rate.reason.cause is Cause.KEY_REFUSED
    assert "401" in rate.problem
    rate.forget()
    assert (rate.reason, rate.is_reachable) == (None, None)


@in_simulated_time
async def test_the_failure_that_came_last_is_told_not_the_first():
    rate = RateControl(jitter=0)
    rate.failed(COMMANDS, HubUnreachable("commands: 502", maybe_done=False))
    rate.failed(TELEMETRY, REFUSED)
    rate.failed(COMMANDS, HubUnreachable("commands: 503", maybe_done=False))

    assert (rate.problem, rate.tries) == ("commands: 503", 2)


@in_simulated_time
async def test_a_failure_of_calls_that_nobody_makes_any_more_is_not_told_for_ever():
    rate = RateControl(jitter=0)
    rate.answered(TELEMETRY)
    rate.failed(COMMANDS, HubUnreachable("commands: 502", maybe_done=False))
    assert rate.problem == "commands: 502"

    await asyncio.sleep(120)

    assert (rate.problem, rate.next_try_seconds, rate.is_reachable) == (None, None, True)


@in_simulated_time
async def test_a_call_that_waits_after_failures_is_made_at_once_on_request():
    rate = RateControl(first_seconds=1000, most_seconds=1000, jitter=0)
    rate.failed(TELEMETRY, REFUSED)
    waiting = asyncio.create_task(rate.wait(TELEMETRY))
    await asyncio.sleep(1)
    began_at = asyncio.get_running_loop().time()

    assert rate.try_now() == 0
    await waiting

    assert asyncio.get_running_loop().time() - began_at < 1


@in_simulated_time
async def test_a_request_does_not_end_the_wait_that_the_hub_itself_asks_for():
    rate = RateControl(jitter=0)
    rate.failed(TELEMETRY, HubBusy("wants fewer calls", retry_after_seconds=300))
    waiting = asyncio.create_task(rate.wait(TELEMETRY))
    await asyncio.sleep(100)

    assert 150 < rate.try_now() < 250
    await asyncio.sleep(100)

    assert not waiting.done()
    waiting.cancel()


@in_simulated_time
async def test_who_waits_for_the_next_call_learns_of_it_whether_it_succeeds_or_not():
    rate = RateControl(jitter=0)
    for end in (lambda: rate.failed(TELEMETRY, REFUSED), lambda: rate.answered(TELEMETRY)):
        told = asyncio.create_task(rate.call_ends(TELEMETRY))
        await asyncio.sleep(0)
        end()
        await asyncio.wait_for(told, 60)
    assert rate.tried_at is not None


@pytest.mark.parametrize(
    ("error", "cause", "word"),
    [
        (REFUSED, Cause.HUB_UNREACHABLE, "firewall"),
        (NO_KEY, Cause.KEY_REFUSED, "portal"),
        (HubBusy("fewer", retry_after_seconds=3), Cause.HUB_BUSY, "waits"),
        (HubRejected("no", status=403, error="no"), Cause.REFUSED_BY_CLOUD, "model"),
        (HubUnreachable("x", maybe_done=False, cause=Cause.NAME_UNKNOWN), Cause.NAME_UNKNOWN, "name servers"),
        (HubUnreachable("x", maybe_done=False, cause=Cause.CLOCK_WRONG), Cause.CLOCK_WRONG, "Set the clock"),
        (HubUnreachable("x", maybe_done=False, cause=Cause.TLS), Cause.TLS, "ca_file"),
        (HubUnreachable("x", maybe_done=False, cause=Cause.PROXY), Cause.PROXY, "proxy"),
    ],
)
def test_each_failure_of_the_cloud_has_a_cause_and_a_next_step(error, cause, word):
    reason = reason_of(error)

    assert reason.cause is cause
    assert word in reason.next_step
