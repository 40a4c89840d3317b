"""Whether the hub still knows a device by its key: one refusal is doubted, a second one or a lasting one is believed."""

from __future__ import annotations

from datetime import timedelta
from enum import Enum, auto
from time import monotonic

from gateway.errors import HubRejected, HubUnauthorised
from gateway.hub import Credentials, Hub, TelemetryMessage
from gateway.models import Status

NOT_FOUND_FOR = timedelta(minutes=3)
"""A hub that says "not found" of a device's own telemetry for so long means that it is deleted (section 17.6)."""


ASKS_WITHIN = 4
"""So many times it is asked again within that time."""


class Standing(Enum):
    """What the hub makes of a device's own key."""

    ACCEPTED = auto()
    UNCLEAR = auto()
    """It says neither yes nor no, or something else contradicts it."""
    DOUBTED = auto()
    """Refused, but not often or long enough to be believed (device API reference, sections 13.2, 17.6 and 17.20)."""
    GONE = auto()


class KeyCheck:
    """Remembers, device by device, since when the hub refuses it."""

    def __init__(self, hub: Hub, *, confirm_after: timedelta, not_found_for: timedelta = NOT_FOUND_FOR) -> None:
        self._hub = hub
        self._confirm_after = confirm_after
        self._not_found_for = not_found_for
        self._refused_at: dict[str, float] = {}  # device id -> monotonic moment of its first refusal
        self._ask_again_at: dict[str, float] = {}  # device id -> monotonic moment

    def ask_again_at(self, device_id: str) -> float:
        """Return when (monotonic) a doubted device is to be asked again."""
        return self._ask_again_at.get(device_id, 0.0)

    async def standing(self, device: Credentials, status: Status) -> Standing:
        """Ask with the device's own key whether the hub knows it, by a message that changes nothing but its status.

        Raises:
            HubUnreachable: the hub could not be asked.
        """
        try:
            await self._hub.send_telemetry(device, TelemetryMessage(status=status, values={}))
        except HubRejected as error:
            if isinstance(error, HubUnauthorised):
                return self._doubt(device.device_id, self._confirm_after, self._confirm_after)
            if is_not_found(error):
                return self._doubt(device.device_id, self._not_found_for, self._not_found_for / ASKS_WITHIN)
            return Standing.UNCLEAR
        self._refused_at.pop(device.device_id, None)
        return Standing.ACCEPTED

    def _doubt(self, device_id: str, how_long: timedelta, ask_every: timedelta) -> Standing:
        now = monotonic()
        first_at = self._refused_at.get(device_id)
        if first_at is not None and now - first_at >= how_long.total_seconds():
            return Standing.GONE
        self._refused_at.setdefault(device_id, now)
        self._ask_again_at[device_id] = now + ask_every.total_seconds()
        return Standing.DOUBTED


def is_not_found(error: HubRejected) -> bool:
    """Tell whether the hub does not know the device that was spoken of, in one of the ways of section 17.6."""
    return error.status == 404 or "not found" in error.error.lower()
