"""Builds the parts, runs them in one task group, stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

from gateway import __version__
from gateway.adapter import Adapter
from gateway.cloud.child_registrar import SETTLE, ChildRegistrar, RegistrationPolicy
from gateway.cloud.client import CloudAccess, HttpHub
from gateway.cloud.enrolment import CHECK_NETWORK_EVERY, RETRY_EVERY, Enrolment
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.http import OnCall, reachable
from gateway.cloud.rate_control import RateControl
from gateway.cloud.revocation import GatewayRevocation, KeyCheck, RevocationTiming
from gateway.cloud.session import Session
from gateway.cloud.telemetry_loop import OwnTelemetry
from gateway.config.file import file_stamp
from gateway.config.settings import CloudSection, Configuration, Settings
from gateway.doctor.checks import examine_running
from gateway.errors import StoreError
from gateway.field.children.availability import Availability
from gateway.field.children.intake import DeviceIntake
from gateway.field.fleet import Fleet
from gateway.field.observer import NO_OBSERVER
from gateway.field.polling.bus_status import BusStatus
from gateway.field.polling.supervisor import Supervisor
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.reporter import Reporter
from gateway.field.telemetry.sampling import Sampler
from gateway.hub import HubEvent
from gateway.models import Reach, Status, Value
from gateway.runtime.view import GatewayView
from gateway.runtime.vitals import vitals
from gateway.state.adapter_memory import AdapterMemory
from gateway.state.child_states import ChildState
from gateway.state.outbox import Outbox
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.status.auth.access import TokenAuth
from gateway.status.auth.tokens import load_or_create_token, log_new_token, token_file
from gateway.status.history import History
from gateway.status.render import formatting
from gateway.status.server import StatusServer
from gateway.status.view import View

log = logging.getLogger(__name__)

FIELD_STOP_SECONDS = 2.5
FLUSH_SECONDS = 3.0
"""Together with the rest of the end they keep a stop under 8 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Waits that no operator has a reason to set, and that tests shorten."""

    register_retry_every: timedelta = RETRY_EVERY
    look_for_network_every: timedelta = CHECK_NETWORK_EVERY
    registration_settles_in: timedelta = SETTLE
    revocation: RevocationTiming = field(default_factory=RevocationTiming)
    look_outside_every: timedelta = timedelta(seconds=2)
    hub_backoff_first: timedelta = timedelta(seconds=1)
    urgent_gap: timedelta = timedelta(seconds=3)
    """Between two urgent samples of one child."""
    missing_bus_after: timedelta = timedelta(seconds=60)
    """A child whose bus has not appeared by then is reported offline."""
    keep_notes_every: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """The parts of one gateway, put together."""

    configuration: Configuration
    timing: Timing
    store: Store
    registry: Registry
    outbox: Outbox
    notes: AdapterMemory
    availability: Availability
    sampler: Sampler
    monitor: ChildMonitor
    intake: DeviceIntake
    reporter: Reporter
    fleet: Fleet
    enrolment: Enrolment
    session: Session
    view: GatewayView
    status: StatusServer | None
    """The status page; `None` where the config wants none."""
    new_token: str | None
    """The token of the status page in the run that made it: the one time to show it."""
    started_at: float = field(default_factory=monotonic)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set, then drain and end in order: field, last samples, hub."""
        log.info(
            "gateway %s starts: %d children known, %d samples waiting",
            __version__,
            len(self.registry.children),
            self.outbox.depth,
        )
        if self.new_token is not None:
            log_new_token(self.new_token, token_file(self.store.path))
        async with asyncio.TaskGroup() as group:
            serving = [
                group.create_task(work)
                for work in (self.fleet.run(), self.reporter.run(), self._look_outside(), self._watch_file())
            ]
            orphans = group.create_task(self._report_orphans())
            keeping = group.create_task(self._keep_notes())
            speaking = group.create_task(self.session.run())
            if self.status is not None:
                serving.append(group.create_task(self.status.run()))
            await stop.wait()
            log.info("stopping")
            await _end(*serving, orphans, keeping, seconds=FIELD_STOP_SECONDS)
            await self._drain(speaking)
        log.info("stopped; %d samples are kept for the next start", self.outbox.depth)

    async def _drain(self, speaking: asyncio.Task[None]) -> None:
        with contextlib.suppress(StoreError):  # the reporter has said so
            await self.reporter.report()
            await self.notes.save()
        await _end(speaking, seconds=0.5)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await self.session.flush()

    async def headline(self) -> str:
        """Return how everything stands, in a sentence or two."""
        return formatting.headline(await self.view.snapshot())

    def standings(self) -> Sequence[BusStatus]:
        """Return how every bus stands right now."""
        return [supervisor.status() for supervisor in self.fleet.supervisors.values()]

    async def _keep_notes(self) -> None:
        """Store what adapters want to know again, now and then: losing the last minute of it costs nobody anything."""
        while True:
            await asyncio.sleep(self.timing.keep_notes_every.total_seconds())
            with contextlib.suppress(StoreError):  # the reporter says so
                await self.notes.save()

    async def _look_outside(self) -> None:
        """Take in what another process, such as `xyte-gateway children admit`, wrote into the store."""
        seen: int | None = None
        is_failing = False
        while True:
            try:
                now = await self.store.data_version()
                if seen is not None and now != seen:
                    await self.registry.load()
                    await self.intake.admit_approved()
                seen = now  # only now: what could not be taken in is taken in the next time
            except StoreError as error:
                if not is_failing:
                    log.warning("what another process changes in the store cannot be taken in: %s", error)
                is_failing = True
            else:
                is_failing = False
            await asyncio.sleep(self.timing.look_outside_every.total_seconds())

    async def _watch_file(self) -> None:
        """Say that the configuration is another one than the gateway was started with, as nothing else would."""
        file = self.configuration.file
        if file is None:
            return
        before = file_stamp(file)
        while True:
            await asyncio.sleep(self.timing.look_outside_every.total_seconds())
            if file_stamp(file) == before:
                self.view.notice = None
            elif self.view.notice is None:
                self.view.notice = f"{file} has changed since the start; restart the gateway to use it"
                log.warning("%s", self.view.notice)

    async def _report_orphans(self) -> None:
        """Report the children offline whose bus does not exist (any more), since nobody else will."""
        await asyncio.sleep(self.timing.missing_bus_after.total_seconds())
        for record in self.registry.children.values():
            child = record.child
            if (child.adapter, child.bus) in self.fleet.supervisors or record.state is ChildState.DELETED:
                continue
            why = f"its bus {child.bus} of [[adapter]] {child.adapter} is not there (any more)"
            self.monitor.record_loss(child, why)


