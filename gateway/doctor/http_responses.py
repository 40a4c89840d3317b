"""Judge the response of a server to a plain GET: whether it is from Xyte, or from something in between. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from gateway.cloud.protocol.response_errors import http_date, printable_words
from gateway.models import Finding
from gateway.url_secrets import without_url_secrets

MAX_LOCATION = 200
"""The most characters of a link that are shown."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """The beginning of an HTTP response."""

    status: int
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes

    @classmethod
    def parse(cls, raw: bytes) -> HttpResponse | None:
        """Return the response in these bytes; `None` when they are not HTTP."""
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdecimal():
            return None
        fields = (line.partition(":") for line in rest)
        return cls(int(status[:3]), {name.strip().lower(): value.strip() for name, _, value in fields}, body)

    @property
    def date(self) -> datetime | None:
        """The server's time, aware; `None` if it is missing or invalid."""
        return http_date(self.headers.get("date", ""))

    @property
    def is_html(self) -> bool:
        """Whether it is a page for people."""
        return self.body.lstrip()[:1] == b"<"


def response_finding(what: str, url: str, response: HttpResponse | None, milliseconds: float) -> Finding:
    """Return the finding on a response.

    Args:
        what: the name of the check.
        url: the address of the server.
        response: `None` when the server did not answer in HTTP.
        milliseconds: the time that the response took.
    """
    parts = urlsplit(url)
    direct = f"make sure that {parts.netloc} is reached directly, without a proxy and without signing in"
    if response is None:
        meaning = f"{parts.netloc} answers, but not in HTTP: another program listens there"
        return Finding.fault(what, meaning, f"correct its port, or {direct}")
    if response.status == 407:
        return Finding.fault(what, f"a proxy that requires a password answers for {parts.netloc}", direct)
    if response.status == 511 or (parts.scheme == "http" and _redirects_elsewhere(response, parts.hostname or "")):
        page = without_url_secrets(printable_words(response.headers.get("location", "")[:MAX_LOCATION]))
        meaning = f"the network requires a person to sign in first{f', at {page}' if page else ''}"
        return Finding.fault(what, f"{meaning}: it answers for {parts.netloc}", f"sign this machine in, or {direct}")
    if parts.scheme == "http" and response.is_html and response.status < 500:
        meaning = f"{parts.netloc} answers with a page for people: a captive portal, a proxy or another server"
        return Finding.fault(what, meaning, direct)
    if response.status >= 500:
        fix = "wait: nothing is lost, and the gateway tries again by itself; if it stays, ask Xyte"
        return Finding.warning(
            what, f"{parts.netloc} answers {response.status}: it, or a server in front of it, has a problem", fix
        )
    return Finding.fine(what, f"{parts.netloc} answers, in {milliseconds:.0f} ms")


def _redirects_elsewhere(response: HttpResponse, host: str) -> bool:
    if not 300 <= response.status < 400:
        return False
    try:
        target = urlsplit(response.headers.get("location", "")).hostname
    except ValueError:  # a link that nobody can follow is not from Xyte
        return True
    return target is not None and target != host
