import asyncio
import gc

import pytest

from gateway.errors import StoreError
from gateway.state.writes import retry_until_stored, run_to_completion, runs_to_completion
from gateway.tasks import loop_time
from gateway.testing.clock import simulated


@pytest.mark.parametrize(("takes_seconds", "ends"), [(9.0, True), (11.0, False)])
def test_work_that_is_cancelled_ends_first_but_not_later_than_it_may(takes_seconds, ends):
    ended = []

    async def work():
        await asyncio.sleep(takes_seconds)
        ended.append(takes_seconds)

    async def cancelled_while_it_works():
        task = asyncio.create_task(run_to_completion(work(), within_seconds=10))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return loop_time()

    assert simulated(cancelled_while_it_works()) == min(takes_seconds, 10.0)
    assert ended == ([takes_seconds] if ends else [])


def test_work_that_nobody_cancels_returns_its_result():
    async def work():
        await asyncio.sleep(60)
        return "done"

    assert simulated(run_to_completion(work(), within_seconds=1)) == "done"


def test_work_that_fails_after_its_caller_was_cancelled_is_no_error_of_the_loop():
    complaints = []

    async def work():
        await asyncio.sleep(1)
        raise StoreError("disk full")

    async def cancelled_while_it_works():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context["message"]))
        task = asyncio.create_task(run_to_completion(work()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        del task
        gc.collect()  # asyncio complains of an exception that was never retrieved when its task is collected

    simulated(cancelled_while_it_works())
    assert complaints == []


def test_a_method_that_has_begun_to_write_ends_although_its_caller_is_cancelled():
    class Writer:
        written: tuple[str, ...] = ()

        @runs_to_completion
        async def write(self, *texts: str) -> None:
            """Write."""
            await asyncio.sleep(5)
            self.written += texts

    async def cancelled_while_it_writes():
        writer = Writer()
        task = asyncio.create_task(writer.write("a", "b"))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return writer.written

    assert simulated(cancelled_while_it_writes()) == ("a", "b")
    assert Writer.write.__doc__ == "Write."


def test_what_must_not_be_lost_is_written_every_second_until_it_is_stored_and_logged_once(caplog):
    answers = [*(StoreError("disk full") for _ in range(3)), None]

    async def write():
        if (answer := answers.pop(0)) is not None:
            raise answer
        return "stored"

    async def timed():
        return await retry_until_stored(write, what="the key"), loop_time()

    assert simulated(timed()) == ("stored", 3.0)
    assert caplog.text.count("the key cannot be stored") == 1
