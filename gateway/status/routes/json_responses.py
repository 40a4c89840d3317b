"""A model as the JSON that a program is answered with."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from pydantic import BaseModel

from gateway.status.auth.tokens import Rights
from gateway.status.health import Readiness


def as_json(model: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return the answer that is this model."""
    return web.Response(status=status, text=model.model_dump_json(), content_type="application/json", headers=headers)


def as_readiness(ready: Readiness, rights: Rights) -> web.Response:
    """Return the answer to `/readyz`: 200 when the gateway can do its job, else 503; why not only to who may look."""
    shown = ready if rights >= Rights.LOOK else Readiness(is_ready=ready.is_ready)
    text = shown.model_dump_json(exclude_none=True)
    return web.Response(status=200 if ready.is_ready else 503, text=text, content_type="application/json")
