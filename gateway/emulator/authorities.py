"""Make two certificate authorities for one run of the emulator: one for entry server and hub, one for the static certificate.

A client that trusts the wrong one, or calls the wrong server, fails at the TLS handshake. The optional package `cryptography`
makes the certificates; their keys live as long as the run, and only the certificates of the authorities stay on disk.
"""

from __future__ import annotations

import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.emulator.addresses import LOOPBACK, OTHER_LOOPBACK, WILDCARD_HOSTS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, CertificateBuilder, GeneralName

VALID_FOR: Final = timedelta(days=30)
CLOCK_TOLERANCE: Final = timedelta(hours=1)
"""The clock of a client may be late."""


class NoCertificates(Exception):
    """Certificates cannot be made; the text says why and what to do."""


def make_authorities(folder: Path, host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return the TLS contexts of entry and hub, and of the static hub, for an emulator that listens on `host`.

    Their authorities are written to `hub-ca.pem` and `static-ca.pem`, and both to `both-ca.pem`.

    Raises:
        NoCertificates: the package `cryptography` is missing.
        OSError: the folder cannot be written.
    """
    try:
        import cryptography  # noqa: F401  # an optional package
    except ImportError as error:
        raise NoCertificates("making certificates needs the package cryptography: install xyte-gateway[ble-parsers]") from error
    static_host = OTHER_LOOPBACK["static"] if host == LOOPBACK else host
    folder.mkdir(parents=True, exist_ok=True)
    hub, hub_ca = _serve_as("hub", host)
    static, static_ca = _serve_as("static", static_host)
    for name, text in (("hub", hub_ca), ("static", static_ca), ("both", hub_ca + static_ca)):
        (folder / f"{name}-ca.pem").write_bytes(text)
    return hub, static


def _serve_as(name: str, host: str) -> tuple[ssl.SSLContext, bytes]:
    """Return the TLS context of a server with a new certificate, and the certificate of its new authority as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = f"Emulated Xyte, authority of the {name} server"
    authority = (
        _builder(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)  # noqa: FBT003 - X.509's order: to sign certificates and revocation lists
        .sign(authority_key, SHA256())
    )
    certificate = (
        _builder(host, authority_name, key)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return _context(private + _pem(certificate)), _pem(authority)


def _builder(subject: str, issuer: str, key: EllipticCurvePrivateKey) -> CertificateBuilder:
    from cryptography import x509

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text[:64])])

    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_TOLERANCE)
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _names(host: str) -> list[GeneralName]:
    """Return the names of a server: its host, and on a wildcard address those by which this machine reaches it."""
    from cryptography import x509

    hosts = ["localhost", LOOPBACK, "::1"] if host in WILDCARD_HOSTS else [host]
    names: list[GeneralName] = []
    for each in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(each)))
        except ValueError:
            names.append(x509.DNSName(each))
    return names


def _pem(certificate: Certificate) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return certificate.public_bytes(serialization.Encoding.PEM)


def _context(key_and_certificate: bytes) -> ssl.SSLContext:
    """Return a server's TLS context; `ssl` reads certificates from files only, so there is one for a moment, with mode 0600."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(key_and_certificate)
        file.flush()
        context.load_cert_chain(file.name)
    return context
