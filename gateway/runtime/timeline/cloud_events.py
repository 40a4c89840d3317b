"""Record in the timeline when the cloud can be used, and when the gateway is registered, refused or claimed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.causes import Reason
from gateway.plain_numbers import duration_text
from gateway.runtime.parts import CloudParts
from gateway.state.history.timeline import EventKind, Timeline
from gateway.state.parts import StateParts

LOOK_EVERY_SECONDS: Final = 1.0
LOST_AFTER_TRIES: Final = 2
"""A hub that answers the second call was not lost."""

_CONTACT, _REGISTRATION, _CLAIM = "cloud:contact", "cloud:registration", "cloud:claim"
_ANSWERS: Final = "the cloud answers again"
_REGISTERED: Final = "the gateway is registered with the cloud"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudStanding:
    """How the gateway stands with the cloud at one moment."""

    device_id: str | None
    """Its id in the cloud; `None` while it is not registered."""
    refusal: Reason | None
    """Why it is not registered."""
    is_key_refused: bool
    """The cloud does not take its hardware key."""
    is_claimed: bool | None
    is_reachable: bool | None
    tries: int
    """The calls in a row that failed."""
    reason: Reason | None
    """Why the hub cannot be used."""
    since: datetime | None
    """When it began to answer, or stopped answering."""


class CloudEvents:
    """Compares how the gateway stands with the cloud with how it stood before.

    Args:
        timeline: gets the differences.
        standing: returns how it stands now.
    """

    def __init__(self, timeline: Timeline, standing: Callable[[], CloudStanding]) -> None:
        self._timeline = timeline
        self._standing = standing
        self._lost_since: datetime | None = None
        self._is_lost = False
        self._device_id: str | None = None
        self._refusal: str | None = None
        self._is_claimed: bool | None = None
        self._has_looked = False

    async def load(self) -> None:
        """Find out whether the cloud answered before the start."""
        latest = await self._timeline.latest_of_subjects([EventKind.CLOUD])
        contact = latest.get(_CONTACT)
        if contact is not None and not contact.text.startswith(_ANSWERS):
            self._is_lost, self._lost_since = True, contact.at
        registration = latest.get(_REGISTRATION)
        if registration is not None and not registration.text.startswith(_REGISTERED):
            self._refusal = registration.text

    async def run(self) -> None:
        """Look until cancelled."""
        await self.load()
        while True:
            self.look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def look(self) -> None:
        """Record the differences since the last look; how it stood at the start is no news."""
        now = self._standing()
        self._look_at_contact(now)
        self._look_at_registration(now)
        if now.is_claimed is not None:
            if self._is_claimed is not None and now.is_claimed is not self._is_claimed:
                text = "the gateway was claimed" if now.is_claimed else "the gateway is not claimed any more"
                self._record(text, _CLAIM)
            self._is_claimed = now.is_claimed
        self._has_looked = True

    def _look_at_contact(self, now: CloudStanding) -> None:
        if now.is_reachable is False and not self._is_lost and now.tries >= LOST_AFTER_TRIES:
            self._is_lost, self._lost_since = True, now.since
            reason = now.reason
            words = "the cloud cannot be used" if reason is None else f"the cloud cannot be used, {reason.phrase}: {reason.text}"
            self._record(words, _CONTACT, at=now.since)
        elif now.is_reachable and self._is_lost:
            seconds = 0.0 if self._lost_since is None else (datetime.now(UTC) - self._lost_since).total_seconds()
            self._is_lost, self._lost_since = False, None
            self._record(f"{_ANSWERS} after {duration_text(seconds)}" if seconds > 0 else _ANSWERS, _CONTACT)

    def _look_at_registration(self, now: CloudStanding) -> None:
        if now.device_id is None:
            if self._device_id is not None:
                self._record("the registration of the gateway is not valid any more: it registers again", _REGISTRATION)
            elif now.refusal is not None:
                what = "the cloud refuses the hardware key" if now.is_key_refused else "the gateway cannot be registered"
                refusal = f"{what}: {now.refusal.text}"
                if refusal != self._refusal:
                    self._refusal = refusal
                    self._record(refusal, _REGISTRATION)
        elif now.device_id != self._device_id and self._has_looked:
            self._record(f"{_REGISTERED} as {now.device_id}", _REGISTRATION)
            self._refusal = None
        self._device_id = now.device_id

    def _record(self, what: str, subject: str, *, at: datetime | None = None) -> None:
        self._timeline.record(EventKind.CLOUD, what, subject=subject, at=at)


def cloud_standing(state: StateParts, cloud: CloudParts) -> CloudStanding:
    """Return how the gateway stands with the cloud now."""
    record, rate_control = state.registry.gateway, cloud.session.rate_control
    credentials = None if record is None else record.credentials
    return CloudStanding(
        device_id=None if credentials is None else credentials.device_id,
        refusal=cloud.enrolment.reason if credentials is None else None,
        is_key_refused=cloud.enrolment.is_key_refused,
        is_claimed=cloud.session.is_claimed,
        is_reachable=rate_control.is_reachable,
        tries=rate_control.tries,
        reason=rate_control.reason,
        since=rate_control.since,
    )
