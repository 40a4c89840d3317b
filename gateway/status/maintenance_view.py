"""Define what the page needs for diagnostics, backup and restart."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
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


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """A backup that was uploaded and checked, and what a restore of it would replace."""

    token: str
    """Names it when it is confirmed."""
    serial_number: str
    """Of the gateway in it."""
    children: int
    samples: int
    """How many samples wait for the cloud in it."""
    own_serial_number: str | None
    """Of the gateway that runs; `None` before it has one."""
    own_children: int
    waiting: int
    """How many samples of the gateway that runs wait for the cloud."""
    added: tuple[str, ...]
    """The names of its children that the backup does not have."""

    @property
    def plan(self) -> str:
        """Its token, as the JSON API names it."""
        return self.token

    @property
    def is_same_gateway(self) -> bool:
        """Whether it is a backup of the gateway that runs."""
        return self.serial_number == self.own_serial_number


class RestoreView(Protocol):
    """The restore of a backup that is uploaded."""

    most_bytes: int
    """A larger file is refused."""

    async def check(self, chunks: AsyncIterator[bytes], passphrase: str) -> RestorePlan:
        """Take the content of a file, check it, and return what a restore would replace.

        Raises:
            StoreError: it cannot be restored; the text says why.
        """

    async def restore(self, token: str) -> None:
        """Build the gateway anew with the file that was checked.

        Raises:
            StoreError: there is none with this token, or it cannot be used.
        """

    def cancel(self) -> None:
        """Discard the file that was checked."""
