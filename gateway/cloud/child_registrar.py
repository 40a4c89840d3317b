"""Register each child exactly once: the intention is stored before the call, and the response before its use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from gateway.cloud import child_records
from gateway.cloud.child_records import registration_of
from gateway.cloud.children.lookups import RegistrationLookups
from gateway.cloud.children.moves import ChildMoves
from gateway.cloud.children.requests import ChildRequests
from gateway.cloud.children.unused_devices import UnusedDevices
from gateway.cloud.registration_pace import RegistrationPace
from gateway.cloud.registration_queue import DeletedChildren, RegistrationQueue
from gateway.cloud.retry_times import clock_time, in_words
from gateway.cloud.revocation import KeyCheck, KeyState, is_not_found
from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable, UpdateLimitReached
from gateway.hub import Credentials, Hub
from gateway.models import ChildDevice, Status
from gateway.state.child_states import ChildEvent, ChildState
from gateway.state.events import ReportEvent
from gateway.state.outbox import LossReason, Outbox
from gateway.state.records import ChildRecord
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored, run_to_completion

log = logging.getLogger(__name__)

SETTLE = timedelta(seconds=30)
"""The time that the hub may take for a call whose response was lost; only then a missing child counts as not registered."""

REGISTER_AGAIN_AFTER = timedelta(minutes=15)
"""The shortest time between two registrations of a child that is deleted in the cloud again and again."""

REFUSED_AGAIN_AFTER = timedelta(hours=1)
"""The retry interval of a refused child: a model is added, a limit raised or a parent claimed without notice."""

UPDATE_AGAIN_AFTER = timedelta(minutes=10)
"""The retry interval of Update Device: the hub accepts ten an hour for a device (section 8.2)."""

NOT_FOUND_AGAIN_AFTER = timedelta(minutes=1)
"""The retry interval of a registration that met a 404 that is not about the model: other children come first."""

LAST_RESPONSE_SECONDS = 3.0
"""The time that a stopping gateway waits for the response to a registration: the key in it cannot be fetched again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationPolicy:
    """The settings of child registration."""

    deleted_children: DeletedChildren = "register_again"
    settle: timedelta = SETTLE
    per_minute: int | None = None
    """The most registrations in any minute."""


