"""Serve the set-up of a gateway and the correction of its configuration file: pages and forms that need no script."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway import __version__
from gateway.status.auth.forms import read_form
from gateway.status.auth.middleware import RIGHTS, VISITOR
from gateway.status.auth.sign_in import redirect
from gateway.status.declared_routes import DeclaredRoute, get, post
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import localized
from gateway.status.render.pages import may
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.setup_view import SetupView

MOST_FIELDS: Final = 20_000
"""Each family of found devices has three fields, and each device that is left out has one."""

REVIEW: Final = "/setup/review"


class SetupRoutes:
    """Handlers of the page of a gateway that waits for its configuration."""

    def __init__(self, view: SetupView, templates: Templates) -> None:
        self._view = view
        self._templates = templates

    def routes(self) -> list[DeclaredRoute]:
        """Return a route for each page and each form."""
        return [
            get("/", self.page, needs=Rights.LOOK),
            get(REVIEW, self.review, needs=Rights.ADMINISTER),
            get("/setup", self.back_to_page, needs=Rights.LOOK),
            post("/setup", self.answer, needs=Rights.ADMINISTER),
            post("/setup/save", self.save, needs=Rights.ADMINISTER),
            post("/setup/key", self.save_key, needs=Rights.ADMINISTER),
            post("/setup/search", self.search, needs=Rights.ADMINISTER),
            post("/setup/bus", self.add_bus, needs=Rights.ADMINISTER),
            post("/setup/bus/{number:[0-9]{1,6}}/remove", self.remove_bus, needs=Rights.ADMINISTER),
            post("/setup/file", self.correct, needs=Rights.ADMINISTER),
            post("/setup/file/undo", self.undo, needs=Rights.ADMINISTER),
        ]

    async def page(self, request: web.Request) -> web.Response:
        """Respond with the set-up, or with the mistakes of the configuration; to `HEAD` with the version of what is shown.

        The page of a running gateway sends none: so an open page learns that it has started.
        """
        if request.method == "HEAD":
            return web.Response(headers={"ETag": f'"{self._view.setup().version}"'}, content_type="text/html")
        if self._view.setup().is_set_up_here:
            return self.response("setup_form.html", request, form=self._view.actions.form(), added={}, added_problem=None)
        return self._file_page(request)

    async def back_to_page(self, request: web.Request) -> web.Response:
        """Go to the page: this address is that of a form."""
        del request
        return redirect("/")

    async def review(self, request: web.Request) -> web.Response:
        """Respond with what would be written."""
        review = await self._view.actions.review() if self._view.setup().is_set_up_here else None
        if review is None:
            return redirect("/")
        return self.response("setup_review.html", request, review=review)

    async def answer(self, request: web.Request) -> web.Response:
        """Take the answers, and go on to what would be written, or back to what is wrong with them."""
        fields = await read_form(request, most_fields=MOST_FIELDS)
        if not self._view.setup().is_set_up_here:
            return redirect("/")
        return redirect(REVIEW if await self._view.actions.answer(fields) else "/#problems")

    async def save(self, request: web.Request) -> web.Response:
        """Write the configuration that was shown."""
        fields = await read_form(request)
        if not self._view.setup().is_set_up_here:
            return redirect("/")  # somebody else was faster, and the gateway starts
        problem = await self._view.actions.save(fields.get("revision", ""))
        return redirect("/") if problem is None else self._refusal(problem, REVIEW)

    async def save_key(self, request: web.Request) -> web.Response:
        """Write the hardware key alone."""
        await read_form(request)
        problem = await self._view.actions.save_key()
        return redirect(f"{REVIEW}#key-file") if problem is None else self._refusal(problem, REVIEW)

    async def search(self, request: web.Request) -> web.Response:
        """Search again."""
        fields = await read_form(request)
        problem = await self._view.actions.search_again(fields.get("hosts", ""))
        return redirect("/#seen") if problem is None else self._refusal(problem, "/")

    async def add_bus(self, request: web.Request) -> web.Response:
        """Add a bus, or show the form again with what is wrong in it."""
        fields = await read_form(request)
        problem = await self._view.actions.add_bus(fields)
        if problem is None:
            return redirect("/#seen")
        form = self._view.actions.form()
        response = self.response("setup_form.html", request, form=form, added=fields, added_problem=problem)
        response.set_status(422)
        return response

    async def remove_bus(self, request: web.Request) -> web.Response:
        """Take a bus back that was added."""
        await read_form(request)
        problem = await self._view.actions.remove_bus(int(request.match_info["number"]))
        return redirect("/#seen") if problem is None else self._refusal(problem, "/")

    async def correct(self, request: web.Request) -> web.Response:
        """Save the corrected file, or show the mistakes that are still in it."""
        fields = await read_form(request)
        if "text" not in fields or "stamp" not in fields:
            raise web.HTTPBadRequest
        problem = await self._view.actions.correct(fields["text"], fields["stamp"])
        if problem is None:
            return redirect("/")
        return self._refusal(problem, "/")

    async def undo(self, request: web.Request) -> web.Response:
        """Go one step back, to the text before the latest change."""
        await read_form(request)
        problem = await self._view.actions.undo_file()
        return redirect("/") if problem is None else self._refusal(problem, "/")

    def response(self, template: str, request: web.Request, **values: object) -> web.Response:
        """Return a page of a gateway that waits."""
        html = self._templates.render(
            template,
            setup=self._view.setup(),
            path="/" if request.method == "POST" else request.path,
            **may(request[VISITOR]),
            gateway_version=__version__,
            **values,
        )
        response = web.Response(text=html, content_type="text/html")
        response.enable_compression()
        return response

    def _file_page(self, request: web.Request) -> web.Response:
        file = self._view.actions.file_to_correct() if request[RIGHTS] >= Rights.ADMINISTER else None
        return self.response("setup_file.html", request, file=file)

    def _refusal(self, problem: str, back: str) -> web.Response:
        html = self._templates.message(_("Not done"), localized(problem), links={_("Back"): back})
        return web.Response(status=409, text=html, content_type="text/html")
