"""Send one HTTP request to a Xyte server: once, within a time limit, with a bounded response. The only file here with aiohttp.

aiohttp's errors contain the request headers, and parser errors the response: both may contain a key. So none of them is chained
to our errors; their content goes into our own sentences.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from gateway.causes import Cause
from gateway.cloud.protocol.refused_addresses import REASON, is_refused_address
from gateway.cloud.protocol.response_errors import (
    MAX_ERROR_TEXT,
    ApiCall,
    HubResponse,
    http_date,
    parse_response,
    printable_words,
)
from gateway.cloud.protocol.trusted_urls import validated_url
from gateway.cloud.server_clock import ServerClock
from gateway.errors import HubUnreachable, SettingsError, SettingsProblem
from gateway.plain_numbers import seconds_text
from gateway.tasks import loop_time

T = TypeVar("T")

OnCall: TypeAlias = Callable[[str, int | None, float], None]
"""Called after each request: the call's name, the status or `None` without a response, the duration in seconds."""

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
"""A longer response is treated as unusable."""

FILE_CHUNK_BYTES = 64 * 1024
"""The most bytes of a file that are held in memory at once."""

MOST_USELESS_CONNECTIONS = 5
"""So many connections with data that nobody has asked for are closed before a request counts as unanswered."""

CERT_NOT_YET_VALID = 9

_TLS_ADVICE = {
    CERT_NOT_YET_VALID: "its certificate is not valid yet: check the clock of this machine",
    10: "its certificate has expired: check the clock of this machine, or renew it",
    18: "its certificate is self-signed: name it in `ca_file` to trust it",
    19: "its certificate is from an authority that this machine does not trust: name that authority's certificate in `ca_file`",
    20: "its certificate is from an authority that this machine does not trust: name that authority's certificate in `ca_file`",
    62: "its certificate is for another host name: check the address",
    64: "its certificate is for another address: use the host name",
}
"""Advice for OpenSSL's verification results (X509_V_ERR_...)."""

_DEFAULT_PORT = {"https": 443, "http": 80}


async def reachable(url: str, *, within_seconds: float = 5.0) -> bool:
    """Return whether a TCP connection to that server can be opened right now; nothing is sent over it."""
    try:
        parts = urlsplit(validated_url(url, allow_plain_http=True))
        async with asyncio.timeout(within_seconds):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or _DEFAULT_PORT[parts.scheme])
    except (OSError, ValueError):  # an untrusted URL, and a name that no resolver takes
        return False
    writer.transport.abort()
    return True


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a TLS context that trusts the system's authorities and those of the file.

    Raises:
        SettingsError: the file cannot be read or contains no certificate.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            problem = SettingsProblem(
                "cloud.ca_file", f"{ca_file}: {error.strerror or error}", "It must contain certificates in PEM form."
            )
            raise SettingsError(None, [problem]) from error
    return context


