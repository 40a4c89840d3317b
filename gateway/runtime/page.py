"""Put the status page of a running gateway together: its tokens, its address, and what it records in the timeline."""

from __future__ import annotations

import logging
from functools import partial

from gateway.config.settings import Configuration
from gateway.runtime.parts import StatusPage
from gateway.state.history.timeline import EventKind
from gateway.state.parts import StateParts
from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.token_command import sign_in_help
from gateway.status.auth.token_file import load_or_create_token, token_file
from gateway.status.auth.tokens import Token
from gateway.status.history import History
from gateway.status.kept_values import KeptValues
from gateway.status.listening.endpoint import FormerAddress, endpoint_of
from gateway.status.listening.former_address import forget_former_address, keep_former_address, kept_former_address
from gateway.status.server import StatusServer
from gateway.status.view import View

log = logging.getLogger(__name__)


def build_page(
    configuration: Configuration,
    state: StateParts,
    view: View,
    history: History,
    kept_values: KeptValues,
    *,
    former: FormerAddress | None = None,
) -> StatusPage:
    """Return the status page with its tokens.

    `former` is where it was before its address was changed; by default where it was when an earlier process kept that.
    """
    settings = configuration.settings
    section = settings.status
    tokens = load_or_create_token(token_file(settings.store.path))
    help_texts = sign_in_help(settings.gateway.name, configuration.file)
    if tokens.created is None:
        log.info("to sign in on the status page without a token at hand, make one: %s", help_texts.command)
    tokens.on_change = partial(state.timeline.record, EventKind.ACCESS)
    store = settings.store.path
    if former is not None and former != FormerAddress(section.host, section.port):
        keep_former_address(store, former)
    kept = former or kept_former_address(store)

    def note_use(token: Token) -> None:
        nonlocal kept
        tokens.note_use(token)
        if kept is not None and server.why_at_former_address is None and server.why_without_certificate is None:
            kept = None  # the new address works: somebody is there
            forget_former_address(store)

    auth = TokenAuth(tokens.tokens, host=section.host, on_use=note_use)
    auth.on_event = state.timeline.record
    server = StatusServer(
        view,
        history,
        auth,
        endpoint=endpoint_of(section, store, kept),
        hub_gone_limit=section.hub_gone_limit,
        kept_values=kept_values,
        sign_in_help=help_texts,
    )
    return StatusPage(server=server, history=history, kept_values=kept_values, tokens=tokens)


def address_notice(page: StatusPage | None, configuration: Configuration) -> str | None:
    """Return that the page is not served as its configuration says; `None` where it is."""
    if page is not None and (problem := page.server.why_without_certificate) is not None:
        return f"this page is served without TLS, to this machine alone, until its certificate can be used: {problem}"
    why = None if page is None else page.server.why_at_former_address
    if why is None:
        return None
    status = configuration.settings.status
    return f"this page is at its former address, since it cannot be served at port {status.port} of {status.host}: {why}"
