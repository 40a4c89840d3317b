"""The status page as a whole: its parts put together behind one address."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final

from gateway.status.auth.tokens import Doors
from gateway.status.base_server import Served
from gateway.status.doctor_cache import Checkup
from gateway.status.history import History
from gateway.status.live_updates import Latest, Live
from gateway.status.render.pages import Page, Pages, Topic
from gateway.status.routes.api import Actions, Api
from gateway.status.routes.html_pages import Site
from gateway.status.routes.probes import Probes
from gateway.status.view import View

LOOK_EVERY: Final = timedelta(seconds=2)


class StatusServer(Served):
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
        super().__init__(doors, host=host, port=port)
        pages = self._pages = Pages(self._documents, history, view.child)
        latest = self._latest = Latest(view, fresh_seconds=min(1.0, look_every.total_seconds() / 2))
        checkup = self._checkup = Checkup(view)
        live = self._live = Live(self._page_of, every=look_every)
        actions = Actions(view, latest)
        for part in (
            Site(latest, live, pages, checkup, self._documents, self._guard, actions),
            Api(latest, pages, history, checkup, actions),
            Probes(latest, live, hub_gone_limit=hub_gone_limit),
        ):
            self._application.add_routes(part.routes())

    async def run(self) -> None:
        """Listen and keep open pages live until cancelled."""
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            stack.callback(self._live.close)
            await self._live.run()

    async def _page_of(self, topic: Topic) -> Page | None:
        if topic.kind == "doctor":
            return self._pages.doctor(await self._checkup.last())
        return self._pages.page(topic, await self._latest.snapshot())
