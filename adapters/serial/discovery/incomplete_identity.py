"""Decide when a device that did not tell all about itself, as in standby, is asked again who it is. Pure."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

FIRST_WAIT_SECONDS = 60.0
LONGEST_WAIT_SECONDS = 3600.0
"""Some devices never tell: they are asked again less and less often."""


@dataclass(slots=True)
class _Incomplete:
    state: Hashable
    ask_at: float
    wait_seconds: float


class IncompleteIdentities:
    """The devices whose identity is incomplete, by address."""

    def __init__(self) -> None:
        self._devices: dict[str, _Incomplete] = {}

    def note(self, address: str, *, is_complete: bool, now: float) -> None:
        """Note the result of an identification."""
        if is_complete:
            self._devices.pop(address, None)
        elif (known := self._devices.get(address)) is None:
            self._devices[address] = _Incomplete(None, now + FIRST_WAIT_SECONDS, FIRST_WAIT_SECONDS)
        else:
            known.wait_seconds = min(2 * known.wait_seconds, LONGEST_WAIT_SECONDS)
            known.ask_at = now + known.wait_seconds

    def is_due(self, address: str, state: Hashable, now: float) -> bool:
        """Return whether the device should be asked now: its state has changed, as when it wakes up, or its wait is over.

        Args:
            address: its address.
            state: what its latest answers show, such as power and refused queries.
            now: the present time.
        """
        known = self._devices.get(address)
        if known is None:
            return False
        has_changed = known.state is not None and known.state != state
        known.state = state
        if has_changed:
            known.wait_seconds = FIRST_WAIT_SECONDS / 2  # doubled when it does not tell this time either
        return has_changed or now >= known.ask_at
