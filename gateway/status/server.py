"""The status page as a whole: its parts put together behind one address."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

from aiohttp import web

from gateway.status.api import Actions, Api
from gateway.status.assets import load_assets
from gateway.status.checkup import Checkup
from gateway.status.documents import Documents
from gateway.status.doors import Doors
from gateway.status.entrance import Entrance
from gateway.status.guard import Guard
from gateway.status.history import History
from gateway.status.live import Latest, Live
from gateway.status.pages import Page, Pages, Topic
from gateway.status.probes import Probes
from gateway.status.served import serve
from gateway.status.site import Site
from gateway.status.view import View

BODY_BYTES: Final = 16 * 1024
LOOK_EVERY: Final = timedelta(seconds=2)


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
        documents = Documents(assets)
        pages = self._pages = Pages(documents, history, view.child)
        latest = self._latest = Latest(view, fresh_seconds=min(1.0, look_every.total_seconds() / 2))
        checkup = self._checkup = Checkup(view)
        live = self._live = Live(self._page_of, every=look_every)
        guard, actions = Guard(doors, documents), Actions(view, latest)
        self._application = web.Application(client_max_size=BODY_BYTES, middlewares=guard.middlewares)
        self._application.on_response_prepare.append(guard.dress)
        for part in (
            Entrance(documents, guard, doors, assets),
            Site(latest, live, pages, checkup, documents, guard, actions),
            Api(latest, pages, history, checkup, actions),
            Probes(latest, live, hub_gone_limit=hub_gone_limit),
        ):
            self._application.add_routes(part.routes())

    async def run(self) -> None:
        """Listen and keep open pages live until cancelled."""
        async with AsyncExitStack() as stack:
            self.address = await serve(self._application, self._host, self._port, stack)
            self.listens.set()
            stack.callback(self._live.close)
            await self._live.run()

    async def _page_of(self, topic: Topic) -> Page | None:
        if topic.kind == "doctor":
            return self._pages.doctor(await self._checkup.last())
        return self._pages.page(topic, await self._latest.snapshot())
