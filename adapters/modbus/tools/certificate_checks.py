"""Check the certificates and keys that the TLS settings of a host name, for `doctor`; the host is not asked."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from adapters.modbus.client.buses import TcpHost
from adapters.modbus.client.certificates import Certificate, read_certificates
from adapters.modbus.client.tls import TlsProblem, client_context
from adapters.modbus.client.tls_settings import TlsSettings
from gateway.adapter import Finding

SOON = timedelta(days=30)
"""How long before its end a certificate is reported: a device may be slow to get another one."""


def certificate_findings(host: TcpHost) -> Iterator[Finding]:
    """Yield the findings on the files of a host; nothing for a host without TLS. Reads files."""
    tls, what = host.tls, f"TLS of {host.label}"
    if tls is None:
        return
    yield from _key_findings(what, tls)
    try:
        client_context(tls)
    except TlsProblem as error:
        yield Finding.fault(what, f"{error}, so the host is not read", "correct the files in `tls` of this host")
        return
    told = False
    for file in (tls.certificate_file, tls.ca_file):
        for finding in _validity_findings(what, file) if file is not None else ():
            told = True
            yield finding
    if not told:
        yield Finding.fine(what, _in_words(tls))


def _key_findings(what: str, tls: TlsSettings) -> Iterator[Finding]:
    for file in (tls.holder_of_key, tls.key_password_file):
        try:
            mode = 0 if file is None else stat.S_IMODE(file.stat().st_mode)
        except OSError:
            continue  # reported when it is loaded
        if mode & 0o077:
            holds = "the password of a private key" if file == tls.key_password_file else "a private key"
            yield Finding.warning(
                what, f"other users may read {file} (mode {mode:04o}), which contains {holds}", f"chmod 600 {file}"
            )


def _validity_findings(what: str, file: Path) -> Iterator[Finding]:
    now = datetime.now(UTC)
    try:
        certificates = read_certificates(file)
    except (OSError, ValueError) as error:
        yield Finding.warning(what, f"the certificates in {file} cannot be read completely: {error}", f"renew {file}")
        return
    for certificate in certificates:
        yield from _validity_of(what, file, certificate, now)


def _validity_of(what: str, file: Path, certificate: Certificate, now: datetime) -> Iterator[Finding]:
    named = f"the certificate of {certificate.names[0]} in {file}" if certificate.names else f"a certificate in {file}"
    renew = "renew it; the gateway reads it anew at its next connection"
    if certificate.not_after <= now:
        yield Finding.fault(what, f"{named} has expired on {certificate.not_after:%Y-%m-%d}", renew)
    elif certificate.not_before > now:
        fix = "correct the clock if it is wrong: sudo timedatectl set-ntp true"
        yield Finding.fault(what, f"{named} is valid from {certificate.not_before:%Y-%m-%d} on", fix)
    elif certificate.not_after <= now + SOON:
        yield Finding.warning(what, f"{named} expires on {certificate.not_after:%Y-%m-%d}", renew)


def _in_words(tls: TlsSettings) -> str:
    host = "its fingerprint" if tls.fingerprint else str(tls.ca_file or "the authorities of this machine")
    gateway = "shows no certificate" if tls.certificate_file is None else f"shows {tls.certificate_file}"
    return f"the host is verified by {host}; the gateway {gateway}"
