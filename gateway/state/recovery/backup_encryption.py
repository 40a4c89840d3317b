"""Encrypt a file with a passphrase, and decrypt it again: AES-256-GCM in pieces, the key made by scrypt.

A piece is bound to its number and to whether it is the last one, so that none can be left out, exchanged or cut off.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from typing import BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import StoreError

MAGIC: Final = b"XYTE-GATEWAY-BACKUP-1\n"
SALT_BYTES: Final = 16
PREFIX_BYTES: Final = 7
"""The random part of each nonce; the rest is the number of the piece and a byte for the last one."""

PIECE_BYTES: Final = 1024 * 1024
TAG_BYTES: Final = 16

SCRYPT_COST: Final = 2**15
"""32 MB of memory and about 0.2 s on a small computer."""

LEAST_CHARACTERS: Final = 8


def encrypt(source: BinaryIO, target: BinaryIO, passphrase: str) -> None:
    """Write the encrypted content of a file.

    Raises:
        StoreError: the passphrase is too short.
        OSError: one of the files fails.
    """
    if len(passphrase) < LEAST_CHARACTERS:
        raise StoreError(f"the passphrase has {len(passphrase)} characters; it needs at least {LEAST_CHARACTERS}")
    salt, prefix = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(PREFIX_BYTES)
    cipher = AESGCM(_key(passphrase, salt))
    target.write(MAGIC + salt + prefix)
    for number, (piece, is_last) in enumerate(_pieces(source, PIECE_BYTES)):
        nonce = _nonce(prefix, number, is_last=is_last)
        target.write(cipher.encrypt(nonce, piece, MAGIC))


def decrypt(source: BinaryIO, target: BinaryIO, passphrase: str) -> None:
    """Write the content of an encrypted file.

    Raises:
        StoreError: the passphrase is wrong, or the file is damaged.
        OSError: one of the files fails.
    """
    source.read(len(MAGIC))
    salt, prefix = source.read(SALT_BYTES), source.read(PREFIX_BYTES)
    cipher = AESGCM(_key(passphrase, salt))
    try:
        for number, (piece, is_last) in enumerate(_pieces(source, PIECE_BYTES + TAG_BYTES)):
            nonce = _nonce(prefix, number, is_last=is_last)
            target.write(cipher.decrypt(nonce, piece, MAGIC))
    except (InvalidTag, ValueError) as error:
        raise StoreError("the backup cannot be decrypted: the passphrase is wrong, or the file is damaged") from error


def is_encrypted(source: BinaryIO) -> bool:
    """Return whether a file is an encrypted backup; its position is the beginning afterwards."""
    beginning = source.read(len(MAGIC))
    source.seek(0)
    return beginning == MAGIC


def _key(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        passphrase.encode("utf-8", "surrogateescape"), salt=salt, n=SCRYPT_COST, r=8, p=1, maxmem=128 * 1024 * 1024, dklen=32
    )


def _nonce(prefix: bytes, number: int, *, is_last: bool) -> bytes:
    return prefix + number.to_bytes(4, "big") + bytes([is_last])


def _pieces(source: BinaryIO, size: int) -> Iterator[tuple[bytes, bool]]:
    """Yield the content piece by piece, and whether each is the last; an empty file has one empty piece."""
    piece = source.read(size)
    while True:
        following = source.read(size)
        yield piece, not following
        if not following:
            return
        piece = following
