"""Serve the last frames of a device: the page, a file, and the operation of the API."""

from __future__ import annotations

from aiohttp import web

from gateway.status.auth.middleware import VISITOR
from gateway.status.declared_routes import DeclaredRoute, get
from gateway.status.device_actions import Frame, Frames
from gateway.status.device_actions_view import FrameActions
from gateway.status.languages.texts import gettext as _
from gateway.status.operations.frames import OPERATIONS
from gateway.status.render import formatting
from gateway.status.render.pages import PageAddress, PageRenderer, RenderedPage
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import api_response, child_key, operation_routes
from gateway.status.snapshot_cache import SnapshotCache


class FrameRoutes:
    """Handlers of the page, and of `gateway.status.operations.frames`."""

    def __init__(self, snapshots: SnapshotCache, renderer: PageRenderer, frames: FrameActions) -> None:
        self._snapshots = snapshots
        self._renderer = renderer
        self._frames = frames

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for the page, the file, and the operation. Frames may show more than values: who operates sees them."""
        return [
            get("/devices/{id}/frames", self.page, needs=Rights.OPERATE),
            get("/devices/{id}/frames.txt", self.file, needs=Rights.OPERATE),
            *operation_routes(OPERATIONS, self),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the frames that there are now."""
        snapshot, frames = await self._snapshots.snapshot(), self._found(request)
        device = self._renderer.device_actions.find_device(request.match_info["id"], snapshot)
        if device is None:
            raise web.HTTPNotFound
        html = self._renderer.document(
            PageAddress("frames"),
            RenderedPage(_("Last frames of %(name)s", name=device.name), {}),
            snapshot,
            visitor=request[VISITOR],
            path="",
            form_path=request.path,
            device=device,
            frames=frames,
            wrong=sum(frame.is_wrong for frame in frames.frames),
        )
        response = web.Response(text=html, content_type="text/html")
        response.enable_compression()
        return response

    async def file(self, request: web.Request) -> web.Response:
        """Respond with the frames as a file."""
        lines = map(_line, self._found(request).frames)
        headers = {"Content-Disposition": 'attachment; filename="frames.txt"'}
        return web.Response(text="".join(f"{line}\n" for line in lines), content_type="text/plain", headers=headers)

    async def frames(self, request: web.Request) -> web.Response:
        """Respond with the frames as JSON."""
        return api_response(self._frames.frames_of(child_key(request)))

    def _found(self, request: web.Request) -> Frames:
        frames = self._frames.frames_of(child_key(request))
        if frames is None:
            raise web.HTTPNotFound
        return frames


def _line(frame: Frame) -> str:
    at = frame.at if frame.time is None else formatting.precise(frame.time)
    texts = (None if text is None else f"| {text}" for text in (frame.meaning, frame.text))
    return " ".join(filter(None, (at, frame.direction, frame.bytes, *texts)))
