"""Name the kinds of events as people read them, and prepare the timeline for its page. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.state.history.timeline import EventKind, TimelineEvent
from gateway.status.event_query import EventQuery
from gateway.status.languages.texts import gettext_noop
from gateway.status.model import decode_id
from gateway.status.operations.events import EVENTS_OF_A_PAGE, Event
from gateway.status.snapshot import BusSummary, ChildSummary, Snapshot, WaitingDevice

KIND_TEXTS: Final[Mapping[EventKind, str]] = {
    EventKind.WENT: gettext_noop("silent"),
    EventKind.CAME: gettext_noop("answers again"),
    EventKind.BUS_LOST: gettext_noop("bus lost"),
    EventKind.BUS_BACK: gettext_noop("bus in service"),
    EventKind.FOUND: gettext_noop("found"),
    EventKind.ADMITTED: gettext_noop("admitted"),
    EventKind.IGNORED: gettext_noop("ignored"),
    EventKind.LOOKED: gettext_noop("looked at"),
    EventKind.RENAMED: gettext_noop("renamed"),
    EventKind.MOVED: gettext_noop("moved"),
    EventKind.EXCHANGED: gettext_noop("exchanged"),
    EventKind.RETIRED: gettext_noop("retired"),
    EventKind.CONFLICT: gettext_noop("identity conflict"),
    EventKind.COMMAND: gettext_noop("command"),
    EventKind.CONFIGURATION: gettext_noop("configuration"),
    EventKind.LICENCE: gettext_noop("licence"),
    EventKind.FIRMWARE: gettext_noop("firmware"),
    EventKind.SIGNED_IN: gettext_noop("signed in"),
    EventKind.WRONG_TOKEN: gettext_noop("wrong token"),
    EventKind.ACCESS: gettext_noop("access"),
    EventKind.RESTART: gettext_noop("restart"),
    EventKind.BACKUP_MADE: gettext_noop("backup made"),
    EventKind.BACKUP_RESTORED: gettext_noop("backup restored"),
    EventKind.INCIDENT_OPENED: gettext_noop("incident opened"),
    EventKind.INCIDENT_CLOSED: gettext_noop("incident closed"),
    EventKind.NOTIFIED: gettext_noop("notified"),
    EventKind.CLOUD: gettext_noop("cloud"),
    EventKind.SAMPLES_LOST: gettext_noop("samples lost"),
    EventKind.STARTED: gettext_noop("gateway started"),
    EventKind.STOPPED: gettext_noop("gateway stopped"),
    EventKind.KILLED: gettext_noop("ended without a stop"),
    EventKind.TIME_SET: gettext_noop("clock"),
    EventKind.STORE: gettext_noop("store"),
    EventKind.OTHER: gettext_noop("other"),
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
