"""Define a sample: the values and the status of a child, as sent to the cloud. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.models.metrics import Value


class Status(StrEnum):
    """The status words of a telemetry message (device API reference, section 5.1)."""

    ONLINE = "online"
    OFFLINE = "offline"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Sample:
    """The status and values of one child at one moment, to be sent to the cloud."""

    child: str
    at: datetime
    """Aware, UTC."""
    status: Status
    values: Mapping[str, Value]
    is_event: bool = False
    """It tells of an event, an alarm or a change of availability, so it is dropped last when there is no room."""
    merged: int = 0
    """How many earlier samples of the child, which could not be stored, are put together with it."""
    merged_from: datetime | None = None
    """The time of the first of those; `None` where there are none."""