class HttpTransport:
    """The HTTP session with the Xyte servers. It retries nothing, follows no redirect and keeps no cookie.

    Enter it once: `async with HttpTransport(...) as transport`.
    """

    def __init__(self, *, tls: ssl.SSLContext, timeout_seconds: float, on_call: OnCall | None = None) -> None:
        self.clock = ServerClock()
        self._tls = tls
        self._timeout_seconds = timeout_seconds
        self._on_call = on_call
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, socket_factory=_open_socket),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "xyte-gateway"},
            timeout=aiohttp.ClientTimeout(total=None),
            middlewares=(_send_once,),
            request_class=_Request,
            trace_configs=[_sent_tracer()],
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def send(self, call: ApiCall, parse: Callable[[object], T]) -> T:
        """Carry out one call and return its parsed response.

        Raises:
            HubError: for the response, or for its absence.
        """
        return parse_response(call, await self._exchange(call), parse)

    @asynccontextmanager
    async def open_file(self, call: ApiCall) -> AsyncIterator[OpenFile]:
        """Ask for a file, without any key, and follow no redirect. Each wait is bounded by the timeout, the whole is not.

        Raises:
            HubUnreachable: there is no usable response; also while the file is received.
        """
        session, progress, started_at = self._opened(), _ExchangeProgress(), loop_time()
        response, file = await _within(call, self._begin_file(session, call, progress), progress, self._timeout_seconds)
        try:
            if self._on_call is not None:
                self._on_call(call.name, response.status, loop_time() - started_at)
            yield file
        finally:
            response.close()

    async def _begin_file(
        self, session: aiohttp.ClientSession, call: ApiCall, progress: _ExchangeProgress
    ) -> tuple[aiohttp.ClientResponse, OpenFile]:
        response = await session.get(
            URL(call.url, encoded=True),
            headers={"Accept-Encoding": "identity"},
            allow_redirects=False,
            trace_request_ctx=progress,
        )
        progress.status = response.status
        try:
            return response, OpenFile(call, response, self._timeout_seconds)
        except BaseException:
            response.close()
            raise

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use the hub within `async with`")
        return self._session

    async def _exchange(self, call: ApiCall) -> HubResponse:
        session, progress = self._opened(), _ExchangeProgress()
        started_at = loop_time()
        try:
            return await _within(call, self._request(session, call, progress), progress, self._timeout_seconds)
        finally:
            if self._on_call is not None:
                self._on_call(call.name, progress.status, loop_time() - started_at)

    async def _request(self, session: aiohttp.ClientSession, call: ApiCall, progress: _ExchangeProgress) -> HubResponse:
        async with session.request(
            call.method,
            URL(call.url, encoded=True),
            data=call.body,
            headers=_request_headers(call),
            allow_redirects=False,
            trace_request_ctx=progress,
        ) as response:
            progress.status = response.status
            self.clock.record(call.server, http_date(response.headers.get("Date", "")), datetime.now(UTC))
            return HubResponse(response.status, response.headers, await _read_bounded(response))


class OpenFile:
    """A file that a server has begun to send: implements `gateway.hub.FileResponse`."""

    def __init__(self, call: ApiCall, response: aiohttp.ClientResponse, timeout_seconds: float) -> None:
        self.status = response.status
        self.location = response.headers.get("Location")
        self.length = response.content_length if "Content-Encoding" not in response.headers else None
        self._call = call
        self._response = response
        self._timeout_seconds = timeout_seconds

    async def chunks(self) -> AsyncIterator[bytes]:
        """Return the content, piece by piece; raise `HubUnreachable` when no more arrives."""
        progress = _ExchangeProgress(sent=True, status=self.status)
        while True:
            reading = self._response.content.read(FILE_CHUNK_BYTES)
            chunk = await _within(self._call, reading, progress, self._timeout_seconds)
            if not chunk:
                return
            yield chunk


async def _within(call: ApiCall, work: Awaitable[T], progress: _ExchangeProgress, timeout_seconds: float) -> T:
    """Await what aiohttp does, and turn its errors into our own, without their cause.

    Whatever a response makes aiohttp raise, it is no response: a captive portal must not end the gateway.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            return await work
    except Exception as error:  # noqa: BLE001 - see the docstring
        failure = _failure(call, error, progress, timeout_seconds)
    raise failure


@dataclass(slots=True)
class _ExchangeProgress:
    """The progress of one HTTP exchange."""

    sent: bool = False
    status: int | None = None


class _RefusedAddress(OSError):
    """A name was resolved to an address where no hub is."""


class _ConnectionLost(aiohttp.ClientError):
    """The connection was lost after the request, or a part of it, was sent."""


class _UnaskedAnswer(aiohttp.ClientError):
    """A connection has data that nobody has asked for: its next answer would be that of another request."""


class _ResponseTooLong(aiohttp.ClientError):
    """More than `MAX_RESPONSE_BYTES`."""


def _open_socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket for a connection to an address, which is in the URL or which its host name was resolved to."""
    family, kind, protocol, _, target = address
    if is_refused_address(str(target[0])):
        raise _RefusedAddress(REASON)
    return socket.socket(family, kind, protocol)


