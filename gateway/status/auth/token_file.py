"""Create the token of the status page, store its hash beside the store, and show the token once.

The token is 256 random bits, so a plain hash of it gives nothing away; only that hash is stored.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
from pathlib import Path

from gateway.errors import StoreError

log = logging.getLogger(__name__)
log.setLevel(logging.WARNING)  # even where [log] asks for errors only: the token is shown once, and would be lost otherwise


def new_token() -> str:
    """Return a new token: 256 random bits in characters that need no quoting in a URL, a shell or a form."""
    return secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """Return the hash of a token, which is all that is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def token_file(store: Path) -> Path:
    """Return the file that holds the hash of the token: `status-token` beside the store."""
    return store.with_name("status-token")


def log_new_token(token: str, file: Path | None) -> None:
    """Show a token that was just created, which happens only once; without a file it is valid for this run only."""
    if file is None:
        log.warning("status page token, valid until the gateway stops: %s", token)
        return
    log.warning("status page token, shown only this once: %s (to get a new one, remove %s and restart the gateway)", token, file)


def load_or_create_token(file: Path) -> tuple[str, str | None]:
    """Return the hash that this file holds, and the token itself if it was created just now: the only time to show it.

    Raises:
        StoreError: the file can be neither read nor written.
    """
    try:
        return file.read_text(encoding="ascii").strip(), None
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise StoreError(f"{file} cannot be read: {error}") from error
    token = new_token()
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            out.write(digest_of(token) + "\n")
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error}") from error
    return digest_of(token), token
