"""Explain why the certificate of a server is not trusted, and how to fix that. Pure."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

IGNORE_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which Python's ssl has no name."""

NOT_YET_VALID, EXPIRED, WRONG_HOST, WRONG_ADDRESS = 9, 10, 62, 64
UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's verification results (X509_V_ERR_...)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The fields of a server certificate that matter here."""

    issuer: str
    names: Sequence[str]
    """The hosts that it is valid for."""
    not_before: datetime
    not_after: datetime

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> Certificate:
        """Return the certificate that Python's ssl describes with these fields."""
        return cls(
            issuer=_name_of(fields.get("issuer", ())),
            names=[name for _, name in fields.get("subjectAltName", ())],
            not_before=_parse_time(fields["notBefore"]),
            not_after=_parse_time(fields["notAfter"]),
        )


def unverified_context() -> ssl.SSLContext:
    """Return a context that trusts every server: for fetching a certificate, never for sending a secret."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def context_trusting(certificate: bytes) -> ssl.SSLContext:
    """Return a context that trusts this certificate only, even if expired: otherwise Python's ssl does not parse it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=certificate)
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | IGNORE_TIME)
    return context


def has_no_authorities(context: ssl.SSLContext) -> bool:
    """Whether this machine has no certificate authorities at all, as in an image without ca-certificates."""
    paths = ssl.get_default_verify_paths()
    folder = None if paths.capath is None else Path(paths.capath)
    return not context.cert_store_stats()["x509_ca"] and (folder is None or not folder.is_dir() or not any(folder.iterdir()))


def why_not_trusted(
    host: str, code: int, text: str, certificate: Certificate | None, now: datetime, *, is_public: bool
) -> tuple[str, str]:
    """Return why the certificate of a host is not trusted, and how to fix that.

    Args:
        host: the host that was called.
        code: OpenSSL's verification result.
        text: OpenSSL's description, for results that are not handled here.
        certificate: the certificate, if it could be fetched.
        now: the time of this machine.
        is_public: the host belongs to Xyte's own service, whose certificates are valid.
    """
    clock = f"correct the clock, which shows {now:%Y-%m-%d %H:%M} UTC: sudo timedatectl set-ntp true"
    renew = f"renew the certificate of {host}, or correct the clock if it is wrong: sudo timedatectl set-ntp true"
    by = f' by "{certificate.issuer}"' if certificate is not None else ""
    if code == NOT_YET_VALID:
        before = f" before {certificate.not_before:%Y-%m-%d %H:%M} UTC" if certificate is not None else ""
        return f"the certificate of {host} is not valid{before}, and this machine's clock shows an earlier time", clock
    if code == EXPIRED:
        on = f" on {certificate.not_after:%Y-%m-%d}" if certificate is not None else ""
        return f"the certificate of {host} has expired{on}, according to this machine's clock", clock if is_public else renew
    if code in (WRONG_HOST, WRONG_ADDRESS):
        return _wrong_host(host, certificate, is_public=is_public)
    if code in UNKNOWN_AUTHORITY:
        meaning = f"the certificate of {host} is signed{by}, an authority that this machine does not know"
        if is_public:
            meaning += ": a proxy on the way intercepts TLS"
        return meaning, 'in [cloud]: ca_file = "/etc/ssl/certs/its-authority.pem", a file with the certificate of that authority'
    return f"the certificate of {host}, signed{by}, is not trusted: {text}", "ask the administrator of this network, and Xyte"


def _wrong_host(host: str, certificate: Certificate | None, *, is_public: bool) -> tuple[str, str]:
    names = [] if certificate is None else list(certificate.names)
    meaning = f"the server at {host} has a certificate for {', '.join(names[:3]) or 'another host'}"
    if is_public or not names:
        return (
            f"{meaning}: another server answers in its place",
            f"make sure that {host} is reached directly: check the DNS and the proxy of this network",
        )
    return meaning, f'correct the host in [cloud]: entry_url = "https://{names[0]}"'


def _name_of(issuer: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Return the name of an authority: its common name and its organization."""
    fields = {key: value for part in issuer for key, value in part}
    names = [fields[key] for key in ("commonName", "organizationName") if key in fields]
    return ", ".join(dict.fromkeys(names)) or "an unnamed authority"


def _parse_time(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
