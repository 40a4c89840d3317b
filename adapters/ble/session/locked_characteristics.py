"""Remember which characteristics a device answers to paired machines only: to try one costs seconds and the connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.ble.profile.read_plan import CharacteristicPath
from adapters.ble.radio.connection import GattConnection
from gateway.adapter import loop_time

TRIED_AGAIN_AFTER_SECONDS = 3600.0
"""After so long a locked characteristic is tried again: firmware changes, and there may have been another reason."""

FAILURES_UNTIL_LOCKED = 2
"""A characteristic that was not answered once is tried at the next read: any device can lose one answer."""


@dataclass(slots=True)
class _Lock:
    hint: str
    failures: int = 0
    refused_at: float = 0.0
    until: float = 0.0


class LockedCharacteristics:
    """The characteristics of all children of a radio that were not answered because this machine is not paired."""

    def __init__(self) -> None:
        self._locks: dict[str, dict[CharacteristicPath, _Lock]] = {}

    def note_refusal(self, child: str, path: CharacteristicPath, hint: str) -> bool:
        """Note that a characteristic of a child was not answered, and return whether it is left out from now on.

        Args:
            child: the key of the child.
            path: the characteristic.
            hint: what happened and what to do, for a person.
        """
        lock = self._locks.setdefault(child, {}).setdefault(path, _Lock(hint))
        lock.failures, lock.refused_at = lock.failures + 1, loop_time()
        if lock.failures >= FAILURES_UNTIL_LOCKED:
            lock.until = loop_time() + TRIED_AGAIN_AFTER_SECONDS
        return lock.failures == FAILURES_UNTIL_LOCKED

    def note_answer(self, child: str, path: CharacteristicPath) -> None:
        """Note that a characteristic of a child was answered."""
        if (locks := self._locks.get(child)) is not None:
            locks.pop(path, None)

    async def of(self, child: str, connection: GattConnection, since: float) -> Mapping[CharacteristicPath, str]:
        """Return the characteristics that are not to be tried over this connection, with their hints.

        Args:
            child: the key of the child.
            connection: a connection to it.
            since: when this read began; what was refused since then is not tried a second time.
        """
        locks = self._locks.get(child)
        if not locks:
            return {}
        if await connection.is_paired():
            del self._locks[child]
            return {}
        return {path: lock.hint for path, lock in locks.items() if lock.until > loop_time() or lock.refused_at >= since}

    def hint_of(self, child: str) -> str | None:
        """Return what to do to read all of a child; `None` when it answered everything."""
        return next((lock.hint for lock in self._locks.get(child, {}).values()), None)
