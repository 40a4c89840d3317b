"""Define the operations on notifications, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import AwareDatetime, Field

from gateway.status.model import StatusModel, Text
from gateway.status.operations.operation import BASE, ApiOperation
from gateway.status.rights import Rights


class NotificationChannel(StatusModel):
    """A way to a person."""

    name: Text
    problem: Text | None = Field(description="why nothing could be sent the last time; null when it could")
    waiting: int = Field(description="number of notices that are not sent yet")
    sent_at: AwareDatetime | None = Field(description="when a message was sent last; null when none was since the start")


class NotificationChannels(StatusModel):
    """The ways to a person that are configured."""

    channels: tuple[NotificationChannel, ...]


class NotificationTest(StatusModel):
    """What came of a test by one channel."""

    channel: Text
    is_sent: bool
    text: Text = Field(description="what the server answered, or why nothing was sent")


class NotificationTests(StatusModel):
    """What came of a test; empty where no channel is configured."""

    outcomes: tuple[NotificationTest, ...]


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("notifications", "GET", f"{BASE}/notifications", "How incidents are told to a person", NotificationChannels),
        needs=Rights.ADMINISTER,
    ),
    ApiOperation(
        *(
            "test_notifications",
            "POST",
            f"{BASE}/notifications/test",
            "Send a test by each channel; takes half a minute at most",
            NotificationTests,
        ),
        needs=Rights.ADMINISTER,
    ),
)
