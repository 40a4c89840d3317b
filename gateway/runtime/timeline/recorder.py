"""Put together what records the events of a running gateway in its timeline."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from gateway.runtime.parts import FieldParts
from gateway.runtime.timeline.devices import DeviceEvents
from gateway.runtime.timeline.field_events import FieldEvents
from gateway.runtime.timeline.incident_events import IncidentEvents
from gateway.state.parts import StateParts


class TimelineRecorder:
    """Records what happens from now on; make it once the state of the former run is known."""

    def __init__(self, state: StateParts, field: FieldParts) -> None:
        self._parts = (
            DeviceEvents(state.timeline, state.registry),
            FieldEvents(state.timeline, state.registry, field),
            IncidentEvents(state.timeline, state.incidents),
        )

    def works(self) -> tuple[Coroutine[Any, Any, None], ...]:
        """Return what has to run until the gateway stops."""
        return tuple(part.run() for part in self._parts)
