"""Serve the page of a gateway that cannot start yet: the problems of its configuration, or what it found without one."""

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
from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.middleware import RIGHTS, VISITOR
from gateway.status.base_server import BaseServer
from gateway.status.declared_routes import get
from gateway.status.doctor_cache import DoctorCache
from gateway.status.health import Readiness
from gateway.status.listening.endpoint import Endpoint
from gateway.status.model import StatusModel, Text
from gateway.status.operations.operation import BASE
from gateway.status.render.pages import may
from gateway.status.render.sign_in_help import SignInHelp
from gateway.status.rights import Rights
from gateway.status.routes.json_responses import json_response, readiness_response

ADDRESS: Final = f"{BASE}/setup"


class SetupProblem(StatusModel):
    """Something that keeps the gateway from starting."""

    place: Text = Field(description="where to find it: file and line, or the environment")
    where: Text = Field(description="the key")
    wrong: Text
    right: Text = Field(description="how to fix it")


class SetupDevice(StatusModel):
    """A device that was found before there was a configuration."""

    name: Text
    address: Text
    profile: Text | None = None
    family: Text | None = None


class SetupBus(StatusModel):
    """A bus that was searched before there was a configuration."""

    entry: Text
    bus: Text
    problem: Text | None = Field(default=None, description="why it could not be searched")
    devices: tuple[SetupDevice, ...] = ()


class SetupState(StatusModel):
    """What a gateway that cannot start yet waits for, and what it has found."""

    file: Text = Field(description="the configuration file that it waits for")
    is_first_start: bool = Field(description="whether there was no configuration at all")
    mistakes: tuple[SetupProblem, ...] = ()
    is_looking: bool = Field(default=False, description="whether it still searches for devices")
    seen: tuple[SetupBus, ...] = ()
    proposal: str | None = Field(default=None, description="a configuration to start with")
    proposal_file: Text | None = Field(default=None, description="the file it was written to; null if that failed")

    @property
    def version(self) -> str:
        """A hash of the content."""
        return hashlib.blake2s(self.model_dump_json().encode(), digest_size=9).hexdigest()

    @property
    def headline(self) -> str:
        """The state in one sentence."""
        count = len(self.mistakes)
        if count == 1:
            return "One problem keeps the gateway from starting."
        if count:
            return f"{count} problems keep the gateway from starting."
        return "There is no configuration yet." if self.is_first_start else "The gateway is starting."


class SetupView(Protocol):
    """A gateway that waits for its configuration, as its page needs it."""

    def setup(self) -> SetupState:
        """Return the current state."""

    async def examine(self) -> Sequence[Finding]:
        """Run the checks of `doctor` on this machine, for at most ten seconds."""


class SetupServer(BaseServer):
    """Serves the page of a gateway that waits for its configuration, with the same access control as that of a running one."""

    def __init__(self, view: SetupView, auth: TokenAuth, endpoint: Endpoint, sign_in_help: SignInHelp | None = None) -> None:
        super().__init__(auth, endpoint, sign_in_help)
        self._view = view
        self._doctor = DoctorCache(view)
        self._add_routes(
            [
                get("/", self.page, needs=Rights.LOOK),
                get("/doctor", self.doctor_page, needs=Rights.LOOK),
                get(ADDRESS, self.state, needs=Rights.LOOK),
                get(f"{BASE}/doctor", self.doctor_report, needs=Rights.LOOK),
                get("/readyz", self.readyz, needs=Rights.PROBE),
            ]
        )

    async def run(self) -> None:
        """Listen until cancelled."""
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            await asyncio.get_running_loop().create_future()

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the setup page."""
        return self._html_response("setup.html", request)

    async def doctor_page(self, request: web.Request) -> web.Response:
        """Respond with the page of the findings of `doctor`."""
        report = self._templates.doctor_report(await self._doctor.report())
        return self._html_response("setup_doctor.html", request, findings=Markup(report))  # noqa: S704 - a template made it, which escapes

    async def doctor_report(self, request: web.Request) -> web.Response:
        """Respond with the findings of `doctor` as JSON."""
        del request
        return json_response(await self._doctor.report())

    def _html_response(self, template: str, request: web.Request, **values: object) -> web.Response:
        html = self._templates.render(
            template,
            setup=self._view.setup(),
            path=request.path,
            **may(request[VISITOR]),
            gateway_version=__version__,
            **values,
        )
        return web.Response(text=html, content_type="text/html")

    async def state(self, request: web.Request) -> web.Response:
        """Respond with the state as JSON."""
        del request
        setup = self._view.setup()
        return json_response(setup, headers={"ETag": f'"{setup.version}"'})

    async def readyz(self, request: web.Request) -> web.Response:
        """Respond with 503; the reasons only for those who may look."""
        setup = self._view.setup()
        reasons = tuple(f"{one.place}: {one.where}: {one.wrong}" for one in setup.mistakes) or (setup.headline,)
        return readiness_response(Readiness(is_ready=False, reasons=reasons), request[RIGHTS])
