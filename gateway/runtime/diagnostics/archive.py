"""Pack texts into one compressed archive. Pure."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from datetime import datetime

MIME_TYPE = "application/gzip"

MOST_CHARACTERS = 16 * 1024 * 1024
"""The longest text in the archive; the rest of a longer one is left out."""


def archive_name(serial_number: str | None, at: datetime) -> str:
    """Return the name of an archive: nothing but letters, digits and `-`, before `.tar.gz`."""
    serial = re.sub(r"[^A-Za-z0-9]+", "-", serial_number or "unregistered").strip("-")[:60] or "unnamed"
    return f"xyte-gateway-{serial}-{at:%Y%m%dT%H%M%SZ}.tar.gz"


def pack(texts: Mapping[str, str], name: str, at: datetime) -> bytes:
    """Return the archive with a file for each text, all in one folder.

    Args:
        texts: file name -> content.
        name: the name of the archive, which its folder has, too.
        at: the time of every file.
    """
    raw = io.BytesIO()
    folder = name.removesuffix(".tar.gz")
    with tarfile.open(fileobj=raw, mode="w:gz") as archive:
        for file_name, text in texts.items():
            content = _bounded(text).encode("utf-8", "backslashreplace")
            member = tarfile.TarInfo(f"{folder}/{file_name}")
            member.size, member.mtime, member.mode = len(content), int(at.timestamp()), 0o600
            archive.addfile(member, io.BytesIO(content))
    return raw.getvalue()


def _bounded(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return f"{text[:MOST_CHARACTERS]}\n... {len(text) - MOST_CHARACTERS} characters more\n"
