import asyncio
import logging

import pytest

from gateway.backoff import Backoff
from gateway.errors import BusUnavailable
from gateway.field.polling.bus_health import LONGEST_PROOF_SECONDS, BusHealth


@pytest.fixture
def backoff():
    return Backoff(1, 60, jitter=0)


def health_of(backoff, *, hears_nothing=False):
    return BusHealth("cabinet", backoff, hears_nothing=lambda: hears_nothing)


def fail(health, backoff, error):
    wait_seconds = backoff.next_wait_seconds()
    health.record_failure(error, wait_seconds)


async def test_a_failure_is_logged_once_until_its_reason_changes(backoff, caplog):
    health = health_of(backoff)
    for _ in range(3):
        fail(health, backoff, BusUnavailable("cabinet: it is unplugged."))
    assert health.problem == "it is unplugged."
    assert caplog.text.count("cabinet: it is unplugged. Next try in") == 1
    fail(health, backoff, BusUnavailable("no permission"))
    assert "cabinet: no permission. Next try in 8 s" in caplog.text


async def test_a_bug_is_named_as_one_of_the_adapter_also_inside_of_groups(backoff):
    health = health_of(backoff)
    fail(health, backoff, BaseExceptionGroup("", [BaseExceptionGroup("", [KeyError("oops"), BusUnavailable("gone")])]))
    assert health.problem == "its adapter failed: KeyError: 'oops'"


async def test_a_bus_that_can_be_reopened_at_once_is_not_lost(backoff):
    health = health_of(backoff)
    fail(health, backoff, BusUnavailable("gone"))
    assert not health.is_lost
    fail(health, backoff, BusUnavailable("gone"))
    assert health.is_lost


async def test_a_bus_is_trusted_again_after_it_worked_as_long_as_the_wait_before(backoff, caplog):
    caplog.set_level(logging.INFO)
    health = health_of(backoff)
    for _ in range(3):
        fail(health, backoff, BusUnavailable("gone"))
    health.record_opening()
    await asyncio.sleep(3.9)
    health.record_success()
    assert (health.problem, backoff.failures) == ("gone", 3), "the last wait was 4 s"
    await asyncio.sleep(0.1)
    health.record_success()
    assert (health.problem, backoff.failures) == (None, 0)
    health.record_success()
    assert caplog.text.count("cabinet: works again") == 1


async def test_after_a_long_wait_ten_seconds_are_proof_enough(backoff):
    health = health_of(backoff)
    for _ in range(9):
        fail(health, backoff, BusUnavailable("gone"))
    health.record_opening()
    await asyncio.sleep(LONGEST_PROOF_SECONDS)
    health.record_success()
    assert health.problem is None


async def test_a_bus_on_which_nothing_is_heard_yet_still_has_its_problem(backoff):
    health = health_of(backoff, hears_nothing=True)
    health.record_failure(BusUnavailable("nothing was heard"), 0)
    health.record_success()
    assert health.problem == "nothing was heard"
