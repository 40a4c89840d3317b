"""What a server's answer to a plain GET means: Xyte itself, or something that stands before it. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from gateway.models import Finding


@dataclass(frozen=True, slots=True)
class Answer:
    """The beginning of an answer."""

    status: int
    headers: Mapping[str, str]
    """By names in small letters."""
    body: bytes

    @classmethod
    def of(cls, raw: bytes) -> Answer | None:
        """Return what was answered; `None` when it is no HTTP."""
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        version, _, status = first.partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdecimal():
            return None
        fields = (line.partition(":") for line in rest)
        return cls(int(status[:3]), {name.strip().lower(): value.strip() for name, _, value in fields}, body)

    @property
    def date(self) -> datetime | None:
        """What time it is there; `None` when it does not say."""
        try:
            return parsedate_to_datetime(self.headers["date"])
        except (KeyError, ValueError):
            return None

    @property
    def is_page(self) -> bool:
        """A page for people."""
        return self.body.lstrip()[:1] == b"<"


def judged(what: str, url: str, answer: Answer | None, milliseconds: float) -> Finding:
    """Return what an answer means.

    Args:
        what: who was asked.
        url: the address.
        answer: `None` when there was none in HTTP.
        milliseconds: how long it took.
    """
    parts = urlsplit(url)
    way = f"have {parts.netloc} reached directly, without a proxy and without signing in"
    if answer is None:
        return Finding.fault(
            what, f"{parts.netloc} answers, but not in HTTP: something else listens there", f"mend its port, or {way}"
        )
    if answer.status == 407:
        return Finding.fault(what, f"a proxy that wants a password answers for {parts.netloc}", way)
    if answer.status == 511 or (parts.scheme == "http" and _leads_elsewhere(answer, parts.hostname or "")):
        page = answer.headers.get("location", "")
        meaning = f"the network wants somebody to sign in first{f', at {page}' if page else ''}"
        return Finding.fault(what, f"{meaning}: it answers for {parts.netloc}", f"sign this machine in, or {way}")
    if parts.scheme == "http" and answer.is_page and answer.status < 500:
        return Finding.fault(what, f"a page for people answers for {parts.netloc}: a portal, a proxy or another server", way)
    if answer.status >= 500:
        fix = "wait: nothing is lost, and the gateway tries again by itself; if it stays, ask Xyte"
        return Finding.warning(what, f"{parts.netloc} answers {answer.status}: it, or what stands before it, is not well", fix)
    return Finding.fine(what, f"{parts.netloc} answers, in {milliseconds:.0f} ms")


def _leads_elsewhere(answer: Answer, host: str) -> bool:
    if not 300 <= answer.status < 400:
        return False
    there = urlsplit(answer.headers.get("location", "")).hostname
    return there is not None and there != host
