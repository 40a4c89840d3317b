"""Serve one of our pages: access control, sign-in, static files and `/healthz` at one address, retried until it can be bound."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Iterable
from contextlib import AsyncExitStack
from itertools import count
from typing import Final

from aiohttp import web

from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.middleware import AuthMiddleware
from gateway.status.auth.sign_in import SignIn
from gateway.status.declared_routes import MAX_BODY_BYTES, DeclaredRoute, RouteTable, get
from gateway.status.health import Health
from gateway.status.hosts import local_host_for
from gateway.status.listening.certificate import CertificateUnusable, PageCertificate
from gateway.status.listening.client_addresses import is_in
from gateway.status.listening.connections import Connections
from gateway.status.listening.endpoint import Endpoint
from gateway.status.listening.listener import Listener, Sockets, bind, most_connections
from gateway.status.listening.work_budget import WorkBudget
from gateway.status.render.assets import load_assets
from gateway.status.render.sign_in_help import SignInHelp
from gateway.status.render.templates import Templates
from gateway.status.rights import Rights
from gateway.status.routes.json_responses import json_response
from gateway.status.routes.language import LanguageRoutes
from gateway.status.who_answers import LOOPBACK, RUN_ID, Answerer, store_id, who_answers
from gateway.tasks import end_tasks

log = logging.getLogger(__name__)

BIND_RETRY_SECONDS: Final = 30.0
"""Wait before an address that cannot be bound is tried again; meanwhile the gateway works without a page."""
STOP_SECONDS: Final = 0.5
REST_SECONDS: Final = 75.0
"""A connection may rest so long between two requests: longer than common proxies let theirs rest."""
_NUMBERS: Final = count(1)
LINGER_SECONDS: Final = 2.0
"""The rest of a body that nobody reads is waited for so long."""


class BaseServer:
    """A page behind the access control. Subclasses add their routes; sign-in, static files and `/healthz` are here."""

    def __init__(
        self,
        auth: TokenAuth,
        endpoint: Endpoint,
        sign_in_help: SignInHelp | None = None,
        *,
        most_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        """Put together the parts that all pages share.

        Args:
            auth: decides who may look and act.
            endpoint: where and how it is served.
            sign_in_help: what the sign-in page says; `None` for what fits every gateway.
            most_body_bytes: a larger body is refused.
        """
        sign_in_help = sign_in_help or SignInHelp()
        self._number = next(_NUMBERS)
        self._endpoint = endpoint
        self._gateway_name = sign_in_help.gateway
        self.listens = asyncio.Event()
        """Set once the page can be reached."""
        self.why_at_former_address: str | None = None
        """Why the page is where it was before its address was changed; `None` where it is at the one that was asked for."""
        self.why_without_certificate: str | None = None
        """Why the certificate cannot be used, while the page is served to this machine alone; `None` where it is used."""
        self.address = ""
        """The URL of the page, once it can be reached."""
        self._connections = Connections(most_connections(), shares_all=lambda client: is_in(client, endpoint.trusted_proxies))
        assets = load_assets()
        self._templates = Templates(assets)
        self._work = WorkBudget()
        self._routes = RouteTable()
        self._middleware = AuthMiddleware(
            *(auth, self._templates, self._work, self._routes.needs_of_request),
            reads_its_body=self._routes.reads_its_body,
            trusted_proxies=endpoint.trusted_proxies,
        )
        self._application = web.Application(client_max_size=most_body_bytes, middlewares=self._middleware.middlewares)
        self._application.on_response_prepare.append(self._middleware.add_security_headers)
        self._add_routes(SignIn(self._templates, self._middleware, auth, assets, sign_in_help).routes())
        self._add_routes(LanguageRoutes(self._middleware).routes())
        self._add_routes([get("/healthz", self._healthz, needs=Rights.NONE)])

    def _add_routes(self, routes: Iterable[DeclaredRoute]) -> None:
        """Add routes, each with the right that it needs."""
        self._routes.add(self._application, routes)

    def _run_id(self) -> str:
        """Return another id for each page that this process serves: it builds the gateway anew after a restore."""
        return f"{RUN_ID}-{self._number}"

    async def _healthz(self, request: web.Request) -> web.Response:
        """Respond, which shows that the event loop turns, and say who this is."""
        del request
        store = await asyncio.to_thread(store_id, self._endpoint.store)
        return json_response(Health(gateway=self._gateway_name, store_id=store, run_id=self._run_id()))

    async def _listen(self, stack: AsyncExitStack) -> None:
        """Listen until the stack ends; try again for as long as the address cannot be bound.

        While its certificate cannot be used, the page is served to this machine alone, so that a person can mend that.
        """
        # The middleware logs our own bugs. What is left for aiohttp to log are requests that are not HTTP, each with a traceback.
        not_http = logging.getLogger(f"{__name__}.not_http")
        not_http.setLevel(logging.CRITICAL)
        runner = web.AppRunner(
            self._application,
            access_log=None,
            logger=not_http,
            shutdown_timeout=STOP_SECONDS,
            keepalive_timeout=REST_SECONDS,
            lingering_time=LINGER_SECONDS,
        )
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        server = runner.server
        if server is None:  # it was set up above
            raise RuntimeError("the server of the page has ended")
        certificate = self._endpoint.certificate
        why = None if certificate is None else _problem_of(certificate)
        sockets = None if why is None else await self._bind_to_loopback()
        if sockets is None:
            await self._serve(stack, server, *await self._bind(), certificate)
            return
        log.error("the status page is served without TLS, to this machine alone, until its certificate can be used: %s", why)
        self.why_without_certificate = why
        self._middleware.serves_this_machine_alone = True
        meanwhile = await stack.enter_async_context(AsyncExitStack())
        await self._serve(meanwhile, server, LOOPBACK, sockets, None)
        mending = asyncio.create_task(self._serve_once_mended(stack, meanwhile, server))
        stack.push_async_callback(end_tasks, {mending}, within_seconds=STOP_SECONDS)

    async def _serve_once_mended(self, stack: AsyncExitStack, meanwhile: AsyncExitStack, server: web.Server) -> None:
        """Serve the page as it was asked for, as soon as its certificate can be used."""
        certificate = self._endpoint.certificate
        while certificate is not None and (why := _problem_of(certificate)) is not None:
            self.why_without_certificate = why
            await asyncio.sleep(BIND_RETRY_SECONDS)
        await meanwhile.aclose()
        self.why_without_certificate = None
        self._middleware.serves_this_machine_alone = False
        await self._serve(stack, server, *await self._bind(), certificate)

    async def _bind_to_loopback(self) -> Sockets | None:
        """Return sockets that this machine alone reaches, at the port of the page; `None` where it is taken."""
        try:
            return await bind(LOOPBACK, self._endpoint.port)
        except OSError:
            return None

    async def _serve(
        self, stack: AsyncExitStack, server: web.Server, host: str, sockets: Sockets, certificate: PageCertificate | None
    ) -> None:
        """Take connections at these sockets until the stack ends."""
        tls = None if certificate is None else certificate.context
        await stack.enter_async_context(Listener(self._connections, server, self._work, tls=tls).serving(sockets))
        port = sockets[0].getsockname()[1]
        self.address = f"{'http' if certificate is None else 'https'}://{f'[{host}]' if ':' in host else host}:{port}"
        self.listens.set()
        if local_host_for(host) == host:
            log.info("the status page is at %s", self.address)
        else:
            log.info("the status page is at port %d of every address of this machine", port)

    async def _bind(self) -> tuple[str, Sockets]:
        """Return the host and the sockets of the page, as soon as its address is free and its certificate can be used.

        Where its address was changed and cannot be bound, they are those of the former one: a page is there to change it back.

        It is never served to others without the certificate that was asked for.
        """
        host, port, certificate = self._endpoint.host, self._endpoint.port, self._endpoint.certificate
        is_logged = False
        while True:
            try:
                if certificate is not None:
                    certificate.load()
                return host, await bind(host, port)
            except (
                OSError,
                UnicodeError,
                CertificateUnusable,
            ) as error:  # UnicodeError: a host name that cannot exist, such as "a..b"
                former = None if isinstance(error, CertificateUnusable) else await self._bind_former()
                if former is not None:
                    self.why_at_former_address = getattr(error, "strerror", None) or str(error)
                    text = "the status page cannot be served at %s port %d, and stays at its former address: %s"
                    log.warning(text, host, port, error)
                    return former
                if not is_logged:
                    who = await self._who_is_there(error)
                    log.error("the status page cannot be served at %s port %d: %s%s", host, port, error, who)  # noqa: TRY400 - says all
                is_logged = True
                await asyncio.sleep(BIND_RETRY_SECONDS)

    async def _bind_former(self) -> tuple[str, Sockets] | None:
        former = self._endpoint.former
        if former is None:
            return None
        try:
            return former.host, await bind(former.host, former.port)
        except (OSError, ValueError):  # ValueError: a host that cannot exist
            return None

    async def _who_is_there(self, error: Exception) -> str:
        """Return who has the port, as the end of a sentence; nothing where it is not taken."""
        if not isinstance(error, OSError) or error.errno != errno.EADDRINUSE:
            return ""
        endpoint = self._endpoint
        is_tls = endpoint.certificate is not None
        answer = await who_answers(local_host_for(endpoint.host), endpoint.port, endpoint.store, is_tls=is_tls)
        return "" if answer.who is Answerer.NOBODY else f"; what answers there is {answer}"


def _problem_of(certificate: PageCertificate) -> str | None:
    """Load a certificate, and return why it cannot be used."""
    try:
        certificate.load()
    except CertificateUnusable as error:
        return str(error)
    return None
