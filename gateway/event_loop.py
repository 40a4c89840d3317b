"""Run the gateway's event loop: no code in it can end it by an exit, and time in which it stood still does not pass in it.

Adapters are code of others, and may start tasks and callbacks of their own. asyncio ends the loop for `SystemExit` and
`KeyboardInterrupt` out of one of them, and `loop.stop()` ends it as well. Here the loop goes on, and the error is reported.

An adapter that waits with `time.sleep`, or computes for long, stops everybody's work. When it returns, the time-outs of all
others are over, though nobody had the chance to answer or to listen. So the loop's clock, by which everything in the gateway
waits, counts one round of the loop as `LONGEST_ROUND_SECONDS` at most. The same holds when the machine itself stood still.

What an adapter does in threads, and the look-up of its host names, takes threads of its own: those of asyncio are few, and an
adapter that fills them for ever would hold every look-up and every file of the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import selectors
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import ContextVar
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST_ROUND_SECONDS: Final = 0.25
"""How much of the clock one round of the loop takes at most, and by how much a wait may be late."""

MOST_READS_IN_A_ROUND: Final = 100_000
"""After so many looks at the clock within a long round it goes on: who waits for it in a loop would wait for ever."""

MOST_BREAKS_A_SECOND: Final = 20.0
"""When the loop itself fails more often than this, it cannot go on; the process is then started anew."""

exit_reporter: ContextVar[Callable[[BaseException], None] | None] = ContextVar("exit_reporter", default=None)
"""Is called with an exit out of a task that was started in this context, by an adapter and on its own."""

adapter_threads: ContextVar[Executor | None] = ContextVar("adapter_threads", default=None)
"""The threads in which code runs that was started in this context, by an adapter, without naming any."""


class ForeignExit(RuntimeError):
    """A task was ended by an exit, which is an error of that task and not the end of the process."""


class GatewayLoop(asyncio.SelectorEventLoop):
    """The event loop of the gateway."""

    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(_TimedSelector(self._clock))
        self._main: asyncio.Future[Any] | None = None
        self._is_stopped = False
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # the type has the arguments of Python 3.13

    @property
    def busy_since(self) -> float | None:
        """Since when, by `time.monotonic`, the current round lasts; `None` while the loop waits."""
        return self._clock.busy_since

    @property
    def stood_seconds(self) -> float:
        """The time since the start in which the loop stood still, which its clock does not count."""
        return self._clock.skipped_seconds

    def time(self) -> float:
        """Return the time of the loop's clock."""
        return self._clock.now()

    def run_until_complete(self, future: Any) -> Any:  # noqa: ANN401 - as the base class has it
        """Run until a future is done, and return its result; an exit out of it is raised."""
        self._main = main = asyncio.ensure_future(_as_value(future), loop=self)
        try:
            outcome = super().run_until_complete(main)
        finally:
            self._main = None
        return outcome.get()

    def run_forever(self) -> None:
        """Run until `stop` is called; an exit out of a task or a callback does not end the loop, nor does a handler of a signal.

        A handler that an adapter has installed, as for a time-out by SIGALRM, may raise between any two lines of the loop.
        """
        self._is_stopped = False
        breaks, first_at = 0, time.monotonic()
        while True:
            try:
                super().run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                self.call_exception_handler({"message": "an exit out of a task or a callback", "exception": error})
            except Exception as error:
                if self.is_closed() or self.is_running():
                    raise
                breaks += 1
                if breaks > MOST_BREAKS_A_SECOND * (time.monotonic() - first_at + 1):
                    raise
                self.call_exception_handler({"message": "an error in the event loop itself", "exception": error})
            else:
                return
            if self._is_stopped:
                return

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Report an error; a handler that an adapter has set may raise anything, and ends nothing."""
        try:
            super().call_exception_handler(context)
        except (SystemExit, KeyboardInterrupt):
            with contextlib.suppress(BaseException):  # the objects in it may raise, too, when they are written
                self.default_exception_handler(context)

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Run a function in a thread: one of the adapter's own where an adapter calls, by `asyncio.to_thread` as well."""
        return super().run_in_executor(executor if executor is not None else adapter_threads.get(), func, *args)

    def stop(self) -> None:
        """Stop when the main work is done; before that it is not for anybody to stop the loop."""
        if self._main is None or self._main.done():
            self._is_stopped = True
            super().stop()
        else:
            self.call_exception_handler({"message": "the loop was to be stopped", "exception": ForeignExit("`loop.stop()`")})


class _Clock:
    """A monotonic clock that counts no round of the loop for longer than `LONGEST_ROUND_SECONDS`."""

    def __init__(self) -> None:
        self.skipped_seconds = 0.0
        self.busy_since: float | None = None
        self._round_ends_at = 0.0
        self._reads = 0

    def now(self) -> float:
        now = time.monotonic() - self.skipped_seconds
        if self.busy_since is None or now <= self._round_ends_at:
            return now
        self._reads += 1
        if self._reads > MOST_READS_IN_A_ROUND:
            self._round_ends_at = now
        return self._round_ends_at

    def end_round(self) -> float:
        """Begin to wait; return the time of the clock."""
        now = self.now()
        if self.busy_since is not None:
            self.skipped_seconds = time.monotonic() - now
            self.busy_since = None
        return now

    def begin_round(self, latest: float | None) -> None:
        """Begin a round after a wait that should have been over by `latest`."""
        real = time.monotonic()
        now = real - self.skipped_seconds
        if latest is not None and now > latest + LONGEST_ROUND_SECONDS:
            self.skipped_seconds += now - latest
            now = latest
        self.busy_since, self._round_ends_at, self._reads = real, now + LONGEST_ROUND_SECONDS, 0


class _TimedSelector(selectors.DefaultSelector):
    """A selector that tells the clock when the loop waits, and waits in the process that has made it alone."""

    def __init__(self, clock: _Clock) -> None:
        super().__init__()
        self._clock = clock
        self._process = os.getpid()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if os.getpid() != self._process:  # code of an adapter has forked: a copy of the gateway must not serve its buses as well
            os._exit(1)
        now = self._clock.end_round()
        try:
            return super().select(timeout)
        finally:
            self._clock.begin_round(None if timeout is None else now + max(timeout, 0.0))


class _Outcome:
    """What the main work returned, or the exit that it raised."""

    def __init__(self, result: Any = None, exit_: BaseException | None = None) -> None:  # noqa: ANN401 - any result
        self._result = result
        self._exit = exit_

    def get(self) -> Any:  # noqa: ANN401 - as above
        if self._exit is not None:
            raise self._exit
        return self._result


async def _as_value(work: Any) -> _Outcome:  # noqa: ANN401 - whatever can be awaited
    """Await the main work; an exit must not leave its task, since the loop goes on after that of any task."""
    try:
        return _Outcome(await work)
    except (SystemExit, KeyboardInterrupt) as error:
        return _Outcome(exit_=error)


def _make_task(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], **rest: Any) -> asyncio.Task[T]:  # noqa: ANN401 - what `create_task` passes on
    report = exit_reporter.get()
    if report is None:
        return asyncio.Task(work, loop=loop, **rest)
    guarded = _without_exit(work, report)
    guarded.__qualname__ = getattr(work, "__qualname__", "a task")  # type: ignore[attr-defined]  # each coroutine has one
    return asyncio.Task(guarded, loop=loop, **rest)


async def _without_exit(work: Coroutine[Any, Any, T], report: Callable[[BaseException], None]) -> T:
    try:
        return await work
    except (SystemExit, KeyboardInterrupt) as error:
        report(error)
        raise ForeignExit(f"{type(error).__name__}") from error
