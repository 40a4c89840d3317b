"""Check whether the hub still accepts a device's key: one refusal is doubted, a second or a lasting one is believed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from gateway.cloud.rate_control import CallKind, RateControl
from gateway.errors import EnrolmentRevoked, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import Credentials, Hub, TelemetryMessage
from gateway.models import Status
from gateway.tasks import loop_time

CHECKS_WHILE_NOT_FOUND = 4
"""The number of checks of a device within `RevocationTiming.not_found_for`."""

NEW_REGISTRATION_SECONDS = 60.0
"""A registration younger than this may not have reached the hub yet (device API reference, section 17.20)."""

PATIENCE_WITH_NEW_REGISTRATION = 4
"""The factor by which the confirmation of a new registration waits longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationTiming:
    """The times after which a refusal is believed."""

    confirm_after: timedelta = timedelta(seconds=5)
    """A 401 is believed when it is repeated after this time (section 13.2)."""
    not_found_for: timedelta = timedelta(minutes=3)
    """A "not found" for a device's own telemetry is believed when it lasts this long (section 17.6)."""


class KeyState(Enum):
    """The hub's opinion of a device's own key."""

    ACCEPTED = auto()
    UNCLEAR = auto()
    """The hub neither accepted nor refused the key, or something else contradicts it."""
    DOUBTED = auto()
    """Refused, but not often or long enough to be believed (sections 13.2, 17.6 and 17.20)."""
    GONE = auto()


class KeyCheck:
    """Checks the keys of children, and remembers for each device since when the hub refuses it."""

    def __init__(self, hub: Hub, timing: RevocationTiming) -> None:
        self._hub = hub
        self.timing = timing
        self._refused_at: dict[str, float] = {}  # device id -> loop time of the first refusal
        self._check_again_at: dict[str, float] = {}  # device id -> loop time

    def check_again_at(self, device_id: str) -> float:
        """Return the loop time of the next check of a doubted device."""
        return self._check_again_at.get(device_id, 0.0)

    async def check(self, device: Credentials, status: Status) -> KeyState:
        """Send a message with the device's own key that changes nothing but its status, and return what follows from it.

        Raises:
            HubUnreachable: there was no usable response.
        """
        try:
            await self._hub.send_telemetry(device, TelemetryMessage(status=status, values={}))
        except HubRejected as error:
            if isinstance(error, HubUnauthorised):
                return self._doubt(device.device_id, self.timing.confirm_after, self.timing.confirm_after)
            if is_not_found(error):
                not_found_for = self.timing.not_found_for
                return self._doubt(device.device_id, not_found_for, not_found_for / CHECKS_WHILE_NOT_FOUND)
            return KeyState.UNCLEAR
        self._refused_at.pop(device.device_id, None)
        return KeyState.ACCEPTED

    def _doubt(self, device_id: str, believed_after: timedelta, check_every: timedelta) -> KeyState:
        now = loop_time()
        first_at = self._refused_at.get(device_id)
        if first_at is not None and now - first_at >= believed_after.total_seconds():
            return KeyState.GONE
        self._refused_at.setdefault(device_id, now)
        self._check_again_at[device_id] = now + check_every.total_seconds()
        return KeyState.DOUBTED


class GatewayRevocation:
    """Decides whether the gateway itself was deleted in the cloud.

    Args:
        hub: is called once more to confirm a refused key.
        rate_control: delays that call.
        registered_at: returns the loop time of the registration made in this run, `None` without one.
        timing: the times after which a refusal is believed.
    """

    def __init__(
        self, hub: Hub, rate_control: RateControl, *, registered_at: Callable[[], float | None], timing: RevocationTiming
    ) -> None:
        self._hub = hub
        self._rate_control = rate_control
        self._registered_at = registered_at
        self._timing = timing
        self._not_found_since: float | None = None

    def reset(self) -> None:
        """Start over: the gateway's own telemetry was accepted, or the gateway was registered again."""
        self._not_found_since = None

    async def confirm(self, parent: Credentials, kind: CallKind, first: HubUnauthorised) -> HubUnreachable:
        """Check a refused key once more after a pause; return the failure to record when the key was not refused again.

        Raises:
            EnrolmentRevoked: the key was refused again (sections 13.2 and 17.20).
        """
        await asyncio.sleep(self._pause_seconds())
        await self._rate_control.wait(kind)
        try:
            await self._hub.send_telemetry(parent, TelemetryMessage(status=Status.ONLINE, values={}))
        except HubUnauthorised as again:
            raise EnrolmentRevoked(str(again)) from first
        except HubUnreachable as error:
            return error
        except HubRejected as error:
            return as_unreachable(error)
        text = f"{first}; the same key is accepted elsewhere"
        return HubUnreachable(text, maybe_done=False, status=first.status, cause=first.cause)

    def telemetry_rejected(self, error: HubRejected) -> None:
        """Record that the gateway's own telemetry was rejected.

        Raises:
            EnrolmentRevoked: the hub has not found the gateway for `RevocationTiming.not_found_for`.
        """
        if not is_not_found(error):
            self._not_found_since = None
            return
        now = loop_time()
        if self._not_found_since is None:
            self._not_found_since = now
        elif now - self._not_found_since > self._timing.not_found_for.total_seconds():
            raise EnrolmentRevoked(str(error)) from error

    def _pause_seconds(self) -> float:
        registered_at = self._registered_at()
        is_new = registered_at is not None and loop_time() - registered_at < NEW_REGISTRATION_SECONDS
        return self._timing.confirm_after.total_seconds() * (PATIENCE_WITH_NEW_REGISTRATION if is_new else 1)


def is_not_found(error: HubRejected) -> bool:
    """Return whether the hub does not know the device of a call, in one of the ways of section 17.6."""
    return error.status == 404 or "not found" in error.error.lower()


def as_unreachable(error: HubRejected) -> HubUnreachable:
    """Return a rejection that says nothing about the device as a failure to retry."""
    return HubUnreachable(str(error), maybe_done=False, status=error.status, cause=error.cause)


def is_revoked(error: BaseException | None) -> bool:
    """Return whether a task group failed with nothing but `EnrolmentRevoked`."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_revoked(inner) for inner in error.exceptions)
    return isinstance(error, EnrolmentRevoked)
