"""Put together what records the events of a running gateway in its timeline."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any

from gateway.models import Reach
from gateway.runtime.parts import CloudParts, FieldParts
from gateway.runtime.timeline.cloud_events import CloudEvents, cloud_standing
from gateway.runtime.timeline.devices import DeviceEvents
from gateway.runtime.timeline.field_events import FieldEvents
from gateway.runtime.timeline.incident_events import IncidentEvents
from gateway.state.incidents import OverIncident
from gateway.state.parts import StateParts


class TimelineRecorder:
    """Records what happens from now on; make it once the state of the former run is known.

    Args:
        state: what is kept, and the timeline.
        field: the buses, and which children answer.
        cloud: returns the way to the cloud, once it is built.
        on_over: is told of an incident that ended while the gateway did not run.
    """

    def __init__(
        self, state: StateParts, field: FieldParts, cloud: Callable[[], CloudParts], *, on_over: Callable[[OverIncident], None]
    ) -> None:
        def answers_since(key: str) -> datetime | None:
            availability = field.availability.of(key)
            return availability.since if availability.reach is Reach.REACHABLE else None

        def over(incident: OverIncident) -> None:
            state.incidents.end_earlier(incident.cause)
            state.events.report(incident.child, "incident_over", "incident", f"over: {incident.title}", at=incident.at)
            on_over(incident)

        self._parts = (
            DeviceEvents(state.timeline, state.registry),
            FieldEvents(state.timeline, state.registry, field),
            IncidentEvents(state.timeline, state.incidents, answers_since=answers_since, on_over=over),
            CloudEvents(state.timeline, lambda: cloud_standing(state, cloud())),
        )

    def works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what has to run until the gateway stops."""
        return tuple(part.run() for part in self._parts)