@asynccontextmanager
async def build(
    configuration: Configuration,
    adapters: Mapping[str, type[Adapter[Any]]],
    *,
    on_call: OnCall | None = None,
    on_event: Callable[[HubEvent], None] = lambda event: None,
    timing: Timing | None = None,
) -> AsyncIterator[Gateway]:
    """Open the store, put the parts together, and close what was opened at the end.

    Raises:
        StoreError: the store cannot be used.
        SettingsError: the CA file or the entry address cannot be used, or the gateway's identity in the config contradicts the
            one that it lives under.
    """
    timing = timing if timing is not None else Timing()
    settings = configuration.settings
    started_at = monotonic()
    async with (
        Store(settings.store.path, exclusive=True) as store,
        HttpHub(access_to(settings.cloud), on_call=on_call) as hub,
    ):
        registry, notes = Registry(store), AdapterMemory(store)
        outbox = Outbox(store, most_samples=settings.store.most_samples)
        await registry.load()
        await outbox.load()
        await notes.load()
        history = History() if settings.status.enabled else None
        availability, sampler = Availability(observer=history or NO_OBSERVER), Sampler(observer=history or NO_OBSERVER)
        intake = DeviceIntake(registry, availability, policy=settings.admission.policy, models=settings.models)
        reporter = Reporter(sampler, outbox, every=settings.cloud.telemetry_every, urgent_gap=timing.urgent_gap)
        monitor = ChildMonitor(availability, sampler, report_soon=reporter.report_soon)

        def supervise(adapter: Adapter[Any], entry: str) -> Supervisor:
            adapter.memory = notes.for_entry(entry)
            return Supervisor(
                adapter,
                entry=entry,
                registry=registry,
                intake=intake,
                monitor=monitor,
            )

        def own_telemetry() -> Mapping[str, Value]:
            return vitals(
                started_at=started_at,
                children=(_standing(record.state, availability.of(key).reach) for key, record in registry.children.items()),
                outbox_samples=outbox.depth,
                lost_samples=outbox.lost,
                bus_loads={bus: supervisor.live_load for (_, bus), supervisor in fleet.supervisors.items()},
            )

        fleet = Fleet(configuration.entries, adapters, supervise)

        def status_of(child: str) -> Status:
            return Status.ONLINE if availability.of(child).reach is Reach.REACHABLE else Status.OFFLINE

        enrolment = Enrolment(
            hub,
            registry,
            configuration,
            firmware_version=__version__,
            network_is_back=partial(reachable, settings.cloud.entry_url),
            retry_every=timing.register_retry_every,
            check_network_every=timing.look_for_network_every,
        )
        registrar = ChildRegistrar(
            hub,
            registry,
            outbox,
            KeyCheck(hub, timing.revocation),
            policy=RegistrationPolicy(deleted_children=settings.cloud.deleted_children, settle=timing.registration_settles_in),
            status_of=status_of,
        )
        rate_control = RateControl(first_seconds=timing.hub_backoff_first.total_seconds())
        revocation = GatewayRevocation(hub, rate_control, registered_at=lambda: enrolment.registered_at, timing=timing.revocation)
        session = Session(
            hub,
            registry,
            outbox,
            enrolment,
            registrar,
            calls=GuardedCalls(rate_control, revocation),
            own_telemetry=OwnTelemetry(read=own_telemetry, every=settings.cloud.telemetry_every),
            on_event=on_event,
        )
        await enrolment.prepare()
        view = GatewayView(
            *(settings, store, registry, outbox, availability, intake, fleet, enrolment, session),
            examine=partial(examine_running, configuration, adapters),
        )
        status, new_token = (None, None) if history is None else status_page(settings, view, history)
        yield Gateway(
            configuration=configuration,
            timing=timing,
            store=store,
            registry=registry,
            outbox=outbox,
            notes=notes,
            availability=availability,
            sampler=sampler,
            monitor=monitor,
            intake=intake,
            reporter=reporter,
            fleet=fleet,
            enrolment=enrolment,
            session=session,
            view=view,
            status=status,
            new_token=new_token,
            started_at=started_at,
        )


