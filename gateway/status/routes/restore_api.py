"""Serve the operations of the API that restore a backup by upload."""

from __future__ import annotations

from aiohttp import web

from gateway.errors import StoreError
from gateway.status.declared_routes import DeclaredRoute
from gateway.status.maintenance_view import RestoreView
from gateway.status.operations.operation import ErrorResponse
from gateway.status.operations.restore import OPERATIONS, CheckedBackup, RestoreConfirmation
from gateway.status.routes.api_operations import (
    action_response,
    api_response,
    invalid_request,
    model_of,
    operation_routes,
    read_body,
)
from gateway.status.routes.restore import MULTIPART_BYTES, checked_upload


class RestoreApi:
    """Handlers of `gateway.status.operations.restore`."""

    def __init__(self, view: RestoreView) -> None:
        self._view = view

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each operation."""
        return operation_routes(OPERATIONS, self)

    async def upload_backup(self, request: web.Request) -> web.Response:
        """Take a file, check it, and respond with what it would replace."""
        if (request.content_length or 0) > self._view.most_bytes + MULTIPART_BYTES:
            return _refusal(413, f"nothing is restored: the file has more than {self._view.most_bytes >> 20} MB")
        if request.content_type != "multipart/form-data":
            return _refusal(415, "nothing is restored: the body has to be multipart/form-data with `passphrase` and `file`")
        try:
            return api_response(model_of(CheckedBackup, await checked_upload(request, self._view)))
        except StoreError as error:
            return action_response(f"nothing is restored: {error}")
        except ValueError:
            return invalid_request("the body is no multipart form with `passphrase` and `file`, in this order")
        except TimeoutError:
            return _refusal(408, "nothing is restored: nothing came for a minute")

    async def restore_backup(self, request: web.Request) -> web.Response:
        """Restore the file that was checked."""
        wanted = await read_body(request, RestoreConfirmation)
        try:
            await self._view.restore(wanted.plan)
        except StoreError as error:
            return action_response(f"nothing is restored: {error}")
        return action_response(None)

    async def discard_backup(self, request: web.Request) -> web.Response:
        """Discard the file that was checked."""
        del request
        self._view.cancel()
        return action_response(None)


def _refusal(status: int, why: str) -> web.Response:
    return api_response(ErrorResponse(error=why), status=status)
