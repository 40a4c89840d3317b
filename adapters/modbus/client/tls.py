"""Open TLS connections to hosts: load certificates and keys, verify the host, and say what is wrong with either.

The files are read anew at each connection, so renewed certificates are used without a restart.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from adapters.modbus.client.buses import TcpHost
from adapters.modbus.client.certificates import Certificate, certificate_in, fingerprint_of, sha256_of
from adapters.modbus.client.tls_errors import CLOSED_IN_HANDSHAKE, no_handshake, why_failed, why_not_trusted
from adapters.modbus.client.tls_settings import TlsSettings

HANDSHAKE_SECONDS = 10.0
"""How long a handshake may take: small devices compute for seconds."""

FETCH_SECONDS = 3.0
"""How long a certificate that is not trusted is fetched for its description."""

SHUTDOWN_SECONDS = 1.0
"""How long a closed connection waits for the host to agree: some serve one connection only, and a new one must not wait."""

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES:DHE+AES:RSA+AES:!aNULL:!eNULL:!aDSS:!AESCCM"
"""Python's own choice first, then the RSA key exchange that small devices with TLS 1.2 have alone: each of them must offer
TLS_RSA_WITH_AES_128_CBC_SHA (RFC 5246, section 9)."""


class TlsProblem(OSError):
    """TLS with a host is not possible; the text says why and what to do."""


async def open_tls(make_protocol: Callable[[], Any], host: TcpHost, tls: TlsSettings) -> tuple[asyncio.Transport, Any]:
    """Open a connection to a host, as `loop.create_connection` does, and verify who it is.

    Raises:
        TlsProblem: the files of the settings, the host or its certificate do not allow it.
        OSError: there is no connection.
    """
    context = await asyncio.to_thread(client_context, tls)
    loop, name = asyncio.get_running_loop(), tls.server_name or host.host
    try:
        transport, protocol = await loop.create_connection(
            make_protocol,
            host.host,
            host.port,
            ssl=context,
            server_hostname=name,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
    except ssl.SSLCertVerificationError as error:
        found = await _fetched(host, tls)
        raise TlsProblem(why_not_trusted(error, host.host, found, tls)) from error
    except ssl.SSLError as error:
        raise TlsProblem(why_failed(error, tls)) from error
    except ConnectionAbortedError as error:  # asyncio's word for a handshake that takes too long
        raise TlsProblem(no_handshake(HANDSHAKE_SECONDS)) from error
    except ConnectionResetError as error:
        raise TlsProblem(CLOSED_IN_HANDSHAKE) from error
    if tls.fingerprint is not None and (shown := sha256_of(_der_of(transport))) != tls.fingerprint:
        transport.abort()
        raise TlsProblem(
            f"its certificate has the fingerprint {fingerprint_of(bytes.fromhex(shown))}, not the one that is set: was it"
            " renewed, or does another device answer there? Compare it with the device itself before you set it"
        )
    return transport, protocol


def client_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return the TLS context of the gateway for a host: TLS 1.2 or newer. Reads files.

    Raises:
        TlsProblem: a file cannot be used; the text names it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    if tls.fingerprint is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the fingerprint is compared after the handshake, before anything is sent
    elif tls.ca_file is not None:
        _load_authorities(context, tls.ca_file)
    else:
        context.load_default_certs()
    if tls.certificate_file is not None:
        _load_certificate(context, tls.certificate_file, tls)
    return context


def _load_authorities(context: ssl.SSLContext, file: Path) -> None:
    if "-----BEGIN CERTIFICATE-----" not in _text_of(file):
        raise TlsProblem(f"{file} holds no certificate in PEM form")
    try:
        context.load_verify_locations(cafile=file)
    except ssl.SSLError as error:
        raise TlsProblem(f"the certificates in {file} are damaged: {error.reason or error}") from error
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # a device's own certificate is trusted, too
    context.verify_flags &= ~ssl.VerifyFlags.VERIFY_X509_STRICT  # devices make certificates as they can


def _load_certificate(context: ssl.SSLContext, file: Path, tls: TlsSettings) -> None:
    """Load certificate and key. OpenSSL must never ask for a password: nobody sits at its terminal."""
    if "-----BEGIN CERTIFICATE-----" not in _text_of(file):
        raise TlsProblem(f"{file} holds no certificate in PEM form")
    holder = tls.holder_of_key or file
    text = _text_of(holder)
    if "PRIVATE KEY-----" not in text:
        also = ": name the file with the key in `key_file`" if tls.key_file is None else ""
        raise TlsProblem(f"{holder} holds no private key in PEM form{also}")
    password = "" if tls.key_password_file is None else _text_of(tls.key_password_file).strip()
    if "ENCRYPTED" in text and not password:
        raise TlsProblem(f"the private key in {holder} is encrypted: name a file with its password in `key_password_file`")
    try:
        context.load_cert_chain(file, holder, lambda: password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsProblem(f"the private key in {holder} does not belong to the certificate in {file}") from error
        if "ENCRYPTED" in text and error.reason in {"BAD_DECRYPT", "BAD_PASSWORD_READ", None}:
            raise TlsProblem(f"the password in {tls.key_password_file} does not open the private key in {holder}") from None
        raise TlsProblem(f"the certificate in {file} and the key in {holder} cannot be used: {error.reason or error}") from error


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise TlsProblem(f"{file} cannot be read: {error.strerror}") from error


async def speaks_tls(host: TcpHost) -> bool:
    """Return whether a host answers a TLS handshake; nothing else is sent to it."""
    try:
        async with asyncio.timeout(FETCH_SECONDS):
            transport = await _connect_unverified(host, host.host)
    except ssl.SSLError as error:
        return "ALERT" in (error.reason or "")  # it wants a certificate, or another version
    except (OSError, TimeoutError):
        return False
    transport.abort()
    return True


async def _fetched(host: TcpHost, tls: TlsSettings) -> Certificate | None:
    """Return the certificate of a host that is not trusted, for its description; nothing is sent over this connection."""
    with suppress(OSError, ValueError, TimeoutError):
        async with asyncio.timeout(FETCH_SECONDS):
            transport = await _connect_unverified(host, tls.server_name or host.host)
        der = _der_of(transport)
        transport.abort()
        return certificate_in(der)
    return None


async def _connect_unverified(host: TcpHost, name: str) -> asyncio.Transport:
    """Do a handshake with whoever answers."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(CIPHERS)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    transport, _ = await asyncio.get_running_loop().create_connection(
        asyncio.Protocol, host.host, host.port, ssl=context, server_hostname=name, ssl_shutdown_timeout=SHUTDOWN_SECONDS
    )
    return transport


def _der_of(transport: asyncio.BaseTransport) -> bytes:
    """Return the certificate that the host has shown."""
    return transport.get_extra_info("ssl_object").getpeercert(binary_form=True) or b""
