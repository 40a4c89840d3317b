"""Serve the page of a gateway that cannot start yet: its set-up, or the mistakes of its configuration."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import web
from markupsafe import Markup

from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.middleware import RIGHTS
from gateway.status.base_server import BaseServer
from gateway.status.declared_routes import get
from gateway.status.doctor_cache import DoctorCache
from gateway.status.health import Readiness
from gateway.status.listening.endpoint import Endpoint
from gateway.status.render.sign_in_help import SignInHelp
from gateway.status.rights import Rights
from gateway.status.routes.json_responses import readiness_response
from gateway.status.routes.setup import SetupRoutes
from gateway.status.routes.setup_api import SetupApi
from gateway.status.setup_view import SetupView

MAX_BODY_BYTES: Final = 1024 * 1024
"""A form contains a whole configuration, in which each character may take three."""


class SetupServer(BaseServer):
    """Serves the page of a gateway that waits for its configuration, with the same access control as that of a running one."""

    def __init__(self, view: SetupView, auth: TokenAuth, endpoint: Endpoint, sign_in_help: SignInHelp | None = None) -> None:
        super().__init__(auth, endpoint, sign_in_help, most_body_bytes=MAX_BODY_BYTES)
        self._view = view
        self._doctor = DoctorCache(view)
        self._pages = SetupRoutes(view, self._templates)
        self._add_routes(self._pages.routes())
        self._add_routes(SetupApi(view, self._doctor).routes())
        self._add_routes(
            [
                get("/doctor", self.doctor_page, needs=Rights.LOOK),
                get("/readyz", self.readyz, needs=Rights.PROBE),
            ]
        )

    async def run(self) -> None:
        """Listen until cancelled."""
        async with AsyncExitStack() as stack:
            await self._listen(stack)
            await asyncio.get_running_loop().create_future()

    async def doctor_page(self, request: web.Request) -> web.Response:
        """Respond with the page of the findings of `doctor`."""
        report = self._templates.doctor_report(await self._doctor.report())
        return self._pages.response("setup_doctor.html", request, findings=Markup(report))  # noqa: S704 - a template made it, which escapes

    async def readyz(self, request: web.Request) -> web.Response:
        """Respond with 503; the reasons only for those who may look."""
        setup = self._view.setup()
        reasons = tuple(f"{one.place}: {one.where}: {one.wrong}" for one in setup.mistakes) or (setup.headline,)
        return readiness_response(Readiness(is_ready=False, reasons=reasons), request[RIGHTS])
