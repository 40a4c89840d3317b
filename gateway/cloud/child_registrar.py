"""Each child registered exactly once: the intention is stored before the call, the answer before its use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Literal
from uuid import uuid4

from gateway.cloud.protocol.values import semantic_version
from gateway.cloud.revocation import NOT_FOUND_FOR, KeyCheck, Standing, is_not_found
from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import ChildRegistration, Credentials, Hub, ListedChild
from gateway.models import ChildDevice, Status
from gateway.state.outbox import Outbox
from gateway.state.records import ChildRecord, ChildState
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored, run_to_completion

log = logging.getLogger(__name__)

MARKER = "gateway_marker"
"""The key in a child's `details` whose value is unique to one intention to register."""

SETTLE = timedelta(seconds=30)
"""How long the hub may take with a call whose answer was lost; only after it does a missing child count as not registered."""

REGISTER_AGAIN_AFTER = timedelta(minutes=15)
"""A child that is deleted in the cloud again and again is brought back no more often than this."""

REFUSED_AGAIN_AFTER = timedelta(hours=1)
"""Until a refused child is tried again: a model is added, a limit raised, a parent claimed while nobody looks at the gateway."""

UPDATE_AGAIN_AFTER = timedelta(minutes=10)
"""Until an Update Device is tried again: the hub takes ten an hour for a device (section 8.2)."""

UNHEARD_AGAIN_AFTER = timedelta(minutes=1)
"""Until a child is tried again whose registration met a 404 that is not about its model: its neighbours come first."""

LOOK_AGAIN = timedelta(minutes=1)
"""At most so long nobody looks whether there is something to do."""

LAST_ANSWER_SECONDS = 3.0
"""How long the end of the gateway waits for the answer to a registration: the key in it cannot be fetched again."""

KEY_LOST = (
    "the cloud has it, but its access key was lost with an answer that never arrived: telemetry goes on, commands and"
    " configuration cannot. Delete it in the portal, and it is registered anew"
)


