"""Serve the operations of the API for maintenance: diagnostics, backup and restart."""

from __future__ import annotations

from aiohttp import web

from gateway.errors import StoreError
from gateway.status.declared_routes import DeclaredRoute
from gateway.status.maintenance_view import SHORTEST_PASSPHRASE, MaintenanceView
from gateway.status.operations.maintenance import OPERATIONS, BackupRequest, RestartRequest
from gateway.status.routes.api_operations import action_response, invalid_request, operation_routes, read_body
from gateway.status.routes.maintenance import bundle_response, restart_soon, send_backup

NOT_CONFIRMED = "a restart needs a confirmation: send it with `confirmed` set to true"


class MaintenanceApi:
    """Handlers of `gateway.status.operations.maintenance`."""

    def __init__(self, view: MaintenanceView) -> None:
        self._view = view

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation."""
        return operation_routes(OPERATIONS, self)

    async def collect_diagnostics(self, request: web.Request) -> web.Response:
        """Respond with an archive that is collected now."""
        del request
        return bundle_response(await self._view.bundle())

    async def make_backup(self, request: web.Request) -> web.StreamResponse:
        """Respond with an encrypted backup."""
        wanted = await read_body(request, BackupRequest)
        passphrase = wanted.passphrase.get_secret_value()
        if len(passphrase) < SHORTEST_PASSPHRASE:
            return invalid_request(f"passphrase: it has less than {SHORTEST_PASSPHRASE} characters")
        try:
            async with self._view.backup(passphrase) as file:
                return await send_backup(request, file)
        except StoreError as error:
            return action_response(f"no backup was made: {error}")

    async def restart_gateway(self, request: web.Request) -> web.Response:
        """Restart the gateway, once that is confirmed."""
        wanted = await read_body(request, RestartRequest)
        if (problem := self._view.restart_problem) is not None:
            return action_response(f"not restarted: {problem}")
        if not wanted.confirmed:
            return action_response(NOT_CONFIRMED)
        restart_soon(self._view)
        return action_response(None)
