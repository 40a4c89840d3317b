"""Read the events that a page shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.state.history.timeline import TimelineEvent, TimelineFilter
from gateway.status.model import decode_id
from gateway.status.operations.events import EVENTS_OF_A_PAGE
from gateway.status.render.pages import PageAddress
from gateway.status.timeline_view import TimelineView

LATEST: Final = 5
"""So many events stand on the page of a child or a bus."""


async def events_of(view: TimelineView, address: PageAddress) -> Sequence[TimelineEvent]:
    """Return the events that the page at this address shows; on the page of the timeline, one more if there are more."""
    match address.kind:
        case "events":
            return await view.events(address.events.wanted, most=EVENTS_OF_A_PAGE + 1)
        case "children":
            return await view.events(TimelineFilter(child=decode_id(address.id)[0]), most=LATEST)
        case "buses":
            names = decode_id(address.id)
            return await view.events(TimelineFilter(entry=names[0], bus=names[-1]), most=LATEST)
    return ()
