"""What every page of ours is served by: the doors in front, the way in, and one address, listened on as soon as it can be."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web

from gateway.status.auth.middleware import Guard
from gateway.status.auth.sign_in import Entrance
from gateway.status.auth.tokens import Doors, nearest
from gateway.status.health import Health
from gateway.status.render.assets import load_assets
from gateway.status.render.templates import Documents
from gateway.status.routes.json_responses import as_json

log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 30.0
"""An address that cannot be listened on is tried again so often: the gateway has other work, and does it without a page."""
STOP_SECONDS: Final = 0.5
BODY_BYTES: Final = 16 * 1024


class Served:
    """A page behind the doors. Whoever inherits adds what it shows; signing in, its files and `/healthz` are there."""

    def __init__(self, doors: Doors, *, host: str, port: int) -> None:
        """Put the parts together that all pages share.

        Args:
            doors: who may look and act.
            host: the address that is listened on; beyond loopback everything takes the token.
            port: 0 takes a free one.
        """
        self._host, self._port = host, port
        self.listens = asyncio.Event()
        """Set once the page can be reached."""
        self.address = ""
        """Where it can be reached, then."""
        assets = load_assets()
        self._documents = Documents(assets)
        self._guard = Guard(doors, self._documents)
        self._application = web.Application(client_max_size=BODY_BYTES, middlewares=self._guard.middlewares)
        self._application.on_response_prepare.append(self._guard.dress)
        self._application.add_routes(Entrance(self._documents, self._guard, doors, assets).routes())
        self._application.router.add_get("/healthz", self._healthz)

    async def _healthz(self, request: web.Request) -> web.Response:
        """Answer at all."""
        del request
        return as_json(Health())

    async def _listen(self, stack: AsyncExitStack) -> None:
        """Listen for browsers until the stack ends; tried for as long as it takes."""
        # Our own bugs are told by the guard; what is left to aiohttp is what strangers send that is no HTTP, a traceback each.
        nonsense = logging.getLogger(f"{__name__}.nonsense")
        nonsense.setLevel(logging.CRITICAL)
        runner = web.AppRunner(self._application, access_log=None, logger=nonsense, shutdown_timeout=STOP_SECONDS)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        was_told = False
        while True:
            site = web.TCPSite(runner, self._host, self._port)
            try:
                await site.start()
                break
            except (OSError, UnicodeError) as error:  # the second one: a host that cannot be any, as "a..b"
                if not was_told:
                    log.error("the status page cannot be served at %s port %d: %s", self._host, self._port, error)  # noqa: TRY400 - says all
                was_told = True
                await site.stop()
                await asyncio.sleep(AGAIN_SECONDS)
        host, port = self._host, runner.addresses[0][1]
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        self.listens.set()
        if nearest(host) == host:
            log.info("the status page is at %s", self.address)
        else:
            log.info("the status page is at port %d of every address of this machine", port)
