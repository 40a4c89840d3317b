"""Each child registered exactly once: the intention is stored before the call, the answer before its use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import uuid4

from gateway.cloud.values import semantic_version
from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import ChildRegistration, Credentials, Hub, ListedChild, TelemetryMessage
from gateway.models import ChildDevice, Status
from gateway.state.outbox import Outbox
from gateway.state.registry import ChildRecord, ChildState, Registry

log = logging.getLogger(__name__)

MARKER = "gateway_marker"
"""The key in a child's `details` whose value is unique to one intention to register."""

SETTLE = timedelta(seconds=30)
"""How long the hub may take with a call whose answer was lost; only after it does a missing child count as not registered."""

REGISTER_AGAIN_AFTER = timedelta(minutes=15)
"""A child that is deleted in the cloud again and again is brought back no more often than this."""

KEY_LOST = (
    "the cloud has it, but its access key was lost with an answer that never arrived: telemetry goes on, commands and"
    " configuration cannot. Delete it in the portal, and it is registered anew"
)


class ChildRegistrar:
    """Brings the cloud's children in line with the registry's, one call after the other."""

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        outbox: Outbox,
        *,
        deleted_children: Literal["register_again", "leave"],
        status_of: Callable[[str], Status],
        settle: timedelta = SETTLE,
        confirm_after: timedelta = timedelta(seconds=5),
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._outbox = outbox
        self._deleted_children = deleted_children
        self._status_of = status_of
        self._settle = settle
        self._confirm_after = confirm_after
        self._deleted_at: dict[str, datetime] = {}

    async def forgive(self) -> None:
        """Try those that the hub refused once more: the reason may be mended. Called at each start."""
        refused = [record for record in self._registry.children.values() if record.state is ChildState.REFUSED]
        if refused:
            await self._registry.keep_all([replace(record, state=ChildState.ADMITTED) for record in refused])

    async def catch_up(self, parent: Credentials) -> timedelta | None:
        """Do everything that can be done now; return after what time more can be done, `None` if nothing is left to do.

        Raises:
            HubUnauthorised: the hub does not accept the parent's key.
            HubUnreachable: try later; what was done stays done.
        """
        await self._adopt(parent)
        wait: timedelta | None = None
        for key in list(self._registry.children):
            record = self._registry.children.get(key)
            if record is None:
                continue
            if record.state is ChildState.ADMITTED and (left := self._held_back(key)) is not None:
                wait = left if wait is None else min(wait, left)
            elif record.state is ChildState.ADMITTED:
                record = await self._register(parent, record)
            if record.state is ChildState.REGISTERED and record.update_owed:
                await self._update(parent, record)
        left = await self._resolve(parent)
        return left if wait is None else wait if left is None else min(wait, left)

    async def suspect(self, parent: Credentials, key: str) -> bool:
        """Find out whether a child that the hub did not know is deleted; act on it and return whether it is."""
        record = self._registry.children[key]
        credentials = record.credentials(parent)
        if credentials is None:
            listed = await self._hub.get_children(parent)
            if any(one.device_id == record.device_id for one in listed):
                return False
        elif await self._is_accepted(credentials, key):
            return False
        else:  # two refusals, some seconds apart, mean that it is deleted (section 13.2)
            await asyncio.sleep(self._confirm_after.total_seconds())
            if await self._is_accepted(credentials, key):
                return False
        await self._was_deleted(record)
        return True

    # registering ------------------------------------------------------------------------------------------------------

    async def _register(self, parent: Credentials, record: ChildRecord, *, with_sub_model: bool = True) -> ChildRecord:
        record = replace(record, state=ChildState.REGISTERING, since=_now(), problem=None, parent_id=parent.device_id)
        await self._registry.keep(record)
        registration = registration_of(record, with_sub_model=with_sub_model)
        try:
            credentials = await self._hub.register_child(parent, registration)
        except HubUnauthorised:
            await self._registry.keep(replace(record, state=ChildState.ADMITTED))
            raise
        except HubRejected as error:
            if with_sub_model and registration.sub_model and error.status in (400, 422) and "sub_model" in error.error:
                log.info("%s: the hub takes no sub-model at registration; it is told afterwards", record.child.name)
                return await self._register(parent, record, with_sub_model=False)
            return await self._refused(record, error)
        except HubUnreachable as error:
            if not error.maybe_done:
                await self._registry.keep(replace(record, state=ChildState.ADMITTED))
            raise
        return await self._registered(record, parent, credentials, update_owed=not with_sub_model)

    async def _registered(
        self, record: ChildRecord, parent: Credentials, credentials: Credentials, *, update_owed: bool
    ) -> ChildRecord:
        current = self._registry.children[record.child.key]  # it may have moved or changed during the call
        changed = update_owed or registration_of(current) != registration_of(record)
        registered = replace(
            current,
            state=ChildState.REGISTERED,
            device_id=credentials.device_id,
            access_key=credentials.access_key,
            hub_url=credentials.hub_url if credentials.hub_url != parent.hub_url else None,
            parent_id=parent.device_id,
            update_owed=changed,
            problem=None,
            since=_now(),
        )
        await self._registry.keep(registered)
        log.info("%s: registered as %s%s", record.child.name, credentials.device_id, _as_sub_model(record.child))
        return registered

    async def _refused(self, record: ChildRecord, error: HubRejected) -> ChildRecord:
        child = record.child
        fix = ""
        if error.status == 404 or "model" in error.error.lower():
            fix = f'; check [models] {child.family or "*"} = "{child.model_id}" against the Partner Portal'
        refused = replace(record, state=ChildState.REFUSED, problem=f"{error}{fix}", since=_now())
        await self._registry.keep(refused)
        log.error("%s: the hub refused to register it: %s%s. It is tried again at the next start", child.name, error, fix)
        return refused

    # unknown outcomes -------------------------------------------------------------------------------------------------

    async def _resolve(self, parent: Credentials) -> timedelta | None:
        """Find out, by their markers, which of the calls without an answer were carried out."""
        open_ones = [record for record in self._registry.children.values() if record.state is ChildState.REGISTERING]
        if not open_ones:
            return None
        by_marker = {_marker(one): one for one in await self._hub.get_children(parent)}
        wait: timedelta | None = None
        for record in open_ones:
            listed = by_marker.get(record.marker)
            if listed is not None:
                await self._keep_without_key(record, parent, listed)
            elif (left := record.since + self._settle - _now()) > timedelta(0):
                wait = left if wait is None else min(wait, left)
            else:
                await self._registry.keep(replace(record, state=ChildState.ADMITTED))
                wait = timedelta(0)
        return wait

    async def _keep_without_key(self, record: ChildRecord, parent: Credentials, listed: ListedChild) -> None:
        known = replace(
            record,
            state=ChildState.REGISTERED,
            device_id=listed.device_id,
            access_key=None,
            parent_id=parent.device_id,
            problem=KEY_LOST,
            since=_now(),
        )
        await self._registry.keep(known)
        log.warning("%s: %s", record.child.name, KEY_LOST)

    # a new parent -----------------------------------------------------------------------------------------------------

    async def _adopt(self, parent: Credentials) -> None:
        """Bring the children of an earlier registration of the gateway under the new one (section 17.15)."""
        strangers = [
            record
            for record in self._registry.children.values()
            if record.state is ChildState.REGISTERED and record.parent_id != parent.device_id
        ]
        doubtful = [record for record in strangers if not await self._adopted(parent, record)]
        if doubtful:
            await asyncio.sleep(self._confirm_after.total_seconds())
        for record in doubtful:
            if not await self._adopted(parent, record):
                await self._registry.keep(start_anew(record))

    async def _adopted(self, parent: Credentials, record: ChildRecord) -> bool:
        credentials = record.credentials(parent)
        if credentials is None or not await self._is_accepted(credentials, record.child.key):
            return False
        try:
            await self._hub.update_device(credentials, parent_id=parent.device_id)
        except HubRejected as error:
            log.warning("%s: the hub does not move it under the new gateway: %s", record.child.name, error)
            return False
        await self._registry.keep(replace(record, parent_id=parent.device_id))
        return True

    # deleted children -------------------------------------------------------------------------------------------------

    async def _is_accepted(self, credentials: Credentials, key: str) -> bool:
        """Ask with the child's own key whether the hub knows it."""
        try:
            await self._hub.send_telemetry(credentials, TelemetryMessage(status=self._status_of(key), values={}))
        except HubUnauthorised:
            return False
        except HubRejected:
            return True  # it has something against the message, not against the key
        return True

    async def _was_deleted(self, record: ChildRecord) -> None:
        name = record.child.name
        if self._deleted_children == "leave":
            await self._registry.keep(replace(start_anew(record), state=ChildState.DELETED, problem="deleted in the cloud"))
            dropped = await self._outbox.drop_child(record.child.key, "the child was deleted in the cloud")
            log.warning("%s: was deleted in the cloud and is left so, as set; %d samples dropped", name, dropped)
            return
        log.warning("%s: was deleted in the cloud; it is registered anew", name)
        self._deleted_at.setdefault(record.child.key, record.since)
        await self._registry.keep(start_anew(record))

    def _held_back(self, key: str) -> timedelta | None:
        """Return how long a child that was deleted in the cloud, soon after it was registered, still has to wait."""
        registered_at = self._deleted_at.get(key)
        if registered_at is None:
            return None
        left = registered_at + REGISTER_AGAIN_AFTER - _now()
        if left > timedelta(0):
            return left
        del self._deleted_at[key]
        return None

    # what changed since -----------------------------------------------------------------------------------------------

    async def _update(self, parent: Credentials, record: ChildRecord) -> None:
        credentials = record.credentials(parent)
        child = record.child
        if credentials is None:
            return
        try:
            await self._hub.update_device(
                credentials, name=child.name, firmware_version=semantic_version(child.firmware_version), sub_model=child.sub_model
            )
        except HubUnauthorised:
            return  # its next telemetry tells whether it is deleted
        except HubBusy:
            return  # ten updates an hour: it stays owed
        except HubRejected as error:
            log.warning("%s: the hub does not take its new name, version or sub-model: %s", child.name, error)
        await self._registry.keep(replace(self._registry.children[child.key], update_owed=False))


