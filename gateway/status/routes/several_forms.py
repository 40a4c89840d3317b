"""Serve what is done with several devices after a form: one command for all of them, and new names with a number."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence

from aiohttp import web

from gateway.status.auth.forms import read_fields
from gateway.status.auth.middleware import RIGHTS, VISITOR
from gateway.status.auth.sign_in import redirect
from gateway.status.declared_routes import DeclaredRoute, post
from gateway.status.device_actions import ActionProblem, CommandPlan, DeclaredCommand
from gateway.status.languages.texts import gettext as _
from gateway.status.model import encode_id
from gateway.status.operations.several_forms import REQUEST_ID
from gateway.status.render.pages import PageAddress, PageRenderer, RenderedPage
from gateway.status.render.parameter_form import entered_parameters, form_fields, parameter_values
from gateway.status.render.several_texts import SEVERAL_TEXTS
from gateway.status.rights import Rights
from gateway.status.routes.actions import Actions
from gateway.status.routes.requester import asked_by
from gateway.status.routes.several_commands import SeveralCommands
from gateway.status.routes.several_names import names_in
from gateway.status.several import (
    MOST_AT_ONCE,
    SeveralForm,
    SeveralResult,
    SeveralResults,
    SeveralRow,
    chosen,
    numbered_names,
    short_word,
)
from gateway.status.snapshot_cache import SnapshotCache


class SeveralForms:
    """Handlers of the forms."""

    def __init__(
        self,
        snapshots: SnapshotCache,
        renderer: PageRenderer,
        commands: SeveralCommands,
        actions: Actions,
        results: SeveralResults,
    ) -> None:
        self._snapshots = snapshots
        self._renderer = renderer
        self._commands = commands
        self._actions = actions
        self._results = results

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each form."""
        return [
            post("/several/form/command", self.command, needs=Rights.OPERATE),
            post("/several/form/rename", self.rename, needs=Rights.OPERATE),
        ]

    async def begin(self, request: web.Request, form: SeveralForm, names: Mapping[str, str]) -> web.Response:
        """Respond with the form for these devices, by key, with their names."""
        if form is SeveralForm.RENAME:
            return await self._page(request, form, names, {"pattern": "{name} {n}", "first": "1", "problem": None, "preview": ()})
        return await self._page(request, form, names, {"command": None, **self._choices(names)})

    async def rename(self, request: web.Request) -> web.Response:
        """Show the new names, and rename the devices once they are confirmed."""
        names, form = await self._read(request)
        pattern, first = form.get("pattern", "").strip(), form.get("first", "").strip()
        shown = {"pattern": pattern, "first": first, "problem": None, "preview": ()}
        try:
            renamed = numbered_names(pattern, first, list(names.values()))
        except ValueError as error:
            return await self._page(request, SeveralForm.RENAME, names, {**shown, "problem": str(error)}, status=422)
        if form.get("confirmed") != "yes":
            preview = list(zip(names.values(), renamed, strict=True))
            return await self._page(request, SeveralForm.RENAME, names, {**shown, "preview": preview})
        rows = [
            SeveralRow(key, new, await self._actions.rename(encode_id(key), new)) for key, new in zip(names, renamed, strict=True)
        ]
        return self._ended(SeveralForm.RENAME, rows)

    async def command(self, request: web.Request) -> web.Response:
        """Show the parameters of a command, ask for a confirmation where it needs one, and send it to each device."""
        names, form = await self._read(request)
        choices = self._choices(names)
        command = next((one for one in self._commands.in_common([*names]) if one.name == form.get("command")), None)
        if command is None:
            return await self._page(request, SeveralForm.COMMAND, names, {"command": None, **choices}, status=422)
        shown: dict[str, object] = {"command": command, "entered": None, "plan": None, "problem": None, **choices}
        if command.is_dangerous and request[RIGHTS] < Rights.ADMINISTER:
            return await self._page(request, SeveralForm.COMMAND, names, shown, status=403)
        request_id, entered = form.get("request_id", ""), entered_parameters(form)
        if not request_id:
            return await self._page(request, SeveralForm.COMMAND, names, shown)
        if not re.fullmatch(REQUEST_ID, request_id):
            raise web.HTTPBadRequest
        parameters = parameter_values(command.parameters, entered)
        plan = await self._commands.plan([*names], command.name, parameters)
        shown |= {"entered": entered, "request_id": request_id}
        if isinstance(plan, ActionProblem):
            shown["problem"] = plan
            return await self._page(request, SeveralForm.COMMAND, names, shown, status=plan.kind.http_status)
        if command.needs_confirmation and form.get("confirmed") != "yes":
            return await self._page(request, SeveralForm.COMMAND, names, {**shown, "plan": plan})
        sent = await self._commands.send(
            [*names], command.name, parameters, request_id=request_id, asked_by=asked_by(request, "page")
        )
        rows = [
            SeveralRow(
                one.key, names[one.key], one.outcome.error if isinstance(one.outcome, ActionProblem) else None, one.request_id
            )
            for one in sent
        ]
        return self._ended(SeveralForm.COMMAND, rows)

    def _choices(self, names: Mapping[str, str]) -> Mapping[str, object]:
        """Return the commands that all of the devices declare, and whether they are of one model."""
        return {"commands": self._commands.in_common([*names]), "is_one_model": self._commands.are_of_one_model(names)}

    async def _read(self, request: web.Request) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Return the chosen devices by key with their names, and the other fields."""
        fields = await read_fields(request, most_fields=2 * MOST_AT_ONCE + 10)
        snapshot = await self._snapshots.snapshot()
        known = names_in(snapshot)
        keys = chosen([value for name, value in fields if name == "chosen"], known)[:MOST_AT_ONCE]
        if not keys:
            raise web.HTTPBadRequest
        return {key: known[key] for key in keys}, {name: value for name, value in fields if name != "chosen"}

    def _ended(self, form: SeveralForm, rows: Sequence[SeveralRow]) -> web.Response:
        self._snapshots.invalidate()
        return redirect(f"/several/result/{self._results.add(SeveralResult(form, rows))}")

    async def _page(
        self, request: web.Request, form: SeveralForm, names: Mapping[str, str], shown: Mapping[str, object], *, status: int = 200
    ) -> web.Response:
        shown = dict(shown)
        command, problem = shown.get("command"), shown.get("problem")
        if isinstance(command, DeclaredCommand):
            entered = shown.pop("entered", None)
            fields = problem.fields if isinstance(problem, ActionProblem) else None
            shown["fields"] = form_fields(command.parameters, entered if isinstance(entered, Mapping) else None, fields)
            shown["is_repeated"] = entered is not None
            shown.setdefault("request_id", secrets.token_urlsafe(16))
            shown["plan"] = shown.get("plan") if isinstance(shown.get("plan"), CommandPlan) else None
        html = self._renderer.document(
            PageAddress(f"several_{form.value}"),
            RenderedPage(_(SEVERAL_TEXTS[form]), {}),
            await self._snapshots.snapshot(),
            visitor=request[VISITOR],
            path="",
            form_path=f"/several/form/{form.value}",
            devices=[(short_word(key), name) for key, name in names.items()],
            **shown,
        )
        return web.Response(status=status, text=html, content_type="text/html")
