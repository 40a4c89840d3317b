"""Name the kinds of events as people read them, and prepare the timeline for its page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.state.history.timeline import EventKind, TimelineEvent
from gateway.status.event_query import EventQuery
from gateway.status.model import decode_id
from gateway.status.operations.events import EVENTS_OF_A_PAGE, Event
from gateway.status.snapshot import BusSummary, ChildSummary, Snapshot, WaitingDevice

KIND_TEXTS: Final[Mapping[EventKind, str]] = {
    EventKind.WENT: "silent",
    EventKind.CAME: "answers again",
    EventKind.BUS_LOST: "bus lost",
    EventKind.BUS_BACK: "bus in service",
    EventKind.FOUND: "found",
    EventKind.ADMITTED: "admitted",
    EventKind.IGNORED: "ignored",
    EventKind.LOOKED: "looked at",
    EventKind.RENAMED: "renamed",
    EventKind.MOVED: "moved",
    EventKind.EXCHANGED: "exchanged",
    EventKind.RETIRED: "retired",
    EventKind.CONFLICT: "identity conflict",
    EventKind.COMMAND: "command",
    EventKind.CONFIGURATION: "configuration",
    EventKind.LICENCE: "licence",
    EventKind.FIRMWARE: "firmware",
    EventKind.SIGNED_IN: "signed in",
    EventKind.WRONG_TOKEN: "wrong token",
    EventKind.ACCESS: "access",
    EventKind.RESTART: "restart",
    EventKind.BACKUP_MADE: "backup made",
    EventKind.BACKUP_RESTORED: "backup restored",
    EventKind.INCIDENT_OPENED: "incident opened",
    EventKind.INCIDENT_CLOSED: "incident closed",
    EventKind.NOTIFIED: "notified",
    EventKind.CLOUD: "cloud",
    EventKind.SAMPLES_LOST: "samples lost",
    EventKind.STARTED: "gateway started",
    EventKind.STOPPED: "gateway stopped",
    EventKind.KILLED: "ended without a stop",
    EventKind.TIME_SET: "clock",
    EventKind.STORE: "store",
    EventKind.OTHER: "other",
}
"""In the order in which a person chooses among them."""

_MARKS: Final[Mapping[EventKind, str]] = {
    EventKind.WENT: "silent",
    EventKind.BUS_LOST: "silent",
    EventKind.KILLED: "silent",
    EventKind.INCIDENT_OPENED: "refused",
    EventKind.SAMPLES_LOST: "refused",
    EventKind.CONFLICT: "refused",
    EventKind.WRONG_TOKEN: "refused",
    EventKind.CAME: "fine",
    EventKind.BUS_BACK: "fine",
    EventKind.INCIDENT_CLOSED: "fine",
    EventKind.ADMITTED: "fine",
}
MOST_NAMES: Final = 300
"""So many devices can be chosen by name."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as a row."""

    event: Event
    kind: str
    mark: str
    """The class of its mark."""
    is_known: bool
    """There is a page of its device."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """What the page of the timeline shows."""

    rows: Sequence[EventRow]
    query: EventQuery
    older: str | None
    """The address of the earlier events; `None` where there are none."""
    device: str | None
    """The name of the device to which the page is limited."""
    devices: Sequence[ChildSummary | WaitingDevice]
    buses: Sequence[BusSummary]


def event_rows(events: Sequence[TimelineEvent], snapshot: Snapshot) -> list[EventRow]:
    """Return events as rows."""
    children = {child.key for child in snapshot.children}
    return [
        EventRow(Event.of(one), KIND_TEXTS[one.kind], _MARKS.get(one.kind, "deleted"), one.child in children) for one in events
    ]


def event_page(query: EventQuery, events: Sequence[TimelineEvent], snapshot: Snapshot) -> EventPage:
    """Return the page of the timeline; of the events, one more than is shown says that there are more."""
    shown = events[:EVENTS_OF_A_PAGE]
    rows = event_rows(shown, snapshot)
    devices: list[ChildSummary | WaitingDevice] = [*snapshot.children, *snapshot.waiting]
    device = None
    if query.device:
        key = decode_id(query.device)[0]
        names = [one.name for one in devices if one.key == key] + [row.event.device for row in rows if row.event.device]
        device = names[0] if names else key
    return EventPage(
        rows=rows,
        query=query,
        older=query.encode(before=shown[-1].seq, after="") if len(events) > len(shown) else None,
        device=device,
        devices=sorted(devices, key=lambda one: one.name.casefold()) if len(devices) <= MOST_NAMES else (),
        buses=snapshot.buses,
    )
