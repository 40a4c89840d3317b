"""Serve the restore of a backup by upload: take the file, show what it would replace, and restore it once that is confirmed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import BodyPartReader, web

from gateway.errors import StoreError
from gateway.status.auth.forms import read_form
from gateway.status.auth.sign_in import redirect
from gateway.status.declared_routes import DeclaredRoute, post
from gateway.status.languages.texts import gettext as _
from gateway.status.languages.texts import localized
from gateway.status.maintenance_view import RestorePlan, RestoreView
from gateway.status.rights import Rights
from gateway.status.routes.maintenance import MaintenanceRoutes

CHUNK_SECONDS: Final = 60.0
"""A browser that sends nothing of a file for so long is disconnected."""
MOST_PARTS: Final = 5
MOST_PASSPHRASE_BYTES: Final = 4096
MULTIPART_BYTES: Final = 64 * 1024
"""What a form may have besides its file."""


class RestoreRoutes:
    """Handlers of `/maintenance/restore`: `view` restores, `page` shows the outcome."""

    def __init__(self, view: RestoreView, page: MaintenanceRoutes) -> None:
        self._view = view
        self._page = page

    def routes(self) -> list[DeclaredRoute]:
        """Return the routes."""
        return [
            DeclaredRoute("POST", "/maintenance/restore", self.upload, Rights.ADMINISTER, reads_its_body=True),
            post("/maintenance/restore/confirm", self.confirm, needs=Rights.ADMINISTER),
            post("/maintenance/restore/cancel", self.cancel, needs=Rights.ADMINISTER),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        """Take a file, check it, and ask whether it is to be restored."""
        if (request.content_length or 0) > self._view.most_bytes + MULTIPART_BYTES:
            most = self._view.most_bytes >> 20
            problem = _("Nothing is restored: the file has more than %(most)s MB, which is more than is taken here.", most=most)
            return await self._page.respond(request, problem=problem, status=413)
        if request.content_type != "multipart/form-data":
            raise web.HTTPUnsupportedMediaType
        try:
            plan = await checked_upload(request, self._view)
        except StoreError as error:
            return await self._page.respond(
                request, problem=_("Nothing is restored: %(why)s.", why=localized(str(error))), status=409
            )
        except ValueError as error:  # no multipart after all
            raise web.HTTPBadRequest from error
        except TimeoutError as error:
            raise web.HTTPRequestTimeout from error
        return await self._page.respond(request, step="restore", plan=plan)

    async def confirm(self, request: web.Request) -> web.Response:
        """Restore the file that was checked."""
        form = await read_form(request)
        try:
            await self._view.restore(form.get("plan", ""))
        except StoreError as error:
            return await self._page.respond(
                request, problem=_("Nothing is restored: %(why)s.", why=localized(str(error))), status=409
            )
        return await self._page.respond(request, step="restoring")

    async def cancel(self, request: web.Request) -> web.Response:
        """Discard the file that was checked, and return to the page."""
        del request
        self._view.cancel()
        return redirect("/maintenance")

    async def _refusal(self, request: web.Request, error: StoreError) -> web.Response:
        problem = _("Nothing is restored: %(why)s.", why=localized(str(error)))
        return await self._page.respond(request, problem=problem, status=409)


async def checked_upload(request: web.Request, view: RestoreView) -> RestorePlan:
    """Read a form up to its file, and have that checked while it arrives.

    Raises:
        StoreError: it cannot be restored, or there is no file; the text says why.
        ValueError: it is no multipart form.
        TimeoutError: nothing comes for a while.
    """
    reader, passphrase = await request.multipart(), ""
    for _number in range(MOST_PARTS):
        async with asyncio.timeout(CHUNK_SECONDS):
            part = await reader.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader):
            raise ValueError("a part has parts of its own")  # noqa: TRY004 - about what was sent
        if part.name == "file":
            return await view.check(_chunks_of(part), passphrase)
        text = b"".join([chunk async for chunk in _chunks_of(part, most=MOST_PASSPHRASE_BYTES)])
        if part.name == "passphrase":
            passphrase = text.decode("utf-8", "replace")
    raise StoreError("no file was chosen")


async def _chunks_of(part: BodyPartReader, *, most: int | None = None) -> AsyncIterator[bytes]:
    """Yield the content of a part of a form, as it arrives.

    Raises:
        ValueError: it has more than `most` bytes.
        TimeoutError: the browser sends nothing for a while.
    """
    size = 0
    while True:
        async with asyncio.timeout(CHUNK_SECONDS):
            chunk = await part.read_chunk(MULTIPART_BYTES)
        if not chunk:
            return
        size += len(chunk)
        if most is not None and size > most:
            raise ValueError("a part of the form is too long")
        yield bytes(chunk)
