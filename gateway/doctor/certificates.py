"""Why a server's certificate is not trusted: what stands in it, what that means, and what mends it. Nothing here waits."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

IGNORE_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python's ssl has no name for."""

NOT_YET_VALID, EXPIRED, WRONG_HOST, WRONG_ADDRESS = 9, 10, 62, 64
UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's verification results (X509_V_ERR_...)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a server shows of itself."""

    issuer: str
    names: Sequence[str]
    """The hosts that it is for."""
    not_before: datetime
    not_after: datetime

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Certificate:
        """Return what Python's ssl tells of a certificate."""
        return cls(
            issuer=_name(told.get("issuer", ())),
            names=[name for _, name in told.get("subjectAltName", ())],
            not_before=_moment(told["notBefore"]),
            not_after=_moment(told["notAfter"]),
        )


def blind_context() -> ssl.SSLContext:
    """Return a context that believes everybody: for looking at a certificate, never for sending a secret."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def context_for(certificate: bytes) -> ssl.SSLContext:
    """Return a context that takes just this certificate, expired or not: only then Python's ssl tells what stands in it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=certificate)
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | IGNORE_TIME)
    return context


def knows_no_authority(context: ssl.SSLContext) -> bool:
    """Whether this machine has no authorities to trust at all, as in an image without ca-certificates."""
    paths = ssl.get_default_verify_paths()
    folder = None if paths.capath is None else Path(paths.capath)
    return not context.cert_store_stats()["x509_ca"] and (folder is None or not folder.is_dir() or not any(folder.iterdir()))


def why_not_trusted(
    host: str, code: int, words: str, shown: Certificate | None, now: datetime, *, is_public: bool
) -> tuple[str, str]:
    """Return why the certificate of a host is not trusted, and what mends it.

    Args:
        host: who was meant.
        code: OpenSSL's verification result.
        words: what OpenSSL says, for what nobody has met yet.
        shown: what stands in the certificate, as far as it could be seen.
        now: the time.
        is_public: the host is one of Xyte's own service, whose certificates are in order.
    """
    clock = f"set the clock right, which shows {now:%Y-%m-%d %H:%M} UTC: sudo timedatectl set-ntp true"
    renew = f"renew the certificate of {host}, or set the clock right if it is wrong: sudo timedatectl set-ntp true"
    by = f' by "{shown.issuer}"' if shown is not None else ""
    if code == NOT_YET_VALID:
        since = f" before {shown.not_before:%Y-%m-%d %H:%M} UTC" if shown is not None else ""
        return f"the certificate of {host} is not valid{since}, and this machine's clock shows an earlier time", clock
    if code == EXPIRED:
        on = f" on {shown.not_after:%Y-%m-%d}" if shown is not None else ""
        return f"the certificate of {host} has expired{on}, by this machine's clock", clock if is_public else renew
    if code in (WRONG_HOST, WRONG_ADDRESS):
        return _other_host(host, shown, is_public=is_public)
    if code in UNKNOWN_AUTHORITY:
        meaning = f"the certificate of {host} is signed{by}, an authority that this machine does not know"
        if is_public:
            meaning += ": something on the way looks into TLS"
        return meaning, 'in [cloud]: ca_file = "/etc/ssl/certs/its-authority.pem", a file with the certificate of that authority'
    return f"the certificate of {host}, signed{by}, is not trusted: {words}", "ask who runs this network, and Xyte"


def _other_host(host: str, shown: Certificate | None, *, is_public: bool) -> tuple[str, str]:
    names = [] if shown is None else list(shown.names)
    meaning = f"what answers for {host} has a certificate for {', '.join(names[:3]) or 'another host'}"
    if is_public or not names:
        return (
            f"{meaning}: something else answers in its place",
            f"have {host} reached directly: look at the DNS and the proxy of this network",
        )
    return meaning, f'mend the host in [cloud]: entry_url = "https://{names[0]}"'


def _name(issuer: Sequence[Sequence[tuple[str, str]]]) -> str:
    """Return what an authority is called: its common name, and whose it is."""
    said = {key: value for part in issuer for key, value in part}
    names = [said[key] for key in ("commonName", "organizationName") if key in said]
    return ", ".join(dict.fromkeys(names)) or "nobody that it names"


def _moment(written: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(written), UTC)
