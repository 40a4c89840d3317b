"""Make a certificate for the page that nobody but itself vouches for, and renew it in time."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import os
import platform
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.status.listening.certificate import CertificateUnusable

if TYPE_CHECKING:
    from cryptography.x509 import GeneralName

log = logging.getLogger(__name__)

VALID_FOR: Final = timedelta(days=820)
"""Some systems accept none that is valid for longer than 825 days."""
RENEW_BEFORE: Final = timedelta(days=30)


def certificate_file(store: Path) -> Path:
    """Return the file for certificate and key: `status-certificate.pem` beside the store."""
    return store.with_name("status-certificate.pem")


def keep_valid(file: Path, host: str) -> None:
    """Make the certificate if there is none, if it cannot be used, or if its time is nearly over.

    Raises:
        CertificateUnusable: it cannot be made, and there is none to go on with.
    """
    try:
        from cryptography import x509
    except ImportError as error:
        if file.exists():
            return
        text = "making a certificate needs the package cryptography: install xyte-gateway[ble-parsers], or name a certificate"
        raise CertificateUnusable(text) from error
    now = datetime.now(UTC)
    with suppress(OSError, ValueError):
        present = x509.load_pem_x509_certificate(file.read_bytes())
        if present.not_valid_before_utc <= now and now + RENEW_BEFORE < present.not_valid_after_utc:
            return
    try:
        fingerprint = _make(file, host, now)
    except OSError as error:
        raise CertificateUnusable(f"{file} cannot be written: {error.strerror}") from error
    log.warning("a certificate was made for the status page. Compare what the browser shows: SHA-256 %s", fingerprint)


def _make(file: Path, host: str, now: datetime) -> str:
    """Write a new certificate with its key, and return its fingerprint as browsers show it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"Xyte gateway {platform.node()}"[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
        out.write(pem + certificate.public_bytes(serialization.Encoding.PEM))
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
    return fingerprint_of(certificate.public_bytes(serialization.Encoding.DER))


def fingerprint_of(certificate: bytes) -> str:
    """Return the SHA-256 of a certificate in DER form, as browsers show it."""
    return ":".join(f"{byte:02X}" for byte in hashlib.sha256(certificate).digest())


def _names(host: str) -> list[GeneralName]:
    """Return the names of this machine: what it is called, where the page listens, and how it reaches itself."""
    from cryptography import x509

    names: list[GeneralName] = []
    for each in dict.fromkeys((host, platform.node(), "localhost", "127.0.0.1", "::1")):
        with suppress(ValueError):
            address = ipaddress.ip_address(each)
            if not address.is_unspecified:
                names.append(x509.IPAddress(address))
            continue
        with suppress(ValueError):  # a name with letters beyond ASCII, or none
            names.append(x509.DNSName(each))
    return names
