"""Define the operation on the timeline, and its body. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pydantic import AwareDatetime, Field

from gateway.state.history.timeline import EventKind, TimelineEvent
from gateway.status.event_query import SEQ
from gateway.status.model import StatusModel, Text, encode_id
from gateway.status.operations.operation import BASE, ApiOperation, QueryParameter
from gateway.status.rights import Rights

MOST_OF_A_PAGE: Final = 500
EVENTS_OF_A_PAGE: Final = 100


class Event(StatusModel):
    """Something that happened."""

    seq: int = Field(description="its number; later events have higher ones, also over restarts")
    at: AwareDatetime
    kind: EventKind
    text: Text = Field(description="what happened, without the name of the device")
    device: Text | None = Field(default=None, description="name of the device that it is about, as it was then")
    device_id: str | None = Field(default=None, description="id of that device in addresses of this API")
    key: Text | None = Field(default=None, description="stable local identity of that device")
    entry: Text | None = None
    bus: Text | None = Field(default=None, description="bus that it is about, or on which the device was")
    bus_id: str | None = None
    times: int = Field(default=1, description="how many of the kind it stands for: of a flood, some are told with their number")

    @classmethod
    def of(cls, event: TimelineEvent) -> Event:
        """Return an event of the timeline as it is shown."""
        return cls(
            seq=event.seq,
            at=event.at,
            kind=event.kind,
            text=event.text,
            device=event.device,
            device_id=None if event.child is None else encode_id(event.child),
            key=event.child,
            entry=event.entry,
            bus=event.bus,
            bus_id=None if event.entry is None or event.bus is None else encode_id(event.entry, event.bus),
            times=event.times,
        )


class EventList(StatusModel):
    """A part of the timeline."""

    events: tuple[Event, ...] = Field(description="the latest first; with `after`, the earliest first")
    next: int | None = Field(
        description="cursor of the next part, for `before`, or for `after` where that was given; null where there is no more"
    )


FILTER: Final[Mapping[str, QueryParameter]] = {
    "device": QueryParameter(
        "id of a device: only events about it", pattern="[A-Za-z0-9_-]{1,2000}", expected="the id of a device"
    ),
    "bus": QueryParameter(
        "id of a bus: only events about it and its devices", pattern="[A-Za-z0-9_-]{1,2000}", expected="the id of a bus"
    ),
    "kind": QueryParameter("only events of this kind", choices=tuple(EventKind)),
    "before": QueryParameter("only events before the one with this number", pattern=SEQ, expected="the number of an event"),
    "after": QueryParameter(
        "only events after the one with this number, the earliest first", pattern=SEQ, expected="the number of an event"
    ),
}

OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("events", "GET", f"{BASE}/events", "What happened, in parts", EventList),
        needs=Rights.LOOK,
        query={
            **FILTER,
            "limit": QueryParameter(
                f"how many events at most, 1 to {MOST_OF_A_PAGE}; {EVENTS_OF_A_PAGE} without it",
                pattern="[1-9][0-9]?|[1-4][0-9]{2}|500",
                expected=f"a number from 1 to {MOST_OF_A_PAGE}",
            ),
        },
    ),
)
