"""Restart work that fails, after a growing wait, until it ends normally or is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gateway.backoff import Backoff
from gateway.errors import BusUnavailable
from gateway.tasks import end_tasks, run_in_own_task

SHORTEST_WAIT_SECONDS = 0.5
"""The wait after a failure even if everything seems well again: nothing is retried in a tight loop."""


async def keep_alive(
    run_once: Callable[[], Coroutine[Any, Any, None]],
    on_failure: Callable[[BaseException, float], Awaitable[None]],
    backoff: Backoff,
    recovered: Callable[[], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Await `run_once()` until one run returns; after each that raised, await `on_failure(error, wait_seconds)` and wait.

    The wait ends early when `recovered()` returns. Each run is a task of its own: see `gateway.tasks`.
    """
    while True:
        error = await run_in_own_task(run_once())
        if error is None:
            return
        wait_seconds = backoff.next_wait_seconds()
        await on_failure(error, wait_seconds)
        await asyncio.sleep(wait_seconds if recovered is None else min(wait_seconds, SHORTEST_WAIT_SECONDS))
        if recovered is not None:
            await _wait_for(recovered, wait_seconds - min(wait_seconds, SHORTEST_WAIT_SECONDS))


async def _wait_for(recovered: Callable[[], Coroutine[Any, Any, None]], seconds: float) -> None:
    """Wait until `recovered()` returns, but no longer than so many seconds, whatever it does when it is cancelled."""
    waiting = asyncio.create_task(recovered())
    try:
        await asyncio.wait({waiting}, timeout=seconds)
    finally:
        await end_tasks({waiting})


def bus_failure(error: BaseException) -> BusUnavailable | None:
    """Return the bus failure in an error or a group of errors; `None` if it contains anything else, which is a bug."""
    leaves = list(_leaves(error))
    failures = [leaf for leaf in leaves if isinstance(leaf, BusUnavailable)]
    return failures[0] if failures and len(failures) == len(leaves) else None


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
