"""Show the state of the gateway to its status page, and carry out what a person requests there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from gateway.config.cloud_overlay import EffectiveConfiguration
from gateway.config.settings import Settings
from gateway.errors import StoreError
from gateway.models import Finding
from gateway.runtime.device_actions.build import DeviceActionParts
from gateway.runtime.hardware import new_identity_problem
from gateway.runtime.incidents.own_causes import clock_problem
from gateway.runtime.key_change import HardwareKeyChange
from gateway.runtime.loop_watchdog import LoopWatchdog
from gateway.runtime.parts import CloudParts, FieldParts
from gateway.runtime.retries import Retries
from gateway.runtime.summaries.bus_details import bus_details
from gateway.runtime.summaries.buses import bus_summaries
from gateway.runtime.summaries.children import ChildSummaries
from gateway.runtime.summaries.cloud import CloudSummarizer
from gateway.runtime.summaries.found_devices import FoundDeviceSummaries
from gateway.runtime.summaries.gateway import gateway_summary
from gateway.runtime.summaries.outbox import OutboxSummarizer
from gateway.runtime.summaries.value_intervals import ValueIntervals
from gateway.runtime.updates import UpdateWatch
from gateway.state.history.timeline import TimelineEvent, TimelineFilter
from gateway.state.parts import StateParts
from gateway.state.records import Decision
from gateway.state.recovery.hardware_question import IdentityDecision
from gateway.status.buses_view import BusDetails
from gateway.status.configuration_view import ConfigurationView
from gateway.status.logs_view import LogsView
from gateway.status.maintenance_view import MaintenanceView, RestoreView
from gateway.status.notifications_view import NotificationsView
from gateway.status.requester_context import asked_by
from gateway.status.snapshot import ChildDetails, Snapshot
from gateway.status.update_intervals import UpdateIntervals

NO_QUESTION = "nothing is to be decided (any more)"
NO_SUCH_DEVICE = "there is no such device (any more)"


class GatewayView(Retries):
    """Implements `gateway.status.view.View` with the parts of a gateway."""

    logs: LogsView
    """Set before the page is built."""
    maintenance: MaintenanceView
    """The same."""
    restores: RestoreView
    """The same."""
    notifications: NotificationsView
    """The same."""
    configuration: ConfigurationView
    """The same."""
    updates: UpdateWatch
    """The same."""

    def __init__(
        self,
        settings: Settings,
        state: StateParts,
        field: FieldParts,
        cloud: CloudParts,
        device_actions: DeviceActionParts,
        *,
        effective: Callable[[], EffectiveConfiguration],
        examine: Callable[[], Awaitable[Sequence[Finding]]],
        watchdog: LoopWatchdog | None = None,
    ) -> None:
        super().__init__(state.registry, field, cloud)
        self._settings = settings
        self._state = state
        self._clock = cloud.clock
        self._examine = examine
        self._started_at = datetime.now(UTC)
        self._notice: str | None = None
        self.address_notice: Callable[[], str | None] = lambda: None
        """Returns that the page is not at the address that it was given; `None` where it is."""
        self._watchdog = watchdog
        self._children = ChildSummaries(state.registry, field)
        self._intervals = ValueIntervals(state.registry, field.fleet)
        self._found_devices = FoundDeviceSummaries(state.registry, lambda: effective().configuration.settings.models)
        self._outbox = OutboxSummarizer(state.outbox, cloud.session)
        self.device_actions = device_actions.actions
        self.key_change = HardwareKeyChange(settings.cloud, cloud.enrolment)
        self._cloud_activity = CloudSummarizer(
            state,
            plans=lambda: cloud.session.configuration.plans,
            effective=effective,
            progress_of=device_actions.commands.progress_of,
        )

    # the state --------------------------------------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        """Return the current state."""
        outbox, cloud = await self._outbox.summary(), await self._cloud_activity.activity()
        at = datetime.now(UTC)  # after what waits, so that nothing shown is later than the snapshot
        children = self._children.all(at)
        return Snapshot(
            at=at,
            gateway=gateway_summary(
                self._settings,
                self._state,
                self._cloud,
                at=at,
                started_at=self._started_at,
                notice=self._notices(),
                clock_problem=clock_problem(self._clock.ahead, at, self._clock.server),
                update=self.updates.notice,
            ),
            outbox=outbox,
            buses=tuple(bus_summaries(self._field.fleet, children, at)),
            children=children,
            waiting=tuple(self._found_devices.all()),
            cloud=cloud,
            failures=dict(self._field.monitor.failures),
        )

    def child(self, key: str) -> ChildDetails | None:
        """Return everything that is known about one child, `None` when there is no such child."""
        return self._children.details(key)

    def device_loads(self, entry: str, bus: str) -> Mapping[str, float]:
        """Return the share of the bus's time that each of its children used lately, by key."""
        supervisor = self._field.fleet.supervisors.get((entry, bus))
        return {} if supervisor is None else supervisor.device_loads

    def bus_details(self, entry: str, bus: str) -> BusDetails:
        """Return how a bus is set, and what each device takes of its time."""
        return bus_details(self._field.fleet, entry, bus)

    def update_intervals(self, key: str) -> UpdateIntervals:
        """Return how often the values of a child are expected."""
        return self._intervals.of(key)

    def set_notice(self, notice: str | None) -> None:
        """Set what the operator should know besides, `None` for nothing."""
        self._notice = notice

    def _notices(self) -> str | None:
        stall = None if self._watchdog is None else self._watchdog.notice
        notices = [text for text in (self._notice, self.address_notice(), stall, *self._field.intake.notices) if text]
        return ". ".join(f"{text[:1].upper()}{text[1:]}" for text in notices) or None

    async def store_problem(self) -> str | None:
        """Try to write to the store, and return why that fails; `None` when it works."""
        try:
            await self._state.store.check_writable()
        except StoreError as error:
            return str(error)
        return self._state.store.unsettled

    async def events(self, wanted: TimelineFilter, *, most: int) -> Sequence[TimelineEvent]:
        """Return what happened, the latest first; with `after` and without `before`, the earliest first."""
        return await self._state.timeline.events(wanted, most=most)

    async def examine(self) -> Sequence[Finding]:
        """Run the checks of `doctor` on this machine."""
        return [*self.updates.findings(), *await self._examine()]

    # actions ----------------------------------------------------------------------------------------------------------

    async def decide_identity(self, decision: str) -> str | None:
        """Decide about a store that comes from another machine: `keep` its identity, or become a `new` gateway."""
        wanted = IdentityDecision(decision)
        problem = new_identity_problem(self._state, self._settings.gateway) if wanted is IdentityDecision.NEW else None
        if problem is not None:
            return problem
        try:
            return None if await self._state.hardware.decide(wanted) else NO_QUESTION
        except StoreError as error:
            return f"it cannot be stored: {error}"

    async def admit(self, key: str) -> str | None:
        """Admit a found device as a child, whatever the policy says."""
        self._state.timeline.askers.note(key, asked_by())
        problem = await self._decide(key, Decision.ADMIT)
        if problem is None:
            await self._field.intake.admit_approved()
            device = self._state.registry.found_devices.get(key)
            problem = None if device is None else f"{device.name} is not admitted: {device.why}"
        return problem

    async def ignore(self, key: str) -> str | None:
        """Ignore a found device from now on."""
        self._state.timeline.askers.note(key, asked_by())
        return await self._decide(key, Decision.IGNORE)

    async def rename(self, key: str, name: str | None) -> str | None:
        """Rename a device, whether it is a child or not; `None` restores the name that it was found under."""
        self._state.timeline.askers.note(key, asked_by())
        return await self._change(self._state.registry.rename(key, name))

    async def rescan(self, entry: str, bus: str) -> str | None:
        """Search this bus for new devices now."""
        supervisor = self._field.fleet.supervisors.get((entry, bus))
        if supervisor is None:
            return f"there is no bus {bus} (any more)"
        if supervisor.problem is not None:
            return f"{bus} is not open: {supervisor.problem}"
        await supervisor.start_discovery()
        return None

    async def _decide(self, key: str, decision: Decision) -> str | None:
        return await self._change(self._state.registry.decide(key, decision))

    async def _change(self, change: Awaitable[bool]) -> str | None:
        """Carry out a change of the registry, and return why it failed; `None` when it succeeded."""
        try:
            return None if await change else NO_SUCH_DEVICE
        except StoreError as error:
            return f"it cannot be stored: {error}"
