"""Look at buses, devices, store, outbox and clock again and again, and open and close an incident for each cause."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from gateway.causes import Cause, Reason
from gateway.cloud.server_clock import ServerClock
from gateway.errors import StoreError
from gateway.models import Reach
from gateway.runtime.incidents.configuration_causes import configuration_causes
from gateway.runtime.incidents.field_causes import Bus, FieldCauses, WatchedChild
from gateway.runtime.incidents.own_causes import LossCause, StoreCause, clock_cause, recovery_cause
from gateway.runtime.parts import FieldParts, Timing
from gateway.runtime.summaries.buses import NEVER_APPEARED
from gateway.state.incidents import OpenIncident
from gateway.state.parts import StateParts
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time

log = logging.getLogger(__name__)


class IncidentWatch:
    """Decides which incidents are open, of those that the gateway sees by itself.

    Args:
        state: its incidents, store, outbox and children.
        field: the buses, and which children answer.
        clock: how far the clock of this machine is from that of the cloud.
        silent_after: how long a device has to be silent; 0: silent devices are no incident.
        timing: how long a bus may be missing or out of service, and how often to look.
        tell: is called with all incidents that are open, after each look, whether the cloud is told or not.
    """

    def __init__(
        self,
        state: StateParts,
        field: FieldParts,
        clock: ServerClock,
        *,
        silent_after: timedelta,
        timing: Timing,
        tell: Callable[[Sequence[OpenIncident]], None] = lambda incidents: None,
    ) -> None:
        self._state = state
        self._field = field
        self._clock = clock
        self._missing_bus_seconds = timing.missing_bus_after.total_seconds()
        self._look_every_seconds = timing.look_for_incidents_every.total_seconds()
        self._field_causes = FieldCauses(silent_after=silent_after, bus_lost_after=timing.bus_lost_after)
        self._store_cause = StoreCause()
        self._open: set[str] = set()
        self._tell = tell

    async def run(self) -> None:
        """Look until cancelled."""
        started_at = loop_time()
        outbox, lost = self._state.outbox, self._state.outbox.lost
        losses = LossCause(await retry_until_stored(outbox.losses, what="the list of lost samples"))
        while True:
            if outbox.lost != lost:
                try:
                    is_news = losses.is_over
                    new, lost = losses.take(await outbox.losses(), loop_time()), outbox.lost
                    if new is not None:
                        if is_news:
                            log.warning("samples were lost: %s; `xyte-gateway losses` names the devices", new)
                        self._state.events.report(None, "samples_lost", "gateway", new)
                except StoreError:  # it is an incident of its own
                    pass
            self._apply([*self._seen(loop_time() - started_at), *losses.current(loop_time())])
            await asyncio.sleep(self._look_every_seconds)

    def _apply(self, seen: list[OpenIncident]) -> None:
        """Open the incidents that are seen now, and close those that this watch opened and does not see any more."""
        incidents = self._state.incidents
        for incident in seen:
            incidents.open(incident.cause, incident.child, incident.title, incident.what_to_do, incident.priority)
        causes = {incident.cause for incident in seen}
        for cause in self._open - causes:
            incidents.close(cause)
        self._open = causes
        self._tell(seen)

    def _seen(self, seconds_since_start: float) -> Iterator[OpenIncident]:
        now = loop_time()
        children = list(self._children())
        problems = self._problems()
        if seconds_since_start >= self._missing_bus_seconds:
            missing = {(one.child.adapter, one.child.bus) for one in children} - self._field.fleet.supervisors.keys()
            problems |= dict.fromkeys(missing, Reason(NEVER_APPEARED, Cause.NO_PORT))
        yield from self._field_causes.current(now, problems, children)
        yield from self._store_cause.current(now, self._state.store.problem)
        yield from recovery_cause(self._state.recoveries.all, datetime.now(UTC))
        yield from configuration_causes(self._state.configurations.all, self._state.registry.name_of)
        yield from clock_cause(self._clock.ahead, datetime.now(UTC), self._clock.server)

    def _problems(self) -> dict[Bus, Reason]:
        """Return why buses do not work, for each that does not."""
        supervisors = self._field.fleet.supervisors.items()
        return {bus: supervisor.outage.reason for bus, supervisor in supervisors if supervisor.outage is not None}

    def _children(self) -> Iterator[WatchedChild]:
        """Yield the children that the cloud has."""
        for key, record in self._state.registry.children.items():
            if record.state.is_in_cloud:
                availability = self._field.availability.of(key)
                is_silent, since = availability.reach is Reach.SILENT, availability.since
                lasted = 0.0 if since is None else max((datetime.now(UTC) - since).total_seconds(), 0.0)
                is_unasked = availability.reach is Reach.UNKNOWN and not availability.is_of_bus
                was_silent = is_unasked and availability.last_reach is Reach.SILENT
                yield WatchedChild(record.child, is_silent, availability.why, lasted if is_silent else 0.0, was_silent)
