"""Build the JSON responses of the API and the probes."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from pydantic import BaseModel

from gateway.status.health import Readiness
from gateway.status.rights import Rights


def json_response(model: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a response with this model as its body."""
    return web.Response(status=status, text=model.model_dump_json(), content_type="application/json", headers=headers)


def readiness_response(ready: Readiness, rights: Rights) -> web.Response:
    """Return the response to `/readyz`: 200 when the gateway is ready, else 503; the reasons only for those who may look."""
    shown = ready if rights >= Rights.LOOK else Readiness(is_ready=ready.is_ready)
    text = shown.model_dump_json(exclude_none=True)
    return web.Response(status=200 if ready.is_ready else 503, text=text, content_type="application/json")
