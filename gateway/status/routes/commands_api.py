"""Serve the operations of the API on the commands of children."""

from __future__ import annotations

import secrets

from aiohttp import web

from gateway.status.auth.middleware import RIGHTS
from gateway.status.declared_routes import DeclaredRoute
from gateway.status.device_actions import ActionProblem, Problem
from gateway.status.device_actions_view import CommandActions, CommandOrder
from gateway.status.operations.commands import OPERATIONS, CommandRequest, InvalidParameters
from gateway.status.operations.operation import ErrorResponse
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import (
    api_response,
    child_key,
    operation_routes,
    read_body,
)
from gateway.status.routes.requester import asked_by
from gateway.status.snapshot_cache import SnapshotCache

NOT_CONFIRMED = "this command needs a confirmation: send it with `confirmed` set to true"
NOT_PERMITTED = "this command is dangerous, so it needs a token that may administer; nothing was sent"


class CommandsApi:
    """Handlers of `gateway.status.operations.commands`."""

    def __init__(self, snapshots: SnapshotCache, commands: CommandActions) -> None:
        self._snapshots = snapshots
        self._commands = commands

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation."""
        return operation_routes(OPERATIONS, self)

    async def commands_of_child(self, request: web.Request) -> web.Response:
        """Respond with the commands that a child declares."""
        return api_response(self._commands.commands_of(child_key(request)))

    async def command(self, request: web.Request) -> web.Response:
        """Respond with one command that was given here."""
        return api_response(await self._commands.command(request.match_info["request_id"]))

    async def send_command(self, request: web.Request) -> web.Response:
        """Have a child carry out a command."""
        wanted = await read_body(request, CommandRequest)
        order = CommandOrder(child_key(request), request.match_info["name"], wanted.parameters)
        declared = self._commands.commands_of(order.key)
        command = None if declared is None else declared.find(order.name)
        if command is not None and command.is_dangerous and request[RIGHTS] < Rights.ADMINISTER:
            return api_response(ErrorResponse(error=NOT_PERMITTED), status=403)
        if command is not None and command.needs_confirmation and not wanted.confirmed:
            return api_response(ErrorResponse(error=NOT_CONFIRMED), status=409)
        sent = await self._commands.send_command(
            order,
            request_id=wanted.request_id or secrets.token_urlsafe(16),
            asked_by=asked_by(request, "API"),
            wait_seconds=wanted.wait_seconds,
        )
        self._snapshots.invalidate()
        return problem_response(sent) if isinstance(sent, ActionProblem) else api_response(sent)


def problem_response(problem: ActionProblem) -> web.Response:
    """Return the response to an action that was not begun."""
    is_invalid = problem.kind is Problem.INVALID
    error = InvalidParameters(error=problem.error, fields=problem.fields) if is_invalid else ErrorResponse(error=problem.error)
    return api_response(error, status=problem.kind.http_status)
