"""The page of a gateway that cannot start yet: what is wrong with its configuration, or what it found without one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, Protocol

from aiohttp import web
from markupsafe import Markup
from pydantic import Field

from gateway import __version__
from gateway.models import Finding
from gateway.status.auth.middleware import RIGHTS
from gateway.status.auth.tokens import Doors, Rights
from gateway.status.base_server import Served
from gateway.status.doctor_cache import Checkup
from gateway.status.health import Readiness
from gateway.status.openapi import BASE
from gateway.status.routes.json_responses import as_json, as_readiness
from gateway.status.snapshot import Shown, Text

ADDRESS: Final = f"{BASE}/setup"


class Mistake(Shown):
    """Something that keeps the gateway from starting."""

    place: Text = Field(description="where a person finds it: file and line, or the environment")
    where: Text = Field(description="the key")
    wrong: Text
    right: Text = Field(description="what would be right")


class SeenDevice(Shown):
    """A device that was met before there was a configuration."""

    name: Text
    address: Text
    profile: Text | None = None
    family: Text | None = None


class SeenBus(Shown):
    """A bus that was looked at before there was a configuration."""

    entry: Text
    bus: Text
    problem: Text | None = Field(default=None, description="why it could not be looked at")
    devices: tuple[SeenDevice, ...] = ()


class Setup(Shown):
    """How far the gateway is from starting."""

    file: Text = Field(description="the configuration that is waited for")
    is_first_start: bool = Field(description="there was no configuration at all")
    mistakes: tuple[Mistake, ...] = ()
    is_looking: bool = Field(default=False, description="whether it still looks what is around this machine")
    seen: tuple[SeenBus, ...] = ()
    proposal: str | None = Field(default=None, description="a configuration to begin with")
    proposal_file: Text | None = Field(default=None, description="where it was written; null when it could not be")

    @property
    def version(self) -> str:
        """A word that is the same as long as nothing changes."""
        return hashlib.blake2s(self.model_dump_json().encode(), digest_size=9).hexdigest()

    @property
    def headline(self) -> str:
        """How it stands, in a sentence."""
        many = len(self.mistakes)
        if many == 1:
            return "One thing keeps the gateway from starting."
        if many:
            return f"{many} things keep the gateway from starting."
        return "There is no configuration yet." if self.is_first_start else "The gateway starts."


class SetupView(Protocol):
    """A gateway that is waiting, as its page sees it."""

    def setup(self) -> Setup:
        """Return how it stands right now."""

    async def examine(self) -> Sequence[Finding]:
        """Look at what can keep the gateway from working on this machine, in ten seconds at most."""


class SetupServer(Served):
    """Serves the page of a gateway that waits for a person, behind the same doors as the page of one that runs."""

    def __init__(self, view: SetupView, doors: Doors, *, host: str, port: int) -> None:
        super().__init__(doors, host=host, port=port)
        self._view = view
        self._checkup = Checkup(view)
        self._application.add_routes(
            [
                web.get("/", self.page),
                web.get("/doctor", self.doctor),
                web.get(ADDRESS, self.state),
                web.get(f"{BASE}/doctor", self.findings),
                web.get("/readyz", self.readyz),
            ]
        )

    async def run(self) -> None:
        """Listen until cancelled."""
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            await asyncio.get_running_loop().create_future()

    async def page(self, request: web.Request) -> web.Response:
        """Answer with the page."""
        return self._document("setup.html", request)

    async def doctor(self, request: web.Request) -> web.Response:
        """Answer with what else can keep the gateway from working on this machine."""
        made = self._documents.findings(await self._checkup.findings())
        return self._document("setup_doctor.html", request, findings=Markup(made))  # noqa: S704 - made by a template, which escapes

    async def findings(self, request: web.Request) -> web.Response:
        """Answer with the same for programs."""
        del request
        return as_json(await self._checkup.findings())

    def _document(self, template: str, request: web.Request, **shown: object) -> web.Response:
        html = self._documents.render(
            template,
            setup=self._view.setup(),
            address=request.path,
            may_act=request[RIGHTS] is Rights.ACT,
            gateway_version=__version__,
            **shown,
        )
        return web.Response(text=html, content_type="text/html")

    async def state(self, request: web.Request) -> web.Response:
        """Answer with the same for programs."""
        del request
        setup = self._view.setup()
        return as_json(setup, headers={"ETag": f'"{setup.version}"'})

    async def readyz(self, request: web.Request) -> web.Response:
        """Answer 503, and why only to who may look."""
        setup = self._view.setup()
        reasons = tuple(f"{one.place}: {one.where}: {one.wrong}" for one in setup.mistakes) or (setup.headline,)
        return as_readiness(Readiness(is_ready=False, reasons=reasons), request[RIGHTS])
