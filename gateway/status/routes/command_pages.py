"""Serve the page of a command: its form, the confirmation of a dangerous one, and how it ended."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import RIGHTS, VISITOR
from gateway.status.auth.sign_in import redirect
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.device_actions import ActionProblem, CommandPlan, DeclaredCommand
from gateway.status.device_actions_view import CommandActions, CommandOrder
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import gettext_noop
from gateway.status.operations.commands import REQUEST_ID
from gateway.status.render.pages import PageAddress, PageRenderer
from gateway.status.render.parameter_form import entered_parameters, form_fields, parameter_values, shown_parameters
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.routes.requester import asked_by
from gateway.status.snapshot import ChildSummary
from gateway.status.snapshot_cache import SnapshotCache

WAIT_SECONDS: Final = 2.0
"""How long the page waits for the end of a command, so that it also shows it without scripts."""
NOT_PERMITTED: Final = gettext_noop("It is dangerous, so it needs a token that may administer. Nothing was sent.")


class CommandRoutes:
    """Handlers of the page of a command."""

    def __init__(self, snapshots: SnapshotCache, renderer: PageRenderer, templates: Templates, commands: CommandActions) -> None:
        self._snapshots = snapshots
        self._renderer = renderer
        self._templates = templates
        self._commands = commands

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for the page, and one for its form."""
        return [
            get("/children/{id}/commands/{command}", self.page, needs=Rights.LOOK),
            post("/children/{id}/commands/{command}", self.send, needs=Rights.OPERATE),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the form; with the parameters of an earlier request, where the address names one."""
        _, command = self._find(request)
        entered: Mapping[str, str] | None = None
        earlier = await self._commands.command(request.query.get("again", ""))
        if earlier is not None and earlier.name == command.name:
            entered = shown_parameters(command.parameters, earlier.parameters)
        return await self._form(request, command, entered)

    async def send(self, request: web.Request) -> web.Response:
        """Ask for a confirmation where the command needs one, else have it carried out, and return to its page."""
        line, command = self._find(request)
        form = await read_form(request)
        request_id, entered = form.get("request_id", ""), entered_parameters(form)
        if not re.fullmatch(REQUEST_ID, request_id):
            raise web.HTTPBadRequest
        if command.is_dangerous and request[RIGHTS] < Rights.ADMINISTER:
            html = self._templates.message(command.title, _(NOT_PERMITTED), links={_("Back"): f"/children/{line.id}"})
            return web.Response(status=403, text=html, content_type="text/html")
        order = CommandOrder(line.key, command.name, parameter_values(command.parameters, entered))
        if command.needs_confirmation and form.get("confirmed") != "yes":
            plan = await self._commands.plan_command(order)
            return await self._form(request, command, entered, request_id=request_id, plan=plan)
        sent = await self._commands.send_command(
            order, request_id=request_id, asked_by=asked_by(request, "page"), wait_seconds=WAIT_SECONDS
        )
        self._snapshots.invalidate()
        if isinstance(sent, ActionProblem):
            return await self._form(request, command, entered, request_id=request_id, plan=sent)
        return redirect(f"{request.path}?again={request_id}#runs")

    def _find(self, request: web.Request) -> tuple[ChildSummary, DeclaredCommand]:
        found = self._renderer.device_actions.find_command(request.match_info["id"], request.match_info["command"])
        if found is None:
            raise web.HTTPNotFound
        return found

    async def _form(
        self,
        request: web.Request,
        command: DeclaredCommand,
        entered: Mapping[str, str] | None,
        *,
        request_id: str | None = None,
        plan: CommandPlan | ActionProblem | None = None,
    ) -> web.Response:
        """Return the page with the form, or with the question whether the plan is wanted."""
        address = PageAddress.parse(request.path)
        snapshot = await self._snapshots.snapshot()
        page = None if address is None else self._renderer.page(address, snapshot)
        if address is None or page is None:
            raise web.HTTPNotFound
        line, _ = self._find(request)
        problem = plan if isinstance(plan, ActionProblem) else None
        html = self._renderer.document(
            address,
            page,
            snapshot,
            visitor=request[VISITOR],
            path=request.path,
            line=line,
            command=command,
            fields=form_fields(command.parameters, entered, None if problem is None else problem.fields),
            request_id=request_id or secrets.token_urlsafe(16),
            problem=problem,
            plan=plan if isinstance(plan, CommandPlan) else None,
            is_repeated=entered is not None,
        )
        status = 200 if problem is None else problem.kind.http_status
        return web.Response(status=status, text=html, content_type="text/html")
