"""Serve the pages that edit the configuration: its text, what is wrong with it, what it changes, and the step back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from gateway.status.auth.forms import read_form, read_large_form
from gateway.status.auth.middleware import VISITOR
from gateway.status.auth.sign_in import redirect
from gateway.status.configuration_view import (
    MOST_BYTES,
    ConfigurationDraft,
    ConfigurationFile,
    ConfigurationView,
    NotEditable,
    Saved,
    TextTooLarge,
)
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.languages.texts import gettext, gettext_noop
from gateway.status.render.configuration import TRIAL_MARKS, address_for, lines_near, without_line, written_place
from gateway.status.render.pages import PageAddress, PageRenderer, RenderedPage
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.routes.requester import token_holder
from gateway.status.snapshot_cache import SnapshotCache

FORM_BYTES: Final = 3 * MOST_BYTES + 64 * 1024
"""A text in a form takes up to three times its size."""

PAGE: Final = "/configuration"
TEXT: Final = f"{PAGE}/text"
DRAFT: Final = f"{PAGE}/draft"


NO_DRAFT: Final = gettext_noop(
    "This draft is not kept any more: it was saved or discarded, the gateway has restarted, or others were begun since."
)


class ConfigurationRoutes:
    """Handlers of `/configuration`."""

    def __init__(
        self,
        view: ConfigurationView,
        snapshots: SnapshotCache,
        renderer: PageRenderer,
        templates: Templates,
        run_id: Callable[[], str],
    ) -> None:
        self._view = view
        self._snapshots = snapshots
        self._renderer = renderer
        self._templates = templates
        self._run_id = run_id

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [
            get(PAGE, self.page, needs=Rights.ADMINISTER),
            get(TEXT, self.text, needs=Rights.ADMINISTER),
            DeclaredRoute("POST", TEXT, self.edit_text, Rights.ADMINISTER, reads_its_body=True),
            DeclaredRoute("POST", f"{PAGE}/check", self.check, Rights.ADMINISTER, reads_its_body=True),
            get(DRAFT, self.review, needs=Rights.ADMINISTER),
            post(f"{DRAFT}/save", self.save, needs=Rights.ADMINISTER),
            post(f"{DRAFT}/try", self.begin_try, needs=Rights.ADMINISTER),
            post(f"{DRAFT}/discard", self.discard, needs=Rights.ADMINISTER),
            post(f"{PAGE}/undo", self.undo, needs=Rights.ADMINISTER),
            post(f"{PAGE}/restart", self.begin_anew, needs=Rights.ADMINISTER),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with what is configured, and what was changed last."""
        return await self.overview(request)

    async def text(self, request: web.Request) -> web.Response:
        """Respond with the text, or with that of a draft."""
        draft = await self._draft(request.query.get("draft", ""))
        return await self._text_page(request, await self._view.file(), draft)

    async def edit_text(self, request: web.Request) -> web.Response:
        """Check a text that was entered, and go on to what it changes, or back to what is wrong with it."""
        fields = await _large_form(request)
        try:
            draft = await self._view.edit(fields["text"], draft=fields.get("draft") or None, etag=fields.get("etag", ""))
        except (NotEditable, TextTooLarge) as error:
            return await self.overview(request, problem=str(error), status=409)
        if draft.plan is None:
            return await self._text_page(request, await self._view.file(), draft, status=422)
        return redirect(f"{DRAFT}?id={draft.id}")

    async def check(self, request: web.Request) -> web.Response:
        """Respond with the mistakes of a text as a part of the page; nothing is kept."""
        fields = await _large_form(request)
        try:
            draft = await self._view.check(fields["text"], etag=fields.get("etag", ""), plans=False)
        except (NotEditable, TextTooLarge) as error:
            return web.Response(status=409, text=str(error))
        html = self._templates.render("_configuration_mistakes.html", **_marked(draft))
        return web.Response(text=html, content_type="text/html")

    async def review(self, request: web.Request) -> web.Response:
        """Respond with what a draft changes."""
        draft = await self._draft(request.query.get("id", ""))
        if draft is None:
            return await self.overview(request, problem=gettext(NO_DRAFT), status=409)
        return await self._draft_page(request, draft)

    async def save(self, request: web.Request) -> web.Response:
        """Save a draft and put it into effect."""
        fields = await read_form(request)
        saved = await self._view.save_draft(fields.get("id", ""), by=token_holder(request, "page"), over=fields.get("over", ""))
        if saved.problem is None:
            return redirect(f"{PAGE}#changed")
        draft = await self._draft(fields.get("id", ""))
        if draft is None:
            return await self.overview(request, problem=saved.problem, status=409)
        return await self._draft_page(request, draft, problem=saved.problem, status=409)

    async def begin_try(self, request: web.Request) -> web.Response:
        """Begin to try the buses that a draft adds or changes."""
        draft = (await read_form(request)).get("id", "")
        if (problem := await self._view.try_draft(draft)) is not None:
            return await self.overview(request, problem=problem, status=409)
        return redirect(f"{DRAFT}?id={draft}#try")

    async def discard(self, request: web.Request) -> web.Response:
        """Forget a draft."""
        await self._view.discard((await read_form(request)).get("id", ""))
        return redirect(PAGE)

    async def undo(self, request: web.Request) -> web.Response:
        """Go one step back, once that is confirmed."""
        fields = await read_form(request)
        if fields.get("confirm") != "yes":
            return await self.overview(request, step="undo")
        saved: Saved = await self._view.undo(by=token_holder(request, "page"))
        if saved.problem is not None:
            return await self.overview(request, problem=saved.problem, status=409)
        return redirect(f"{PAGE}#changed")

    async def begin_anew(self, request: web.Request) -> web.Response:
        """Build the gateway anew with what was saved."""
        await read_form(request)
        self._view.begin_anew(by=token_holder(request, "page"))
        return await self.overview(request, step="begins")

    async def _draft(self, draft: str) -> ConfigurationDraft | None:
        try:
            return await self._view.draft(draft) if draft else None
        except NotEditable:
            return None

    async def overview(
        self, request: web.Request, *, problem: str | None = None, step: str = "", status: int = 200
    ) -> web.Response:
        """Respond with what is configured, at one step of what it offers."""
        try:
            sections = await self._view.sections()
        except NotEditable:
            sections = ()  # the page says why
        file = await self._view.file()
        return await self.respond(
            request,
            "configuration",
            status,
            file=file,
            new_address=address_for(file.moves_to, request.url.host or ""),
            problem=problem,
            step=step,
            run_id=self._run_id(),
            sections=sections,
            written_place=written_place,
        )

    async def _text_page(
        self, request: web.Request, file: ConfigurationFile, draft: ConfigurationDraft | None, *, status: int = 200
    ) -> web.Response:
        marked = _marked(draft) if draft is not None else {"lines": (), "elsewhere": (), "mistakes": (), "warnings": ()}
        return await self.respond(request, "configuration_text", status, file=file, draft=draft, **marked)

    async def _draft_page(
        self, request: web.Request, draft: ConfigurationDraft, *, problem: str | None = None, status: int = 200
    ) -> web.Response:
        return await self.respond(
            request,
            "configuration_draft",
            status,
            draft=draft,
            trial_marks=TRIAL_MARKS,
            file=await self._view.file(),
            problem=problem,
            **_marked(draft),
        )

    async def respond(self, request: web.Request, kind: str, status: int, **more: object) -> web.Response:
        """Respond with one of the pages of the configuration."""
        html = self._renderer.document(
            PageAddress(kind),
            RenderedPage(gettext("Configuration"), {}),
            await self._snapshots.snapshot(),
            visitor=request[VISITOR],
            path="",
            **more,
        )
        response = web.Response(text=html, content_type="text/html", status=status)
        response.enable_compression()
        return response


async def _large_form(request: web.Request) -> Mapping[str, str]:
    fields = dict(await read_large_form(request, most_bytes=FORM_BYTES))
    if "text" not in fields:
        raise web.HTTPBadRequest
    return fields


def _marked(draft: ConfigurationDraft) -> dict[str, object]:
    """Return what the parts that show mistakes need."""
    found = [*draft.mistakes, *draft.warnings]
    return {
        "lines": lines_near(draft.text, found),
        "elsewhere": without_line(draft.text, found),
        "mistakes": draft.mistakes,
        "warnings": draft.warnings,
    }
