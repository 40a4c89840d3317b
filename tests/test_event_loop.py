"""No code ends the gateway's event loop, and its clock counts no time in which it stood still."""

import asyncio
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.event_loop import LONGEST_ROUND_SECONDS, MOST_READS_IN_A_ROUND, GatewayLoop, adapter_threads, exit_reporter
from gateway.runtime.loop_watchdog import LoopWatchdog, StrayErrors, packages_of
from gateway.testing.devices import SyntheticAdapter


def run(main):
    with asyncio.Runner(loop_factory=GatewayLoop) as runner:
        runner.get_loop().set_exception_handler(lambda loop, context: reported.append(context))
        reported = []
        return runner.run(main()), reported


def divide(one, other):
    return one / other


def raise_interrupt():
    raise KeyboardInterrupt


@pytest.mark.parametrize("leave", [lambda: sys.exit(3), raise_interrupt])
def test_an_exit_out_of_a_callback_or_a_task_is_reported_and_the_loop_goes_on(leave):
    async def end():
        leave()

    async def main():
        asyncio.get_running_loop().call_soon(leave)
        task = asyncio.create_task(end())
        await asyncio.wait({task})
        await asyncio.sleep(0.01)
        return type(task.exception())

    kind, reported = run(main)
    assert issubclass(kind, SystemExit | KeyboardInterrupt)
    assert [type(context["exception"]) for context in reported] == [kind, kind]


def test_an_exit_of_the_main_work_is_raised():
    async def main():
        sys.exit(3)

    with pytest.raises(SystemExit):
        run(main)


@pytest.mark.enable_socket
def test_an_adapter_that_fills_its_threads_holds_no_other_work_and_no_look_up_of_a_name():
    ends = threading.Event()

    async def fill(threads):
        adapter_threads.set(threads)
        waiting = [asyncio.create_task(asyncio.to_thread(ends.wait)) for _ in range(64)]
        await asyncio.sleep(0.05)
        return waiting

    async def main():
        with ThreadPoolExecutor(2) as threads:
            waiting = await asyncio.create_task(fill(threads))
            try:
                found = await asyncio.wait_for(asyncio.get_running_loop().getaddrinfo("127.0.0.1", 80), 60)
                return found and await asyncio.wait_for(asyncio.to_thread(threading.get_ident), 60)
            finally:
                ends.set()
                await asyncio.wait(waiting)

    thread, reported = run(main)
    assert thread != threading.get_ident()
    assert not reported


def test_the_loop_is_not_stopped_by_others():
    async def main():
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        return "done"

    outcome, reported = run(main)
    assert outcome == "done"
    assert "`loop.stop()`" in str(reported[0]["exception"])


def test_an_exit_of_a_task_is_told_to_the_bus_in_whose_context_it_was_started():
    told = []

    async def end():
        sys.exit(3)

    async def main():
        exit_reporter.set(told.append)
        task = asyncio.create_task(end())
        await asyncio.wait({task})
        return str(task.exception())

    outcome, reported = run(main)
    assert outcome == "SystemExit"
    assert [type(error) for error in told] == [SystemExit]
    assert reported == []


def test_time_in_which_a_callback_holds_the_loop_is_not_counted_and_the_clock_never_goes_back():
    async def main():
        loop, seen = asyncio.get_running_loop(), []
        began_at = loop.time()
        asyncio.get_running_loop().call_later(0.01, lambda: (seen.append(loop.time()), time.sleep(1.0), seen.append(loop.time())))
        async with asyncio.timeout(0.9):  # it does not expire, although a second passes
            await asyncio.sleep(0.05)
            seen.append(loop.time())
        assert seen == sorted(seen)
        return loop.time() - began_at, loop.stood_seconds

    (counted, stood), _ = run(main)
    assert stood >= 1.0 - LONGEST_ROUND_SECONDS - 0.01
    assert counted >= LONGEST_ROUND_SECONDS


def test_who_waits_for_the_clock_within_a_round_does_not_wait_for_ever():
    async def main():
        loop = asyncio.get_running_loop()
        until, looks = loop.time() + 2 * LONGEST_ROUND_SECONDS, 0
        while loop.time() < until:
            looks += 1
        return looks

    looks, _ = run(main)
    assert looks >= MOST_READS_IN_A_ROUND


def test_who_holds_the_loop_is_named_once(caplog):
    class Holding(SyntheticAdapter):
        pass

    async def main():
        watchdog = LoopWatchdog(asyncio.get_running_loop(), {"holding": Holding})
        watchdog.start()
        assert watchdog.notice is None
        for _ in range(2):
            time.sleep(2.0)  # noqa: ASYNC251 - that is what is named
            await asyncio.sleep(0.01)
        watchdog.end()
        return watchdog.notice

    notice, _ = run(main)
    assert notice.startswith("the adapter holding, in `")
    assert caplog.text.count("holds the event loop") == 1
    assert "test_event_loop.py, line" in caplog.text


def test_errors_that_nobody_awaits_are_named_by_their_adapter_and_told_less_and_less_often(caplog):
    errors = StrayErrors({"mine": __name__})
    loop = GatewayLoop()
    for _ in range(1000):
        try:
            divide(1, 0)
        except ZeroDivisionError as error:
            errors.record(loop, {"message": "Task exception was never retrieved", "exception": error})
    loop.close()
    assert len(caplog.records) == 1
    assert "a bug in the adapter mine, in what it has started itself" in caplog.text
    assert "ZeroDivisionError: division by zero" in caplog.text


def test_an_adapter_is_known_by_the_package_that_no_other_is_in():
    def adapter(module):
        return type("Made", (SyntheticAdapter,), {"__module__": module})

    modules = {"modbus": "adapters.modbus.adapter", "ble": "adapters.ble.adapter", "own": "own_adapter", "deep": "acme.x.y"}
    packages = packages_of({kind: adapter(module) for kind, module in modules.items()})
    assert packages == {"modbus": "adapters.modbus", "ble": "adapters.ble", "own": "own_adapter", "deep": "acme"}


def test_a_signal_that_raises_does_not_end_the_loop():
    def raise_timeout(*_):
        raise TimeoutError("an alarm")

    async def main():
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        for _ in range(20):
            await asyncio.sleep(0.005)
        return "done"

    before = signal.signal(signal.SIGALRM, raise_timeout)
    try:
        outcome, reported = run(main)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert outcome == "done"
    assert [str(context["exception"]) for context in reported] == ["an alarm"]


def test_an_exception_handler_that_exits_does_not_end_the_loop():
    def leave(loop, context):
        sys.exit(7)

    async def main():
        asyncio.get_running_loop().set_exception_handler(leave)
        asyncio.get_running_loop().call_soon(divide, 1, 0)
        asyncio.get_running_loop().call_soon(sys.exit, 3)
        await asyncio.sleep(0.01)
        return "done"

    outcome, _ = run(main)
    assert outcome == "done"


def test_a_copy_of_the_process_does_not_run_the_loop():
    async def main():
        copy = os.fork()
        if copy == 0:
            await asyncio.sleep(0.01)
            os._exit(42)
        return copy

    copy, _ = run(main)
    assert os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]) == 1
