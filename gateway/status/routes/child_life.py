"""Serve what ends or changes the life of one child: retire and replace, with what that means; admission with a model."""

from __future__ import annotations

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import VISITOR
from gateway.status.auth.sign_in import own_path, redirect
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.device_actions import ActionProblem
from gateway.status.device_actions_view import LifeActions
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import localized
from gateway.status.model import decode_id
from gateway.status.operations.life import OPERATIONS, AdmitRequest, ReplaceRequest, RetireRequest, SuccessorList
from gateway.status.operations.operation import ActionDone
from gateway.status.render.pages import PageAddress, PageRenderer, RenderedPage
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import (
    api_response,
    child_key,
    operation_routes,
    read_body,
)
from gateway.status.routes.commands_api import problem_response
from gateway.status.snapshot_cache import SnapshotCache


class LifeRoutes:
    """Handlers of the pages, and of `gateway.status.operations.life`."""

    def __init__(self, snapshots: SnapshotCache, renderer: PageRenderer, templates: Templates, life: LifeActions) -> None:
        self._snapshots = snapshots
        self._renderer = renderer
        self._templates = templates
        self._life = life

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each page, its form, and each operation."""
        return [
            get("/children/{id}/{what:retire|replace}", self.page, needs=Rights.LOOK),
            post("/children/{id}/retire", self.retire_by_form, needs=Rights.ADMINISTER),
            post("/children/{id}/replace", self.replace_by_form, needs=Rights.ADMINISTER),
            post("/waiting/{id}/admit-as", self.admit_by_form, needs=Rights.OPERATE),
            *operation_routes(OPERATIONS, self),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the form."""
        return await self._form(request)

    async def retire_by_form(self, request: web.Request) -> web.Response:
        """Ask for the child to be retired, and return to its page."""
        form = await read_form(request)
        if form.get("in_cloud") not in ("keep", "delete"):
            raise web.HTTPBadRequest
        problem = await self._life.retire(child_key(request), keep_in_cloud=form["in_cloud"] == "keep")
        return await self._ended(request, problem)

    async def replace_by_form(self, request: web.Request) -> web.Response:
        """Ask for the child to go on with another device, and return to its page."""
        form = await read_form(request)
        successor = next(iter(decode_id(form.get("successor", ""))), "")
        return await self._ended(request, await self._life.replace(child_key(request), successor))

    async def admit_by_form(self, request: web.Request) -> web.Response:
        """Admit a found device under a model, and return to the list."""
        form = await read_form(request)
        back = own_path(form.get("then", ""), default="/waiting")
        problem = await self._life.admit(child_key(request), form.get("model_id", "").strip())
        self._snapshots.invalidate()
        if problem is None:
            return redirect(back)
        html = self._templates.message(_("It is not admitted"), localized(problem.error), links={_("Back"): back})
        return web.Response(status=problem.kind.http_status, text=html, content_type="text/html")

    async def successors(self, request: web.Request) -> web.Response:
        """Respond with the devices that could go on as a child."""
        return api_response(SuccessorList(devices=self._life.successors_of(child_key(request))))

    async def admit_under_model(self, request: web.Request) -> web.Response:
        """Admit a found device under a model."""
        wanted = await read_body(request, AdmitRequest)
        problem = await self._life.admit(child_key(request), wanted.model_id)
        self._snapshots.invalidate()
        return api_response(ActionDone()) if problem is None else problem_response(problem)

    async def retire(self, request: web.Request) -> web.Response:
        """Ask for a child to be retired."""
        wanted = await read_body(request, RetireRequest)
        problem = await self._life.retire(child_key(request), keep_in_cloud=wanted.keep_in_cloud)
        self._snapshots.invalidate()
        return api_response(ActionDone()) if problem is None else problem_response(problem)

    async def replace(self, request: web.Request) -> web.Response:
        """Ask for a child to go on with another device."""
        wanted = await read_body(request, ReplaceRequest)
        successor = next(iter(decode_id(wanted.successor)), "")
        problem = await self._life.replace(child_key(request), successor)
        self._snapshots.invalidate()
        return api_response(ActionDone()) if problem is None else problem_response(problem)

    async def _ended(self, request: web.Request, problem: ActionProblem | None) -> web.Response:
        self._snapshots.invalidate()
        if problem is None:
            return redirect(f"/children/{request.match_info['id']}")
        return await self._form(request, problem)

    async def _form(self, request: web.Request, problem: ActionProblem | None = None) -> web.Response:
        what = request.path.rsplit("/", 1)[-1]
        snapshot, key = await self._snapshots.snapshot(), child_key(request)
        line = next((child for child in snapshot.children if child.key == key), None)
        if line is None:
            raise web.HTTPNotFound
        title = _("Retire %(name)s", name=line.name) if what == "retire" else _("Replace %(name)s", name=line.name)
        html = self._renderer.document(
            PageAddress("child_life"),
            RenderedPage(title, {}),
            snapshot,
            visitor=request[VISITOR],
            path="",
            form_path=request.path,
            line=line,
            what=what,
            problem=problem,
            asked=self._life.asked_of(key),
            successors=self._life.successors_of(key) if what == "replace" else (),
        )
        return web.Response(status=200 if problem is None else 409, text=html, content_type="text/html")