class ChildRegistrar:
    """Brings the children in the cloud in line with the registry, one after the other."""

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        outbox: Outbox,
        key_check: KeyCheck,
        *,
        policy: RegistrationPolicy,
        status_of: Callable[[str], Status],
        report_event: ReportEvent = lambda child, name, category, text: None,
        may_lack_children: Callable[[], bool] = lambda: False,
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._outbox = outbox
        self._key_check = key_check
        self._policy = policy
        self._status_of = status_of
        self._queue = RegistrationQueue(registry, deleted_children=policy.deleted_children, settle=policy.settle)
        self._requests = ChildRequests(hub, registry, outbox, report_event=report_event, register_now=self._queue.resolved)
        self._pace = RegistrationPace(policy.per_minute)
        self._unused_devices = UnusedDevices(hub, registry)
        self._lookups = RegistrationLookups(
            hub, registry, self._queue, report_event=report_event, may_lack_children=may_lack_children
        )
        self._moves = ChildMoves(hub, registry, self._queue, key_check, status_of=status_of)

    def retry_refused(self) -> None:
        """Retry at once the children that were refused or not moved: the reason may be gone."""
        self._queue.retry_refused()

    def retry(self, child: str) -> None:
        """Retry this child at once."""
        self._queue.resolved(child)

    async def step(self, parent: Credentials) -> timedelta:
        """Do the next step for one child; return after what time there may be another one, zero for at once.

        Raises:
            HubUnauthorised: the hub does not accept the parent's key.
            HubRejected: the hub refuses to list the children.
            HubUnreachable: retry later; completed steps stay completed.
            StoreError: as above.
        """
        if self._registry.requests and await self._requests.carry_out_next(parent):
            return timedelta(0)
        self._queue.follow_registry(parent)
        registers_after = self._pace.wait()
        record, wait = self._queue.next_due(registers_after=registers_after)
        if record is None:
            self._pace.tell(self._queue.waiting_to_register() if registers_after > timedelta(0) else 0)
        if record is not None:
            await self._work_on(parent, record)
        elif await self._unused_devices.delete_next(parent):
            return timedelta(0)
        return wait

    async def check_child(self, parent: Credentials, key: str) -> KeyState:
        """Find out whether the hub deleted a child, and act on it.

        A child counts as deleted when its key is refused twice, some seconds apart, or not found for minutes, and the parent's
        list does not contain it either. The list is requested with the parent's key: a deleted parent's children are not deleted.

        Raises:
            HubError: as `step`.
        """
        record = self._registry.children[key]
        credentials = record.credentials(parent)
        if credentials is not None:
            key_state = await self._key_check.check(credentials, self._status_of(key))
            if key_state is not KeyState.GONE:
                return key_state
        if any(listed.device_id == record.device_id for listed in await self._hub.get_children(parent)):
            return KeyState.UNCLEAR
        if not self._is_still(record):
            return KeyState.UNCLEAR
        await self._was_deleted(record)
        return KeyState.GONE

    def check_again_at(self, key: str) -> float:
        """Return the loop time of the next check of a doubted child."""
        record = self._registry.children.get(key)
        return 0.0 if record is None else self._key_check.check_again_at(record.device_id or "")

    def _is_still(self, record: ChildRecord) -> bool:
        """Return whether a child is still this device in the cloud: it may be registered again, moved or removed meanwhile."""
        now = self._registry.children.get(record.child.key)
        return now is not None and now.device_id == record.device_id

    async def _work_on(self, parent: Credentials, record: ChildRecord) -> None:
        match record.state:
            case ChildState.REGISTERING:
                await self._lookups.resolve(parent)
            case ChildState.REGISTERED if record.parent_id != parent.device_id:
                await self._moves.move(parent, record)
            case ChildState.UNMOVED:
                await self._moves.move(parent, record)
            case ChildState.REGISTERED if record.needs_update and record.access_key is not None:
                await self._update(parent, record)
            case ChildState.REGISTERED:
                await self._lookups.look_again(parent, record)
            case _:
                await self._register(parent, record)

    # registering ------------------------------------------------------------------------------------------------------

    async def _register(self, parent: Credentials, record: ChildRecord) -> None:
        if await self._lookups.is_registered_already(parent, record):
            return
        self._pace.registers()
        intended = await self._registry.save_child(child_records.registering(record, parent))
        await run_to_completion(self._call_and_store(parent, intended), within_seconds=LAST_RESPONSE_SECONDS)

    async def _call_and_store(self, parent: Credentials, record: ChildRecord, *, with_sub_model: bool = True) -> None:
        key = record.child.key
        registration = registration_of(record, with_sub_model=with_sub_model)
        try:
            credentials = await self._hub.register_child(parent, registration)
        except HubRejected as error:
            if registration.sub_model and error.status in (400, 422) and "sub_model" in error.error:
                log.info("%s: the hub accepts no sub-model at registration; it is sent afterwards", record.child.name)
                await self._call_and_store(parent, record, with_sub_model=False)
                return
            await self._refused(record, error)
        except HubUnreachable as error:
            if error.maybe_done:
                self._queue.response_lost(key)
            else:
                await self._registry.save_child(child_records.not_registered(record, ChildEvent.NOT_CARRIED_OUT))
            raise
        else:
            await self._registered(record, parent, credentials, needs_update=not with_sub_model)

    async def _registered(
        self, record: ChildRecord, parent: Credentials, credentials: Credentials, *, needs_update: bool
    ) -> None:
        other = self._registry.by_device_id(credentials.device_id)
        if other is not None:
            problem = f"the cloud takes it for {other.child.name} ({other.child.key}), which has the same serial number"
            await self._put_off(record, problem)
            return
        registered = child_records.registered(record, parent, credentials, needs_update=needs_update)
        await retry_until_stored(lambda: self._registry.save_child(registered), what=f"the access key of {record.child.name}")
        log.info("%s: registered as %s%s", record.child.name, credentials.device_id, _sub_model_note(record.child))

    async def _refused(self, record: ChildRecord, error: HubRejected) -> None:
        """Distinguish refusals of the parent's key, of an unknown cause, and of this child."""
        child, is_about_model = record.child, "model" in error.error.lower()
        if isinstance(error, HubUnauthorised):
            await self._registry.save_child(child_records.not_registered(record, ChildEvent.NOT_CARRIED_OUT))
            raise error
        if is_not_found(error) and not is_about_model:
            await self._registry.save_child(child_records.not_registered(record, ChildEvent.NOT_CARRIED_OUT))
            self._queue.postpone(child.key, NOT_FOUND_AGAIN_AFTER)
            raise HubUnreachable(str(error), maybe_done=False, status=error.status) from error
        fix = f'; check [models] {child.family or "*"} = "{child.model_id}" against the Partner Portal' if is_about_model else ""
        await self._put_off(record, f"{error}{fix}")

    async def _put_off(self, record: ChildRecord, problem: str) -> None:
        await self._registry.save_child(child_records.refused(record, problem))
        self._queue.postpone_refused(record.child, REFUSED_AGAIN_AFTER)
        if problem != record.problem:
            log.error(
                "%s: the hub refused to register it: %s. It is retried every hour, and at the claim", record.child.name, problem
            )

    # deleted children -------------------------------------------------------------------------------------------------

    async def _was_deleted(self, record: ChildRecord) -> None:
        name, key = record.child.name, record.child.key
        if self._policy.deleted_children == "leave":
            await self._registry.save_child(
                child_records.unregistered(record, ChildEvent.LEFT_DELETED, problem=child_records.DELETED)
            )
            dropped = await self._outbox.drop_child(key, LossReason.DELETED)
            log.warning("%s: was deleted in the cloud and stays deleted, as configured; %d samples dropped", name, dropped)
            return
        age = max(datetime.now(UTC) - record.since, timedelta(0))  # by a clock that may have jumped: at worst it waits in full
        wait = max(REGISTER_AGAIN_AFTER - age, timedelta(0))
        log.warning("%s: was deleted in the cloud; it is registered again %s", name, in_words(wait))
        problem = f"{child_records.DELETED}; it is registered again {clock_time(wait)}"
        self._queue.postpone(key, wait)
        await self._registry.save_child(child_records.unregistered(record, ChildEvent.DELETED, problem=problem))

    # changes ----------------------------------------------------------------------------------------------------------

    async def _update(self, parent: Credentials, record: ChildRecord) -> None:
        credentials, child = record.credentials(parent), record.child
        if credentials is None:
            return
        try:
            await self._hub.update_device(credentials, child_records.update_of(record))
        except UpdateLimitReached as error:  # ten updates an hour: what changes meanwhile goes with the next one
            self._queue.postpone(child.key, timedelta(seconds=error.retry_after_seconds or 0))
            return
        except (HubBusy, HubUnauthorised):  # or its next telemetry shows whether it is deleted
            self._queue.postpone(child.key, UPDATE_AGAIN_AFTER)
            return
        except HubRejected as error:
            log.warning("%s: the hub does not accept its new name, version or sub-model: %s", child.name, error)

        async def save() -> None:
            if self._is_still(record):
                await self._registry.save_child(replace(record, needs_update=False))

        # without it, the update would be sent again and again while the store fails; ten an hour are accepted
        await retry_until_stored(save, what=f"that the cloud has what has changed of {child.name}")


def _sub_model_note(child: ChildDevice) -> str:
    return f", sub-model {child.sub_model}" if child.sub_model else ""
