"""Serve the contents of model files on a host of their own, and record the headers of each download.

A device's key must never be sent here (section 6.4), so the journal says whose key was. Faults of the call `Download File` make a
download fail: see `faults.DOWNLOAD_KINDS`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.emulator.api_types import Response
from gateway.emulator.cloud import Cloud
from gateway.emulator.faults import DOWNLOAD, Fault, FaultQueue
from gateway.emulator.http import drop_connection, http_response, send_raw
from gateway.emulator.journal import MASK, JournalEntry, ServerName

PATH: Final = "/files/{file_id}/{name}"
FILLER_BYTES: Final = 64 * 1024 * 1024
"""The bytes that an `oversize` download has beyond the content."""
PIECES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FileServer:
    """The routes of the file server; it listens under two hosts, so that a redirect from one to the other changes the host."""

    cloud: Cloud
    faults: FaultQueue
    elsewhere_url: Callable[[web.Request], str]
    """Return the URL of the other host."""

    def application(self, server: ServerName) -> web.Application:
        """Return the application of one of the two hosts."""

        async def download(request: web.Request) -> web.StreamResponse:
            return await self._download(server, request)

        application = web.Application()
        application.add_routes([web.get(PATH, download)])
        return application

    async def _download(self, server: ServerName, request: web.Request) -> web.StreamResponse:
        file_id = request.match_info["file_id"]
        fault = self.faults.take(DOWNLOAD, file_id)
        content = self.cloud.contents.get(file_id)
        if fault is not None and fault.raw is not None:
            self._record(server, request, None, fault)
            return await send_raw(request, fault.raw)
        response = _whole_response(fault) if content is not None else Response(404, {"error": "Not found"})
        if fault is not None and fault.kind == "redirect":
            response = Response(302, headers={"Location": self.elsewhere_url(request) + request.path})
        is_dropped = fault is not None and fault.drops_connection
        self._record(server, request, None if is_dropped else response.status if response else 200, fault)
        if response is not None and not is_dropped:
            return http_response(response)
        return drop_connection(request) if is_dropped else await _send(request, content or b"", fault)

    def _record(self, server: ServerName, request: web.Request, status: int | None, fault: Fault | None) -> None:
        keys = {device.access_key: device.id for device in self.cloud.devices.values()}
        sent = [request.path_qs, *request.headers.values()]
        headers = {name: _without_keys(name, value, keys) for name, value in request.headers.items()}
        self.cloud.journal.record(
            JournalEntry(
                time=self.cloud.clock(),
                server=server,
                call=DOWNLOAD,
                method=request.method,
                path=request.path,
                device=None,
                status=status,
                error=None,
                body=None,
                fault=fault.kind if fault else None,
                headers=headers,
                leaked_keys_of=tuple(device_id for key, device_id in keys.items() if any(key in text for text in sent)),
            )
        )


def _whole_response(fault: Fault | None) -> Response | None:
    """Return the response to send instead of a content."""
    return fault.replace_response(None) if fault is not None and (fault.prevents_call or fault.kind == "garbage") else None


async def _send(request: web.Request, content: bytes, fault: Fault | None) -> web.StreamResponse:
    kind = None if fault is None else fault.kind
    response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
    response.content_length = None if kind == "oversize" else len(content)
    if fault is not None and kind in ("slow", "late"):
        await asyncio.sleep(fault.seconds)
    await response.prepare(request)
    if kind == "corrupt":
        content = content[:-1] + bytes([content[-1] ^ 0xFF]) if content else content
    if kind == "truncate":
        await response.write(content[: len(content) // 2])
        return drop_connection(request)
    if fault is not None and kind == "trickle":
        await _trickle(response, content, fault.seconds)
    else:
        await response.write(content)
    if kind == "oversize":
        for _ in range(FILLER_BYTES // 65536):
            await response.write(bytes(65536))
    await response.write_eof()
    return response


async def _trickle(response: web.StreamResponse, content: bytes, seconds: float) -> None:
    size = -(-len(content) // PIECES) or 1
    for start in range(0, len(content), size):
        await response.write(content[start : start + size])
        await asyncio.sleep(seconds / PIECES)


def _without_keys(name: str, value: str, keys: dict[str, str]) -> str:
    if name.lower() == "authorization":
        return MASK
    for key in keys:
        value = value.replace(key, MASK)
    return value
