"""Look through Get Child Devices for devices that registrations without a response made: each is used, or reported as a twin."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.cloud import child_records
from gateway.cloud.child_records import KEY_LOST_WITH_STORE, MARKER
from gateway.cloud.registration_queue import RegistrationQueue
from gateway.hub import Credentials, Hub, ListedChild
from gateway.state.child_states import ChildEvent, ChildState
from gateway.state.events import ReportEvent
from gateway.state.records import ChildRecord, UnusedDevice
from gateway.state.registry import Registry
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

LOOKS_AFTER = (timedelta(minutes=1), timedelta(minutes=15))
"""After a registration that followed one without a response, the list is looked through at once and again after these times."""

JUST_NOW_SECONDS = 5.0
"""A list that is not older than this need not be requested again."""

LATELY_SECONDS = 60.0
"""A list of this age is new enough to find children that were registered before the store was lost."""


class RegistrationLookups:
    """Finds out which registrations without a response were carried out, also late, and reports what the cloud has twice."""

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        queue: RegistrationQueue,
        *,
        report_event: ReportEvent,
        may_lack_children: Callable[[], bool] = lambda: False,
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._queue = queue
        self._report_event = report_event
        self._may_lack_children = may_lack_children
        self._listed: tuple[float, Sequence[ListedChild]] | None = None
        self._resolved_at: dict[str, float] = {}  # child -> loop time
        self._looks: dict[str, int] = {}  # child -> how often the list was looked through since its registration

    async def resolve(self, parent: Credentials) -> None:
        """Find out, by their markers, which of the calls without a response were carried out until now.

        Raises:
            HubError: see `Hub`.
        """
        listed = await self._hub.get_children(parent)
        for record in self._queue.unresolved():
            if not await self._adopt(parent, record, listed):
                lost = child_records.not_registered(record, ChildEvent.NOT_LISTED)
                await self._registry.save_child(replace(lost, unanswered_at=record.unanswered_at or datetime.now(UTC)))
            self._queue.resolved(record.child.key)
            self._resolved_at[record.child.key] = loop_time()
        await self._forget_deleted(listed)

    async def is_registered_already(self, parent: Credentials, record: ChildRecord) -> bool:
        """Look, right before a child is registered, whether an earlier call without a response was carried out after all.

        After the store was lost, also a child without such a call may be in the cloud: one that was registered right before.

        Raises:
            HubError: see `Hub`.
        """
        if record.unanswered_at is None:
            if record.state is ChildState.DELETED or not self._may_lack_children():
                return False
            return await self._adopt(parent, record, await self._list_of_late(parent))
        if loop_time() - self._resolved_at.get(record.child.key, -JUST_NOW_SECONDS) < JUST_NOW_SECONDS:
            return False
        return await self._adopt(parent, record, await self._hub.get_children(parent))

    async def _list_of_late(self, parent: Credentials) -> Sequence[ListedChild]:
        """Return the children in the cloud as they were lately: nobody else registers any."""
        if self._listed is None or loop_time() - self._listed[0] > LATELY_SECONDS:
            self._listed = loop_time(), await self._hub.get_children(parent)
        return self._listed[1]

    async def look_again(self, parent: Credentials, record: ChildRecord) -> None:
        """Look whether the cloud has a registered child twice, at once and twice more.

        Raises:
            HubError: see `Hub`.
        """
        key = record.child.key
        listed = await self._hub.get_children(parent)
        now = self._registry.children.get(key)
        if now is None or now.unanswered_at is None or now.state is not ChildState.REGISTERED:
            return
        record = now
        await self._report_twins(record, listed)
        await self._forget_deleted(listed)
        looks = self._looks.get(key, 0)
        if looks < len(LOOKS_AFTER):
            self._looks[key] = looks + 1
            self._queue.postpone(key, LOOKS_AFTER[looks])
        else:
            self._looks.pop(key, None)
            await self._registry.save_child(replace(record, unanswered_at=None))

    async def _adopt(self, parent: Credentials, record: ChildRecord, listed: Sequence[ListedChild]) -> bool:
        """Go on with the device that an earlier call of this child made, if it made one; its key is lost."""
        made = self._made_by(record, listed)
        if made is None:
            return False
        found = child_records.registered_without_key(record, parent, made)
        if (marker := made.details.get(MARKER)) is not None and marker != record.marker:
            found = replace(found, marker=str(marker), problem=KEY_LOST_WITH_STORE)
        adopted = await self._registry.save_child(found)
        log.warning("%s: %s", record.child.name, found.problem)
        await self._report_twins(adopted, listed)
        return True

    def _made_by(self, record: ChildRecord, listed: Sequence[ListedChild]) -> ListedChild | None:
        """Return the device that this child's registration made; by serial number or name where the hub lists no marker."""
        made = next((one for one in listed if one.details.get(MARKER) == record.marker), None) or next(
            (one for one in listed if self._is_unassigned(one) and child_records.is_same_device(record, one)), None
        )
        if made is not None or not self._may_lack_children():
            return made
        known = {one.marker for one in self._registry.children.values()}
        return next(
            (
                one
                for one in listed
                if self._registry.by_device_id(one.device_id) is None
                and one.device_id not in self._registry.unused_devices
                and one.details.get(MARKER) not in known
                and child_records.is_certainly_same_device(record, one)
            ),
            None,
        )

    async def _report_twins(self, record: ChildRecord, listed: Sequence[ListedChild]) -> None:
        """Store and report the other devices that registrations of this child have made."""
        used = next((one for one in listed if one.device_id == record.device_id), None)
        by_marker = used is None or MARKER in used.details
        for one in listed:
            is_ours = one.details.get(MARKER) == record.marker if by_marker else child_records.is_same_device(record, one)
            if one.device_id == record.device_id or one.device_id in self._registry.unused_devices:
                continue
            if is_ours and self._registry.by_device_id(one.device_id) is None:
                await self._report_twin(record, one)

    async def _report_twin(self, record: ChildRecord, twin: ListedChild) -> None:
        child = record.child
        why = "was made by a registration whose response never arrived"
        device = UnusedDevice(
            device_id=twin.device_id,
            child=child.key,
            name=child.name,
            access_key=None,
            hub_url=None,
            why=why,
            at=datetime.now(UTC),
        )
        await self._registry.add_unused_device(device)
        text = f"the cloud has it twice: {record.device_id} is in use, and {twin.device_id} {why}. Delete {twin.device_id} there"
        log.warning("%s: %s", child.name, text)
        self._report_event(child.key, "device_twice_in_cloud", "device", text)

    async def _forget_deleted(self, listed: Sequence[ListedChild]) -> None:
        """Forget the unused devices without a key that a person has deleted."""
        ids = {one.device_id for one in listed}
        for device in list(self._registry.unused_devices.values()):
            if device.access_key is None and device.device_id not in ids:
                await self._registry.remove_unused_device(device.device_id)

    def _is_unassigned(self, one: ListedChild) -> bool:
        return MARKER not in one.details and self._registry.by_device_id(one.device_id) is None
