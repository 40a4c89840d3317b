"""What never changes while the gateway runs: style, scripts and pictures, each under an address made of its content."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[1] / "static"

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, ready to be sent."""

    address: str
    content_type: str
    plain: bytes
    packed: bytes
    """The same, as gzip."""


def load_assets(folder: Path = FOLDER) -> Mapping[str, Asset]:
    """Read the files that are served, by name."""
    return {file.name: _asset(file) for file in sorted(folder.iterdir()) if file.suffix in _TYPES}


def _asset(file: Path) -> Asset:
    plain = file.read_bytes()
    digest = hashlib.blake2s(plain, digest_size=6).hexdigest()
    return Asset(f"/static/{digest}/{file.name}", _TYPES[file.suffix], plain, gzip.compress(plain, mtime=0))
