"""Build the parts of a gateway from its configuration: state, field, cloud and status page, each by a builder of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from gateway import __version__
from gateway.adapter import Adapter
from gateway.cloud.child_registrar import ChildRegistrar, RegistrationPolicy
from gateway.cloud.client import HttpHub
from gateway.cloud.commands.target import CommandPolicy, Commands
from gateway.cloud.configuration.target import Configuring
from gateway.cloud.enrolment import Enrolment
from gateway.cloud.files.firmware_offers import FirmwareOfferRecorder
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.http import OnCall, reachable
from gateway.cloud.licences.device_changes import Licences
from gateway.cloud.rate_control import RateControl
from gateway.cloud.revocation import GatewayRevocation, KeyCheck
from gateway.cloud.server_clock import ServerClock
from gateway.cloud.session import CloudServices, Session
from gateway.cloud.telemetry_loop import OwnTelemetry
from gateway.config.permissions import ceiling, needed_for
from gateway.config.settings import CloudSection, Configuration, Durability, Settings
from gateway.doctor.checks import examine_running
from gateway.field.adapter_data.checked_adapter import checked_adapter
from gateway.field.adapter_data.refusals import ToldReasons
from gateway.field.child_buses import ChildBuses
from gateway.field.children.availability import Availability
from gateway.field.children.child_configuration import ConfigurationsInEffect
from gateway.field.children.device_limits import DeviceLimits
from gateway.field.children.intake import DeviceIntake
from gateway.field.dispatcher import CommandDispatcher
from gateway.field.fleet import Fleet
from gateway.field.licence_dispatcher import LicenceDispatcher
from gateway.field.observer import NO_OBSERVER, Observer
from gateway.field.polling.configured_intervals import ChooseMap
from gateway.field.polling.supervisor import Supervisor
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.reporter import Reporter
from gateway.field.telemetry.sampling import Sampler
from gateway.hub import HubEvent
from gateway.models import ChildDevice, Permission, Reach, Status, Value
from gateway.runtime.app import Gateway
from gateway.runtime.cloud_access import cloud_access
from gateway.runtime.configuration.building import (
    build_configuring,
    configuration_problem,
    restore_children,
    restore_gateway,
    use_configuration,
)
from gateway.runtime.configuration.child_parts import build_child_configurations
from gateway.runtime.configuration.file_editor import FileEditor
from gateway.runtime.configuration.gateway_target import GatewayConfiguration
from gateway.runtime.device_actions.build import build_device_actions
from gateway.runtime.diagnostics.masked_log import masking_log
from gateway.runtime.diagnostics.recent_log import recording_log
from gateway.runtime.diagnostics.secrets import secrets_of_configuration, secrets_of_registry
from gateway.runtime.hardware import settle_hardware
from gateway.runtime.incidents.watch import IncidentWatch
from gateway.runtime.log_access import LogAccess, MaskedLines, switching_log_level
from gateway.runtime.loop_watchdog import LoopWatchdog, watching
from gateway.runtime.maintenance import Maintenance
from gateway.runtime.notify.notifier import Notifier, channels_of
from gateway.runtime.observations import ObservationKeeper
from gateway.runtime.own_commands.build import CloudWay, Diagnosis, build_own_commands, dump_collector
from gateway.runtime.own_telemetry import NOT_REGISTERED, own_telemetry
from gateway.runtime.page import address_notice, build_page
from gateway.runtime.parts import CloudParts, FieldParts, StatusPage, Timing
from gateway.runtime.restart import Restart
from gateway.runtime.restores import Restores
from gateway.runtime.timeline.recorder import TimelineRecorder
from gateway.runtime.updates import UpdateWatch
from gateway.runtime.view import GatewayView
from gateway.state.history.opening import opened_history
from gateway.state.incidents import OpenIncident
from gateway.state.opening import opened_state
from gateway.state.parts import StateParts
from gateway.state.recovery.uploaded_backups import restore_confirmed
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.status.history import History
from gateway.status.kept_values import KeptValues
from gateway.status.render.metric_texts import metric_rank
from gateway.status.snapshot import Snapshot
from gateway.tasks import loop_time


@asynccontextmanager
async def build(
    configuration: Configuration,
    adapters: Mapping[str, type[Adapter[Any]]],
    *,
    on_call: OnCall | None = None,
    on_event: Callable[[HubEvent], None] = lambda event: None,
    timing: Timing | None = None,
    restart: Restart | None = None,
) -> AsyncIterator[Gateway]:
    """Open the store, build the parts, and close what was opened at the end.

    Args:
        configuration: what the gateway runs with.
        adapters: the adapter classes that can be used, by their `type`.
        on_call: is called after each request to the cloud.
        on_event: is called with each event that telemetry responses contain.
        timing: waits that tests shorten.
        restart: how the process is started again, for `reboot`; by default nothing does it.

    Raises:
        StoreError: the store cannot be used.
        SettingsError: the CA file or the entry address cannot be used, or the gateway's identity in the config contradicts the
            one under which it is registered.
    """
    timing = timing if timing is not None else Timing()
    settings = configuration.settings
    restart = restart if restart is not None else Restart()
    examine = partial(examine_running, configuration, adapters)
    history = History(rank=metric_rank) if settings.status.enabled else None
    await asyncio.to_thread(restore_confirmed, settings.store.path)
    async with (
        recording_log() as recent_log,
        switching_log_level() as level_switch,
        masked_log(configuration),
        watched_loop(adapters) as watchdog,
        opened_state(
            settings.store.path,
            lambda store: build_state(store, settings),
            syncs_samples=settings.store.durability is Durability.FULL,
        ) as state,
        opened_history(state),
        HttpHub(cloud_access(settings.cloud), on_call=on_call) as hub,
    ):
        state.clock.compare_with(lambda: hub.clock.ahead, hub.clock.forget)
        await settle_hardware(state, settings.gateway)
        kept_values = None if history is None else await load_kept_values(history, state, settings)

        async def use(before: Configuration, after: Configuration) -> None:
            policy = command_policy(after, state.registry)
            await use_configuration(before, after, field=field, session=cloud.session, policy=policy)

        own = GatewayConfiguration(configuration, adapters, use=use, live_buses=lambda: field.fleet.supervisors)
        await restore_gateway(own, state)
        in_effect = own.effective.configuration

        def choose_map(adapter: Adapter[Any], child: ChildDevice) -> None:
            children.map_trials.choose_map(adapter, child)

        field = build_field(
            state, in_effect, adapters, timing=timing, observer=history or NO_OBSERVER, choose_map=choose_map
        )  # fmt: skip
        observations = ObservationKeeper(state.history, state.registry, field, history)
        await observations.load()
        recorder = TimelineRecorder(state, field, lambda: cloud, on_over=lambda over: notifier.over(over))
        children = build_child_configurations(lambda: own.base, state, field, timing=timing)
        await restore_children(children.configurations, state)
        configuring = build_configuring(own, children.configurations, field, state)
        way = CloudWay(
            hub=hub, files=hub, clock=hub.clock, rate_control=RateControl(first_seconds=timing.hub_backoff_first.total_seconds())
        )

        async def snapshot() -> Snapshot:
            return await view.snapshot()

        diagnosis = Diagnosis(
            configuration=lambda: own.effective.configuration, log_lines=lambda: recent_log.lines, snapshot=snapshot,
            examine=examine, more_secrets=lambda: new_token(page),
        )  # fmt: skip
        own_commands = await build_own_commands(configuration, state, field, way, diagnosis, restart, timing=timing)
        offers = FirmwareOfferRecorder(state.firmware_offers, state.registry)

        def take_event(event: HubEvent) -> None:
            offers.take(event)
            on_event(event)

        buses = ChildBuses(state.registry, field.fleet)
        dispatcher = CommandDispatcher(buses, own_commands.commands, own_commands.child_firmware.find)
        cloud = await build_cloud(
            way, state, field, lambda: own.effective.configuration, configuring=configuring, dispatcher=dispatcher, timing=timing,
            on_event=take_event,
        )  # fmt: skip
        notifier = Notifier(
            settings.notify, channels_of(settings.notify), settings.gateway.name, state.registry.name_of, state.timeline
        )
        await notifier.load()
        watch = build_watch(state, field, hub.clock, settings.cloud, timing=timing, tell=notifier.take)
        device_actions = build_device_actions(state, field, dispatcher, configuration=lambda: own.effective.configuration)
        masked_lines = MaskedLines(recent_log, lambda: (*secrets_of_registry(state.registry), *new_token(page)))
        view = GatewayView(
            settings, state, field, cloud, device_actions,
            effective=lambda: own.effective, examine=examine, watchdog=watchdog,
        )  # fmt: skip
        view.logs = LogAccess(masked_lines, level_switch)
        collector = dump_collector(state, field.fleet, diagnosis)
        view.notifications = notifier
        view.updates = UpdateWatch(
            state.firmware_offers, state.registry,
            address=settings.status.update_check, has_hook=settings.gateway.firmware_hook is not None,
        )  # fmt: skip
        view.maintenance = Maintenance(settings.store.path, collector, restart, record=state.timeline.record)
        view.configuration = editor = FileEditor(
            own, adapters, state=state, field=field, cloud=cloud, restart=restart,
            address=lambda: "" if page is None else page.server.address,
        )  # fmt: skip
        view.restores = Restores(state, restart, most_bytes=most_upload_bytes(settings))
        former, restart.former_page = restart.former_page, None
        page = (
            None
            if history is None or kept_values is None
            else build_page(configuration, state, view, history, kept_values, former=former)
        )
        view.address_notice = lambda: address_notice(page, configuration)
        yield Gateway(
            configuration=configuration, own_configuration=own, editor=editor, timing=timing, state=state, field=field,
            cloud=cloud, watch=watch, notifier=notifier, view=view, page=page, restart=restart, offers=offers,
            recorder=recorder, children=children, device_actions=device_actions,
        )  # fmt: skip


@asynccontextmanager
async def watched_loop(adapters: Mapping[str, type[Adapter[Any]]]) -> AsyncIterator[LoopWatchdog | None]:
    """Watch who holds the event loop, where it is that of the gateway's process."""
    watchdog = watching(adapters)
    try:
        yield watchdog
    finally:
        if watchdog is not None:
            watchdog.end()


