import asyncio

import pytest

from gateway.errors import BusLost, BusUnavailable, CommandRejected, DeviceUnreachable, OutcomeUnknown
from gateway.field.polling.job_queue import Job, JobQueue


def job(number=1, **rest):
    return Job(child="a", name=f"switch_on {number}", work=lambda _child: asyncio.sleep(0), **rest)


@pytest.fixture
def queue():
    return JobQueue()


async def failing(error):
    raise error


async def test_jobs_are_taken_in_the_order_in_which_they_arrived(queue):
    for number in range(3):
        queue.add(job(number), now=0, start_before=10)
    assert len(queue) == 3
    assert [queue.take(0).job.name for _ in range(3)] == [f"switch_on {number}" for number in range(3)]
    assert queue.take(0) is None


async def test_a_command_fails_from_the_moment_on_at_which_it_is_too_late(queue):
    queued = queue.add(job(1), now=0, start_before=10)
    assert queue.take(10) is None
    with pytest.raises(CommandRejected, match="nothing was sent"):
        await queued.outcome


async def test_a_command_that_is_no_longer_awaited_is_skipped(queue):
    first, second = (queue.add(job(number), now=0, start_before=10) for number in (1, 2))
    first.outcome.cancel()
    assert queue.take(0) is second


async def test_expiry_fails_those_that_are_too_late_and_keeps_the_others_in_order(queue):
    late, *others = (queue.add(job(number), now=0, start_before=end) for number, end in ((1, 10), (2, 20), (3, 30)))
    queue.expire(10)
    with pytest.raises(CommandRejected, match="nothing was sent"):
        await late.outcome
    assert [queue.take(0), queue.take(0)] == others


async def test_a_result_is_passed_on(queue):
    queued = queue.add(job(1), now=0, start_before=10)
    await queued.settle(asyncio.sleep(0, "it is on"))
    assert await queued.outcome == "it is on"


@pytest.mark.parametrize("error", [CommandRejected("the device refuses"), DeviceUnreachable("no answer")])
async def test_an_error_of_the_device_is_passed_on_and_harms_nothing_else(queue, error):
    queued = queue.add(job(1), now=0, start_before=10)
    await queued.settle(failing(error))
    with pytest.raises(type(error), match=str(error)):
        await queued.outcome


async def test_a_bug_in_the_adapter_leaves_the_outcome_unknown(queue, caplog):
    queued = queue.add(job(), now=0, start_before=10)
    await queued.settle(failing(ZeroDivisionError("oops")))
    with pytest.raises(OutcomeUnknown, match="whether the device carried it out is unknown: ZeroDivisionError: oops"):
        await queued.outcome
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("kind", [CommandRejected, DeviceUnreachable, OutcomeUnknown, KeyError])
async def test_no_error_and_no_log_line_quotes_a_secret(queue, caplog, kind):
    queued = queue.add(job(secrets=frozenset({"hunter2", "hunter"})), now=0, start_before=10)
    await queued.settle(failing(kind("the device refuses hunter2")))
    with pytest.raises(OutcomeUnknown if kind is KeyError else kind) as raised:
        await queued.outcome
    assert "hunter" not in f"{raised.value!r} {caplog.text}"
    assert "the device refuses ********" in str(raised.value)


async def test_a_lost_bus_fails_the_command_and_is_raised_for_the_supervisor(queue):
    queued = queue.add(job(1), now=0, start_before=10)
    with pytest.raises(BusUnavailable):
        await queued.settle(failing(BusUnavailable("pulled")))
    with pytest.raises(BusLost, match="the bus was lost while it was carried out"):
        await queued.outcome


async def test_a_worker_that_is_cancelled_leaves_no_command_without_an_outcome(queue):
    queued = queue.add(job(1), now=0, start_before=10)
    working = asyncio.create_task(queued.settle(asyncio.sleep(60)))
    await asyncio.sleep(1)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    with pytest.raises(BusLost, match="the bus was lost while it was carried out"):
        await queued.outcome


@pytest.mark.parametrize("execution", [asyncio.sleep, lambda _: failing(CommandRejected("no"))])
async def test_a_command_that_is_given_up_during_execution_harms_no_worker(queue, execution):
    queued = queue.add(job(1), now=0, start_before=10)
    queued.outcome.cancel()
    await queued.settle(execution(0))


async def test_a_command_has_an_outcome_when_the_bus_is_lost_while_its_start_is_recorded(queue):
    async def never():
        await asyncio.Event().wait()

    queued = queue.add(job(1, before_start=never), now=0, start_before=10)
    worker = asyncio.create_task(queued.prepare())
    await asyncio.sleep(0)
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
    with pytest.raises(CommandRejected, match="nothing was sent"):
        await asyncio.wait_for(queued.outcome, 60)


async def test_a_bug_while_the_start_is_recorded_costs_the_command_alone(queue):
    queued = queue.add(job(1, before_start=lambda: failing(ZeroDivisionError("oops"))), now=0, start_before=10)
    assert not await queued.prepare()
    with pytest.raises(CommandRejected, match="not executed: ZeroDivisionError"):
        await queued.outcome
