"""Fetch the cloud's record of each device when a flag says that it changed: name, customer, space, and files of its model.

These calls are never urgent: with many children they are spread over time, since every request counts against the rate limit of
the customer (device API reference, section 18).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.protocol.values import printable_line
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubRejected, HubUnauthorised
from gateway.hub import Credentials, DeviceUpdate, Hub
from gateway.hub_records import ModelFile, Space
from gateway.models import NAME_LENGTH
from gateway.state.cloud_records import CloudRecord, CloudRecords, FileRecord, SpaceRecord
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time, wait_until

log = logging.getLogger(__name__)

SECONDS_BETWEEN_DEVICES = 1.0
"""Between the calls for two children: a claim changes the space of a thousand children at once."""

FETCH_FILES_EVERY_SECONDS = 24 * 3600.0
"""How often the list of the model's files is fetched; a firmware offer is announced by its own flag."""

FETCH_FILES_AGAIN_SECONDS = 600.0
"""How soon it is fetched again after a failure."""

FILES_KEPT = 50
"""The most files of a model that are kept for people."""


class DeviceRecordLoop:
    """Runs beside the telemetry until it is cancelled.

    Args:
        hub: the cloud.
        devices: knows the children and their keys.
        records: stores what was fetched.
        registry: gets the names that children were given in the cloud.
        calls: the guarded calls of the session.
        children_follow: move each child to the space of the gateway when it is in another one.
    """

    def __init__(
        self,
        hub: Hub,
        devices: CloudDevices,
        records: CloudRecords,
        registry: Registry,
        *,
        calls: GuardedCalls,
        children_follow: bool = False,
    ) -> None:
        self._hub = hub
        self._devices = devices
        self._records = records
        self._registry = registry
        self._calls = calls
        self._children_follow = children_follow
        self._info_versions: dict[str, int] = {}  # device -> the version that a flag announced
        self._space_versions: dict[str, int] = {}
        self._has_work = asyncio.Event()

    def info_changed(self, device_id: str, version: int) -> None:
        """Fetch the info of a device: a telemetry response has a higher `info_version`."""
        if version > self._records.of(device_id).info_version:
            self._info_versions[device_id] = version
            self._has_work.set()

    def space_changed(self, device_id: str, version: int) -> None:
        """Fetch the space of a device: a telemetry response has another `space_data_version`."""
        record = self._records.of(device_id)
        if version != record.space_version or version not in (0, record.confirmed_space_version):
            self._space_versions[device_id] = version
            self._has_work.set()

    def reset(self) -> None:
        """Begin as after a start: the gateway was registered again."""
        self._info_versions.clear()
        self._space_versions.clear()

    async def run(self, parent: Credentials) -> None:
        """Fetch until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        files_at = loop_time()
        while True:
            self._has_work.clear()
            device_id = next(iter([*self._info_versions, *self._space_versions]), None)
            if loop_time() >= files_at:
                is_done = await self._call(parent, partial(self._fetch_files, parent))
                files_at = loop_time() + (FETCH_FILES_EVERY_SECONDS if is_done else FETCH_FILES_AGAIN_SECONDS)
            elif device_id is not None:
                if not await self._call(parent, partial(self._bring_up_to_date, parent, device_id)):
                    self._put_last(device_id)
                if device_id != parent.device_id:
                    await asyncio.sleep(SECONDS_BETWEEN_DEVICES)
            else:
                await wait_until(self._has_work, files_at)

    async def _call(self, parent: Credentials, work: Callable[[], Awaitable[None]]) -> bool:
        return await self._calls.succeeds(parent, CallKind.RECORDS, work)

    def _put_last(self, device_id: str) -> None:
        """Let the other devices go first: the calls of this one may fail again."""
        for versions in (self._info_versions, self._space_versions):
            if device_id in versions:
                versions[device_id] = versions.pop(device_id)

    async def _forget_deleted(self, parent: Credentials) -> None:
        known = {record.device_id for record in self._registry.children.values() if record.device_id is not None}
        await self._records.keep_only(frozenset(known | {parent.device_id}))

    # one device -------------------------------------------------------------------------------------------------------

    async def _bring_up_to_date(self, parent: Credentials, device_id: str) -> None:
        """Fetch what is announced for one device. What fails for want of a response stays announced, and is fetched later.

        A call that the hub refuses is not repeated, and costs the device no other one.
        """
        info_version, space_version = self._info_versions.get(device_id), self._space_versions.get(device_id)
        device = self._devices.credentials_of(parent, device_id)
        if device is not None:
            steps = (
                partial(self._fetch_space, device, space_version), partial(self._follow_gateway, parent, device),
                partial(self._fetch_info, device, info_version), partial(self._confirm_space, device, space_version),
            )  # fmt: skip
            for step in steps:
                try:
                    await step()
                except HubUnauthorised:
                    self._devices.key_refused(parent, device_id)
                    break
                except HubRejected as error:
                    log.info("%s: its record in the cloud cannot be fetched: %s", self._name(parent, device_id), error)
        for versions, version in ((self._info_versions, info_version), (self._space_versions, space_version)):
            if versions.get(device_id) == version:  # no newer one was announced meanwhile
                versions.pop(device_id, None)

    async def _fetch_space(self, device: Credentials, version: int | None) -> None:
        record = self._records.of(device.device_id)
        if version is not None and version != record.space_version:
            space = await self._space(device) if version > 0 else None
            is_child = self._registry.by_device_id(device.device_id) is not None
            claimed_by = record.claimed_by if version > 0 and is_child else None  # it may be another customer's now
            await self._save(replace(record, space_version=version, space=space, claimed_by=claimed_by))

    async def _confirm_space(self, device: Credentials, version: int | None) -> None:
        record = self._records.of(device.device_id)
        is_fetched = version is not None and version == record.space_version
        if version is not None and version > 0 and is_fetched and version != record.confirmed_space_version:
            await self._hub.update_device(device, DeviceUpdate(space_version=version))
            await self._save(replace(record, confirmed_space_version=version))

    async def _follow_gateway(self, parent: Credentials, device: Credentials) -> None:
        """Move a child to the space of the gateway (section 8.6), once for each space that the gateway gets."""
        own, record = self._records.of(parent.device_id), self._records.of(device.device_id)
        if not self._children_follow or own.space is None or own.space_version is None:
            return
        if device.device_id == parent.device_id:
            for child in self._devices.children_in_cloud():
                if (version := self._records.of(child).space_version) is not None:
                    self._space_versions.setdefault(child, version)
        elif record.space is not None and record.space != own.space and record.moved_for != own.space_version:
            space = _space_record(await self._hub.space_move(device, "follow_parent"))
            await self._save(replace(record, space=space, moved_for=own.space_version))
            log.info("%s: moved to the space of the gateway: %s", self._name(parent, device.device_id), space.name)

    async def _space(self, device: Credentials) -> SpaceRecord | None:
        try:
            return _space_record(await self._hub.get_space_info(device))
        except HubUnauthorised:
            raise
        except HubRejected as error:
            if error.status != 422:  # `Device not in space`: it was unclaimed meanwhile
                raise
            return None

    async def _fetch_info(self, device: Credentials, announced: int | None) -> None:
        before = self._records.of(device.device_id)
        version = announced
        if version is None and self._has_unknown_customer(before):
            version = before.info_version
        if version is None:
            return
        info = await self._hub.get_device_info(device)
        name, claimed_by = _line(info.name), _line(info.claimed_by)
        child = self._registry.by_device_id(device.device_id)
        if child is not None and name and name != before.name and version > before.info_version:
            former = child.child.name
            if await self._registry.name_from_cloud(child.child.key, name):
                log.info("%s: it is called %s in the cloud now, so it is here, too", former, name)
        # after the name: what is recorded as fetched is not fetched again after a kill
        record = self._records.of(device.device_id)
        await self._save(replace(record, info_version=version, name=name, claimed_by=claimed_by))

    def _has_unknown_customer(self, record: CloudRecord) -> bool:
        """Return whether the customer of the gateway is to be fetched; the children have the customer of their gateway."""
        is_claimed = record.space_version is not None and record.space_version > 0
        return is_claimed and record.claimed_by is None and self._registry.by_device_id(record.device_id) is None

    async def _save(self, record: CloudRecord) -> None:
        """Store what was fetched or told; without it, the calls would be repeated while the store fails."""
        await retry_until_stored(partial(self._records.save, record), what="the record of a device in the cloud")

    # the model --------------------------------------------------------------------------------------------------------

    async def _fetch_files(self, parent: Credentials) -> None:
        await self._forget_deleted(parent)
        try:
            files = await self._hub.get_files(parent)
        except HubUnauthorised:
            raise
        except HubRejected as error:
            log.info("the files of the gateway's model cannot be listed: %s", error)
            return
        record = self._records.of(parent.device_id)
        await self._save(replace(record, files=tuple(_file_record(file) for file in files[:FILES_KEPT])))

    def _name(self, parent: Credentials, device_id: str) -> str:
        return self._devices.name_of(self._devices.child_of(parent, device_id))


def _space_record(space: Space) -> SpaceRecord:
    return SpaceRecord(
        name=_line(space.name),
        location=_line(space.location_name),
        utc_offset_minutes=space.utc_offset_minutes,
        maintenance=space.maintenance,
    )


def _file_record(file: ModelFile) -> FileRecord:
    return FileRecord(
        id=file.id,
        name=_line(file.name),
        file_type=_line(file.file_type),
        version=_line(file.version),
        notes=_line(file.public_notes),
    )


def _line(text: str | None) -> str | None:
    """Return a text of the cloud as one printable line with its spaces normalised; `None` where nothing is left of it."""
    return None if text is None else " ".join(printable_line(text, NAME_LENGTH).split()) or None