class ChildRegistrar:
    """Brings the cloud's children in line with the registry's, one after the other.

    Waits are measured by the monotonic clock and start over with the process: a clock that jumps registers nobody twice.
    """

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
        not_found_for: timedelta = NOT_FOUND_FOR,
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._outbox = outbox
        self._deleted_children = deleted_children
        self._status_of = status_of
        self._settle = settle
        self._confirm_after = confirm_after
        self._keys = KeyCheck(hub, confirm_after=confirm_after, not_found_for=not_found_for)
        self._parent_id: str | None = None
        self._not_before: dict[str, float] = {}  # child -> monotonic moment of its next step, when that is not now
        self._refused_models: dict[str, str] = {}  # child -> the model id under which the hub refused it
        self._revision = -1
        self._open: dict[str, None] = {}  # children with something to do, in the order in which they came
        self._unanswered: set[str] = set()  # lost an answer in this run: until it is resolved, no other key is put at risk

    def forgive(self) -> None:
        """Try those that the hub refused once more: the reason may be mended."""
        for key, record in self._registry.children.items():
            if record.state is ChildState.REFUSED:
                self._not_before.pop(key, None)

    async def step(self, parent: Credentials) -> timedelta:
        """Do the next thing for one child; return after what time there may be more to do: zero is at once.

        Raises:
            HubUnauthorised: the hub does not accept the parent's key.
            HubRejected: the hub does not tell which children it has.
            HubUnreachable: try later; what was done stays done.
            StoreError: as above.
        """
        self._follow_registry(parent)
        now, wait = monotonic(), LOOK_AGAIN
        for key in self._open:
            record = self._registry.children[key]
            left = timedelta(seconds=self._due_at(key, record, now) - now)
            if left > timedelta(0):
                wait = min(wait, left)
            elif not self._unanswered or record.state in (ChildState.REGISTERING, ChildState.REGISTERED):
                await self._work_on(parent, record)
                return timedelta(0)
        return wait

    async def suspect(self, parent: Credentials, key: str) -> Standing:
        """Find out whether a child that the hub did not know is deleted, and act on it.

        A child counts as deleted when its key is refused twice, some seconds apart, or not found for minutes, and the parent's
        list does not have it either. The list is asked with the parent's key: a deleted parent's children are not deleted.

        Raises:
            HubError: as `step`.
        """
        record = self._registry.children[key]
        credentials = record.credentials(parent)
        if credentials is not None:
            standing = await self._keys.standing(credentials, self._status_of(key))
            if standing is not Standing.GONE:
                return standing
        if any(one.device_id == record.device_id for one in await self._hub.get_children(parent)):
            return Standing.UNCLEAR
        if self._registry.children[key].device_id != record.device_id:  # registered anew, or brought over, meanwhile
            return Standing.UNCLEAR
        await self._was_deleted(record)
        return Standing.GONE

    def suspect_again_at(self, key: str) -> float:
        """Return when (monotonic) a doubted child is to be looked into again."""
        return self._keys.ask_again_at(self._registry.children[key].device_id or "")

    # what is to be done -----------------------------------------------------------------------------------------------

    def _follow_registry(self, parent: Credentials) -> None:
        """Bring `_open` up to date: the children for which there is something to do, now or later."""
        if parent.device_id != self._parent_id:
            self._parent_id, self._revision = parent.device_id, -1
            self._not_before.clear()
        changed = self._registry.changed_since(self._revision)
        self._revision = self._registry.revision
        for key in reversed(changed):
            record = self._registry.children.get(key)
            if record is not None and self._is_open(parent, record):
                self._open[key] = None
            else:
                self._open.pop(key, None)
            if record is None or record.state is not ChildState.REGISTERING:
                self._unanswered.discard(key)

    def _is_open(self, parent: Credentials, record: ChildRecord) -> bool:
        match record.state:
            case ChildState.REGISTERED:
                return record.parent_id != parent.device_id or (record.needs_update and record.access_key is not None)
            case ChildState.DELETED:
                return self._deleted_children == "register_again"
            case _:
                return True

    def _due_at(self, key: str, record: ChildRecord, now: float) -> float:
        if record.state is ChildState.REGISTERING:  # left so by an earlier run, nobody knows when
            return self._not_before.setdefault(key, now + self._settle.total_seconds())
        if self._refused_models.get(key, record.child.model_id) != record.child.model_id:
            del self._refused_models[key]  # the configuration was mended
            self._not_before.pop(key, None)
        return self._not_before.get(key, 0.0)

    def _wait(self, key: str, how_long: timedelta) -> None:
        self._not_before[key] = monotonic() + how_long.total_seconds()

    async def _work_on(self, parent: Credentials, record: ChildRecord) -> None:
        match record.state:
            case ChildState.REGISTERING:
                await self._resolve(parent)
            case ChildState.REGISTERED if record.parent_id != parent.device_id:
                await self._adopt(parent, record)
            case ChildState.REGISTERED:
                await self._update(parent, record)
            case _:
                await self._register(parent, record)

    # registering ------------------------------------------------------------------------------------------------------

    async def _register(self, parent: Credentials, record: ChildRecord) -> None:
        intended = replace(record, state=ChildState.REGISTERING, since=_now(), parent_id=parent.device_id)
        intended = await self._registry.save_child(intended)
        await run_to_completion(self._ask_and_keep(parent, intended), within_seconds=LAST_ANSWER_SECONDS)

    async def _ask_and_keep(self, parent: Credentials, record: ChildRecord, *, with_sub_model: bool = True) -> None:
        key = record.child.key
        registration = registration_of(record, with_sub_model=with_sub_model)
        try:
            credentials = await self._hub.register_child(parent, registration)
        except HubRejected as error:
            if registration.sub_model and error.status in (400, 422) and "sub_model" in error.error:
                log.info("%s: the hub takes no sub-model at registration; it is told afterwards", record.child.name)
                await self._ask_and_keep(parent, record, with_sub_model=False)
                return
            await self._refused(record, error)
        except HubUnreachable as error:
            if error.maybe_done:
                self._unanswered.add(key)
                self._wait(key, self._settle)
            else:
                await self._registry.save_child(replace(record, state=ChildState.ADMITTED))
            raise
        else:
            await self._registered(record, parent, credentials, needs_update=not with_sub_model)

    async def _registered(
        self, record: ChildRecord, parent: Credentials, credentials: Credentials, *, needs_update: bool
    ) -> None:
        twin = self._registry.by_device_id(credentials.device_id)
        if twin is not None:
            why = f"the cloud takes it for {twin.child.name} ({twin.child.key}), which has the same serial number"
            await self._put_off(record, why)
            return
        registered = replace(
            record,
            state=ChildState.REGISTERED,
            device_id=credentials.device_id,
            access_key=credentials.access_key,
            hub_url=credentials.hub_url if credentials.hub_url != parent.hub_url else None,
            needs_update=needs_update,
            problem=None,
            since=_now(),
        )
        await retry_until_stored(lambda: self._registry.save_child(registered), what=f"the access key of {record.child.name}")
        log.info("%s: registered as %s%s", record.child.name, credentials.device_id, _as_sub_model(record.child))

    async def _refused(self, record: ChildRecord, error: HubRejected) -> None:
        """Tell refusals of the parent, of who knows what, and of this child apart."""
        child, is_about_model = record.child, "model" in error.error.lower()
        if isinstance(error, HubUnauthorised):
            await self._registry.save_child(replace(record, state=ChildState.ADMITTED))
            raise error
        if is_not_found(error) and not is_about_model:
            await self._registry.save_child(replace(record, state=ChildState.ADMITTED))
            self._wait(child.key, UNHEARD_AGAIN_AFTER)
            raise HubUnreachable(str(error), maybe_done=False, status=error.status) from error
        fix = f'; check [models] {child.family or "*"} = "{child.model_id}" against the Partner Portal' if is_about_model else ""
        await self._put_off(record, f"{error}{fix}")

    async def _put_off(self, record: ChildRecord, problem: str) -> None:
        child = record.child
        await self._registry.save_child(replace(record, state=ChildState.REFUSED, problem=problem, since=_now()))
        self._wait(child.key, REFUSED_AGAIN_AFTER)
        self._refused_models[child.key] = child.model_id
        if problem != record.problem:
            log.error("%s: the hub refused to register it: %s. It is tried again every hour", child.name, problem)

    # unknown outcomes -------------------------------------------------------------------------------------------------

    async def _resolve(self, parent: Credentials) -> None:
        """Find out, by their markers, which of the calls without an answer were carried out."""
        listed = await self._hub.get_children(parent)
        now = monotonic()
        for key, record in list(self._registry.children.items()):
            if record.state is not ChildState.REGISTERING or self._due_at(key, record, now) > now:
                continue
            made = self._made_by(record, listed)
            if made is None:
                await self._registry.save_child(replace(record, state=ChildState.ADMITTED))
            else:
                await self._keep_without_key(record, parent, made)
            del self._not_before[key]

    def _made_by(self, record: ChildRecord, listed: Sequence[ListedChild]) -> ListedChild | None:
        """Return the device that this child's registration made; by its serial number where the hub tells no marker."""
        serial_number = registration_of(record).serial_number
        for one in listed:
            marker = one.details.get(MARKER)
            is_nobodys = marker is None and self._registry.by_device_id(one.device_id) is None
            if marker == record.marker or (is_nobodys and one.serial_number == serial_number):
                return one
        return None

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
        await self._registry.save_child(known)
        log.warning("%s: %s", record.child.name, KEY_LOST)

    # a new parent -----------------------------------------------------------------------------------------------------

    async def _adopt(self, parent: Credentials, record: ChildRecord) -> None:
        """Bring a child of an earlier registration of the gateway under the new one, or register it anew (section 17.15)."""
        credentials, key = record.credentials(parent), record.child.key
        standing = Standing.GONE if credentials is None else await self._keys.standing(credentials, self._status_of(key))
        if credentials is None or standing is Standing.GONE:
            await self._registry.save_child(start_anew(record))
        elif standing is Standing.DOUBTED:
            self._not_before[key] = self._keys.ask_again_at(credentials.device_id)
        else:
            await self._move(credentials, parent, record)

    async def _move(self, credentials: Credentials, parent: Credentials, record: ChildRecord) -> None:
        try:
            await self._hub.update_device(credentials, parent_id=parent.device_id)
        except HubUnauthorised:  # its key was accepted a moment ago
            self._wait(record.child.key, self._confirm_after)
        except HubRejected as error:
            log.warning("%s: the hub does not move it under the new gateway: %s", record.child.name, error)
            await self._registry.save_child(start_anew(record))
        else:
            await self._registry.save_child(replace(record, parent_id=parent.device_id))

    # deleted children -------------------------------------------------------------------------------------------------

    async def _was_deleted(self, record: ChildRecord) -> None:
        name, key = record.child.name, record.child.key
        if self._deleted_children == "leave":
            await self._registry.save_child(replace(start_anew(record), state=ChildState.DELETED, problem="deleted in the cloud"))
            dropped = await self._outbox.drop_child(key, "the child was deleted in the cloud")
            log.warning("%s: was deleted in the cloud and is left so, as set; %d samples dropped", name, dropped)
            return
        log.warning("%s: was deleted in the cloud; it is registered anew", name)
        lived = max(_now() - record.since, timedelta(0))  # by a clock that may have jumped: at worst it waits in full
        self._wait(key, max(REGISTER_AGAIN_AFTER - lived, timedelta(0)))
        await self._registry.save_child(start_anew(record))

    # what changed since -----------------------------------------------------------------------------------------------

    async def _update(self, parent: Credentials, record: ChildRecord) -> None:
        credentials, child = record.credentials(parent), record.child
        if credentials is None:
            return
        try:
            await self._hub.update_device(
                credentials, name=child.name, firmware_version=semantic_version(child.firmware_version), sub_model=child.sub_model
            )
        except (HubBusy, HubUnauthorised):  # ten updates an hour; or its next telemetry tells whether it is deleted
            self._wait(child.key, UPDATE_AGAIN_AFTER)
            return
        except HubRejected as error:
            log.warning("%s: the hub does not take its new name, version or sub-model: %s", child.name, error)
        if self._registry.children[child.key].device_id == record.device_id:  # and not found deleted meanwhile
            await self._registry.save_child(replace(record, needs_update=False))


def registration_of(record: ChildRecord, *, with_sub_model: bool = True) -> ChildRegistration:
    """Return what Register Child Device is told of a child."""
    child = record.child
    facts: Mapping[str, object] = {
        "manufacturer": child.manufacturer,
        "model": child.model,
        "profile": child.profile,
        "adapter": child.adapter,
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


def _as_sub_model(child: ChildDevice) -> str:
    return f", sub-model {child.sub_model}" if child.sub_model else ""


def _now() -> datetime:
    return datetime.now(UTC)
