"""Run the conversation with the hub: enrol, then telemetry, registration, checks, commands and configurations side by side."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta

from gateway.causes import Cause, Reason
from gateway.cloud.backlog_drain import BacklogDrain
from gateway.cloud.child_checks import ChildChecks
from gateway.cloud.child_registrar import ChildRegistrar
from gateway.cloud.children.single_delivery import SingleDelivery
from gateway.cloud.commands.command_loop import CommandLoop
from gateway.cloud.commands.target import CommandPolicy, Commands
from gateway.cloud.configuration.configuration_loop import ConfigurationLoop
from gateway.cloud.configuration.target import Configuring
from gateway.cloud.delivery import Delivery
from gateway.cloud.device_records.record_loop import DeviceRecordLoop
from gateway.cloud.devices import CloudDevices
from gateway.cloud.enrolment import Enrolment
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.incidents.event_loop import EventLoop
from gateway.cloud.incidents.incident_loop import IncidentLoop
from gateway.cloud.incidents.suspension import IncidentSuspension
from gateway.cloud.last_messages import LastMessages
from gateway.cloud.licences.device_changes import Licences
from gateway.cloud.licences.licence_loop import LicenceLoop
from gateway.cloud.protocol.telemetry_flags import describe_event
from gateway.cloud.rate_control import CallKind, RateControl
from gateway.cloud.refused_samples import RefusedSamples
from gateway.cloud.registration_loop import RegistrationLoop
from gateway.cloud.revocation import is_revoked
from gateway.cloud.telemetry_loop import OwnTelemetry, TelemetryLoop
from gateway.errors import HubError, StoreError
from gateway.hub import (
    CommandWaiting,
    ConfigurationChanged,
    Credentials,
    Hub,
    HubEvent,
    InfoChanged,
    LicencesWaiting,
    SpaceChanged,
)
from gateway.plain_numbers import duration_text
from gateway.state.parts import StateParts
from gateway.tasks import run_in_own_task

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudServices:
    """What the cloud can have done to the gateway and its children."""

    commands: Commands
    licences: Licences
    configuring: Configuring
    children_follow: bool = False
    """Move each child to the space of the gateway when it is in another one."""


class Session:
    """Connects the gateway and all its children with the hub for as long as the gateway runs."""

    def __init__(
        self,
        hub: Hub,
        state: StateParts,
        enrolment: Enrolment,
        registrar: ChildRegistrar,
        *,
        calls: GuardedCalls,
        services: CloudServices,
        own_telemetry: OwnTelemetry,
        on_event: Callable[[HubEvent], None] = lambda event: None,
    ) -> None:
        registry, outbox = state.registry, state.outbox
        self._registry = registry
        self._enrolment = enrolment
        self._calls = calls
        self._on_event = on_event
        self._delivery = Delivery(
            hub, registry, outbox, on_event=self._handle_event, on_doubt=self._check_child,
            on_no_command=lambda device_id: self._commands.record_none_waiting(device_id),
        )  # fmt: skip
        self._last_messages = LastMessages(hub, registry, outbox, self._delivery, now=state.clock.now)
        self._checks = ChildChecks(registry, registrar, self._delivery, calls=calls)
        self._devices = CloudDevices(registry, self._checks.check_child)
        self._commands = CommandLoop(hub, self._devices, state.ledger, calls=calls, commands=services.commands)
        self._licences = LicenceLoop(hub, self._devices, state.licences, calls=calls, licences=services.licences)
        self._records = DeviceRecordLoop(
            hub, self._devices, state.cloud_records, registry, calls=calls, children_follow=services.children_follow
        )
        self.configuration = ConfigurationLoop(
            hub, registry, self._devices, state.configurations, calls=calls, configuring=services.configuring
        )
        self._telemetry = TelemetryLoop(hub, outbox, self._delivery, enrolment, calls=calls, own_telemetry=own_telemetry)
        self._events = EventLoop(hub, registry, self._devices, state.events, calls=calls)
        self._suspension = IncidentSuspension(hub, self._devices, state.incidents, calls=calls)
        self._incidents = IncidentLoop(
            hub, registry, self._devices, state.incidents, calls=calls, space_version=self._delivery.space_version
        )
        self._single_telemetry = SingleDelivery(
            registry, self._delivery, calls=calls, every=own_telemetry.every, on_doubt=self._check_child
        )
        self._registration = RegistrationLoop(registry, outbox, registrar, calls=calls)

    @property
    def rate_control(self) -> RateControl:
        """Whether the hub answers, since when, and when it is called next."""
        return self._calls.rate_control

    @property
    def drain(self) -> BacklogDrain:
        """The sending of a backlog, with its progress."""
        return self._delivery.drain

    @property
    def refused_samples(self) -> RefusedSamples:
        """The samples that the hub refuses without a documented reason."""
        return self._delivery.refused_samples

    @property
    def is_claimed(self) -> bool | None:
        """Whether a customer has claimed the gateway; `None` before the first response."""
        gateway = self._registry.gateway
        if gateway is None or gateway.credentials is None:
            return None
        version = self._delivery.space_version(gateway.credentials.device_id)
        return None if version is None else version > 0

    async def run(self) -> None:
        """Enrol and run the loops until cancelled; enrol again whenever the gateway was deleted in the cloud."""
        while True:
            parent = await self._enrol()
            error = await run_in_own_task(self._run_loops(parent))
            if not is_revoked(error):
                raise error if error is not None else RuntimeError("the session ended")
            self._reset()
            await self._enrolment.revoke()

    def use(self, *, telemetry_every: timedelta, command_policy: CommandPolicy) -> None:
        """Talk to the hub at these intervals from now on."""
        self._telemetry.set_interval(telemetry_every)
        self._single_telemetry.set_interval(telemetry_every)
        self._commands.use_policy(command_policy)

    async def try_now(self) -> Reason | None:
        """Call the cloud at once, not after the wait; return why that failed, `None` when it answered."""
        gateway = self._registry.gateway
        if gateway is None or gateway.credentials is None:
            return await self._enrolment.try_now()
        quiet_seconds = self.rate_control.try_now()
        if quiet_seconds > 0:
            return Reason(
                f"the cloud wants no calls for another {duration_text(quiet_seconds)}, so none was made", Cause.HUB_BUSY
            )
        self._telemetry.send_own_soon()
        await self.rate_control.call_ends(CallKind.TELEMETRY)
        return self.rate_control.reason

    def try_child(self, child: str) -> bool:
        """Register a child that was refused at once; return whether it waits for that."""
        return self._registration.retry(child)

    async def flush(self, offline: Collection[str] | None = None) -> None:
        """Send what can be sent right now, once, after `run` has ended and before the gateway stops; see `LastMessages.send`."""
        gateway = self._registry.gateway
        if gateway is None or gateway.credentials is None or self.rate_control.seconds_left(CallKind.TELEMETRY) > 0:
            return
        await self._last_messages.send(gateway.credentials, offline)
        with contextlib.suppress(HubError, StoreError):  # they are kept for the next start
            await self._events.send_now(gateway.credentials)

    async def _enrol(self) -> Credentials:
        """Return the credentials of the gateway. Licences end in time although it takes long to be registered."""
        serving = asyncio.create_task(self._licences.serve_devices())
        try:
            return await self._enrolment.credentials()
        finally:
            serving.cancel()
            await asyncio.wait({serving})

    async def _run_loops(self, parent: Credentials) -> None:
        async with asyncio.TaskGroup() as group:
            for loop in (
                self._telemetry, self._single_telemetry, self._registration, self._checks, self._commands,
                self._events, self._incidents, self._suspension, self._licences, self._records, self.configuration,
            ):  # fmt: skip
                group.create_task(loop.run(parent))

    def _reset(self) -> None:
        """Begin with the next registration of the gateway as after a start."""
        self._delivery.reset()
        self._checks.clear()
        self._devices.reset()
        self._commands.reset()
        self._licences.reset()
        self._records.reset()
        self.configuration.reset()
        self._calls.revocation.reset()
        self.rate_control.forget()

    def _handle_event(self, event: HubEvent) -> None:
        self._on_event(event)
        child = self._registry.by_device_id(event.device_id)
        if (sentence := describe_event(event)) is not None:
            log.log(logging.DEBUG if child else logging.INFO, "%s: %s", child.child.name if child else "the gateway", sentence)
        match event:
            case CommandWaiting(device_id=device_id):
                self._commands.fetch_soon(device_id)
            case LicencesWaiting(device_id=device_id):
                self._licences.fetch_soon(device_id)
            case ConfigurationChanged(device_id=device_id, version=version):
                self.configuration.version_seen(device_id, version)
            case InfoChanged(device_id=device_id, version=version):
                self._records.info_changed(device_id, version)
            case SpaceChanged(device_id=device_id, version=version):
                self._records.space_changed(device_id, version)
                if child is None:
                    self._registration.retry_refused()  # some clouds accept children only of a claimed parent (17.18, 18)
                if version:
                    self._incidents.claimed(None if child is None else device_id)

    def _check_child(self, child: str) -> None:
        self._checks.check_child(child)
