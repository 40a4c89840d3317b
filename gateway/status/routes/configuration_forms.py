"""Serve the forms of the configuration: one for each table, made from its JSON Schema, without scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode

from aiohttp import web

from gateway.status.auth.forms import read_form
from gateway.status.auth.sign_in import redirect
from gateway.status.configuration_view import ConfigurationDraft, ConfigurationForm, ConfigurationView, NotEditable, TextMistake
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.render.configuration import place_of, written_place
from gateway.status.rights import Rights
from gateway.status.routes.configuration import DRAFT, PAGE, ConfigurationRoutes

FORM: Final = f"{PAGE}/form"
MOST_FIELDS: Final = 400
"""A form has a field for each key, and two for each model."""


class ConfigurationForms:
    """Handlers of `/configuration/form`: `view` has the forms, `page` shows them."""

    def __init__(self, view: ConfigurationView, page: ConfigurationRoutes) -> None:
        self._view = view
        self._page = page

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [
            get(FORM, self.form, needs=Rights.ADMINISTER),
            post(FORM, self.fill_in, needs=Rights.ADMINISTER),
            post(f"{FORM}/remove", self.remove, needs=Rights.ADMINISTER),
        ]

    async def form(self, request: web.Request) -> web.Response:
        """Respond with the form of a table."""
        query = request.query
        at, name = query.get("at", ""), query.get("name", "").strip()
        place = (*place_of(at), name) if name else place_of(at)
        return await self._show(request, place, query.get("draft") or None, query.get("kind", ""), {})

    async def fill_in(self, request: web.Request) -> web.Response:
        """Take the answers of a form, and go on to what changes, or back to what is wrong with them."""
        fields = await read_form(request, most_fields=MOST_FIELDS)
        place, draft, kind = place_of(fields.get("at", "")), fields.get("draft") or None, fields.get("kind", "")
        try:
            done = await self._view.fill_in(place, _answers(fields), draft=draft, etag=fields.get("etag", ""), kind=kind)
        except NotEditable as error:
            return await self._show_again(request, place, draft, kind, problem=str(error), entered=_answers(fields))
        if not isinstance(done, ConfigurationDraft):
            return await self._show(request, place, draft, kind, done, entered=_answers(fields))
        then = place_of(fields.get("then", ""))
        if then and then[: len(place)] == place:  # a table within this new one, which has mistakes until it is there
            return redirect(f"{FORM}?{urlencode({'at': written_place(then), 'draft': done.id})}")
        form = await self._view.form(place, draft=done.id)
        if form is not None and form.mistakes:
            return await self._show(request, place, done.id, kind, {})
        above = next((place[:end] for end in range(len(place) - 1, 1, -1) if not isinstance(place[end - 1], str)), ())
        back = f"{FORM}?{urlencode({'at': written_place(above), 'draft': done.id})}" if above and len(place) > len(above) else ""
        return redirect(back or f"{DRAFT}?id={quote(done.id)}")

    async def _show_again(
        self,
        request: web.Request,
        place: tuple[str | int, ...],
        draft: str | None,
        kind: str,
        *,
        problem: str,
        entered: Mapping[str, str],
    ) -> web.Response:
        """Respond with the form of the present text and what was entered; with the overview where there is none."""
        try:
            shown = await self._show(request, place, draft, kind, {"": problem}, entered=entered)
        except web.HTTPNotFound:
            return await self._page.overview(request, problem=problem, status=409)
        shown.set_status(409)
        return shown

    async def remove(self, request: web.Request) -> web.Response:
        """Remove a table from a list, and go back to it."""
        fields = await read_form(request)
        place = place_of(fields.get("at", ""))
        try:
            done = await self._view.remove(place, draft=fields.get("draft") or None, etag=fields.get("etag", ""))
        except NotEditable as error:
            return await self._page.overview(request, problem=str(error), status=409)
        above = place_of(fields.get("back", ""))
        if above:
            return redirect(f"{FORM}?{urlencode({'at': written_place(above), 'draft': done.id})}")
        return redirect(f"{DRAFT}?id={quote(done.id)}")

    async def _show(
        self,
        request: web.Request,
        place: tuple[str | int, ...],
        draft: str | None,
        kind: str,
        problems: Mapping[str, str],
        *,
        entered: Mapping[str, str] | None = None,
    ) -> web.Response:
        try:
            form = await self._view.form(place, draft=draft, kind=kind)
        except NotEditable as error:
            return await self._page.overview(request, problem=str(error), status=409)
        if form is None:
            raise web.HTTPNotFound
        mistakes = {
            **dict(form.mistakes or {}),
            **{key: [TextMistake(line=None, where=key, wrong=wrong, right="")] for key, wrong in problems.items()},
        }
        status = 422 if mistakes and request.method == "POST" else 200
        return await self._page.respond(
            request,
            "configuration_form",
            status,
            form=form,
            file=await self._view.file(),
            mistakes=mistakes,
            entered=entered or {},
            above=_above(form),
            written_place=written_place,
        )


def _answers(fields: Mapping[str, str]) -> dict[str, str]:
    """Return the answers by key; a tick that is not there is none."""
    answers = {name.removeprefix("f."): value for name, value in fields.items() if name.startswith("f.")}
    for name in fields:
        if name.startswith("tick."):
            answers.setdefault(name.removeprefix("tick."), "false")
    return answers


def _above(form: ConfigurationForm) -> tuple[str | int, ...]:
    """Return the place of the table around the one of a form; an empty one at the top."""
    place = form.at
    if len(place) < 3:
        return ()
    return place[:-2] if isinstance(place[-1], int) else place[:-1]
