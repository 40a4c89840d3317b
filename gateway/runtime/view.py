"""The gateway as its status page sees it: gathers what the parts know, and passes on what a person asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from gateway import __version__
from gateway.cloud.enrolment import Enrolment
from gateway.cloud.session import Session
from gateway.config.settings import Policy, Settings
from gateway.errors import StoreError
from gateway.field.children.admission import admit
from gateway.field.children.availability import Availability, ChildAvailability
from gateway.field.children.intake import DeviceIntake
from gateway.field.fleet import Fleet
from gateway.field.polling.supervisor import Supervisor
from gateway.models import ChildDevice, Finding, IdentityKind, Reach
from gateway.state.child_states import ChildState
from gateway.state.outbox import Loss, Outbox
from gateway.state.records import ChildRecord, Decision, FoundDevice
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.status.snapshot import (
    BusSummary,
    ChildDetails,
    ChildSummary,
    DeviceLoad,
    DiscoveryProgress,
    GatewaySummary,
    HubContact,
    LossSummary,
    OutboxSummary,
    Snapshot,
    WaitingDevice,
    child_status,
    count_by_status,
    encode_id,
)
from gateway.status.snapshot import ChildStatus as Word

HEAVIEST_TOLD = 5

KINDS_OF_IDENTITY: Mapping[str, str] = {
    IdentityKind.SERIAL_NUMBER: "serial number",
    IdentityKind.MAC: "MAC address",
    IdentityKind.FINGERPRINT: "a constant of the device that no other one here has",
    IdentityKind.PLACE: "the place where it hangs, as nothing in it tells it from its twin",
}

LEFT_ALONE = "a person has said that it is to be left alone"
NO_SUCH_DEVICE = "there is no such device (any more)"


class GatewayView:
    """Fulfils `gateway.status.view.View` from the parts of a gateway; lines that have not changed are not made anew."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        registry: Registry,
        outbox: Outbox,
        availability: Availability,
        intake: DeviceIntake,
        fleet: Fleet,
        enrolment: Enrolment,
        session: Session,
        *,
        examine: Callable[[], Awaitable[Sequence[Finding]]],
    ) -> None:
        self._settings = settings
        self._store = store
        self._registry = registry
        self._outbox = outbox
        self._availability = availability
        self._intake = intake
        self._fleet = fleet
        self._enrolment = enrolment
        self._session = session
        self._examine = examine
        self.notice: str | None = None
        """What whoever runs the gateway should know besides."""
        self._started_at = datetime.now(UTC)
        self._lines: dict[str, tuple[ChildRecord, ChildAvailability, ChildSummary]] = {}
        self._devices: dict[str, tuple[FoundDevice, WaitingDevice]] = {}
        self._losses: tuple[int, Sequence[Loss]] = (0, ())

    # what is shown ----------------------------------------------------------------------------------------------------

    async def snapshot(self) -> Snapshot:
        """Return how everything stands right now."""
        at = datetime.now(UTC)
        outbox = await self._outbox_shown()
        lines = tuple(self._line(record, at) for record in self._registry.children.values())
        return Snapshot(
            at=at,
            gateway=self._gateway_shown(at),
            outbox=outbox,
            buses=tuple(self._buses(lines)),
            children=lines,
            waiting=tuple(self._waiting()),
        )

    def child(self, key: str) -> ChildDetails | None:
        """Return everything that is known of one child, `None` when there is no such child."""
        record = self._registry.children.get(key)
        if record is None:
            return None
        child = record.child
        supervisor = self._supervisor_of(child)
        on_bus = None if supervisor is None else supervisor.child_status(key)
        return ChildDetails(
            line=self._line(record, datetime.now(UTC)),
            identity_kind=_kind_of_identity(key),
            evidence=dict(self._intake.evidence_of(key)),
            manufacturer=child.manufacturer,
            model=child.model,
            serial_number=child.serial_number,
            mac=child.mac,
            firmware_version=child.firmware_version,
            profile=child.profile,
            family=child.family,
            model_id=child.model_id,
            sub_model=child.sub_model,
            device_id=record.device_id,
            can_take_commands=record.state is not ChildState.REGISTERED or record.access_key is not None,
            registration=record.state,
            registered_since=record.since if record.state is ChildState.REGISTERED else None,
            reach=self._availability.of(key).reach,
            load=on_bus.load if on_bus is not None else 0.0,
            is_slow=on_bus.is_slow if on_bus is not None else False,
            remarks=tuple(on_bus.remarks) if on_bus is not None else (),
        )

    async def store_problem(self) -> str | None:
        """Try whether something can be stored, and return why not; `None` when it can."""
        try:
            await self._store.check_writable()
        except StoreError as error:
            return str(error)
        return None

    async def examine(self) -> Sequence[Finding]:
        """Look at what can keep the gateway from working on this machine."""
        return await self._examine()

    # what is done -----------------------------------------------------------------------------------------------------

    async def admit(self, key: str) -> str | None:
        """Take a found device on as a child, whatever the policy says."""
        why_not = await self._decide(key, Decision.ADMIT)
        if why_not is None:
            await self._intake.admit_approved()
            met = self._registry.found_devices.get(key)
            why_not = None if met is None else f"{met.name} is not admitted: {met.why}"
        return why_not

    async def ignore(self, key: str) -> str | None:
        """Leave a found device alone from now on."""
        return await self._decide(key, Decision.IGNORE)

    async def rename(self, key: str, name: str | None) -> str | None:
        """Call a device so from now on, child or not; `None` for what it was found as."""
        try:
            return None if await self._registry.rename(key, name) else NO_SUCH_DEVICE
        except StoreError as error:
            return f"it cannot be stored: {error}"

    async def _decide(self, key: str, decision: Decision) -> str | None:
        try:
            return None if await self._registry.decide(key, decision) else NO_SUCH_DEVICE
        except StoreError as error:
            return f"it cannot be stored: {error}"

    async def rescan(self, entry: str, bus: str) -> str | None:
        """Look for new devices on this bus now."""
        supervisor = self._fleet.supervisors.get((entry, bus))
        if supervisor is None:
            return f"there is no bus {bus} (any more)"
        if supervisor.problem is not None:
            return f"{bus} is not open: {supervisor.problem}"
        await supervisor.start_discovery()
        return None

    # how it is gathered -----------------------------------------------------------------------------------------------

    def _gateway_shown(self, at: datetime) -> GatewaySummary:
        record, pace = self._registry.gateway, self._session.rate_control
        credentials = None if record is None else record.credentials
        wait_seconds = pace.next_try_seconds
        return GatewaySummary(
            name=self._settings.gateway.name,
            version=__version__,
            started_at=self._started_at,
            serial_number=None if record is None else record.serial_number,
            mac=None if record is None else record.mac,
            is_registered=credentials is not None,
            is_claimed=self._session.is_claimed,
            device_id=None if credentials is None else credentials.device_id,
            hub_url=None if credentials is None else credentials.hub_url,
            entry_url=self._settings.cloud.entry_url,
            problem=self._enrolment.problem if credentials is None else None,
            next_try_at=self._enrolment.next_try if credentials is None else None,
            hub=HubContact(
                is_reachable=pace.is_reachable,
                since=None if pace.is_reachable is None else pace.since,
                problem=pace.problem,
                next_try_at=None if wait_seconds is None else at + timedelta(seconds=wait_seconds),
            ),
            notice=self.notice,
            store_problem=self._store.problem,
        )

    async def _outbox_shown(self) -> OutboxSummary:
        outbox, lost = self._outbox, self._outbox.lost
        try:
            oldest_at = await outbox.oldest_at() if outbox.depth else None
            if lost != self._losses[0]:
                self._losses = lost, await outbox.losses()
        except StoreError:  # that the store cannot be read is shown by itself
            oldest_at = None
        return OutboxSummary(
            depth=outbox.depth, capacity=outbox.capacity, oldest_at=oldest_at, lost=lost, losses=_by_reason(self._losses[1])
        )

    def _line(self, record: ChildRecord, at: datetime) -> ChildSummary:
        key, standing = record.child.key, self._availability.of(record.child.key)
        known, supervisor = self._lines.get(key), self._supervisor_of(record.child)
        if known is not None and known[0] is record and known[1] is standing:
            line = known[2]
        else:
            line = _child_line(record, standing)
            self._lines[key] = record, standing, line
        if standing.reach is not Reach.SILENT or supervisor is None:
            return line
        wait_seconds = supervisor.next_try_seconds(key)
        return line.model_copy(update={"next_try_at": None if wait_seconds is None else at + timedelta(seconds=wait_seconds)})

    def _buses(self, lines: Sequence[ChildSummary]) -> Iterator[BusSummary]:
        """Yield every bus that has appeared, and those that have not and yet have children."""
        on_bus: defaultdict[tuple[str, str], list[ChildSummary]] = defaultdict(list)
        for line in lines:
            on_bus[line.entry, line.bus].append(line)
        for (entry, bus), supervisor in self._fleet.supervisors.items():
            yield _bus_shown(entry, bus, supervisor, on_bus.pop((entry, bus), []))
        for (entry, bus), children in on_bus.items():
            yield BusSummary(
                id=encode_id(entry, bus),
                entry=entry,
                bus=bus,
                problem="it has not appeared since the start: is it plugged in, and named in the configuration?",
                plan=0.0,
                limit=1.0,
                standings=count_by_status(children),
            )

    def _waiting(self) -> Iterator[WaitingDevice]:
        for key, met in self._registry.found_devices.items():
            known = self._devices.get(key)
            if known is None or known[0] is not met:
                known = self._devices[key] = met, self._device(met)
            yield known[1]
        for key in self._devices.keys() - self._registry.found_devices.keys():
            del self._devices[key]

    def _device(self, met: FoundDevice) -> WaitingDevice:
        found = met.found
        would_be = admit(
            found,
            adapter=met.adapter,
            bus=met.bus,
            policy=Policy.ALL,
            models=self._settings.models,
            decision=Decision.ADMIT,
        )
        return WaitingDevice(
            id=encode_id(met.key),
            key=met.key,
            name=met.name,
            found_as=None if met.given_name is None else found.name,
            entry=met.adapter,
            bus=met.bus,
            address=found.address,
            found_at=met.at,
            why=LEFT_ALONE if met.decision is Decision.IGNORE else met.why,
            decision=met.decision,
            profile=found.profile,
            family=found.family,
            model_id=would_be.model_id if isinstance(would_be, ChildDevice) else None,
            sub_model=found.sub_model,
            confidence=found.confidence,
            manufacturer=found.manufacturer,
            model=found.model,
            serial_number=found.serial_number,
            mac=found.mac,
            firmware_version=found.firmware_version,
            evidence=dict(found.evidence),
            says=dict(found.says),
        )

    def _supervisor_of(self, child: ChildDevice) -> Supervisor | None:
        return self._fleet.supervisors.get((child.adapter, child.bus))


