"""Remember over a restart which characteristics a device answered while this machine was not paired with it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, MutableMapping

from adapters.ble.profile.read_plan import CharacteristicPath
from adapters.ble.radio.connection import PairingNeeded
from gateway.adapter import Cause, DeviceUnreachable


class AnsweredUnpaired:
    """The characteristics that are known to need no pairing: one that is not answered now has another reason.

    Args:
        memory: returns what the adapter remembers over a restart.
    """

    def __init__(self, memory: Callable[[], MutableMapping[str, str]]) -> None:
        self._memory = memory

    def has(self, key: str, path: CharacteristicPath) -> bool:
        """Return whether the device with this key has answered this characteristic without a pairing."""
        return str(path) in self._paths(key)

    def has_all(self, key: str, paths: Collection[CharacteristicPath]) -> bool:
        """Return whether all of these are known, so that there is nothing to note."""
        return {str(path) for path in paths} <= self._paths(key)

    def note(self, key: str, paths: Collection[CharacteristicPath]) -> None:
        """Note that a device answered these while this machine was not paired with it."""
        self._memory()[_name(key)] = " ".join(sorted(self._paths(key) | {str(path) for path in paths}))

    def forget(self, key: str, path: CharacteristicPath) -> None:
        """Note that a device refuses this one for want of a pairing."""
        paths = self._paths(key)
        if str(path) in paths:
            self._memory()[_name(key)] = " ".join(sorted(paths - {str(path)}))

    def check(self, key: str, path: CharacteristicPath, error: PairingNeeded) -> None:
        """Raise `DeviceUnreachable` where a device answered this characteristic before without a pairing, and does not now."""
        if error.unanswered is None:
            self.forget(key, path)
        elif self.has(key, path):
            raise DeviceUnreachable(f"{path}: {error.unanswered}", cause=Cause.NO_ANSWER) from error

    def _paths(self, key: str) -> set[str]:
        return set(self._memory().get(_name(key), "").split())


def _name(key: str) -> str:
    return f"{key}: answers without a pairing"
