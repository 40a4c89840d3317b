"""Sign licences and model files with a key of the emulator, as a partner's key does. Pure.

The key is Ed25519 (RFC 8032), and its public half is shown by the control surface. Without the optional package `cryptography` a
signature is the text `unsigned-` and the SHA-256 of the content: opaque, and valid for nobody.
"""

from __future__ import annotations

import base64
import hashlib

from gateway.emulator.device_registry import SavedState

UNSIGNED = "unsigned-"


def sign(state: SavedState, content: bytes) -> str:
    """Return the signature of a content in Base64; makes the key at the first call and keeps it in the state."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return UNSIGNED + hashlib.sha256(content).hexdigest()
    if state.signing_key is None:
        state.signing_key = _text(Ed25519PrivateKey.generate().private_bytes_raw())
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(state.signing_key))
    return _text(key.sign(content))


def public_key(state: SavedState) -> str | None:
    """Return the 32 bytes of the public key in Base64; `None` without the package `cryptography`."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        return None
    sign(state, b"")
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(state.signing_key or ""))
    return _text(key.public_key().public_bytes_raw())


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
