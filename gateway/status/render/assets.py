"""Load the static files, each under an address that contains the hash of its content."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "static"

_CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One static file, ready to be sent."""

    address: str
    content_type: str
    content: bytes
    gzipped: bytes
    """The same content, compressed."""


def load_assets(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """Return the static files by name."""
    return {file.name: _asset(file) for file in sorted(folder.iterdir()) if file.suffix in _CONTENT_TYPES}


def _asset(file: Path) -> Asset:
    content = file.read_bytes()
    digest = hashlib.blake2s(content, digest_size=6).hexdigest()
    return Asset(f"/static/{digest}/{file.name}", _CONTENT_TYPES[file.suffix], content, gzip.compress(content, mtime=0))