def _child_line(record: ChildRecord, standing: ChildAvailability) -> ChildSummary:
    child = record.child
    word = child_status(record.state, standing.reach)
    is_for_the_cloud = word in (Word.REFUSED, Word.UNREGISTERED, Word.DELETED)
    return ChildSummary(
        id=encode_id(child.key),
        key=child.key,
        name=child.name,
        found_as=child.found_as,
        entry=child.adapter,
        bus=child.bus,
        bus_id=encode_id(child.adapter, child.bus),
        address=child.address,
        kind=_kind_of_device(child.manufacturer, child.model),
        standing=word,
        since=record.since if is_for_the_cloud else standing.since,
        why=record.problem if is_for_the_cloud else standing.why,
    )


def _bus_shown(entry: str, bus: str, supervisor: Supervisor, children: Sequence[ChildSummary]) -> BusSummary:
    standing = supervisor.status()
    budget, search = standing.budget, standing.discovery
    heaviest = [DeviceLoad(name=name, load=load) for name, load in budget.by_device.items() if load > 0]
    return BusSummary(
        id=encode_id(entry, bus),
        entry=entry,
        bus=bus,
        problem=standing.problem,
        plan=budget.load,
        limit=budget.limit,
        stretch=standing.stretch,
        load={str(purpose): share for purpose, share in standing.load.items()},
        heaviest=tuple(heaviest[:HEAVIEST_TOLD]),
        discovery=None if search is None else DiscoveryProgress(done=search.done, total=search.total, note=search.note),
        waiting_commands=standing.waiting_commands,
        standings=count_by_status(children),
    )


def _by_reason(losses: Sequence[Loss]) -> tuple[LossSummary, ...]:
    shown: dict[str, LossSummary] = {}
    for loss in losses:
        before = shown.get(loss.why)
        shown[loss.why] = LossSummary(
            why=loss.why,
            samples=loss.samples + (before.samples if before else 0),
            children=1 + (before.children if before else 0),
            first_at=min(loss.first_at, before.first_at) if before else loss.first_at,
            last_at=max(loss.last_at, before.last_at) if before else loss.last_at,
        )
    return tuple(shown.values())


def _kind_of_device(maker: str | None, model: str | None) -> str | None:
    """Return maker and model; many a model begins with the name of its maker, which is said once."""
    if maker and model and model.casefold().startswith(maker.casefold()):
        return model
    return " ".join(filter(None, (maker, model))) or None


def _kind_of_identity(key: str) -> str:
    """Return what a child's identity rests on, as people say it."""
    word = key.partition(":")[0]
    return KINDS_OF_IDENTITY.get(word, word)
