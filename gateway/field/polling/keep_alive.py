"""Run something again and again until it ends well or is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gateway.backoff import Backoff
from gateway.errors import BusUnavailable
from gateway.tasks import run_in_own_task

SHORTEST_WAIT_SECONDS = 0.5
"""So long is waited after a failure even if all seems well again: nothing is retried in a tight loop."""


async def keep_alive(
    run_once: Callable[[], Coroutine[Any, Any, None]],
    failed: Callable[[BaseException, float], Awaitable[None]],
    backoff: Backoff,
    sooner: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Await `run_once()` until one run returns; after each that raised, tell `failed(error, wait_seconds)` and wait.

    The wait ends early when `sooner()` returns. Each run is a task of its own: see `gateway.tasks`.
    """
    while True:
        error = await run_in_own_task(run_once())
        if error is None:
            return
        wait_seconds = backoff.next_wait_seconds()
        await failed(error, wait_seconds)
        await asyncio.sleep(wait_seconds if sooner is None else min(wait_seconds, SHORTEST_WAIT_SECONDS))
        if sooner is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds - min(wait_seconds, SHORTEST_WAIT_SECONDS)):
                    await sooner()


def bus_failure(error: BaseException) -> BusUnavailable | None:
    """Return the failure of the bus in an error or group of errors; `None` if anything else is in it, which is a bug."""
    leaves = list(_leaves(error))
    buses = [leaf for leaf in leaves if isinstance(leaf, BusUnavailable)]
    return buses[0] if buses and len(buses) == len(leaves) else None


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
