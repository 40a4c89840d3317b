"""Read certificates in PEM files and from hosts: who they are for, who signed them, and until when. Uses cryptography."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256

LONGEST_NAME = 100
"""How much of a name in a certificate is shown."""


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
    with _strange_as_value_error():
        return _fields_of(x509.load_der_x509_certificate(der))


def read_certificates(file: Path) -> list[Certificate]:
    """Return the certificates in a PEM file, the first one first.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds none, or one that is damaged.
    """
    content = file.read_bytes()
    with _strange_as_value_error():
        return [_fields_of(one) for one in x509.load_pem_x509_certificates(content)]


def fingerprint_of(digest: bytes) -> str:
    """Return a digest as people compare it: `AB:CD:...`."""
    return digest.hex(":").upper()


def sha256_of(der: bytes) -> str:
    """Return the SHA-256 fingerprint of a certificate as bare small digits."""
    return hashlib.sha256(der).hexdigest()


@contextmanager
def _strange_as_value_error() -> Iterator[None]:
    """Raise `ValueError` for all that cryptography raises about a certificate of which it cannot make sense."""
    try:
        yield
    except (
        *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType),
        *(UnsupportedAlgorithm, TypeError, OverflowError),
    ) as error:
        raise ValueError(f"the certificate cannot be read: {error}") from error


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
    return tuple(map(_plain, names)) or tuple(filter(None, [_common_name(certificate.subject)]))


def _common_name(name: x509.Name) -> str:
    known = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)
    fields = [field for kind in known for field in name.get_attributes_for_oid(kind)]
    return _plain(str(fields[0].value)) if fields else ""


def _plain(text: str) -> str:
    """Return a text of a device as it can be shown: short, on one line, without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:LONGEST_NAME])
