"""Where the page is served: one address, listened on as soon as it can be, and until the end."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

log = logging.getLogger(__name__)

EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - it is asked for, not bound
AGAIN_SECONDS: Final = 30.0
"""An address that cannot be listened on is tried again so often: the gateway has other work, and does it without a page."""
STOP_SECONDS: Final = 0.5


async def serve(application: web.Application, host: str, port: int, stack: AsyncExitStack) -> str:
    """Listen for browsers until the stack ends, and return where; tried for as long as it takes.

    Args:
        application: what is served.
        host: the address that is listened on.
        port: 0 takes a free one.
        stack: ends it.
    """
    # Our own bugs are told by the guard; what is left to aiohttp is what strangers send that is not HTTP, with a traceback each.
    nonsense = logging.getLogger(f"{__name__}.nonsense")
    nonsense.setLevel(logging.CRITICAL)
    runner = web.AppRunner(application, access_log=None, logger=nonsense, shutdown_timeout=STOP_SECONDS)
    stack.push_async_callback(runner.cleanup)
    await runner.setup()
    was_told = False
    while True:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
            break
        except (OSError, UnicodeError) as error:  # the second one: a host that cannot be any, as "a..b"
            if not was_told:
                log.error("the status page cannot be served at %s port %d: %s", host, port, error)  # noqa: TRY400 - says all
            was_told = True
            await site.stop()
            await asyncio.sleep(AGAIN_SECONDS)
    address = f"http://{f'[{host}]' if ':' in host else host}:{runner.addresses[0][1]}"
    if host in EVERYWHERE:
        log.info("the status page is at port %d of every address of this machine", runner.addresses[0][1])
    else:
        log.info("the status page is at %s", address)
    return address
