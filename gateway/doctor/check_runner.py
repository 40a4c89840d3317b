"""Run checks side by side, each with a time limit: a check that hangs or fails becomes a finding and stops no other."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.field.guard.guarded_adapter import GuardedIterator, call
from gateway.models import Finding
from gateway.plain_numbers import seconds_text
from gateway.tasks import closed_after

T = TypeVar("T")

CHECK_SECONDS = 8.5
"""With the start of the program, a person waits at most ten seconds."""


MOST_FINDINGS = 1000


@dataclass(frozen=True, slots=True)
class Check:
    """One check."""

    what: str
    """Its name in the finding that reports that it failed or did not end."""
    run: Callable[[], AsyncIterator[Finding]]
    entry: str | None = None
    """The entry of the config, or the adapter, whose own code this is."""


async def run_checks(checks: Sequence[Check], *, within_seconds: float = CHECK_SECONDS) -> AsyncIterator[Finding]:
    """Run all checks at once, and yield their findings in the order of the checks, as soon as possible."""
    tasks = [asyncio.create_task(_findings_of(check, within_seconds)) for check in checks]
    try:
        for task in tasks:
            for finding in await task:
                yield finding
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def in_daemon_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, run in a thread that nobody waits for at exit: a name server or a disk may hang."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def deliver(set_outcome: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(lambda: None if outcome.done() else set_outcome())
        except RuntimeError:  # the loop is closed, so nobody waits for the outcome any more
            return

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised again where the work was asked for
            failure = error
            deliver(lambda: outcome.set_exception(failure))
        else:
            deliver(lambda: outcome.set_result(result))

    threading.Thread(target=run, daemon=True, name="doctor").start()
    return await outcome


async def _findings_of(check: Check, within_seconds: float) -> list[Finding]:
    found: list[Finding] = []
    try:
        async with (
            asyncio.timeout(within_seconds) as limit,
            closed_after(GuardedIterator("examine", call("examine", check.run), MOST_FINDINGS)) as findings,
        ):
            async for finding in findings:
                found.append(finding if check.entry is None else finding.within(check.entry))  # noqa: PERF401 - kept if time runs out
    except TimeoutError as error:
        if not limit.expired():
            return [*found, _failure_finding(check, error)]
        meaning = f"did not end within {seconds_text(within_seconds)}: a disk, a name server or a program on this machine hangs"
        found.append(Finding.warning(check.what, meaning, "try again; if it stays, check `dmesg` and the system log"))
    except Exception as error:  # noqa: BLE001 - a third-party adapter may raise anything, and its text may contain its secrets
        found.append(_failure_finding(check, error))
    return found


def _failure_finding(check: Check, error: Exception) -> Finding:
    """Return the finding that a check failed, without the text of the error."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    meaning = f"could not be checked: {type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
    author = f"the author of the adapter {check.entry}" if check.entry is not None else "the makers of this gateway"
    return Finding.warning(check.what, meaning, f"report this to {author}")
