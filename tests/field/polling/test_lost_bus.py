"""Check that a lost bus is one cause: one log line, one reason for all of its children, and one attempt on request."""

import asyncio
import logging

import pytest

from gateway.adapter import BusUnavailable, Cause
from gateway.backoff import Backoff
from gateway.models import Reach
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

CHILDREN = 125


def device(number):
    return SyntheticDevice(serial_number=str(number), address=f"a{number}")


def key(number):
    return f"sn:synthetic/{number}"


class Host(SyntheticAdapter):
    """A bus behind a host that fails for the reason which a test sets."""

    failure: BusUnavailable | None = None

    def _plugged_in(self):
        if Host.failure is not None:
            raise Host.failure
        super()._plugged_in()


REFUSES = BusUnavailable("10.0.0.3:502: Connection refused", cause=Cause.HOST_REFUSES)
UNREACHABLE = BusUnavailable("10.0.0.3:502: No route to host", cause=Cause.HOST_UNREACHABLE)


@pytest.fixture(autouse=True)
def _working_host():
    Host.failure = None


def reaches(field, reach, numbers=range(CHILDREN)):
    return all(field.availability.of(key(number)).reach is reach for number in numbers)


async def test_a_lost_bus_with_125_children_is_one_log_line_and_so_is_its_return(field, caplog):
    caplog.set_level(logging.INFO)
    bus = SyntheticBus([device(number) for number in range(CHILDREN)], label="house 3")
    supervisor = field.serve(bus, Host, discover_every=3600)
    await field.until(lambda: reaches(field, Reach.REACHABLE))
    caplog.clear()

    Host.failure = REFUSES
    await field.until(lambda: reaches(field, Reach.SILENT))
    lost = [record.getMessage() for record in caplog.records]
    assert len(lost) == 1
    assert lost[0].startswith("house 3: 10.0.0.3:502: Connection refused. Next try in")
    assert lost[0].endswith("125 children cannot be read meanwhile")
    caplog.clear()

    Host.failure = None
    await field.until(lambda: reaches(field, Reach.REACHABLE) and supervisor.outage is None)
    back = [record.getMessage() for record in caplog.records]
    assert len(back) == 1
    assert back[0].startswith("house 3: works again after")
    assert back[0].endswith("125 children are asked again")


async def test_another_reason_while_it_is_lost_changes_the_reason_and_not_the_time(field):
    bus = SyntheticBus([device(1)], label="house 3")
    supervisor = field.serve(bus, Host)
    await field.until(lambda: reaches(field, Reach.REACHABLE, [1]))
    Host.failure = REFUSES
    await field.until(lambda: reaches(field, Reach.SILENT, [1]))
    bus_since, child_since = supervisor.outage.since, field.availability.of(key(1)).since

    Host.failure = UNREACHABLE
    await field.until(lambda: field.availability.of(key(1)).reason.cause is Cause.HOST_UNREACHABLE)

    assert supervisor.outage.reason.cause is Cause.HOST_UNREACHABLE
    assert (supervisor.outage.since, field.availability.of(key(1)).since) == (bus_since, child_since)
    assert supervisor.outage.tries > 2


async def test_no_transaction_of_a_child_counts_as_failed_when_its_bus_is_lost(field):
    field.serve(SyntheticBus([device(1)]), Host)
    await field.until(lambda: reaches(field, Reach.REACHABLE, [1]))
    Host.failure = REFUSES
    await field.until(lambda: reaches(field, Reach.SILENT, [1]))

    assert not field.monitor.failures


async def test_a_child_that_was_silent_before_keeps_its_own_reason(field):
    bus = SyntheticBus([device(1), device(2)])
    field.serve(bus, Host)
    await field.until(lambda: reaches(field, Reach.REACHABLE, [1, 2]))
    bus.devices["a2"].silent = True
    await field.until(lambda: reaches(field, Reach.SILENT, [2]))
    Host.failure = REFUSES
    await field.until(lambda: reaches(field, Reach.SILENT, [1]))

    assert field.availability.of(key(1)).is_of_bus
    own = field.availability.of(key(2))
    assert not own.is_of_bus
    assert own.reason.cause is not Cause.HOST_REFUSES


async def test_a_child_that_does_not_come_back_with_its_bus_is_told_once_with_its_own_reason(field, caplog):
    bus = SyntheticBus([device(1), device(2)], label="house 3")
    supervisor = field.serve(bus, Host)
    await field.until(lambda: reaches(field, Reach.REACHABLE, [1, 2]))
    Host.failure = REFUSES
    await field.until(lambda: reaches(field, Reach.SILENT, [1, 2]))
    bus.devices["a2"].silent = True
    Host.failure = None
    await field.until(lambda: supervisor.outage is None and not field.availability.of(key(2)).is_of_bus)

    assert caplog.text.count("does not answer, although its bus works again") == 1


async def test_a_bus_that_is_open_again_and_stays_silent_is_not_said_to_refuse_the_connection_any_more(field):
    bus = SyntheticBus([device(1), device(2)])
    supervisor = field.serve(bus, Host, discover_every=3600)
    await field.until(lambda: reaches(field, Reach.REACHABLE, [1, 2]))
    Host.failure = REFUSES
    await field.until(lambda: reaches(field, Reach.SILENT, [1, 2]))
    for one in bus.devices.values():
        one.silent = True
    Host.failure = None

    await field.until(lambda: supervisor.outage is None)

    assert reaches(field, Reach.SILENT, [1, 2])


async def test_a_bus_is_opened_at_once_on_request_and_not_after_its_wait(field):
    bus = SyntheticBus([device(1)])
    supervisor = field.serve(bus, Host, Backoff(100_000, 100_000, jitter=0))
    await field.until(lambda: reaches(field, Reach.REACHABLE, [1]))
    Host.failure = REFUSES
    await field.until(lambda: supervisor.outage is not None)
    began_at = asyncio.get_running_loop().time()

    assert (await supervisor.try_now()).text == "10.0.0.3:502: Connection refused"
    assert supervisor.outage.tries == 2
    Host.failure = None
    assert await supervisor.try_now() is None
    await field.until(lambda: reaches(field, Reach.REACHABLE, [1]))

    assert asyncio.get_running_loop().time() - began_at < 60


async def test_a_silent_child_is_asked_next_on_request(field):
    bus = SyntheticBus([device(1)])
    supervisor = field.serve(bus, Host)
    await field.until(lambda: reaches(field, Reach.REACHABLE, [1]))
    bus.devices["a1"].silent = True
    await field.until(lambda: reaches(field, Reach.SILENT, [1]))

    assert (await supervisor.try_child(key(1))).text == "no answer from a1"
    bus.devices["a1"].silent = False
    assert await supervisor.try_child(key(1)) is None

    assert reaches(field, Reach.REACHABLE, [1])
    assert (await supervisor.try_child("sn:synthetic/99")).text == "it is not on this bus any more"


async def test_an_attempt_that_nobody_serves_any_more_ends(field):
    bus = SyntheticBus([device(1)])
    supervisor = field.serve(bus, Host, Backoff(100_000, 100_000, jitter=0))
    Host.failure = REFUSES
    await field.until(lambda: supervisor.outage is not None)
    for task in field.tasks:
        task.cancel()
    await asyncio.gather(*field.tasks, return_exceptions=True)

    assert "not served" in (await asyncio.wait_for(supervisor.try_now(), 60)).text
