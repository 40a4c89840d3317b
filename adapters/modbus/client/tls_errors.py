"""Describe why TLS with a host fails, and what the operator should do. Pure."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import datetime

from adapters.modbus.client.certificates import Certificate
from adapters.modbus.client.tls_settings import TLS_PORT, TlsSettings
from gateway.adapter import seconds_text

NOT_YET_VALID, EXPIRED, SELF_SIGNED, WRONG_HOST, WRONG_ADDRESS = 9, 10, 18, 62, 64
UNKNOWN_AUTHORITY = frozenset({2, 19, 20, 21})
"""OpenSSL's verification results (X509_V_ERR_...)."""

_CLIENT_CERTIFICATE_ALERTS: Mapping[str, str] = {
    "UNKNOWN_CA": "it does not know the authority that signed it",
    "CERTIFICATE_EXPIRED": "it has expired, by the clock of the host",
    "CERTIFICATE_REVOKED": "it is revoked",
    "BAD_CERTIFICATE": "it cannot use it",
    "CERTIFICATE_UNKNOWN": "it does not accept it",
    "UNSUPPORTED_CERTIFICATE": "it does not support a certificate of this kind",
    "ACCESS_DENIED": "it gives it no access",
    "DECRYPT_ERROR": "its signature is wrong",
}
"""The end of OpenSSL's name for an alert (RFC 8446, section 6.2) -> what the host says of our certificate."""

_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")
_OLD_TLS = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION")
_NO_COMMON_CIPHER = ("HANDSHAKE_FAILURE", "NO_SHARED_CIPHER", "INSUFFICIENT_SECURITY")
_TOO_WEAK = ("KEY_TOO_SMALL", "MD_TOO_WEAK", "DH_KEY_TOO_SMALL", "SIGNATURE_TYPE")


def why_not_trusted(error: ssl.SSLCertVerificationError, host: str, found: Certificate | None, tls: TlsSettings) -> str:
    """Return why the certificate of a host is not trusted.

    Args:
        error: OpenSSL's result.
        host: the host as configured.
        found: its certificate, if it could be fetched.
        tls: the settings.
    """
    code, wanted = error.verify_code, tls.server_name or host
    alone = "" if found is None else f'; to trust this certificate alone, set fingerprint = "{found.fingerprint}"'
    if code == EXPIRED:
        on = "" if found is None else _on(found.not_after)
        return f"its certificate has expired{on}: renew it, or correct the clock of this machine{alone}"
    if code == NOT_YET_VALID:
        before = "" if found is None else _on(found.not_before)
        return f"its certificate is not valid yet{before}: correct the clock of this machine, or of the host"
    if code in (WRONG_HOST, WRONG_ADDRESS):
        return _wrong_name(wanted, found) + alone
    if code == SELF_SIGNED:
        return f"its certificate is self-signed: name a file with it in `ca_file`{alone}, {_LOOK}"
    if code in UNKNOWN_AUTHORITY:
        by = "" if found is None else f' by "{found.issuer}"'
        known = "this machine does not know" if tls.ca_file is None else f"is not in {tls.ca_file}"
        return f"its certificate is signed{by}, an authority that {known}: name a file with it in `ca_file`{alone}, {_LOOK}"
    return f"its certificate is not trusted: {error.verify_message}"


def why_failed(error: ssl.SSLError, tls: TlsSettings) -> str:
    """Return why the handshake with a host failed, or why it has ended the connection."""
    reason = error.reason or str(error)
    if reason.endswith(_NO_TLS):
        return f"it does not speak TLS on this port: leave out `tls`, or set the port on which it does, usually {TLS_PORT}"
    if reason.endswith(_OLD_TLS):
        return "it speaks no TLS 1.2 or newer: update its firmware"
    if reason.endswith("CERTIFICATE_REQUIRED"):
        return _WANTS_CERTIFICATE
    for alert, meaning in _CLIENT_CERTIFICATE_ALERTS.items():
        if "ALERT" in reason and reason.endswith(alert):
            if tls.certificate_file is None:
                return _WANTS_CERTIFICATE
            return f"it refuses our certificate {tls.certificate_file}: {meaning}; make it, or its authority, known to the device"
    if reason.endswith(_NO_COMMON_CIPHER):
        wants = f"; or {_WANTS_CERTIFICATE}" if tls.certificate_file is None else ""
        return f"it has no cipher suite in common with this machine{wants}"
    if reason.endswith(_TOO_WEAK):
        return "its certificate or key is too weak for TLS today: renew it with at least 2048 bits (RSA) and SHA-256"
    return f"TLS failed: {reason.replace('_', ' ').lower()}"


def is_about_our_certificate(error: ssl.SSLError) -> bool:
    """Return whether the host refuses the certificate of this gateway, or wants one: the log-in of TLS."""
    reason = error.reason or str(error)
    return "ALERT" in reason and reason.endswith(("CERTIFICATE_REQUIRED", *_CLIENT_CERTIFICATE_ALERTS))


_WANTS_CERTIFICATE = "it wants a certificate of the gateway: set `certificate_file` and `key_file` in `tls`"

_LOOK = "after you have compared it with the device itself"

CLOSED_IN_HANDSHAKE = (
    "it closed the connection during the TLS handshake: does it speak TLS on this port (usually"
    f" {TLS_PORT}), and does it want a certificate of the gateway (`certificate_file`)?"
)


def no_handshake(seconds: float) -> str:
    """Return what to say of a host that accepts a connection and does not answer the handshake."""
    return (
        f"it accepts the connection, but does not answer the TLS handshake within {seconds_text(seconds)}: does it speak TLS on"
        " this port?"
        f" Modbus over TLS usually is at {TLS_PORT}; without it, leave out `tls`"
    )


WANTS_TLS = "it speaks TLS on this port: add `tls = { ... }` to this host, or set the port of plain Modbus TCP"


def is_tls_alert(received: bytes) -> bool:
    """Return whether these bytes begin with a TLS record that is an alert (RFC 8446, section 5.1)."""
    return len(received) >= 5 and received[0] == 0x15 and received[1] == 3 and received[2] <= 4 and received[3:5] == b"\0\2"


def _wrong_name(wanted: str, found: Certificate | None) -> str:
    names = () if found is None else found.names
    if not names:
        return f"its certificate is not for {wanted}: set `server_name` to a name in it"
    return f'its certificate is for {", ".join(names[:3])}, not for {wanted}: set server_name = "{names[0]}"'


def _on(at: datetime) -> str:
    return f" ({at:%Y-%m-%d %H:%M} UTC)"
