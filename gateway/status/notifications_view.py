"""Define what the page shows of the notifications, and how they are tested. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A way to a person."""

    name: str
    problem: str | None
    """Why nothing could be sent the last time; `None` when it could."""
    waiting: int
    """Notices that are not sent yet."""
    sent_at: datetime | None
    """When a message was sent last, aware; `None` when none was since the start."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What came of a test."""

    channel: str
    is_sent: bool
    text: str
    """What the server answered, or why nothing was sent; without secrets."""


class NotificationsView(Protocol):
    """Tells a person by webhook and e-mail about incidents."""

    @property
    def channels(self) -> Sequence[ChannelState]:
        """The ways to a person that are configured."""

    async def test(self) -> Sequence[SendOutcome]:
        """Send a test by each channel; takes half a minute at most."""
