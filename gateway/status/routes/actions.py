"""Carry out the actions of the page and the API: admit, ignore, rename, rescan."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from gateway.models import parse_name
from gateway.status.languages.texts import gettext_noop
from gateway.status.model import decode_id
from gateway.status.snapshot_cache import SnapshotCache
from gateway.status.view import View

NOT_FOUND: Final = gettext_noop("there is no such device or bus (any more)")


class Actions:
    """Runs actions. Each method returns why the action failed, `None` when it succeeded."""

    def __init__(self, view: View, snapshots: SnapshotCache) -> None:
        self._view = view
        self._snapshots = snapshots

    async def run(self, action: str, word: str) -> str | None:
        """Run an action on the device or bus with this id."""
        return await self._finished(self._start(action, decode_id(word)))

    async def rename(self, word: str, name: str | None) -> str | None:
        """Rename the device with this id; `None` restores the name that it was found under."""
        names = decode_id(word)
        if len(names) != 1:
            return NOT_FOUND
        try:
            valid_name = None if name is None else parse_name(name)
        except ValueError as error:
            return str(error)
        return await self._finished(self._view.rename(names[0], valid_name))

    async def decide_identity(self, decision: str) -> str | None:
        """Decide about a store that comes from another machine: `keep` or `new`."""
        return await self._finished(self._view.decide_identity(decision))

    async def _finished(self, action: Awaitable[str | None]) -> str | None:
        why_not = await action
        self._snapshots.invalidate()
        return why_not

    async def _start(self, action: str, names: tuple[str, ...]) -> str | None:
        match action, names:
            case "admit", (key,):
                return await self._view.admit(key)
            case "ignore", (key,):
                return await self._view.ignore(key)
            case "rescan", (entry, bus):
                return await self._view.rescan(entry, bus)
        return NOT_FOUND
