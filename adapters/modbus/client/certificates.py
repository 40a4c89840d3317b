"""Read certificates in PEM files and from hosts: who they are for, who signed them, and until when. Here is cryptography."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256


@dataclass(frozen=True, slots=True)
class Certificate:
    """The fields of a certificate that matter here."""

    names: tuple[str, ...]
    """The hosts that it is for, or the name of its owner where it names none."""
    issuer: str
    not_before: datetime
    not_after: datetime
    fingerprint: str
    """SHA-256, as `AB:CD:...`."""


def certificate_in(der: bytes) -> Certificate:
    """Return the certificate in these bytes.

    Raises:
        ValueError: they are none.
    """
    return _fields_of(x509.load_der_x509_certificate(der))


def read_certificates(file: Path) -> list[Certificate]:
    """Return the certificates in a PEM file, the first one first.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds none, or one that is damaged.
    """
    return [_fields_of(one) for one in x509.load_pem_x509_certificates(file.read_bytes())]


def fingerprint_of(digest: bytes) -> str:
    """Return a digest as people compare it: `AB:CD:...`."""
    return digest.hex(":").upper()


def sha256_of(der: bytes) -> str:
    """Return the SHA-256 fingerprint of a certificate as bare small digits."""
    return hashlib.sha256(der).hexdigest()


def _fields_of(certificate: x509.Certificate) -> Certificate:
    return Certificate(
        names=_names_of(certificate),
        issuer=_common_name(certificate.issuer) or "an unnamed authority",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        fingerprint=fingerprint_of(certificate.fingerprint(SHA256())),
    )


def _names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    names: list[str] = []
    with suppress(x509.ExtensionNotFound, ValueError):
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]
    return tuple(names or filter(None, [_common_name(certificate.subject)]))


def _common_name(name: x509.Name) -> str:
    known = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)
    fields = [field for kind in known for field in name.get_attributes_for_oid(kind)]
    return str(fields[0].value) if fields else ""
