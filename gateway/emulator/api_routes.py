"""Xyte's calls over HTTP: how each is carried out, spoiled by a fault, saved, written down and answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from gateway.emulator.api_types import Answer, Call, Refused, Request, as_answer, carry_out, parse_json
from gateway.emulator.cloud import Cloud
from gateway.emulator.faults import Fault, Faults
from gateway.emulator.http import drop, read_request, respond
from gateway.emulator.journal import ServerName

UNKNOWN_PATH: Final = "Unknown path"
CONTROL_PATH: Final = "/_emulator"
"""A path that Xyte does not have; what happens under it is not written down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """How one of the two servers speaks."""

    server: ServerName
    cloud: Cloud
    faults: Faults
    changed: Callable[[bool], None]
    """Told after each call; `True` when it was worth saving at once."""
    hub_url: Callable[[web.Request], str]
    """Where the client of this request reaches the hub."""

    def route(self, call: Call[Cloud]) -> web.RouteDef:
        """Return the aiohttp route of a call."""

        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(call, request)

        return web.route(call.method, call.path, serve)

    def record_unknown(self, request: web.Request, answer: Answer) -> None:
        """Write down a request for a path or with a method that Xyte does not have."""
        if not request.path.startswith(CONTROL_PATH):
            self._record(UNKNOWN_PATH, request, b"", answer, None)

    async def _serve(self, call: Call[Cloud], request: web.Request) -> web.StreamResponse:
        fault = self.faults.take(call.name, request.match_info.get("device_id"))
        answer: Answer | None
        try:
            asked = await read_request(request, self.hub_url(request))
        except Refused as refusal:
            asked, answer = Request(), as_answer(refusal)
        else:
            answer = self._answer(call, asked, fault)
        self._record(call.name, request, asked.body, answer, fault)
        if fault is not None and fault.kind == "slow":
            await asyncio.sleep(fault.seconds)
        return drop(request) if answer is None else respond(answer)

    def _answer(self, call: Call[Cloud], asked: Request, fault: Fault | None) -> Answer | None:
        """Carry a call out if its fault lets it, and return what the client hears of it; `None` is nothing."""
        if fault is not None and fault.prevents:
            return fault.spoil(None)
        answer = carry_out(call.answer, self.cloud, asked)
        self.changed(not call.changes_little)
        return answer if fault is None else fault.spoil(answer)

    def _record(self, call: str, request: web.Request, body: bytes, answer: Answer | None, fault: Fault | None) -> None:
        device_id = request.match_info.get("device_id") or _new_device(answer)
        device = self.cloud.devices.get(device_id or "")
        self.cloud.journal.record(
            time=self.cloud.clock(),
            server=self.server,
            call=call,
            method=request.method,
            path=request.path,
            device=device_id,
            device_name=device.name if device else None,
            status=answer.status if answer else None,
            error=answer.error if answer else None,
            body=_parsed(body),
            fault=fault.kind if fault else None,
        )


def elsewhere(call: Call[Cloud], server: ServerName) -> Call[Cloud]:
    """Return what stands in for a call on the server where it does not live: 404, so that mixed-up hosts show."""

    def refuse(_cloud: Cloud, _request: Request) -> Answer:
        raise Refused(404, f"Not found: {call.name} is on the {server} server")

    return Call(f"{call.name} (wrong host)", call.method, call.path, refuse, changes_little=True)


def _new_device(answer: Answer | None) -> str | None:
    """Return the id that Register Device gave."""
    new = answer.body.get("id") if answer is not None and isinstance(answer.body, dict) else None
    return new if isinstance(new, str) else None


def _parsed(body: bytes) -> object:
    try:
        return parse_json(body) if body else None
    except ValueError:
        return None
