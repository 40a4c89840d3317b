"""Save the emulated cloud in one JSON file, so that devices, keys, queues and versions survive a restart."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from gateway.emulator.device_registry import SavedState
from gateway.errors import StoreError

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _FileContent:
    format: int = FORMAT
    holdings: SavedState = field(default_factory=SavedState)


_FILE_CONTENT: Final = TypeAdapter(_FileContent)


class StateFile:
    """One file with mode 0600, since it holds access keys. It is written whole and renamed, so that a kill leaves it complete."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> SavedState:
        """Return the saved state, an empty one when there is no file yet.

        Raises:
            StoreError: the file cannot be read, or is not a state file of this version.
        """
        try:
            saved = _FILE_CONTENT.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return SavedState()
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be read: {error.strerror}") from error
        except ValidationError:
            # The chain would quote the file's content, and with it keys.
            raise StoreError(f"{self._path}: is not a store of the emulator") from None
        if saved.format != FORMAT:
            raise StoreError(f"{self._path}: has format {saved.format}, this emulator reads {FORMAT}")
        return saved.holdings

    def save(self, state: SavedState) -> None:
        """Write the state.

        Raises:
            StoreError: the file cannot be written.
        """
        fresh = self._path.with_name(f".{self._path.name}.new")
        try:
            fresh.unlink(missing_ok=True)
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(_FILE_CONTENT.dump_json(_FileContent(holdings=state)))
            fresh.replace(self._path)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error
