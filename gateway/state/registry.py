"""Who the gateway is, who its children are, and by which id and key the cloud knows them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import uuid4

from pydantic import SecretStr, TypeAdapter

from gateway.hub import Credentials
from gateway.models import ChildDevice, Found
from gateway.state.store import Store, Transaction, uncancelled


class ChildState(StrEnum):
    """How far a child's registration has come."""

    ADMITTED = "admitted"
    """To be registered."""
    REGISTERING = "registering"
    """Register Child Device was about to be called; whether it was carried out is not known until an answer is stored."""
    REGISTERED = "registered"
    REFUSED = "refused"
    """The hub refused it: `problem` says why. Tried again at each start and every now and then."""
    DELETED = "deleted"
    """Deleted in the cloud and, by setting, left at that."""


class Decision(StrEnum):
    """What a person said of a device that was found."""

    ADMIT = "admit"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRecord:
    """One child and its standing in the cloud."""

    child: ChildDevice
    state: ChildState
    marker: str
    """Goes into the child's `details` in the cloud, so that Get Child Devices shows which of our calls made which device."""
    device_id: str | None = None
    access_key: SecretStr | None = None
    """`None` for a registered child whose key was lost with the answer: telemetry goes on, commands cannot."""
    hub_url: str | None = None
    """Only when the child's registration named another hub than its parent's."""
    parent_id: str | None = None
    update_owed: bool = False
    """The cloud's name, firmware version or sub-model of it is behind ours; Update Device has to bring it."""
    problem: str | None = None
    since: datetime

    def credentials(self, parent: Credentials) -> Credentials | None:
        """Return what the child's own calls need; `None` while it has no id or no key."""
        if self.device_id is None or self.access_key is None:
            return None
        return replace(
            parent, device_id=self.device_id, access_key=self.access_key, hub_url=self.hub_url or parent.hub_url
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRecord:
    """The gateway's own identity, made once and kept for life, and its credentials while it has any."""

    serial_number: str
    mac: str | None
    cloud_id: str | None
    credentials: Credentials | None = None
    former_credentials: Credentials | None = None
    """Those that the hub refused, kept until new ones are there: should the hub have erred, they still work."""
    told: str | None = None
    """What the cloud was last told of the gateway (its name, version and sub-model), to see when it is behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """A device that was found and is no child."""

    key: str
    adapter: str
    bus: str
    found: Found
    why: str
    """Why it is none, and what would make it one."""
    decision: Decision | None
    at: datetime
    given_name: str | None = None
    """What a person calls it."""

    @property
    def name(self) -> str:
        """What it is called: by a person, or else as it was found."""
        return self.found.name if self.given_name is None else self.given_name


_DEVICE = TypeAdapter(ChildDevice)
_FOUND = TypeAdapter(Found)
_CREDENTIALS = TypeAdapter(dict[str, str | None])


class Registry:
    """Everything in memory, written through: what stands in here is already on disk.

    One change after the other, and each to its end: a device that is met while its key arrives does not cost the key.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._gateway: GatewayRecord | None = None
        self._children: dict[str, ChildRecord] = {}
        self._met: dict[str, Met] = {}
        self._names: dict[str, str] = {}
        self._by_device_id: dict[str, str] = {}
        self._changed_at: dict[str, int] = {}  # child -> revision, the latest change last
        self._writing = asyncio.Lock()
        self.revision = 0
        """Counts up with each change, so that a reader can tell whether to look again."""
        self.changed = asyncio.Condition()

    @property
    def gateway(self) -> GatewayRecord | None:
        """The gateway's record; `None` before its identity was made."""
        return self._gateway

    @property
    def children(self) -> Mapping[str, ChildRecord]:
        """Every child by its local key."""
        return MappingProxyType(self._children)

    @property
    def met(self) -> Mapping[str, Met]:
        """Every device that was found and is no child, by the key it would have."""
        return MappingProxyType(self._met)

    def by_device_id(self, device_id: str) -> ChildRecord | None:
        """Return the child that the cloud knows under this id."""
        key = self._by_device_id.get(device_id)
        return None if key is None else self._children[key]

    def name_of(self, key: str) -> str | None:
        """Return what this device is called, child or not; `None` when no such device is known."""
        if (record := self._children.get(key)) is not None:
            return record.child.name
        met = self._met.get(key)
        return None if met is None else met.name

    def changed_since(self, revision: int) -> list[str]:
        """Return the keys of the children that were changed, added or removed after this revision."""
        changed: list[str] = []
        for key in reversed(self._changed_at):
            if self._changed_at[key] <= revision:
                break
            changed.append(key)
        return changed

    @uncancelled
    async def load(self) -> None:
        """Read everything from the store, also again after another process wrote to it."""
        async with self._writing:
            gateway, children, met, self._names = await self._store.transact(_read_all)
            named = [_named(record, self._names.get(record.child.key)) for record in children]
            before, self._children = self._children, {record.child.key: record for record in named}
            self._gateway = gateway
            self._met = {one.key: replace(one, given_name=self._names.get(one.key)) for one in met}
            self._by_device_id = {record.device_id: key for key, record in self._children.items() if record.device_id is not None}
            await self._tell(*(key for key in before | self._children if before.get(key) != self._children.get(key)))

    @uncancelled
    async def keep_gateway(self, record: GatewayRecord) -> None:
        """Store the gateway's identity or credentials."""
        async with self._writing:
            await self._store.transact(lambda db: _write_gateway(db, record))
            self._gateway = record
            await self._tell()

    @uncancelled
    async def admit(self, child: ChildDevice) -> ChildRecord:
        """Make a device a child, or bring what is known of the child up to date: where it is met, its firmware, its model.

        It goes by the name that a person has given it, if any.
        """
        async with self._writing:
            # Also over a name from the config, which is a person's word too: this one was given later, to the device itself
            # and not to an address, and whoever gave it sees it undone by the next search as little as by the next restart.
            child = child.called(self._names.get(child.key))
            known = self._children.get(child.key)
            if known is not None and known.child == child:
                return known
            record = _newly_met(child) if known is None else _met_again(known, child)
            await self._store.transact(lambda db: _write_admitted(db, record))
            self._met.pop(child.key, None)
            await self._put(record)
            return record

    @uncancelled
    async def keep(self, record: ChildRecord) -> ChildRecord:
        """Store what has become of a child's registration, and return the record as it is now.

        Its `child` is left as `admit` made it last; if the cloud was told something else meanwhile, an update is owed.
        """
        async with self._writing:
            known = self._children.get(record.child.key)
            if known is not None:
                owed = record.update_owed or (record.device_id is not None and _told(known.child) != _told(record.child))
                record = replace(record, child=known.child, update_owed=owed)
            await self._store.transact(lambda db: _write_child(db, record))
            await self._put(record)
            return record

    @uncancelled
    async def meet(self, adapter: str, bus: str, found: Found, why: str) -> None:
        """Remember a device that is no child, and why; a person's decision about it stays. Other evidence alone is no news."""
        key = found.identity.key
        async with self._writing:
            before = self._met.get(key)
            decision = before.decision if before else None
            met = Met(
                key=key,
                adapter=adapter,
                bus=bus,
                found=found,
                why=why,
                decision=decision,
                at=_now(),
                given_name=self._names.get(key),
            )
            if before is None or replace(before, at=met.at, found=replace(before.found, evidence=found.evidence)) != met:
                await self._keep_met(met)

    @uncancelled
    async def decide(self, key: str, decision: Decision | None) -> bool:
        """Store what a person said of a found device; `False` when no such device was found."""
        async with self._writing:
            met = self._met.get(key)
            if met is not None:
                await self._keep_met(replace(met, decision=decision))
            return met is not None

    @uncancelled
    async def rename(self, key: str, name: str | None) -> bool:
        """Store what a person calls a device, child or not; `None` for what it was found as. `False` when there is none.

        The name alone is written: a command beside the gateway must not write over a record that changes meanwhile. What it
        makes of the record, an update that is owed, every `load` finds out again until the record is written the next time.
        """
        async with self._writing:
            known, met = self._children.get(key), self._met.get(key)
            if known is None and met is None:
                return False
            await self._store.transact(lambda db: _write_name(db, key, name))
            if name is None:
                self._names.pop(key, None)
            else:
                self._names[key] = name
            if met is not None:
                self._met[key] = replace(met, given_name=name)
            if known is not None:
                self._children[key] = _named(known, name)
                await self._tell(key)
            else:
                await self._tell()
            return True

    async def _keep_met(self, met: Met) -> None:
        await self._store.transact(lambda db: _write_met(db, met))
        self._met[met.key] = met
        await self._tell()

    async def _put(self, record: ChildRecord) -> None:
        key = record.child.key
        before = self._children.get(key)
        if before is not None and before.device_id is not None:
            self._by_device_id.pop(before.device_id, None)
        if record.device_id is not None:
            self._by_device_id[record.device_id] = key
        self._children[key] = record
        await self._tell(key)

    async def _tell(self, *keys: str) -> None:
        self.revision += 1
        for key in keys:
            self._changed_at.pop(key, None)
            self._changed_at[key] = self.revision
        async with self.changed:
            self.changed.notify_all()


def _newly_met(child: ChildDevice) -> ChildRecord:
    return ChildRecord(child=child, state=ChildState.ADMITTED, marker=str(uuid4()), since=_now())


def _met_again(known: ChildRecord, child: ChildDevice) -> ChildRecord:
    refused_no_more = known.state is ChildState.REFUSED and known.child.model_id != child.model_id
    state = ChildState.ADMITTED if refused_no_more else known.state
    return replace(known, child=child, state=state, update_owed=_owes(known, child))


def _named(known: ChildRecord, name: str | None) -> ChildRecord:
    child = known.child.called(name)
    return replace(known, child=child, update_owed=_owes(known, child))


def _owes(known: ChildRecord, child: ChildDevice) -> bool:
    """Whether the cloud is behind when the child becomes this one."""
    return known.update_owed or (known.device_id is not None and _told(known.child) != _told(child))


def _told(child: ChildDevice) -> tuple[str | None, ...]:
    """What Update Device can tell the cloud of a child."""
    return child.name, child.firmware_version, child.sub_model


def _now() -> datetime:
    return datetime.now(UTC)


def read_gateway(db: Transaction) -> GatewayRecord | None:
    """Return the gateway's record as it stands in a store; `None` before its identity was made."""
    for serial, mac, cloud_id, credentials, former, told in db.execute(
        "SELECT serial_number, mac, cloud_id, credentials, former_credentials, told FROM gateway"
    ):
        return GatewayRecord(
            serial_number=serial,
            mac=mac,
            cloud_id=cloud_id,
            credentials=_credentials_from(credentials),
            former_credentials=_credentials_from(former),
            told=told,
        )
    return None


def _read_all(db: Transaction) -> tuple[GatewayRecord | None, list[ChildRecord], list[Met], dict[str, str]]:
    children = [
        ChildRecord(
            child=_DEVICE.validate_json(device),
            state=ChildState(state),
            marker=marker,
            device_id=device_id,
            access_key=None if access_key is None else SecretStr(access_key),
            hub_url=hub_url,
            parent_id=parent_id,
            update_owed=bool(owed),
            problem=problem,
            since=datetime.fromisoformat(since),
        )
        for device, state, marker, device_id, access_key, hub_url, parent_id, owed, problem, since in db.execute(
            "SELECT device, state, marker, device_id, access_key, hub_url, parent_id, update_owed, problem, since"
            " FROM children ORDER BY rowid"
        )
    ]
    met = [
        Met(
            key=key,
            adapter=adapter,
            bus=bus,
            found=_FOUND.validate_json(found),
            why=why,
            decision=None if decision is None else Decision(decision),
            at=datetime.fromisoformat(at),
        )
        for key, adapter, bus, found, why, decision, at in db.execute(
            "SELECT key, adapter, bus, found, why, decision, at FROM met ORDER BY rowid"
        )
    ]
    return read_gateway(db), children, met, dict(db.execute("SELECT key, name FROM names"))


def _write_gateway(db: Transaction, record: GatewayRecord) -> None:
    db.execute(
        "INSERT OR REPLACE INTO gateway (only_row, serial_number, mac, cloud_id, credentials, former_credentials, told)"
        " VALUES (1, ?, ?, ?, ?, ?, ?)",
        (
            record.serial_number,
            record.mac,
            record.cloud_id,
            _credentials_text(record.credentials),
            _credentials_text(record.former_credentials),
            record.told,
        ),
    )


def _write_child(db: Transaction, record: ChildRecord) -> None:
    db.execute(
        "INSERT INTO children"
        " (key, device, state, marker, device_id, access_key, hub_url, parent_id, update_owed, problem, since)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET device = excluded.device, state = excluded.state, marker = excluded.marker,"
        " device_id = excluded.device_id, access_key = excluded.access_key, hub_url = excluded.hub_url,"
        " parent_id = excluded.parent_id, update_owed = excluded.update_owed, problem = excluded.problem,"
        " since = excluded.since",
        (
            record.child.key,
            _DEVICE.dump_json(record.child).decode(),
            record.state.value,
            record.marker,
            record.device_id,
            None if record.access_key is None else record.access_key.get_secret_value(),
            record.hub_url,
            record.parent_id,
            int(record.update_owed),
            record.problem,
            record.since.isoformat(),
        ),
    )


def _write_met(db: Transaction, met: Met) -> None:
    db.execute(
        "INSERT OR REPLACE INTO met (key, adapter, bus, found, why, decision, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (met.key, met.adapter, met.bus, _FOUND.dump_json(met.found).decode(), met.why, met.decision, met.at.isoformat()),
    )


def _write_name(db: Transaction, key: str, name: str | None) -> None:
    if name is None:
        db.execute("DELETE FROM names WHERE key = ?", (key,))
    else:
        db.execute("INSERT OR REPLACE INTO names (key, name) VALUES (?, ?)", (key, name))


def _write_admitted(db: Transaction, record: ChildRecord) -> None:
    _write_child(db, record)
    db.execute("DELETE FROM met WHERE key = ?", (record.child.key,))


def _credentials_text(credentials: Credentials | None) -> str | None:
    if credentials is None:
        return None
    return _CREDENTIALS.dump_json(
        {
            "device_id": credentials.device_id,
            "access_key": credentials.access_key.get_secret_value(),
            "hub_url": credentials.hub_url,
            "hub_url_static_cert": credentials.hub_url_static_cert,
            "mqtt_hub_url": credentials.mqtt_hub_url,
        }
    ).decode()


def _credentials_from(text: str | None) -> Credentials | None:
    if text is None:
        return None
    stored = _CREDENTIALS.validate_json(text)
    return Credentials(
        device_id=stored["device_id"] or "",
        access_key=SecretStr(stored["access_key"] or ""),
        hub_url=stored["hub_url"] or "",
        hub_url_static_cert=stored["hub_url_static_cert"],
        mqtt_hub_url=stored["mqtt_hub_url"],
    )
