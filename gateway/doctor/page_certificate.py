"""Check the certificate of the status page: whether it can be used, and for how long."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from gateway.config.settings import StatusSection
from gateway.doctor.certificates import Certificate, context_trusting
from gateway.models import Finding
from gateway.status.listening.certificate import CertificateUnusable, load_context
from gateway.status.listening.endpoint import SELF_SIGNED
from gateway.status.listening.self_signed import certificate_file, fingerprint_of

SOON: Final = timedelta(days=14)
WHAT: Final = "page certificate"


def certificate_findings(section: StatusSection, store: Path) -> Iterator[Finding]:
    """Yield whether browsers can use the certificate of the page."""
    if section.certificate is None:
        if section.key is not None:
            yield Finding.warning(WHAT, "[status] key has no effect without a certificate", "in [status]: certificate = the file")
        return
    is_own = section.certificate == SELF_SIGNED
    file, key = (certificate_file(store), None) if is_own else (section.certificate, section.key)
    if is_own and not file.exists():
        yield Finding.not_looked_at(WHAT, "the gateway makes it when it starts")
        return
    try:
        context = load_context(file, key)
    except CertificateUnusable as error:
        yield Finding.fault(WHAT, f"{error}, so the page is not served", "correct certificate and key in [status]")
        return
    der, certificate = _read(context, file)
    until = f"{certificate.not_after:%Y-%m-%d}"
    now = datetime.now(UTC)
    if now > certificate.not_after:
        yield Finding.fault(WHAT, f"{file} has expired at {until}: browsers refuse it", "renew it; the gateway reads it anew")
    elif now < certificate.not_before:
        fix = "correct the clock if it is wrong: sudo timedatectl set-ntp true"
        yield Finding.fault(WHAT, f"{file} is valid from {certificate.not_before:%Y-%m-%d} on: browsers refuse it", fix)
    elif not is_own and now + SOON > certificate.not_after:
        yield Finding.warning(WHAT, f"{file} expires at {until}", "renew it; the gateway reads it anew")
    else:
        shown = f"; browsers show SHA-256 {fingerprint_of(der)}" if is_own else ""
        yield Finding.fine(WHAT, f"{file} is valid until {until}{shown}")


def _read(server: ssl.SSLContext, file: Path) -> tuple[bytes, Certificate]:
    """Return the certificate that this context presents: Python's ssl parses one only in a handshake, here with itself."""
    first = file.read_text(encoding="ascii", errors="replace").partition("-----BEGIN CERTIFICATE-----")
    pem = first[1] + first[2].partition("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context_trusting(ssl.PEM_cert_to_DER_cert(pem)).wrap_bio(to_client, to_server)
    served = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, served, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return client.getpeercert(binary_form=True) or b"", Certificate.parse(client.getpeercert() or {})
