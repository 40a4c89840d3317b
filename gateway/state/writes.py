"""Finish writes that have begun although the caller is cancelled, and repeat them until the store accepts them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from gateway.errors import StoreError

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


async def run_to_completion(work: Coroutine[Any, Any, T], *, within_seconds: float | None = None) -> T:
    """Await `work`; if the caller is cancelled meanwhile, let `work` end first, within so many seconds."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=within_seconds)
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # no caller is left to see it, but asyncio warns about an exception that was never retrieved
        raise


def runs_to_completion(method: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let a method that writes run to its end once it was called, so that memory and disk never differ."""

    @wraps(method)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await run_to_completion(method(*args, **kwargs))

    return run


async def retry_until_stored(write: Callable[[], Awaitable[T]], *, what: str, again_after_seconds: float = 1.0) -> T:
    """Write until the store accepts it: for what cannot be requested a second time, such as an access key."""
    is_logged = False
    while True:
        try:
            return await write()
        except StoreError as error:
            if not is_logged:
                log.error("%s cannot be stored; retrying until it is: %s", what, error)  # noqa: TRY400 - no bug of ours
            is_logged = True
        await asyncio.sleep(again_after_seconds)