@asynccontextmanager
async def masked_log(configuration: Configuration) -> AsyncIterator[None]:
    """Mask the secrets of the configuration in the log."""
    secrets = await asyncio.to_thread(secrets_of_configuration, configuration)  # some are in files
    with masking_log(secrets):
        yield


async def build_state(store: Store, settings: Settings) -> StateParts:
    """Return the parts of the state, with what an earlier run left."""
    section = settings.store
    state = StateParts.on(
        store,
        most_samples=section.most_samples,
        most_bytes=section.most_mb << 20,
        keep_for=timedelta(days=section.keep_days),
        min_free_bytes=section.min_free_mb << 20,
        history_bytes=section.history_mb << 20,
        has_incidents=settings.cloud.incidents,
    )
    await state.load()
    return state


def most_upload_bytes(settings: Settings) -> int:
    """Return how large a backup may be that is uploaded on the page: some more than the store itself may become."""
    return (2 * settings.store.most_mb + 256) << 20


def build_watch(
    state: StateParts,
    field: FieldParts,
    clock: ServerClock,
    settings: CloudSection,
    *,
    timing: Timing,
    tell: Callable[[Sequence[OpenIncident]], None],
) -> IncidentWatch:
    """Return what sees the faults of the gateway and its field."""
    return IncidentWatch(state, field, clock, silent_after=settings.silent_incident_after, timing=timing, tell=tell)