class _Request(aiohttp.ClientRequest):
    """A request that is not sent over a connection at which an answer waits already.

    Servers and proxies send answers that nobody has asked for, such as a 408 to a connection that rests, or one answer twice.
    aiohttp would take them for the answer to the next request, as the id of another child.
    """

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Send the request.

        Raises:
            _UnaskedAnswer: nothing was sent, and the connection is closed.
        """
        if conn.protocol is not None and conn.protocol.should_close:
            raise _UnaskedAnswer
        return await super().send(conn)


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Prevent aiohttp from repeating GET, PUT and DELETE by itself, as it does for the errors caught here.

    Where nothing was sent, since an answer had come unasked, it is sent over another connection.
    """
    for _ in range(MOST_USELESS_CONNECTIONS):
        with contextlib.suppress(_UnaskedAnswer):
            return await _send(request, handler)
    return await _send(request, handler)


async def _send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        lost = _ConnectionLost()
    raise lost


def _sent_tracer() -> aiohttp.TraceConfig:
    """Return a tracer that records that a request was sent: before that it was certainly not carried out."""

    async def record(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _sent: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        context.trace_request_ctx.sent = True

    tracer = aiohttp.TraceConfig()
    tracer.on_request_headers_sent.append(record)
    return tracer


def _request_headers(call: ApiCall) -> dict[str, str]:
    """Return the headers of section 1: the key alone, without a scheme before it."""
    content_type = {} if call.body is None else {"Content-Type": call.content_type}
    return content_type | ({} if call.key is None else {"Authorization": call.key.get_secret_value()})


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > MAX_RESPONSE_BYTES:
            raise _ResponseTooLong
    return bytes(raw)


def _failure(call: ApiCall, error: Exception, progress: _ExchangeProgress, timeout_seconds: float) -> HubUnreachable:
    what = _describe(error, progress, timeout_seconds)
    return HubUnreachable(call.sentence(what), maybe_done=progress.sent, status=progress.status, cause=_cause(error))


def _cause(error: Exception) -> Cause:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Cause.CLOCK_WRONG if _verify_code(error) == CERT_NOT_YET_VALID else Cause.TLS
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Cause.NAME_UNKNOWN
    return Cause.TLS if isinstance(error, aiohttp.ClientSSLError) else Cause.HUB_UNREACHABLE


def _verify_code(error: Exception) -> int:
    """Return OpenSSL's verification result; 0 where there is none."""
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
    return cause.verify_code if isinstance(cause, ssl.SSLCertVerificationError) else 0


def _describe(error: Exception, progress: _ExchangeProgress, timeout_seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"did not {'answer' if progress.sent else 'accept a connection'} within {seconds_text(timeout_seconds)}"
    other = "sent an invalid HTTP response" if progress.sent else f"could not be called ({type(error).__name__})"
    text = next((describe(error) for kind, describe in _SENTENCES if isinstance(error, kind)), other)
    return printable_words(text)[:MAX_ERROR_TEXT]


def _tls_sentence(error: Exception) -> str:
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
    return f"cannot be trusted: {_TLS_ADVICE.get(_verify_code(error), str(cause))}"


def _no_connection(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, _RefusedAddress):
        return f"has {REASON}: nothing was sent"
    number = error.errno if isinstance(error, OSError) else None
    return f"accepts no connection: {os.strerror(number) if number else 'no reason given'}"


_SENTENCES: tuple[tuple[type[Exception], Callable[[Exception], str]], ...] = (
    (aiohttp.ClientConnectorCertificateError, _tls_sentence),
    (aiohttp.ClientConnectorDNSError, lambda _: "cannot be found: its name does not resolve"),
    (aiohttp.ClientSSLError, lambda _: "does not support TLS, or no version that this machine allows"),
    (aiohttp.ClientConnectorError, _no_connection),
    (_ResponseTooLong, lambda _: f"answered with more than {MAX_RESPONSE_BYTES // 1024 // 1024} MB"),
    (aiohttp.ClientPayloadError, lambda _: "closed the connection in the middle of its response"),
    (_UnaskedAnswer, lambda _: "answers before it is asked"),
    (_ConnectionLost, lambda _: "closed the connection instead of answering"),
    (aiohttp.ClientOSError, lambda _: "closed the connection instead of answering"),
    (OSError, lambda error: f"was lost: {error}"),
)
"""The most specific errors first."""
