"""Name where and how the page is served, from the section `[status]` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from gateway.config.settings import StatusSection
from gateway.status.hosts import is_loopback
from gateway.status.listening.certificate import PageCertificate
from gateway.status.listening.client_addresses import Networks
from gateway.status.listening.self_signed import certificate_file, keep_valid

SELF_SIGNED: Final = Path("self-signed")
"""The word in `[status] certificate` for a certificate that the gateway makes."""


@dataclass(frozen=True, slots=True)
class FormerAddress:
    """Where the page was served before its address was changed."""

    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where and how the page is served."""

    host: str = "127.0.0.1"
    """The address to listen on; beyond loopback everything takes the token."""
    port: int = 8080
    """0 takes a free one."""
    trusted_proxies: Networks = ()
    """Networks of proxies that tell the truth about for whom they ask."""
    certificate: PageCertificate | None = None
    """`None` to serve without TLS."""
    former: FormerAddress | None = None
    """Where the page was before its address was changed, for when the new one cannot be bound."""
    store: Path | None = None
    """The store of the gateway whose page it is."""


def endpoint_of(section: StatusSection, store: Path, former: FormerAddress | None = None) -> Endpoint:
    """Return where and how the page is served under these settings; `former` is where it was before they were changed."""
    if former is not None and is_loopback(section.host) and not is_loopback(former.host):
        former = FormerAddress(
            section.host, former.port
        )  # who set loopback wants no access from elsewhere, and less needs a token
    return Endpoint(
        former=former,
        host=section.host,
        port=section.port,
        trusted_proxies=section.trusted_proxies,
        certificate=certificate_of(section, store),
        store=store,
    )


def certificate_of(section: StatusSection, store: Path) -> PageCertificate | None:
    """Return the certificate that the page is served with; `None` for none."""
    if section.certificate is None:
        return None
    if section.certificate != SELF_SIGNED:
        return PageCertificate(section.certificate, section.key)
    file = certificate_file(store)
    return PageCertificate(file, keep_valid=partial(keep_valid, file, section.host))
