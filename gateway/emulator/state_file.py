"""The world in one JSON file, so that a restarted emulator still knows its devices, their keys, queues and versions."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from gateway.emulator.cloud import Holdings
from gateway.errors import StoreError

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saved:
    format: int = FORMAT
    holdings: Holdings = field(default_factory=Holdings)


_SAVED: Final = TypeAdapter(_Saved)


class Disk:
    """One file, mode 0600: it holds access keys. Written whole and renamed, so that a killed process leaves it in one piece."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Holdings:
        """Return what was saved, an empty world when there is no file yet.

        Raises:
            StoreError: the file cannot be read, or is not a store of this version.
        """
        try:
            saved = _SAVED.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return Holdings()
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be read: {error.strerror}") from error
        except ValidationError:
            # The chain would quote the file's content, and with it keys.
            raise StoreError(f"{self._path}: is not a store of the emulator") from None
        if saved.format != FORMAT:
            raise StoreError(f"{self._path}: has format {saved.format}, this emulator reads {FORMAT}")
        return saved.holdings

    def save(self, holdings: Holdings) -> None:
        """Write the world.

        Raises:
            StoreError: the file cannot be written.
        """
        fresh = self._path.with_name(f".{self._path.name}.new")
        try:
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(_SAVED.dump_json(_Saved(holdings=holdings)))
            fresh.replace(self._path)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error
