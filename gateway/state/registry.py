"""Keep the identity and cloud registration of the gateway and its children, and the found devices that are no children."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType

from gateway.models import ChildDevice, Found
from gateway.state.record_rows import (
    read_all,
    remove_found_device,
    remove_request,
    remove_unused_device,
    write_admitted,
    write_child,
    write_found_device,
    write_gateway,
    write_name,
    write_replaced,
    write_request,
    write_retired,
    write_unused_device,
)
from gateway.state.records import ChildRecord, ChildRequest, Decision, FoundDevice, GatewayRecord, Request, UnusedDevice
from gateway.state.store import Store, Transaction
from gateway.state.writes import runs_to_completion


class Registry:
    """All records in memory, written through: each change is on disk before it is visible here.

    Changes run one after the other, and each runs to its end, so that a search that finds a child again while its access key
    arrives does not overwrite the key.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._gateway: GatewayRecord | None = None
        self._children: dict[str, ChildRecord] = {}
        self._found_devices: dict[str, FoundDevice] = {}
        self._names: dict[str, str] = {}
        self._unused_devices: dict[str, UnusedDevice] = {}
        self._names_from_cloud: set[str] = set()
        self._requests: dict[str, ChildRequest] = {}
        self._by_device_id: dict[str, str] = {}
        self._changed_at: dict[str, int] = {}  # child -> revision, the latest change last
        self._writing = asyncio.Lock()
        self.revision = 0
        """Counts the changes, so that a reader can see whether there are new ones."""
        self.changed = asyncio.Condition()

    @property
    def gateway(self) -> GatewayRecord | None:
        """The gateway's record; `None` before its identity was made."""
        return self._gateway

    @property
    def children(self) -> Mapping[str, ChildRecord]:
        """All children by local key."""
        return MappingProxyType(self._children)

    @property
    def found_devices(self) -> Mapping[str, FoundDevice]:
        """All devices that were found and are no children, by the local key that they would have."""
        return MappingProxyType(self._found_devices)

    @property
    def unused_devices(self) -> Mapping[str, UnusedDevice]:
        """The devices in the cloud that registrations of this gateway made and that it does not use, by id."""
        return MappingProxyType(self._unused_devices)

    @property
    def requests(self) -> Mapping[str, ChildRequest]:
        """What people ask to be done with children, by the key of the child, the oldest first."""
        return MappingProxyType(self._requests)

    def by_device_id(self, device_id: str) -> ChildRecord | None:
        """Return the child that the cloud knows under this id."""
        key = self._by_device_id.get(device_id)
        return None if key is None else self._children[key]

    def name_of(self, key: str) -> str | None:
        """Return the name of this device, child or not; `None` when no such device is known."""
        if (record := self._children.get(key)) is not None:
            return record.child.name
        device = self._found_devices.get(key)
        return None if device is None else device.name

    def device_of(self, key: str) -> ChildDevice | None:
        """Return the child or found device with this key, under its present name."""
        record = self._children.get(key)
        if record is not None:
            return record.child
        found = self._found_devices.get(key)
        return None if found is None else replace(found.found.as_child(adapter=found.adapter, bus=found.bus), name=found.name)

    def given_name(self, key: str) -> str | None:
        """Return the name that a person has given this device here; `None` where nobody has."""
        return None if key in self._names_from_cloud else self._names.get(key)

    def changed_since(self, revision: int) -> list[str]:
        """Return the keys of the children that were changed, added or removed after this revision."""
        changed: list[str] = []
        for key in reversed(self._changed_at):
            if self._changed_at[key] <= revision:
                break
            changed.append(key)
        return changed

    async def wait_for_change(self, revision: int) -> None:
        """Return as soon as something has changed since this revision."""
        async with self.changed:
            await self.changed.wait_for(lambda: self.revision != revision)

    @runs_to_completion
    async def load(self) -> None:
        """Read everything from the store, also again after another process wrote to it."""
        async with self._writing:
            stored = await self._store.transact(read_all)
            self._names, self._names_from_cloud = stored.names, set(stored.names_from_cloud)
            named = [record.named(self._names.get(record.child.key)) for record in stored.children]
            before, self._children = self._children, {record.child.key: record for record in named}
            self._gateway = stored.gateway
            self._found_devices = {
                device.key: replace(device, given_name=self._names.get(device.key)) for device in stored.found_devices
            }
            self._unused_devices = {device.device_id: device for device in stored.unused_devices}
            self._requests = {request.key: request for request in stored.requests}
            self._by_device_id = {record.device_id: key for key, record in self._children.items() if record.device_id is not None}
            await self._notify(*(key for key in before | self._children if before.get(key) != self._children.get(key)))

    @runs_to_completion
    async def save_gateway(self, record: GatewayRecord) -> None:
        """Store the gateway's identity or credentials."""
        async with self._writing:
            await self._store.transact(lambda db: write_gateway(db, record))
            self._gateway = record
            await self._notify()

    @runs_to_completion
    async def admit(self, child: ChildDevice, *, displaced: ChildDevice | None = None) -> ChildRecord:
        """Make a device a child, or bring the known child up to date: its bus and address, its firmware, its model.

        The name that a person has given it stays. A new device at the address of a child that is gone, `displaced`, is held.
        """
        async with self._writing:
            # It also replaces a name from the config, which a person wrote, too: this one was given later, to the device itself
            # and not to an address, and would otherwise be undone by the next search or restart.
            child = child.with_name(self._names.get(child.key))
            known = self._children.get(child.key)
            if known is None:
                record = ChildRecord.new(child, displaced=displaced)
            elif (record := known.found_again(child, displaced=displaced)) == known:
                return known
            await self._store.transact(lambda db: write_admitted(db, record))
            self._found_devices.pop(child.key, None)
            await self._put(record)
            return record

    @runs_to_completion
    async def save_child(self, record: ChildRecord) -> ChildRecord:
        """Store the state of a child's registration, and return the record as it is now.

        Its `child` stays as `admit` last made it; if that is not what the cloud was sent, the record needs an update. Nothing is
        stored of a child that a person has removed meanwhile.
        """
        async with self._writing:
            known = self._children.get(record.child.key)
            if known is None:
                return record
            record = record.with_child(known.child)
            await self._store.transact(lambda db: write_child(db, record))
            await self._put(record)
            return record

    @runs_to_completion
    async def add_found(self, adapter: str, bus: str, found: Found, why: str) -> None:
        """Store a device that is no child, and why; a person's decision about it stays. New evidence alone is not stored."""
        key = found.identity.key
        async with self._writing:
            before = self._found_devices.get(key)
            device = FoundDevice(
                key=key,
                adapter=adapter,
                bus=bus,
                found=found,
                why=why,
                decision=before.decision if before else None,
                at=datetime.now(UTC),
                given_name=self._names.get(key),
            )
            if before is None or not before.is_same_apart_from_evidence(device):
                await self._save_found(device)

    @runs_to_completion
    async def decide(self, key: str, decision: Decision | None) -> bool:
        """Store a person's decision about a found device, or about a child that waits for one; `False` when there is none."""
        async with self._writing:
            record, device = self._children.get(key), self._found_devices.get(key)
            if device is not None:
                await self._save_found(replace(device, decision=decision))
            elif record is not None and record.awaits_decision and decision is Decision.ADMIT:
                await self._save_request(ChildRequest(key=key, request=Request.REGISTER, at=datetime.now(UTC)))
            else:
                return False
            return True

    @runs_to_completion
    async def forget_found(self, key: str) -> bool:
        """Remove a found device, the decision about it and its given name; `False` when no such device was found."""
        async with self._writing:
            if key not in self._found_devices:
                return False
            await self._store.transact(lambda db: remove_found_device(db, key))
            del self._found_devices[key]
            self._names.pop(key, None)
            await self._notify()
            return True

    @runs_to_completion
    async def forget_strangers(self, keys: Sequence[str]) -> None:
        """Remove found devices about which nobody has decided, all at once."""
        async with self._writing:
            known = [key for key in keys if key in self._found_devices]
            if not known:
                return

            def work(db: Transaction) -> None:
                for key in known:
                    remove_found_device(db, key)

            await self._store.transact(work)
            for key in known:
                del self._found_devices[key]
            await self._notify()

    @runs_to_completion
    async def rename(self, key: str, name: str | None) -> bool:
        """Store the name that a person gives a device, child or not; `None` removes it. `False` when there is no such device.

        Only the name is written: a command in another process must not overwrite a record that changes meanwhile. That the
        renamed child needs an update is worked out again by every `load`, until its record is next written.
        """
        async with self._writing:
            known, device = self._children.get(key), self._found_devices.get(key)
            if known is None and device is None:
                return False
            await self._store.transact(lambda db: write_name(db, key, name))
            if name is None:
                self._names.pop(key, None)
            else:
                self._names[key] = name
            self._names_from_cloud.discard(key)
            if device is not None:
                self._found_devices[key] = replace(device, given_name=name)
            if known is not None:
                self._children[key] = known.named(name)
            await self._notify(*([key] if known is not None else []))
            return True

    @runs_to_completion
    async def request(self, request: ChildRequest) -> None:
        """Store what a person asks to be done with a child, also from another process."""
        async with self._writing:
            await self._save_request(request)

    @runs_to_completion
    async def end_request(self, key: str) -> None:
        """Remove a request that was carried out, or cannot be."""
        async with self._writing:
            await self._store.transact(lambda db: remove_request(db, key))
            self._requests.pop(key, None)
            await self._notify()

    @runs_to_completion
    async def retire(self, key: str, *, why: str, unused: UnusedDevice | None) -> None:
        """Make a child a found device that is ignored, with the reason; `unused` is the device that it leaves in the cloud."""
        async with self._writing:
            child = self._children[key].child
            device = FoundDevice(
                key=key,
                adapter=child.adapter,
                bus=child.bus,
                found=Found.of_child(child),
                why=why,
                decision=Decision.IGNORE,
                at=datetime.now(UTC),
                given_name=self._names.get(key),
            )
            await self._store.transact(lambda db: write_retired(db, device, unused))
            self._found_devices[key] = device
            self._forget(key, unused)
            await self._notify(key)

    @runs_to_completion
    async def replace(self, old_key: str, child: ChildDevice, *, unused: UnusedDevice | None) -> ChildRecord:
        """Let a child of the cloud go on with another device, under the key of that device.

        `unused` is the device in the cloud that this device was registered as before.
        """
        async with self._writing:
            old, name = self._children[old_key], self._names.get(child.key, self._names.get(old_key))
            record = replace(old.with_child(child.with_name(name)), replaces=None, needs_update=old.device_id is not None)
            await self._store.transact(lambda db: write_replaced(db, old_key, record, unused))
            if child.key not in self._names and old_key in self._names_from_cloud:
                self._names_from_cloud.add(child.key)
            self._names_from_cloud.discard(old_key)
            self._names.pop(old_key, None)
            if name is not None:
                self._names[child.key] = name
            self._found_devices.pop(child.key, None)
            for key in (old_key, child.key):
                self._forget(key, unused)
            await self._notify(old_key)
            await self._put(record)
            return record

    @runs_to_completion
    async def add_unused_device(self, device: UnusedDevice) -> None:
        """Store a device in the cloud that is not used."""
        async with self._writing:
            await self._store.transact(lambda db: write_unused_device(db, device))
            self._unused_devices[device.device_id] = device
            await self._notify()

    @runs_to_completion
    async def remove_unused_device(self, device_id: str) -> None:
        """Remove a device that the cloud does not have any more."""
        async with self._writing:
            await self._store.transact(lambda db: remove_unused_device(db, device_id))
            self._unused_devices.pop(device_id, None)
            await self._notify()

    @runs_to_completion
    async def name_from_cloud(self, key: str, name: str) -> bool:
        """Give a child the name that it got in the cloud; return whether that changed something.

        A name that a person has given here stays, and so does one that the cloud has not been told yet.
        """
        async with self._writing:
            known = self._children.get(key)
            is_named_here = key in self._names and key not in self._names_from_cloud
            if known is None or known.needs_update or is_named_here or known.child.name == name:
                return False
            record = replace(known, child=known.child.with_name(name))

            def write(db: Transaction) -> None:
                write_name(db, key, name, from_cloud=True)
                write_child(db, record)

            await self._store.transact(write)
            self._names[key] = name
            self._names_from_cloud.add(key)
            await self._put(record)
            return True

    @runs_to_completion
    async def name_as_configured(self, key: str, name: str | None, *, former: str | None) -> bool:
        """Give a child the name of its configuration, and return whether that changed something.

        A name that a person has given here stays.

        Args:
            key: the local key of the child.
            name: the name; `None` ends the one that the former configuration gave it.
            former: the name of the former configuration.
        """
        async with self._writing:
            known = self._children.get(key)
            if known is None or self.given_name(key) is not None or self._names.get(key) == name:
                return False
            if name is None and self._names.get(key) != former:
                return False  # it was named in the cloud since
            record = known.named(name)

            def write(db: Transaction) -> None:
                write_name(db, key, name, from_cloud=True)
                write_child(db, record)

            await self._store.transact(write)
            if name is None:
                del self._names[key]
                self._names_from_cloud.discard(key)
            else:
                self._names[key] = name
                self._names_from_cloud.add(key)
            await self._put(record)
            return True

    async def _save_request(self, request: ChildRequest) -> None:
        await self._store.transact(lambda db: write_request(db, request))
        self._requests[request.key] = request
        await self._notify()

    async def _save_found(self, device: FoundDevice) -> None:
        await self._store.transact(lambda db: write_found_device(db, device))
        self._found_devices[device.key] = device
        await self._notify()

    def _forget(self, key: str, unused: UnusedDevice | None) -> None:
        """Remove a child from memory, with the request about it."""
        record = self._children.pop(key, None)
        if record is not None and record.device_id is not None:
            self._by_device_id.pop(record.device_id, None)
        self._requests.pop(key, None)
        if unused is not None:
            self._unused_devices[unused.device_id] = unused

    async def _put(self, record: ChildRecord) -> None:
        key = record.child.key
        before = self._children.get(key)
        if before is not None and before.device_id is not None:
            self._by_device_id.pop(before.device_id, None)
        if record.device_id is not None:
            self._by_device_id[record.device_id] = key
        self._children[key] = record
        await self._notify(key)

    async def _notify(self, *keys: str) -> None:
        self.revision += 1
        for key in keys:
            self._changed_at.pop(key, None)
            self._changed_at[key] = self.revision
        async with self.changed:
            self.changed.notify_all()
