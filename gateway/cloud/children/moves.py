"""Move the children of a former registration of the gateway under the present one, as soon as the cloud allows it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.cloud import child_records
from gateway.cloud.registration_queue import RegistrationQueue
from gateway.cloud.revocation import KeyCheck, KeyState
from gateway.errors import HubBusy, HubRejected, HubUnauthorised
from gateway.hub import Credentials, DeviceUpdate, Hub
from gateway.models import Status
from gateway.state.child_states import ChildEvent, ChildState, next_child_state
from gateway.state.records import ChildRecord
from gateway.state.registry import Registry

log = logging.getLogger(__name__)

MOVE_AGAIN_AFTER = timedelta(minutes=15)
"""The retry interval of a refused move; a claim of the gateway ends the wait (device API reference, section 18)."""

SIBLINGS_FIRST = timedelta(seconds=5)
"""The wait of a child without a key for the checks of its siblings' keys."""

UNCLAIMED = (
    "it lives in the cloud under the former registration of this gateway, and the cloud moves it only when one customer has"
    " claimed both: claim this gateway in the portal. Until then its values are sent with its own key"
)
NOT_ALLOWED = (
    "it lives in the cloud under the former registration of this gateway, and the cloud does not move it ({}). Its values are"
    " sent with its own key. Delete it in the portal, and it is registered again within a quarter of an hour"
)
WITHOUT_KEY = (
    "the cloud may still have it as {} under the former registration of this gateway, and its access key is lost, so it can be"
    " neither moved nor checked. Delete it in the portal if it is there; then: xyte-gateway children admit {}"
)


class ChildMoves:
    """Moves children, or finds out that they were deleted with the gateway. A child whose key works is never registered anew."""

    def __init__(
        self, hub: Hub, registry: Registry, queue: RegistrationQueue, key_check: KeyCheck, *, status_of: Callable[[str], Status]
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._queue = queue
        self._key_check = key_check
        self._status_of = status_of
        self._deleted_with_children: set[str] = set()  # former registrations whose children's keys are refused

    async def move(self, parent: Credentials, record: ChildRecord) -> None:
        """Take the next step for a child that is not under this parent (sections 13.2, 17.15 and 18).

        Raises:
            HubError: see `Hub`; what is done stays done.
        """
        credentials, key = record.credentials(parent), record.child.key
        if record.parent_id == parent.device_id:  # the former registration of the gateway is accepted again
            await self._save_moved(record, parent)
            return
        if credentials is None:
            await self._move_without_key(parent, record)
            return
        key_state = await self._key_check.check(credentials, self._status_of(key))
        if key_state is KeyState.GONE:
            self._deleted_with_children.add(record.parent_id or "")
            await self._registry.save_child(child_records.unregistered(record, ChildEvent.GONE_WITH_PARENT))
        elif key_state is KeyState.DOUBTED:
            self._queue.postpone_until(key, self._key_check.check_again_at(credentials.device_id))
        else:
            await self._change_parent(credentials, parent, record)

    async def _change_parent(self, credentials: Credentials, parent: Credentials, record: ChildRecord) -> None:
        key = record.child.key
        try:
            await self._hub.update_device(credentials, DeviceUpdate(parent_id=parent.device_id))
        except HubUnauthorised:  # its key was accepted a moment ago
            self._queue.postpone(key, self._key_check.timing.confirm_after)
        except HubBusy:  # ten updates an hour
            self._queue.postpone(key, MOVE_AGAIN_AFTER)
        except HubRejected as error:
            problem = UNCLAIMED if "claimed" in error.error.lower() else NOT_ALLOWED.format(error.error)
            await self._wait(record, problem)
        else:
            await self._save_moved(record, parent)

    async def _move_without_key(self, parent: Credentials, record: ChildRecord) -> None:
        """Decide about a child that cannot be probed: never register it blindly (section 13.2)."""
        key, former = record.child.key, record.parent_id or ""
        if any(listed.device_id == record.device_id for listed in await self._hub.get_children(parent)):
            await self._save_moved(record, parent)
        elif former in self._deleted_with_children:
            await self._registry.save_child(child_records.unregistered(record, ChildEvent.GONE_WITH_PARENT))
        elif record.state is ChildState.REGISTERED and self._has_unchecked_siblings(former):
            self._queue.postpone(key, SIBLINGS_FIRST)
        else:
            await self._wait(record, WITHOUT_KEY.format(record.device_id, key))

    def _has_unchecked_siblings(self, former: str) -> bool:
        return any(
            other.state is ChildState.REGISTERED and other.parent_id == former and other.access_key is not None
            for other in self._registry.children.values()
        )

    async def _wait(self, record: ChildRecord, problem: str) -> None:
        """Let a child wait where it is, also over a restart."""
        self._queue.postpone(record.child.key, MOVE_AGAIN_AFTER)
        if (record.state, record.problem) == (ChildState.UNMOVED, problem):
            return
        is_new = record.state is not ChildState.UNMOVED
        state = next_child_state(record.state, ChildEvent.MOVE_REFUSED) if is_new else record.state
        since = datetime.now(UTC) if is_new else record.since
        await self._registry.save_child(replace(record, state=state, problem=problem, since=since))
        minutes = MOVE_AGAIN_AFTER.total_seconds() / 60
        log.warning(
            "%s: %s. It is tried again when the gateway is claimed, and every %.0f min", record.child.name, problem, minutes
        )

    async def _save_moved(self, record: ChildRecord, parent: Credentials) -> None:
        state = record.state if record.state is ChildState.REGISTERED else next_child_state(record.state, ChildEvent.MOVED)
        problem = child_records.KEY_LOST if record.access_key is None else None
        await self._registry.save_child(replace(record, state=state, parent_id=parent.device_id, problem=problem))
        log.info("%s: moved in the cloud under the present registration of this gateway", record.child.name)
