"""Serve Xyte's endpoints over HTTP: apply faults, run the endpoint, save the change and record the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.emulator.api_types import (
    ApiError,
    BaseUrls,
    Endpoint,
    Request,
    Response,
    error_response,
    parse_json,
    run_endpoint,
)
from gateway.emulator.cloud import Cloud
from gateway.emulator.faults import Fault, FaultQueue
from gateway.emulator.http import drop_connection, http_response, read_request, send_raw
from gateway.emulator.journal import JournalEntry, ServerName

UNKNOWN_PATH: Final = "Unknown path"
CONTROL_PATH: Final = "/_emulator"
"""A path that Xyte does not have; calls below it are not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRoutes:
    """The routes of one of the two servers, and the state that they share."""

    server: ServerName
    cloud: Cloud
    faults: FaultQueue
    changed: Callable[[bool], None]
    """Called after each call, with `True` when the change must be saved at once."""
    base_urls: Callable[[web.Request], BaseUrls]
    """Return the URLs under which the client of this request reaches the other servers."""

    def route(self, endpoint: Endpoint[Cloud]) -> web.RouteDef:
        """Return the aiohttp route of an endpoint."""

        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(endpoint, request)

        return web.route(endpoint.method, endpoint.path, serve)

    def record_unknown(self, request: web.Request, response: Response) -> None:
        """Record a request with a path or method that Xyte does not have."""
        if not request.path.startswith(CONTROL_PATH):
            self._record(UNKNOWN_PATH, request, b"", response, None)

    async def _serve(self, endpoint: Endpoint[Cloud], request: web.Request) -> web.StreamResponse:
        fault = self.faults.take(endpoint.name, request.match_info.get("device_id"))
        response: Response | None
        try:
            api_request = await read_request(request, self.base_urls(request))
        except ApiError as error:
            api_request, response = Request(), error_response(error)
        else:
            if fault is not None and fault.delays_call:
                await self._delay(request, fault)
            response = self._run(endpoint, api_request, fault)
        self._record(endpoint.name, request, api_request.body, response, fault)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.raw is not None:
            return await send_raw(request, fault.raw)
        return drop_connection(request) if response is None else http_response(response)

    async def _delay(self, request: web.Request, fault: Fault) -> None:
        """Wait before a call is carried out; a client that hung up changes nothing about it."""
        if fault.drops_connection:
            drop_connection(request)
        await asyncio.sleep(fault.seconds)

    def _run(self, endpoint: Endpoint[Cloud], request: Request, fault: Fault | None) -> Response | None:
        """Run an endpoint unless a fault prevents it, and return the response to send; `None` closes the connection."""
        if fault is not None and fault.prevents_call:
            return fault.replace_response(None)
        response = run_endpoint(endpoint.handle, self.cloud, request)
        self.changed(not endpoint.changes_little)
        return response if fault is None else fault.replace_response(response)

    def _record(self, call: str, request: web.Request, body: bytes, response: Response | None, fault: Fault | None) -> None:
        device_id = request.match_info.get("device_id") or _new_device_id(response)
        device = self.cloud.devices.get(device_id or "")
        self.cloud.journal.record(
            JournalEntry(
                time=self.cloud.clock(),
                server=self.server,
                call=call,
                method=request.method,
                path=request.path,
                device=device_id,
                device_name=device.name if device else None,
                status=response.status if response else None,
                error=response.error if response else None,
                body=_parse_or_none(body),
                fault=fault.kind if fault else None,
            )
        )


def wrong_host_endpoint(endpoint: Endpoint[Cloud], server: ServerName) -> Endpoint[Cloud]:
    """Return an endpoint that answers 404 on the server that does not have the call, so that mixed-up hosts show."""

    def reject(_cloud: Cloud, _request: Request) -> Response:
        raise ApiError(404, f"Not found: {endpoint.name} is on the {server} server")

    return Endpoint(f"{endpoint.name} (wrong host)", endpoint.method, endpoint.path, reject, changes_little=True)


def _new_device_id(response: Response | None) -> str | None:
    """Return the id in the response to Register Device."""
    new = response.body.get("id") if response is not None and isinstance(response.body, dict) else None
    return new if isinstance(new, str) else None


def _parse_or_none(body: bytes) -> object:
    try:
        return parse_json(body) if body else None
    except ValueError:
        return None