def build_field(
    state: StateParts,
    configuration: Configuration,
    adapters: Mapping[str, type[Adapter[Any]]],
    *,
    timing: Timing,
    observer: Observer,
    choose_map: ChooseMap = lambda adapter, child: None,
) -> FieldParts:
    """Return the parts that serve the buses and their children."""
    settings, registry = configuration.settings, state.registry
    availability, sampler = Availability(observer=observer), Sampler(observer=observer)
    intake = DeviceIntake(
        registry, availability, policy=settings.admission.policy, models=settings.models,
        limits=DeviceLimits.of(settings.admission, configuration.entries), report_event=state.events.report,
    )  # fmt: skip
    reporter = Reporter(sampler, state.outbox, every=settings.cloud.telemetry_every, urgent_gap=timing.urgent_gap)
    in_effect = ConfigurationsInEffect()
    monitor = ChildMonitor(availability, sampler, report_soon=reporter.report_soon, in_effect=in_effect)

    told = ToldReasons()

    def supervise(adapter: Adapter[Any], entry: str) -> Supervisor:
        adapter.memory = state.adapter_memory.for_entry(entry)
        return Supervisor(
            checked_adapter(adapter, entry, told),
            entry=entry,
            registry=registry,
            intake=intake,
            monitor=monitor,
            in_effect=in_effect,
            choose_map=choose_map,
        )

    return FieldParts(
        availability=availability,
        sampler=sampler,
        in_effect=in_effect,
        monitor=monitor,
        intake=intake,
        reporter=reporter,
        fleet=Fleet(configuration.entries, adapters, supervise),
    )


