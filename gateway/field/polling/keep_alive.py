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
    *,
    try_now: asyncio.Event | None = None,
) -> None:
    """Await `run_once()` until one run returns; after each that raised, await `on_failure(error, wait_seconds)` and wait.

    The wait ends early when `recovered()` returns or when `try_now` is set, which is cleared then. Each run is a task of its own:
    see `gateway.tasks`.
    """
    while True:
        error = await run_in_own_task(run_once())
        if error is None:
            return
        wait_seconds = backoff.next_wait_seconds()
        await on_failure(error, wait_seconds)
        if try_now is not None:
            try_now.clear()  # what was asked for meanwhile is what has just failed
        await _wait(wait_seconds, recovered, try_now)


async def _wait(seconds: float, recovered: Callable[[], Coroutine[Any, Any, None]] | None, try_now: asyncio.Event | None) -> None:
    """Wait for so long, or until one of both says that it need not be any longer."""
    enders = {asyncio.create_task(try_now.wait())} if try_now is not None else set()
    least = min(seconds, SHORTEST_WAIT_SECONDS)
    try:
        if not await _ended(enders, least if recovered is not None else seconds) and recovered is not None:
            enders.add(asyncio.create_task(recovered()))  # type: ignore[arg-type]  # the result of neither is used
            await _ended(enders, seconds - least)
    finally:
        await end_tasks(enders)


async def _ended(enders: set[asyncio.Task[Any]], seconds: float) -> bool:
    """Wait for so long, or until one of some tasks is done, and return whether one is."""
    if not enders:
        await asyncio.sleep(seconds)
        return False
    done, _ = await asyncio.wait(enders, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    return bool(done)


def bus_failure(error: BaseException) -> BusUnavailable | None:
    """Return the bus failure in an error or a group of errors; `None` if it contains anything else, which is a bug."""
    leaves = list(_leaves(error))
    failures = [leaf for leaf in leaves if isinstance(leaf, BusUnavailable)]
    return failures[0] if failures and len(failures) == len(leaves) else None


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