def registration_of(record: ChildRecord, *, with_sub_model: bool = True) -> ChildRegistration:
    """Return what Register Child Device is told of a child."""
    child = record.child
    facts: Mapping[str, object] = {
        "manufacturer": child.manufacturer,
        "model": child.model,
        "profile": child.profile,
        "bus": child.bus,
        "address": child.address,
    }
    return ChildRegistration(
        model_id=child.model_id,
        firmware_version=semantic_version(child.firmware_version),
        serial_number=child.serial_number or child.key,
        mac=child.mac,
        name=child.name,
        sub_model=child.sub_model if with_sub_model else None,
        details={**{name: fact for name, fact in facts.items() if fact is not None}, MARKER: record.marker},
    )


def start_anew(record: ChildRecord) -> ChildRecord:
    """Return the record of a child that the cloud does not know any more, with a marker of its own."""
    return ChildRecord(child=record.child, state=ChildState.ADMITTED, marker=str(uuid4()), since=_now())


def _marker(listed: ListedChild) -> str | None:
    marker = listed.details.get(MARKER)
    return marker if isinstance(marker, str) else None


def _as_sub_model(child: ChildDevice) -> str:
    return f", sub-model {child.sub_model}" if child.sub_model else ""


def _now() -> datetime:
    return datetime.now(UTC)
