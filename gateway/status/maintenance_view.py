"""Define what the page needs for diagnostics, backup and restart."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

SHORTEST_PASSPHRASE: Final = 8
"""Characters that the passphrase of a backup has at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """What helps to find a fault from afar: an archive, and the same as texts. Every secret is masked."""

    name: str
    content: bytes
    texts: Mapping[str, str]
    """File name -> text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFile:
    """A backup that was written for a download."""

    path: Path
    name: str
    size: int
    """In bytes."""


class MaintenanceView(Protocol):
    """Diagnostics, backup and restart of the gateway."""

    @property
    def restart_problem(self) -> str | None:
        """Why the gateway cannot be restarted from here; `None` when it can."""

    def restart(self) -> None:
        """End the process in order, so that what started it starts it again."""

    async def bundle(self) -> Bundle:
        """Collect what helps to find a fault; takes half a minute at most for each part."""

    def backup(self, passphrase: str) -> AbstractAsyncContextManager[BackupFile]:
        """Write an encrypted backup, which is removed at the end of the block.

        Raises:
            StoreError: it cannot be written; the text says why.
        """
