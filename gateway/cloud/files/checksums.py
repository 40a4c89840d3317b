"""Recognise the form of a file's checksum, and compare it with the file. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from binascii import Error as NotBase64
from dataclasses import dataclass

from gateway.errors import FileRefused

ALGORITHMS = {16: "md5", 20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}
"""Length of the digest in bytes -> its algorithm: the reference shows no form, and storage services use these."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a file has to have."""

    algorithm: str
    digest: bytes

    def check(self, digest: bytes) -> None:
        """Compare it with the digest of the file that was received.

        Raises:
            FileRefused: they differ.
        """
        if not hmac.compare_digest(self.digest, digest):
            raise FileRefused(
                f"the file is not the right one, or was damaged on its way: its {self.algorithm} is {digest.hex()} and has to be"
                f" {self.digest.hex()}"
            )


def parse_checksum(text: str) -> Checksum:
    """Return the checksum that a text stands for: hexadecimal or base64, perhaps with the algorithm before it.

    Raises:
        FileRefused: it has no form that is known.
    """
    label, _, rest = text.strip().rpartition(":")
    named = label.strip().lower().replace("-", "")
    digest = _digest(rest.strip())
    algorithm = ALGORITHMS.get(len(digest), "")
    if not algorithm or (named and named != algorithm):
        known = ", ".join(ALGORITHMS.values())
        raise FileRefused(f"the checksum of the file has an unknown form: known are {known}, in hexadecimal or base64")
    return Checksum(algorithm, digest)


def _digest(text: str) -> bytes:
    if re.fullmatch(r"[0-9A-Fa-f]+", text) and len(text) % 2 == 0 and len(text) // 2 in ALGORITHMS:
        return bytes.fromhex(text)
    try:
        return base64.b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return b""


def new_hash(checksum: Checksum | None) -> hashlib._Hash:
    """Return what computes the digest of a file, block by block."""
    return hashlib.new("sha256" if checksum is None else checksum.algorithm, usedforsecurity=False)