async def build_cloud(
    way: CloudWay,
    state: StateParts,
    field: FieldParts,
    in_effect: Callable[[], Configuration],
    *,
    configuring: Configuring,
    dispatcher: CommandDispatcher,
    timing: Timing,
    on_event: Callable[[HubEvent], None],
) -> CloudParts:
    """Return the parts that serve the connection to the cloud; the gateway's identity is fixed when this returns."""
    configuration = in_effect()
    settings, registry, outbox = configuration.settings.cloud, state.registry, state.outbox
    hub, rate_control = way.hub, way.rate_control
    enrolment = Enrolment(
        hub,
        registry,
        configuration,
        firmware_version=__version__,
        network_is_back=partial(reachable, settings.entry_url),
        retry_every=timing.register_retry_every,
        check_network_every=timing.check_network_every,
    )
    registrar = ChildRegistrar(
        hub,
        registry,
        outbox,
        KeyCheck(hub, timing.revocation),
        policy=RegistrationPolicy(
            deleted_children=settings.deleted_children,
            settle=timing.registration_settles_in,
            per_minute=settings.registrations_per_minute,
        ),
        status_of=partial(_cloud_status, field.availability),
        report_event=state.events.report,
        may_lack_children=lambda: state.recoveries.may_lack_children,
    )
    revocation = GatewayRevocation(hub, rate_control, registered_at=lambda: enrolment.registered_at, timing=timing.revocation)
    read_own_telemetry = partial(_read_own_telemetry, state, field, started_at=loop_time())
    buses = ChildBuses(registry, field.fleet)
    session = Session(
        hub,
        state,
        enrolment,
        registrar,
        services=CloudServices(
            commands=Commands(
                target=dispatcher, policy=command_policy(configuration, registry), report_event=state.events.report
            ),
            licences=Licences(
                apply=LicenceDispatcher(registry, buses, field.availability, refusal=licence_refusal(in_effect, registry)).apply,
                clock_ahead=lambda: way.clock.ahead,
            ),
            configuring=configuring,
            children_follow=settings.children_space == "follow_gateway",
        ),
        calls=GuardedCalls(rate_control, revocation),
        own_telemetry=OwnTelemetry(
            read=read_own_telemetry,
            every=settings.telemetry_every,
            has_fault=lambda: state.store.problem is not None,
            now=state.clock.now,
        ),
        on_event=on_event,
    )
    await enrolment.prepare()
    return CloudParts(enrolment=enrolment, session=session, clock=way.clock)


async def load_kept_values(history: History, state: StateParts, settings: Settings) -> KeptValues:
    """Return the values over longer times, with what an earlier run kept of them."""
    kept_values = KeptValues(
        history, state.history, most_bytes=settings.store.history_mb << 20, right_time=state.clock.now,
        is_child=lambda key: key in state.registry.children,
    )  # fmt: skip
    await kept_values.load()
    return kept_values


def command_policy(configuration: Configuration, registry: Registry) -> CommandPolicy:
    """Return which commands the cloud may send, and how late."""

    def refusal(child: str | None, name: str) -> str | None:
        record = None if child is None else registry.children.get(child)
        return ceiling(configuration, None if record is None else record.child).refusal(needed_for(name))

    cloud = configuration.settings.cloud
    return CommandPolicy(
        every=cloud.commands_every, telemetry_every=cloud.telemetry_every, expires_after=cloud.command_expires_after,
        refusal=refusal,
    )  # fmt: skip


def licence_refusal(in_effect: Callable[[], Configuration], registry: Registry) -> Callable[[str | None], str | None]:
    """Return a function that says why the cloud may not change the licences of a child: they change the device."""

    def refusal(child: str | None) -> str | None:
        record = None if child is None else registry.children.get(child)
        return ceiling(in_effect(), None if record is None else record.child).refusal(Permission.CONFIGURE, "licences")

    return refusal


def _cloud_status(availability: Availability, child: str) -> Status:
    return Status.ONLINE if availability.of(child).reach is Reach.REACHABLE else Status.OFFLINE


def _read_own_telemetry(state: StateParts, field: FieldParts, *, started_at: float) -> Mapping[str, Value]:
    reaches = ((record, field.availability.of(key).reach) for key, record in state.registry.children.items())
    return own_telemetry(
        started_at=started_at,
        children=(str(reach) if record.state.is_in_cloud else NOT_REGISTERED for record, reach in reaches),
        outbox_samples=state.outbox.depth,
        lost_samples=state.outbox.lost,
        bus_loads={bus: supervisor.live_load for (_, bus), supervisor in field.fleet.supervisors.items()},
        configuration_problem=configuration_problem(state.configurations, state.registry.name_of),
    )


def new_token(page: StatusPage | None) -> tuple[str, ...]:
    """Return the token of the page if it was made in this run: it stands in the log once."""
    return () if page is None or page.new_token is None else (page.new_token,)
