"""One exchange with a Xyte server, over the one session: sent once, ended in time, bounded. The only file that knows aiohttp.

aiohttp's errors hold the request's headers, and a parser's errors the answer: a key is in both. So none of them is chained to
ours; what they know is in our sentence.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Self, TypeAlias, TypeVar
from urllib.parse import urlsplit

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from gateway.cloud.protocol.response_errors import Answer, Call, understood
from gateway.cloud.protocol.trusted_urls import UntrustedAddress, validated_url
from gateway.errors import HubUnreachable, SettingsError, SettingsProblem

T = TypeVar("T")

OnCall: TypeAlias = Callable[[str, int | None, float], None]
"""Told after each exchange: the call's name, the status or `None` when there was no answer, seconds."""

ANSWER_BYTES = 8 * 1024 * 1024
"""A longer answer is none."""

_TLS_ADVICE = {
    9: "its certificate is not valid yet: check the clock of this machine",
    10: "its certificate has expired: check the clock of this machine, or renew it",
    18: "its certificate is signed by itself: name it in `ca_file` if it is to be trusted",
    19: "its certificate is from an authority that this machine does not know: name that authority's certificate in `ca_file`",
    20: "its certificate is from an authority that this machine does not know: name that authority's certificate in `ca_file`",
    62: "its certificate is for another host name: check the address",
    64: "its certificate is for another address: use the host name",
}
"""OpenSSL's verification results (X509_V_ERR_...) to what a person can do."""

_USUAL_PORT = {"https": 443, "http": 80}


async def reachable(url: str, *, within_seconds: float = 5.0) -> bool:
    """Tell whether a TCP connection to that server can be opened right now; nothing is sent over it."""
    try:
        parts = urlsplit(validated_url(url, allow_plain_http=True))
        async with asyncio.timeout(within_seconds):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port or _USUAL_PORT[parts.scheme])
    except (OSError, UntrustedAddress):
        return False
    writer.transport.abort()
    return True


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context that trusts the system's authorities, and those of the file in addition.

    Raises:
        SettingsError: the file cannot be read or holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except OSError as error:
            problem = SettingsProblem(
                "cloud.ca_file", f"{ca_file}: {error.strerror or error}", "It must hold certificates in PEM form."
            )
            raise SettingsError(None, [problem]) from error
    return context


class Wire:
    """The one session with the Xyte servers. Nothing is retried, no redirect followed, no cookie kept.

    Entered once: `async with Wire(...) as wire`.
    """

    def __init__(self, *, tls: ssl.SSLContext, timeout_seconds: float, on_call: OnCall | None = None) -> None:
        self._tls = tls
        self._timeout_seconds = timeout_seconds
        self._on_call = on_call
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": "xyte-gateway"},
            timeout=aiohttp.ClientTimeout(total=None),
            middlewares=(_send_once,),
            trace_configs=[_sending_noted()],
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, call: Call, read: Callable[[object], T]) -> T:
        """Carry out one call and return what its answer says.

        Raises:
            HubError: what the answer, or its absence, means.
        """
        return understood(call, await self._exchange(call), read)

    async def _exchange(self, call: Call) -> Answer:
        clock, journey = asyncio.get_running_loop().time, _Journey()
        started = clock()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._send(call, journey)
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:  # the second: aiohttp without its C parser
            failure = _failure(call, error, journey, self._timeout_seconds)
        finally:
            if self._on_call is not None:
                self._on_call(call.name, journey.status, clock() - started)
        raise failure

    async def _send(self, call: Call, journey: _Journey) -> Answer:
        if self._session is None:
            raise RuntimeError("a hub is used within `async with`")
        async with self._session.request(
            call.method,
            URL(call.url, encoded=True),
            data=call.body,
            headers=_headers(call),
            allow_redirects=False,
            trace_request_ctx=journey,
        ) as response:
            journey.status = response.status
            return Answer(response.status, response.headers, await _bounded(response))


@dataclass(slots=True)
class _Journey:
    """How far one exchange came."""

    sent: bool = False
    status: int | None = None


class _ConnectionLost(aiohttp.ClientError):
    """The connection went after the request, or a part of it, was sent."""


class _AnswerTooLong(aiohttp.ClientError):
    """More than `ANSWER_BYTES`."""


async def _send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending GET, PUT and DELETE again by itself: it does so for the errors caught here."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
        lost = _ConnectionLost()
    raise lost


def _sending_noted() -> aiohttp.TraceConfig:
    """Return a tracer that notes the moment before which a request certainly was not carried out."""

    async def note(
        _session: aiohttp.ClientSession, context: SimpleNamespace, _sent: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        context.trace_request_ctx.sent = True

    tracer = aiohttp.TraceConfig()
    tracer.on_request_headers_sent.append(note)
    return tracer


def _headers(call: Call) -> dict[str, str]:
    """Return the headers of section 1: the key bare, without a scheme word before it."""
    content_type = {} if call.body is None else {"Content-Type": call.content_type}
    return content_type | ({} if call.key is None else {"Authorization": call.key.get_secret_value()})


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    raw = bytearray()
    async for chunk in response.content.iter_any():
        raw += chunk
        if len(raw) > ANSWER_BYTES:
            raise _AnswerTooLong
    return bytes(raw)


def _failure(call: Call, error: Exception, journey: _Journey, timeout_seconds: float) -> HubUnreachable:
    what = _what_went_wrong(error, journey, timeout_seconds)
    return HubUnreachable(call.sentence(what), maybe_done=journey.sent, status=journey.status)


def _what_went_wrong(error: Exception, journey: _Journey, timeout_seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"did not {'answer' if journey.sent else 'take a connection'} within {timeout_seconds:g} s"
    return next((say(error) for kind, say in _SENTENCES if isinstance(error, kind)), "answered by no rule of HTTP")


def _tls_sentence(error: Exception) -> str:
    cause = error.certificate_error if isinstance(error, aiohttp.ClientConnectorCertificateError) else error
    code = cause.verify_code if isinstance(cause, ssl.SSLCertVerificationError) else None
    return f"cannot be trusted: {_TLS_ADVICE.get(code or 0, str(cause))}"


def _no_connection(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    return f"takes no connection: {os.strerror(number) if number else 'no reason given'}"


_SENTENCES: tuple[tuple[type[Exception], Callable[[Exception], str]], ...] = (
    (aiohttp.ClientConnectorCertificateError, _tls_sentence),
    (aiohttp.ClientConnectorDNSError, lambda _: "cannot be found: its name does not resolve"),
    (aiohttp.ClientSSLError, lambda _: "does not speak TLS, or not a version that this machine allows"),
    (aiohttp.ClientConnectorError, _no_connection),
    (_AnswerTooLong, lambda _: f"answered with more than {ANSWER_BYTES // 1024 // 1024} MB"),
    (aiohttp.ClientPayloadError, lambda _: "broke off in the middle of its answer"),
    (_ConnectionLost, lambda _: "closed the connection instead of answering"),
    (aiohttp.ClientOSError, lambda _: "closed the connection instead of answering"),
    (OSError, lambda error: f"was lost: {error}"),
)
"""The most specific first."""
