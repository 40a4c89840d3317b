"""Serve the operations of the API that give several devices a command or new names."""

from __future__ import annotations

import secrets

from aiohttp import web

from gateway.status.auth.middleware import RIGHTS
from gateway.status.declared_routes import DeclaredRoute
from gateway.status.device_actions import ActionProblem
from gateway.status.operations.operation import ErrorResponse
from gateway.status.operations.several import SeveralOutcome, SeveralOutcomes
from gateway.status.operations.several_forms import (
    OPERATIONS,
    SeveralCommandOutcome,
    SeveralCommandOutcomes,
    SeveralCommandRequest,
    SeveralRenameRequest,
)
from gateway.status.rights import Rights
from gateway.status.routes.actions import Actions
from gateway.status.routes.api_operations import api_response, operation_routes, read_body
from gateway.status.routes.commands_api import NOT_CONFIRMED, NOT_PERMITTED, problem_response
from gateway.status.routes.requester import asked_by
from gateway.status.routes.several_commands import SeveralCommands
from gateway.status.routes.several_names import GONE, keys_of, names_in
from gateway.status.several import numbered_names
from gateway.status.snapshot_cache import SnapshotCache

SEVERAL_MODELS = "these children are of several models, whose commands only look alike; nothing was sent"
NOT_IN_COMMON = "these children have no such command in common; nothing was sent"


class SeveralApi:
    """Handlers of `gateway.status.operations.several_forms`."""

    def __init__(self, snapshots: SnapshotCache, commands: SeveralCommands, actions: Actions) -> None:
        self._snapshots = snapshots
        self._commands = commands
        self._actions = actions

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation."""
        return operation_routes(OPERATIONS, self)

    async def several_command(self, request: web.Request) -> web.Response:
        """Send a command to several children of one model, and respond with what became of it for each."""
        wanted = await read_body(request, SeveralCommandRequest)
        names = names_in(await self._snapshots.snapshot(), "children")
        keys = keys_of(wanted.ids, names)
        present = [key for key in keys.values() if key is not None]
        sent = {}
        if present:
            if (refusal := await self._refusal(request, wanted, present)) is not None:
                return refusal
            own = wanted.request_id or secrets.token_urlsafe(16)
            done = await self._commands.send(
                present, wanted.command, wanted.parameters, request_id=own, asked_by=asked_by(request, "API")
            )
            sent = {one.key: one.outcome for one in done}
            self._snapshots.invalidate()
        outcomes = []
        for word, key in keys.items():
            outcome = None if key is None else sent[key]
            error = GONE if outcome is None else outcome.error if isinstance(outcome, ActionProblem) else None
            command = None if isinstance(outcome, ActionProblem) else outcome
            outcomes.append(SeveralCommandOutcome(id=word, name=names.get(key or ""), error=error, command=command))
        return api_response(SeveralCommandOutcomes(results=tuple(outcomes)))

    async def several_rename(self, request: web.Request) -> web.Response:
        """Rename several devices, and respond with what became of each, under the name that it has now."""
        wanted = await read_body(request, SeveralRenameRequest)
        names = names_in(await self._snapshots.snapshot())
        keys = keys_of(wanted.ids, names)
        try:
            renamed = numbered_names(
                wanted.pattern.strip(), wanted.first.strip(), [names.get(key or "", "") for key in keys.values()]
            )
        except ValueError as error:
            return api_response(ErrorResponse(error=str(error)), status=422)
        outcomes = []
        for (word, key), new in zip(keys.items(), renamed, strict=True):
            problem = GONE if key is None else await self._actions.rename(word, new)
            outcomes.append(SeveralOutcome(id=word, name=new if problem is None else names.get(key or ""), error=problem))
        return api_response(SeveralOutcomes(results=tuple(outcomes)))

    async def _refusal(self, request: web.Request, wanted: SeveralCommandRequest, keys: list[str]) -> web.Response | None:
        """Return the response to a command that is sent to none of these children; `None` when it can be sent."""
        command = next((one for one in self._commands.in_common(keys) if one.name == wanted.command), None)
        if command is None:
            why = NOT_IN_COMMON if self._commands.are_of_one_model(keys) else SEVERAL_MODELS
            return api_response(ErrorResponse(error=why), status=409)
        if command.is_dangerous and request[RIGHTS] < Rights.ADMINISTER:
            return api_response(ErrorResponse(error=NOT_PERMITTED), status=403)
        if command.needs_confirmation and not wanted.confirmed:
            return api_response(ErrorResponse(error=NOT_CONFIRMED), status=409)
        plan = await self._commands.plan(keys, wanted.command, wanted.parameters)
        return problem_response(plan) if isinstance(plan, ActionProblem) else None