def status_page(settings: Settings, view: View, history: History) -> tuple[StatusServer, str | None]:
    """Return the status page, and its token if that was made just now.

    Raises:
        StoreError: the file beside the store that holds the token's hash can be neither read nor written.
    """
    section = settings.status
    digest, new_token = load_or_create_token(token_file(settings.store.path))
    auth = TokenAuth(digest, host=section.host)
    server = StatusServer(
        view, history, auth, host=section.host, port=section.port, hub_gone_limit=section.hub_gone_limit
    )  # fmt: skip
    return server, new_token


def access_to(cloud: CloudSection) -> CloudAccess:
    """Return how the cloud is reached under these settings."""
    return CloudAccess(
        entry_url=cloud.entry_url,
        allow_plain_http=cloud.allow_plain_http,
        ca_file=cloud.ca_file,
        use_static_cert=cloud.hub == "hub_url_static_cert",
        timeout_seconds=cloud.timeout_seconds,
        hub_hosts=cloud.hub_hosts,
    )


def _standing(state: ChildState, reach: Reach) -> str:
    return str(reach) if state is ChildState.REGISTERED else "not_registered"


async def _end(*tasks: asyncio.Task[None], seconds: float) -> None:
    for task in tasks:
        task.cancel()
    _, stuck = await asyncio.wait(tasks, timeout=seconds)
    if stuck:
        log.warning("%d parts did not end within %.1f s", len(stuck), seconds)
