"""Hold the configuration file that a person edits: its text, whether another one may take its place, masks and comparisons."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.adapter import Adapter
from gateway.config.masked_text import mask_secrets
from gateway.config.secret_fields import secret_field_names
from gateway.config.text_difference import text_difference
from gateway.runtime.configuration.file_text import (
    Checked,
    FileText,
    check_text,
    former_text,
    no_file,
    read_text,
    restore_masks,
)
from gateway.status.configuration_view import MOST_BYTES, DiffLine, TextTooLarge

TOO_LARGE: Final = f"This text has more than {MOST_BYTES // 1000} kB; a configuration has not. Nothing was saved."


class EditableFile:
    """The configuration file of the gateway.

    Args:
        file: where it is; `None` when the environment gives the configuration.
        adapters: the adapter classes, by `type`.
    """

    def __init__(self, file: Path | None, adapters: Mapping[str, type[Adapter[Any]]]) -> None:
        self._path = None if file is None else file.absolute()
        self._adapters = adapters
        self.secret_names = secret_field_names(adapters)
        """The names of all keys that hold a secret."""

    @property
    def name(self) -> str:
        """Its path; empty where there is none."""
        return "" if self._path is None else str(self._path)

    @property
    def path(self) -> Path:
        """Its path.

        Raises:
            Unreadable: there is none.
        """
        if self._path is None:
            raise no_file()
        return self._path

    def read(self) -> FileText:
        """Return what it says now.

        Raises:
            Unreadable: there is none, or it cannot be edited.
        """
        return read_text(self._path)

    async def text(self) -> str:
        """Return the text that it has now; raises as `read` does."""
        return (await asyncio.to_thread(self.read)).text

    def former(self) -> str | None:
        """Return the text before the latest change; `None` where there is none."""
        return former_text(self.path)

    def check(self, text: str) -> Checked:
        """Return what a text in its place is, and every mistake in it."""
        return check_text(text, self.path, self._adapters, self.secret_names)

    async def check_edited(self, edited: str, base: str) -> Checked:
        """Check a text that a person has edited; its masks stand for the secrets of the text that it was made from.

        Raises:
            TextTooLarge: it is.
        """
        if len(edited.encode("utf-8", "surrogatepass")) > MOST_BYTES:
            raise TextTooLarge(TOO_LARGE)
        return await asyncio.to_thread(lambda: self.check(restore_masks(edited, base, self.secret_names)))

    def masked(self, text: str) -> str:
        """Return a text without its secrets."""
        return mask_secrets(text, self.secret_names).text

    def difference(self, before: str, after: str) -> list[DiffLine]:
        """Compare two texts, without their secrets."""
        return [DiffLine(kind, text) for kind, text in text_difference(before, after, self.secret_names)]
