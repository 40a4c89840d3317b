"""The status page as a whole: its parts put together behind one address."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

from aiohttp import web

from gateway.status.api import Actions, Api
from gateway.status.assets import load_assets
from gateway.status.doors import Doors
from gateway.status.guard import Guard
from gateway.status.history import History
from gateway.status.live import Latest, Live
from gateway.status.pages import Page, Pages, Topic
from gateway.status.probes import Probes
from gateway.status.site import Site
from gateway.status.view import View

log = logging.getLogger(__name__)

BODY_BYTES: Final = 16 * 1024
LOOK_EVERY: Final = timedelta(seconds=2)
AGAIN_SECONDS: Final = 30.0
"""An address that cannot be listened on is tried again so often: the gateway has other work, and does it without a page."""
STOP_SECONDS: Final = 0.5


class StatusServer:
    """Serves the page. Nothing is looked at while nobody looks."""

    def __init__(
        self,
        view: View,
        history: History,
        doors: Doors,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        look_every: timedelta = LOOK_EVERY,
        hub_gone_limit: timedelta | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            view: what is shown.
            history: what children said lately.
            doors: who may look and act.
            host: the address that is listened on; beyond loopback everything takes the token.
            port: 0 takes a free one.
            look_every: how often an open page is brought up to date.
            hub_gone_limit: `/readyz` fails when the hub is gone for longer; never for that reason, when left out.
        """
        self._host, self._port = host, port
        self.listens = asyncio.Event()
        """Set once the page can be reached."""
        self.address = ""
        """Where it can be reached, then."""
        assets = load_assets()
        pages = self._pages = Pages(history, view.child, assets)
        latest = self._latest = Latest(view, fresh_seconds=min(1.0, look_every.total_seconds() / 2))
        live = self._live = Live(self._page_of, every=look_every)
        guard, actions = Guard(doors, pages), Actions(view, latest)
        self._application = web.Application(client_max_size=BODY_BYTES, middlewares=guard.middlewares)
        self._application.on_response_prepare.append(guard.dress)
        for part in (
            Site(latest, live, pages, guard, doors, actions, assets),
            Api(latest, pages, history, actions),
            Probes(view, latest, live, hub_gone_limit=hub_gone_limit),
        ):
            self._application.add_routes(part.routes())

    async def run(self) -> None:
        """Listen and keep open pages live until cancelled."""
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            stack.callback(self._live.close)
            await self._live.run()

    async def _listen(self, stack: AsyncExitStack) -> None:
        runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=STOP_SECONDS)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        was_told = False
        while True:
            site = web.TCPSite(runner, self._host, self._port)
            try:
                await site.start()
                break
            except OSError as error:
                if not was_told:
                    log.error("the status page cannot be served at %s port %d: %s", self._host, self._port, error)  # noqa: TRY400 - says all
                was_told = True
                await site.stop()
                await asyncio.sleep(AGAIN_SECONDS)
        self.address = f"http://{_in_address(self._host)}:{runner.addresses[0][1]}"
        self.listens.set()
        log.info("the status page is at %s", self.address)

    async def _page_of(self, topic: Topic) -> Page | None:
        return self._pages.page(topic, await self._latest.snapshot())


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host
