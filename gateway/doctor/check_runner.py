"""Checks side by side, each for a limited time: one that hangs or fails is a finding itself and takes down no other."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gateway.models import Finding
from gateway.tasks import closed_after

T = TypeVar("T")

CHECK_SECONDS = 8.5
"""With the start of the program a person waits for at most ten."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something that is looked at."""

    what: str
    """As a person calls it, should it not end."""
    look: Callable[[], AsyncIterator[Finding]]
    entry: str | None = None
    """The entry of the config, or the adapter, whose own code this is."""


async def findings_of(checks: Sequence[Check], *, within_seconds: float = CHECK_SECONDS) -> AsyncIterator[Finding]:
    """Carry out all checks at once; yield what they find in the order of the checks, as soon as it is their turn."""
    looking = [asyncio.create_task(_carried_out(check, within_seconds)) for check in checks]
    try:
        for task in looking:
            for finding in await task:
                yield finding
    finally:
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)


async def aside(work: Callable[[], T]) -> T:
    """Return what the work returns, done in a thread that nobody waits for at the end: a name server or a disk may hang."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def tell(deliver: Callable[[], None]) -> None:
        try:
            loop.call_soon_threadsafe(lambda: None if outcome.done() else deliver())
        except RuntimeError:  # the loop is closed: nobody wants to know any more
            return

    def run() -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised again where the work was asked for
            failed = error
            tell(lambda: outcome.set_exception(failed))
        else:
            tell(lambda: outcome.set_result(result))

    threading.Thread(target=run, daemon=True, name="doctor").start()
    return await outcome


async def _carried_out(check: Check, within_seconds: float) -> list[Finding]:
    found: list[Finding] = []
    try:
        async with asyncio.timeout(within_seconds) as limit, closed_after(check.look()) as findings:
            async for finding in findings:
                found.append(finding if check.entry is None else finding.within(check.entry))  # noqa: PERF401 - kept if time runs out
    except TimeoutError as error:
        if not limit.expired():
            return [*found, _failed(check, error)]
        meaning = f"did not end within {within_seconds:g} s: a disk, a name server or a program on this machine hangs"
        found.append(Finding.warning(check.what, meaning, "look again; if it stays, look into `dmesg` and the log of the system"))
    except Exception as error:  # noqa: BLE001 - a stranger's adapter may raise anything, and its text may hold its secrets
        found.append(_failed(check, error))
    return found


def _failed(check: Check, error: Exception) -> Finding:
    """Return that a check failed, without what the error says."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    meaning = f"could not be looked at: {type(error).__name__} in {Path(frame.filename).name}:{frame.lineno}"
    whose = f"the author of the adapter {check.entry}" if check.entry is not None else "the makers of this gateway"
    return Finding.warning(check.what, meaning, f"tell {whose}")
