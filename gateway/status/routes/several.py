"""Serve actions on several devices at once: the list with its boxes, the confirmation, and what became of each."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.status.auth.forms import read_fields
from gateway.status.auth.middleware import RIGHTS, VISITOR
from gateway.status.auth.sign_in import redirect
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.device_actions import ActionProblem, LookKind
from gateway.status.device_actions_view import DeviceActions
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import gettext_noop
from gateway.status.operations.operation import ErrorResponse
from gateway.status.operations.several import OPERATIONS, SeveralOutcome, SeveralOutcomes, SeveralRequest
from gateway.status.render.pages import PageAddress, PageRenderer
from gateway.status.render.paging import ListPage, ListQuery, list_children, list_waiting
from gateway.status.render.several_texts import SEVERAL_ACTIONS
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.routes.api_operations import api_response, operation_routes, read_body
from gateway.status.routes.several_forms import SeveralForms
from gateway.status.routes.several_names import GONE, keys_of, names_in
from gateway.status.several import (
    MOST_AT_ONCE,
    SeveralAction,
    SeveralForm,
    SeveralResult,
    SeveralResults,
    SeveralRow,
    chosen,
    short_word,
)
from gateway.status.snapshot import ChildSummary, Snapshot, WaitingDevice
from gateway.status.snapshot_cache import SnapshotCache

NOTHING_CHOSEN: Final = gettext_noop(
    "No device was chosen, or those that were chosen are not there any more. Nothing was changed."
)
NOT_PERMITTED: Final = gettext_noop("This needs a token that may administer. Nothing was changed.")


class SeveralRoutes:
    """Handlers of the pages, and of `gateway.status.operations.several`."""

    def __init__(
        self,
        snapshots: SnapshotCache,
        renderer: PageRenderer,
        templates: Templates,
        actions: DeviceActions,
        results: SeveralResults,
        forms: SeveralForms,
    ) -> None:
        self._forms = forms
        self._snapshots = snapshots
        self._renderer = renderer
        self._templates = templates
        self._actions = actions
        self._results = results

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each page, the form, and each operation."""
        return [
            get("/several/{kind:children|waiting}", self.choose, needs=Rights.OPERATE),
            post("/several/{kind:children|waiting}", self.act, needs=Rights.OPERATE),
            get("/several/result/{word}", self.result, needs=Rights.LOOK),
            *operation_routes(OPERATIONS, self),
        ]

    async def choose(self, request: web.Request) -> web.Response:
        """Respond with a list whose devices can be chosen."""
        return await self._list(request)

    async def act(self, request: web.Request) -> web.Response:
        """Do something with the chosen devices, after a confirmation where it needs one, and go to what became of each."""
        fields = await read_fields(request, most_fields=2 * MOST_AT_ONCE + 10)
        form = dict(fields)
        snapshot, kind = await self._snapshots.snapshot(), request.match_info["kind"]
        names = names_in(snapshot, kind)
        keys = chosen([value for name, value in fields if name == "chosen"], names)[:MOST_AT_ONCE]
        action = next((one for one in SEVERAL_ACTIONS[kind] if one == form.get("action", "")), None)
        if action is None:
            raise web.HTTPBadRequest
        if not keys:
            return await self._list(request, problem=NOTHING_CHOSEN, status=422)
        if isinstance(action, SeveralForm):
            return await self._forms.begin(request, action, {key: names[key] for key in keys})
        if action.needs_confirmation and request[RIGHTS] < Rights.ADMINISTER:
            html = self._templates.message(_("Not permitted"), _(NOT_PERMITTED), links={_("Back"): request.path})
            return web.Response(status=403, text=html, content_type="text/html")
        if action.needs_confirmation and form.get("confirmed") != "yes":
            devices = [(short_word(key), names[key]) for key in keys]
            return await self._document(request, "several", snapshot, question=action, devices=devices)
        model_id = form.get("model_id", "").strip() or None
        rows = [SeveralRow(key, names[key], await self._do(action, key, model_id)) for key in keys]
        self._snapshots.invalidate()
        return redirect(f"/several/result/{self._results.add(SeveralResult(action, rows))}")

    async def result(self, request: web.Request) -> web.Response:
        """Respond with what became of each device."""
        return await self._document(request, "several_result", await self._snapshots.snapshot())

    async def several(self, request: web.Request) -> web.Response:
        """Do something with several devices, and respond with what became of each."""
        wanted = await read_body(request, SeveralRequest)
        if wanted.action.needs_confirmation and request[RIGHTS] < Rights.ADMINISTER:
            return api_response(ErrorResponse(error=NOT_PERMITTED), status=403)
        if wanted.action.needs_confirmation and not wanted.confirmed:
            return api_response(ErrorResponse(error="it needs a confirmation: `confirmed` set to true"), status=409)
        snapshot = await self._snapshots.snapshot()
        names = names_in(snapshot)
        outcomes = []
        for word, key in keys_of(wanted.ids, names).items():
            problem = GONE if key is None else await self._do(wanted.action, key, wanted.model_id)
            outcomes.append(SeveralOutcome(id=word, name=names.get(key or ""), error=problem))
        self._snapshots.invalidate()
        return api_response(SeveralOutcomes(results=tuple(outcomes)))

    async def _do(self, action: SeveralAction, key: str, model_id: str | None) -> str | None:
        """Do it with one device, and return why it failed, `None` when it succeeded, or has begun."""
        problem: ActionProblem | None
        match action:
            case SeveralAction.ADMIT:
                problem = await self._actions.life.admit(key, model_id)
            case SeveralAction.IGNORE:
                problem = await self._actions.life.ignore(key)
            case SeveralAction.READ:
                problem = self._actions.looks.start(key, LookKind.READ)
            case SeveralAction.IDENTIFY:
                problem = self._actions.looks.start(key, LookKind.IDENTIFY)
            case SeveralAction.RETIRE | SeveralAction.RETIRE_HERE:
                problem = await self._actions.life.retire(key, keep_in_cloud=action is SeveralAction.RETIRE_HERE)
        return None if problem is None else problem.error

    async def _list(self, request: web.Request, *, problem: str | None = None, status: int = 200) -> web.Response:
        snapshot, kind = await self._snapshots.snapshot(), request.match_info["kind"]
        query = ListQuery.parse(request.query)
        listing: ListPage[ChildSummary] | ListPage[WaitingDevice]
        listing = list_children(snapshot.children, query) if kind == "children" else list_waiting(snapshot.waiting, query)
        rows = [(short_word(one.key), one) for one in listing.rows]
        lacks_model = any(isinstance(one, WaitingDevice) and one.model_id is None for one in listing.rows)
        models = sorted({model for one in snapshot.waiting for model in self._actions.life.known_models(one.family)})
        response = await self._document(
            request, "several", snapshot, kind=kind, listing=listing, rows=rows, actions=SEVERAL_ACTIONS[kind], problem=problem,
            lacks_model=lacks_model, models=models, question=None,
        )  # fmt: skip
        response.set_status(status)
        return response

    async def _document(self, request: web.Request, template: str, snapshot: Snapshot, **more: object) -> web.Response:
        path = request.path if template == "several_result" else ""
        address = PageAddress.parse(request.path) if path else PageAddress(template)
        page = None if address is None else self._renderer.page(address, snapshot)
        if address is None or page is None:
            raise web.HTTPNotFound
        html = self._renderer.document(
            address, page, snapshot, visitor=request[VISITOR], path=path, form_path=request.path, **more
        )
        return web.Response(text=html, content_type="text/html")
