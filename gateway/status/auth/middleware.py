"""Check every request before its handler runs, add security headers to every response, and turn errors into responses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, TypeAlias
from urllib.parse import quote

from aiohttp import web

from gateway.errors import GatewayError
from gateway.status.auth.access_control import AccessRequest, TokenAuth, is_same_origin
from gateway.status.auth.wrong_tokens import DELAY_SECONDS
from gateway.status.declared_routes import Handler
from gateway.status.hosts import is_host, is_loopback, without_port
from gateway.status.languages.catalogue import Languages
from gateway.status.languages.language import ENGLISH, wanted_code
from gateway.status.languages.texts import current_language, gettext_noop, localized, set_language
from gateway.status.languages.texts import gettext as _
from gateway.status.listening.client_addresses import Networks, client_behind, client_group, is_in
from gateway.status.listening.connections import HEAD_SECONDS, Phase
from gateway.status.listening.protocol import connection_of
from gateway.status.listening.work_budget import Client, TooMuchWork, WorkBudget
from gateway.status.operations.operation import ErrorResponse
from gateway.status.render.templates import Templates
from gateway.status.requester_context import acting_for
from gateway.status.rights import Rights, Visitor

log = logging.getLogger(__name__)

COOKIE: Final = "xyte_gateway"
LANGUAGE_COOKIE: Final = "language"
RIGHTS: Final = web.RequestKey("rights", Rights)
VISITOR: Final = web.RequestKey("visitor", Visitor)

SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",  # not `no-referrer`: browsers would then hide the origin of our own forms from us
    "Server": "xyte-gateway",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

_PROGRAM_PATHS: Final = ("/api/", "/live", "/metrics", "/readyz", "/healthz")
_ENGLISH_PATHS: Final = ("/api/", "/metrics", "/readyz", "/healthz", "/static/")
_PROXY_HEADERS: Final = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Via")

_ERROR_TEXTS: Final = {
    400: (gettext_noop("Bad request"), gettext_noop("The request could not be understood.")),
    404: (
        gettext_noop("Not found"),
        gettext_noop("There is no such page. A child or a bus that was shown here may have been removed."),
    ),
    405: (gettext_noop("Method not allowed"), gettext_noop("This address does not support that method.")),
    408: (gettext_noop("Too slow"), gettext_noop("The request did not arrive in time.")),
    413: (gettext_noop("Too large"), gettext_noop("The request is larger than this page accepts.")),
    415: (gettext_noop("Unsupported format"), gettext_noop("This address accepts only what its own form sends.")),
    500: (
        gettext_noop("Something went wrong"),
        gettext_noop("This page could not be created. The log gives the reason; the gateway itself keeps running."),
    ),
}

THIS_MACHINE_ALONE: Final = gettext_noop(
    "The certificate of this page cannot be used. Until it can, the page is served without TLS, and to the machine of the "
    "gateway alone."
)

RETRY_SECONDS: Final = 10
"""A client whose request was refused for want of time is told to wait so long."""

NeedsOfRequest: TypeAlias = Callable[[web.Request], Rights]


class AuthMiddleware:
    """The middlewares of the server, the outermost first, and the hook that adds the security headers."""

    def __init__(
        self,
        auth: TokenAuth,
        templates: Templates,
        work: WorkBudget,
        needs_of_request: NeedsOfRequest,
        *,
        reads_its_body: Callable[[web.Request], bool] = lambda request: False,
        trusted_proxies: Networks = (),
    ) -> None:
        self._auth = auth
        self._needs_of_request = needs_of_request
        self._reads_its_body = reads_its_body
        self._work = work
        self._templates = templates
        self._trusted_proxies = trusted_proxies
        self.languages = Languages()
        self.serves_this_machine_alone = False
        """Whether requests that a proxy or a tunnel passes on for other machines are refused."""
        self.middlewares = (self.errors_as_responses, self.check_access)

    async def add_security_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Add the headers that every response carries."""
        for name, value in SECURITY_HEADERS.items():
            response.headers[name] = value
        if request.secure or is_loopback(without_port(request.headers.get("Host", ""))):  # elsewhere browsers complain
            response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers.setdefault("Cache-Control", "no-store")
        if response.content_type == "text/html":
            response.headers["Content-Language"] = current_language().code
            response.headers["Vary"] = "Accept-Language, Cookie"

    @web.middleware
    async def errors_as_responses(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer every failure with a sentence, never with a stack trace."""
        connection = connection_of(request.transport)
        set_language(ENGLISH)  # one task answers all requests of a connection
        if not request.path.startswith(_ENGLISH_PATHS):
            set_language(await self.languages.find(language_of(request)))
        try:
            return await self._answer_in_turn(request, handler)
        except TooMuchWork:
            text = _("The page gets more requests than it has time for. Try again in %(seconds)s s.", seconds=RETRY_SECONDS)
            return self.error_response(request, 429, _("Too many requests"), text, headers={"Retry-After": str(RETRY_SECONDS)})
        except web.HTTPException as error:
            if error.status < 400:
                raise
            title, text = _error_texts(error.status, error.reason)
            allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
            return self.error_response(request, error.status, title, text, headers=allowed)
        except GatewayError as error:
            return self.error_response(
                request,
                503,
                _("Temporarily unavailable"),
                _("The gateway cannot answer this: %(why)s", why=localized(str(error))),
            )
        except (web.RequestPayloadError, ConnectionError):  # the client has gone, or its body cannot be unpacked
            return self.error_response(request, 400, *_error_texts(400))
        except Exception:  # the last place where a bug can become a response that has headers and text, and no stack trace
            log.exception("%s %s failed", request.method, request.path)
            return self.error_response(request, 500, *_error_texts(500))
        finally:
            connection.enter(Phase.RESTING)

    async def _answer_in_turn(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer a request when its client has time left for it; further ones of its connection are not read meanwhile."""
        visitor = request[VISITOR] = self._auth.visitor_of(_access_request(request))
        request[RIGHTS] = visitor.rights
        connection = connection_of(request.transport)
        connection.enter(Phase.WAITING)
        async with self._work.turn(Client(self.client_of(request), has_token=visitor.has_token)) as turn:
            connection.enter(Phase.ARRIVING)
            if not _has_valid_host(request):
                return self.error_response(request, 400, _("Bad request"), _("The Host header is missing, or is not a host."))
            if self.serves_this_machine_alone and not self._is_of_this_machine(request):
                return self.error_response(request, 403, _("Not allowed"), _(THIS_MACHINE_ALONE))
            return await turn.measured(handler(request))

    def _is_of_this_machine(self, request: web.Request) -> bool:
        """Whether a request was made on this machine: it names loopback, and no proxy says that it asks for another machine."""
        return is_loopback(without_port(request.headers.get("Host", ""))) and not any(
            header in request.headers for header in _PROXY_HEADERS
        )

    @web.middleware
    async def check_access(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass a request on only if it may do what it asks for."""
        access = _access_request(request)
        visitor = request[VISITOR]
        if access.bearer is not None and not visitor.has_token:
            refusal = await self.wrong_token(request)
            if refusal is not None:
                return refusal
        is_action = request.method not in ("GET", "HEAD")
        needs = self._needs_of_request(request)
        if is_action and (refusal := self._action_refusal(request, visitor, needs, access)) is not None:
            return refusal
        if not is_action and visitor.rights < needs:
            return self._may_not_see(request, visitor, needs, access)
        if is_action and not self._reads_its_body(request):
            await _read_body(request)
        connection_of(request.transport).enter(Phase.WORKING)
        with acting_for(visitor.token_name if is_action else None):
            return await handler(request)

    def client_of(self, request: web.Request) -> str:
        """Return who sent a request, also through a trusted proxy."""
        forwarded_for = ",".join(request.headers.getall("X-Forwarded-For", []))
        return client_group(client_behind(request.remote or "", forwarded_for, self._trusted_proxies))

    def viewer_of(self, request: web.Request) -> str:
        """Return whose page a live one is: people behind one address have tokens of their own, and each has a share."""
        name = request[VISITOR].token_name
        return self.client_of(request) if name is None else f"{self.client_of(request)} with the token {name}"

    def may_still(self, request: web.Request) -> Callable[[], bool]:
        """Return what tells, while a response takes long, whether its visitor still has the right that it needs."""
        access, needs = _access_request(request), self._needs_of_request(request)
        return lambda: self._auth.visitor_of(access).rights >= needs

    def is_secure(self, request: web.Request) -> bool:
        """Whether a request came over TLS, to us or to a trusted proxy."""
        is_tls_at_proxy = request.headers.get("X-Forwarded-Proto", "").lower() == "https"
        return request.secure or (is_tls_at_proxy and is_in(request.remote or "", self._trusted_proxies))

    def error_response(
        self, request: web.Request, status: int, title: str, text: str, *, headers: dict[str, str] | None = None
    ) -> web.Response:
        """Return an error: a page for people, JSON for programs."""
        if request.path.startswith(_PROGRAM_PATHS):
            body, content_type = ErrorResponse(error=text).model_dump_json(), "application/json"
        else:
            links = {_("To the overview"): "/"} | ({_("Sign in"): "/login"} if status == 403 else {})
            body, content_type = self._templates.message(title, text, links=links), "text/html"
        return web.Response(status=status, text=body, content_type=content_type, headers=headers)

    async def wrong_token(self, request: web.Request) -> web.Response | None:
        """Count a wrong token; return the refusal of a client that has sent too many of them, after a while."""
        client, wrong_tokens = self.client_of(request), self._auth.wrong_tokens
        wait_seconds = wrong_tokens.seconds_to_wait(client)
        wrong_tokens.record(client)
        if wait_seconds <= 0:
            return None
        await asyncio.sleep(DELAY_SECONDS)
        rounded = f"{wait_seconds:.0f}"
        text = _(
            "The token is wrong, and your address has sent too many: it waits %(seconds)s s. A right one works at once.",
            seconds=rounded,
        )
        headers = {"Retry-After": rounded}
        return self.error_response(request, 429, _("Too many wrong tokens"), text, headers=headers)

    def _action_refusal(
        self, request: web.Request, visitor: Visitor, needs: Rights, access: AccessRequest
    ) -> web.Response | None:
        if visitor.rights < needs:
            return self._not_allowed(request, visitor, needs, " " + _("Nothing was changed."))
        if not is_same_origin(request.headers, carries_token=access.bearer is not None):
            text = _("This request came from a page of another site, or from one that hides its origin. Nothing was changed.")
            return self.error_response(request, 403, _("Wrong origin"), text)
        return None

    def _may_not_see(self, request: web.Request, visitor: Visitor, needs: Rights, access: AccessRequest) -> web.Response:
        if visitor.has_token or visitor.rights >= Rights.LOOK:
            return self._not_allowed(request, visitor, needs, "")
        return self._ask_to_sign_in(request, access)

    def _not_allowed(self, request: web.Request, visitor: Visitor, needs: Rights, consequence: str) -> web.Response:
        """Return the refusal of what this visitor may not do, with the way to a token that may."""
        what = _("This needs a token that may %(right)s", right=_(needs.name.lower()))
        if not visitor.has_token and request.path.startswith(_PROGRAM_PATHS):
            how = "the one that was sent is wrong" if "Authorization" in request.headers else "Authorization: Bearer <token>"
            return self._token_required(request, f"{what}: {how}.{consequence}")
        if not visitor.has_token:
            return self.error_response(request, 403, _("Token required"), f"{what}.{consequence}")
        own = _("the token %(name)s may %(right)s", name=visitor.token_name, right=_(visitor.rights.name.lower()))
        text = f"{what}; {own}.{consequence}"
        return self.error_response(request, 403, _("Not allowed"), text)

    def _ask_to_sign_in(self, request: web.Request, access: AccessRequest) -> web.Response:
        if request.path.startswith(_PROGRAM_PATHS):
            text = "the token is wrong" if access.bearer is not None else "a token is required: Authorization: Bearer <token>"
            return self._token_required(request, text)
        return web.Response(status=303, headers={"Location": f"/login?then={quote(request.path_qs, safe='/')}"})

    def _token_required(self, request: web.Request, text: str) -> web.Response:
        """Return the refusal of a program that has shown no token, or a wrong one (RFC 9110, 15.5.2)."""
        headers = {"WWW-Authenticate": 'Bearer realm="xyte-gateway"'}
        return self.error_response(request, 401, "Token required", text, headers=headers)


def _error_texts(status: int, reason: str = "") -> tuple[str, str]:
    """Return the title and the text of an error."""
    title, text = _ERROR_TEXTS.get(status, (reason, reason))
    return _(title), _(text)


def language_of(request: web.Request) -> str:
    """Return the code of the language in which a request is answered."""
    return wanted_code(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("Accept-Language", ""))


def _has_valid_host(request: web.Request) -> bool:
    """Whether there is one valid `Host`; HTTP/1.0 may do without."""
    hosts = request.headers.getall("Host", [])
    return is_host(hosts[0]) if len(hosts) == 1 else not hosts and request.version == (1, 0)


async def _read_body(request: web.Request) -> None:
    """Wait for the body, which is small, before its handler begins.

    Raises:
        HTTPRequestEntityTooLarge: it is larger than anything that is accepted.
        HTTPRequestTimeout: it did not arrive in time.
    """
    if (request.content_length or 0) > request.client_max_size:  # aiohttp would read that much before it refuses it
        raise web.HTTPRequestEntityTooLarge(request.client_max_size, request.content_length or 0)
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            await request.read()
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error


def _access_request(request: web.Request) -> AccessRequest:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return AccessRequest(
        host=request.headers.get("Host", ""),
        bearer=token.strip() if scheme.lower() == "bearer" else None,
        cookie=request.cookies.get(COOKIE),
        is_from_here=_is_from_here(request),
        is_forwarded=any(name in request.headers for name in _PROXY_HEADERS),
    )


def _is_from_here(request: web.Request) -> bool:
    if request.transport is None:
        return False
    local, remote = (request.transport.get_extra_info(end) for end in ("sockname", "peername"))
    return bool(local and remote) and local[0] == remote[0]
