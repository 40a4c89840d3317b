"""The doors in front of every request: who may pass, what every answer carries, and how a refusal is told."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote

from aiohttp import web

from gateway.errors import GatewayError
from gateway.status.auth.tokens import Doors, Rights, Visit, is_loopback, is_same_origin
from gateway.status.openapi import Problem
from gateway.status.render.templates import Documents

log = logging.getLogger(__name__)

COOKIE: Final = "xyte_gateway"
RIGHTS: Final = web.RequestKey("rights", Rights)

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",  # not `no-referrer`: it would make browsers hide the origin of our own forms from us
    "Server": "xyte-gateway",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_OPEN: Final = ("/healthz", "/login", "/static/")
_FOR_PROGRAMS: Final = ("/api/", "/events", "/metrics", "/readyz", "/healthz")
_FORWARDED: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")

_WORDS: Final = {
    400: ("Not understood", "What was sent makes no sense here."),
    404: ("Not here", "There is nothing at this address; a child or a bus that was shown here may be gone."),
    405: ("Not like this", "Nothing can be done with this address in this way."),
    413: ("Too much", "That is more than this page takes."),
    415: ("Not understood", "This takes what its own form sends, and nothing else."),
    500: ("Something is wrong here", "This page could not be made. Its log says why; the gateway itself goes on."),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """The middlewares of the server, the outermost first."""

    def __init__(self, doors: Doors, documents: Documents) -> None:
        self._doors = doors
        self._documents = documents
        self.middlewares = (self.in_words, self.at_the_door)

    async def dress(self, request: web.Request, response: web.StreamResponse) -> None:
        """Put onto an answer what every answer carries."""
        for name, value in HEADERS.items():
            response.headers[name] = value
        if request.secure or is_loopback(request.url.host or ""):  # browsers take it nowhere else, and complain
            response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")

    @web.middleware
    async def in_words(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Tell every failure in words, and none with a stack."""
        try:
            return await handler(request)
        except web.HTTPException as answer:
            if answer.status < 400:
                raise
            title, text = _WORDS.get(answer.status, (answer.reason, answer.reason))
            allowed = {"Allow": answer.headers["Allow"]} if "Allow" in answer.headers else {}
            return self.refusal(request, answer.status, title, text, headers=allowed)
        except GatewayError as error:
            return self.refusal(request, 503, "Not right now", f"The gateway cannot say: {error}")
        except (web.RequestPayloadError, ConnectionError):  # who asks has gone, or sends what cannot be unpacked
            return self.refusal(request, 400, *_WORDS[400])
        except Exception:  # the last place where a bug becomes an answer that is dressed, is in words and shows no stack
            log.exception("%s %s failed", request.method, request.path)
            return self.refusal(request, 500, *_WORDS[500])

    @web.middleware
    async def at_the_door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let pass who may."""
        visit = _visit(request)
        address = request.remote or ""
        if visit.bearer is not None and (wait := self._doors.tries.seconds_left(address)) > 0:
            return self.too_many_tries(request, wait)
        rights = request[RIGHTS] = self._doors.rights_of(visit)
        if visit.bearer is not None:
            (self._doors.tries.was_right if rights is Rights.ACT else self._doors.tries.was_wrong)(address)
        if request.method not in ("GET", "HEAD"):
            refused = self._refused_to_act(request, rights, visit)
            return refused if refused is not None else await handler(request)
        if rights < _needed_to_look_at(request.path):
            return self._stranger(request, visit)
        return await handler(request)

    def refusal(
        self, request: web.Request, status: int, title: str, text: str, *, headers: dict[str, str] | None = None
    ) -> web.Response:
        """Return why not: as a page to a person, as JSON to a program."""
        if request.path.startswith(_FOR_PROGRAMS):
            body, content_type = Problem(error=text).model_dump_json(), "application/json"
        else:
            back = {"To the overview": "/"} | ({"Sign in": "/login"} if status == 403 else {})
            body, content_type = self._documents.message(title, text, links=back), "text/html"
        return web.Response(status=status, text=body, content_type=content_type, headers=headers)

    def too_many_tries(self, request: web.Request, wait_seconds: float) -> web.Response:
        """Return that nothing from this address is looked at for a while."""
        text = f"Too many wrong tokens came from your address. Try again in {wait_seconds:.0f} s."
        headers = {"Retry-After": f"{wait_seconds:.0f}"}
        return self.refusal(request, 429, "Wait a moment", text, headers=headers)

    def _refused_to_act(self, request: web.Request, rights: Rights, visit: Visit) -> web.Response | None:
        if rights is not Rights.ACT and request.path != "/login":
            text = "This needs the token, which the gateway showed at its first start. Nothing was done."
            return self.refusal(request, 403, "This needs the token", text)
        if not is_same_origin(request.headers, carries_token=visit.bearer is not None):
            text = "This was asked by a page of another site, or by one that does not say where it is from. Nothing was done."
            return self.refusal(request, 403, "Not from there", text)
        return None

    def _stranger(self, request: web.Request, visit: Visit) -> web.Response:
        if request.path.startswith(_FOR_PROGRAMS):
            text = "the token is wrong" if visit.bearer is not None else "this needs the token: Authorization: Bearer <token>"
            answer = self.refusal(request, 401, "Who is there?", text)
            answer.headers["WWW-Authenticate"] = 'Bearer realm="xyte-gateway"'
            return answer
        return web.Response(status=303, headers={"Location": f"/login?then={quote(request.path_qs, safe='/')}"})


def _needed_to_look_at(path: str) -> Rights:
    if path.startswith(_OPEN):
        return Rights.NONE
    return Rights.PROBE if path == "/readyz" else Rights.LOOK


def _visit(request: web.Request) -> Visit:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return Visit(
        host=request.headers.get("Host", ""),
        bearer=token.strip() if scheme.lower() == "bearer" else None,
        cookie=request.cookies.get(COOKIE),
        is_from_here=_is_from_here(request),
        is_forwarded=any(name in request.headers for name in _FORWARDED),
    )


def _is_from_here(request: web.Request) -> bool:
    if request.transport is None:
        return False
    here, there = (request.transport.get_extra_info(end) for end in ("sockname", "peername"))
    return bool(here and there) and here[0] == there[0]
