"""Fetch the configuration of each device when it has changed, have it tried, and tell the cloud what is applied.

Get Config is called for the gateway and each child once after a start or a registration, and whenever a telemetry response shows
a version that is not known (device API reference, section 7.3). The version that a device has applied is confirmed once, by
Update Device. What a person has changed on site goes up by Set Config, and never as an echo (section 17.9).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus

from gateway.cloud.configuration.target import Configuring
from gateway.cloud.configuration.trials import Plan, Trials
from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubBusy, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import Credentials, DeviceUpdate, Hub
from gateway.state.configurations import ConfigurationRecord, Configurations, Refusal, RefusalKind, VersionedContent
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time, wait_until

log = logging.getLogger(__name__)

PULL_EVERY_SECONDS = 1.0
"""Between two calls for devices without a flag: each call counts, and a thousand children start at the same moment."""

BEHIND_AGAIN_AFTER_SECONDS = 60.0
"""After Get Config has returned an older version than a response has shown."""

RETRY_REFUSED_AFTER_SECONDS = 600.0
"""After a call that the hub refused for one device, and after Update Device was called too often (section 8.2)."""


class ConfigurationLoop:
    """Runs beside the telemetry until it is cancelled.

    Args:
        hub: the cloud.
        registry: announces new children.
        devices: knows the children and their keys.
        configurations: records what is tried, applied, refused and confirmed.
        calls: the guarded calls of the session.
        configuring: the way to the devices, and the limits.
    """

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        devices: CloudDevices,
        configurations: Configurations,
        *,
        calls: GuardedCalls,
        configuring: Configuring,
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._devices = devices
        self._configurations = configurations
        self._calls = calls
        self._configuring = configuring
        self._trials = Trials(configurations, configuring, name_of=devices.name_of, on_end=self._report_soon)
        self._flagged: dict[str, int] = {}  # device id -> version that a response has shown, the first flagged first
        self._to_pull: dict[str, None] = {}
        self._pulled: set[tuple[str, str | None]] = set()  # devices and their local keys: one that is replaced is asked again
        self._wake = asyncio.Event()
        self._report_at: dict[str | None, float] = {}  # device -> loop time
        self._has_reports = asyncio.Event()
        self._refused_local: dict[str | None, dict[str, object]] = {}  # what the hub did not take

    @property
    def plans(self) -> Mapping[str | None, Plan]:
        """The plans of the configurations that are being tried, by local key; `None` is the gateway itself."""
        return self._trials.plans

    def version_seen(self, device_id: str, version: int) -> None:
        """Fetch the configuration of a device, unless this version is known: a response has shown it."""
        child = self._child_of(device_id)
        if self._is_known(child, device_id, version):
            self._to_pull.pop(device_id, None)
            self._pulled.add((device_id, child))
        else:
            self._flagged[device_id] = version
            self._wake.set()

    def changed_on_site(self, child: str | None) -> None:
        """Look whether a person has changed on site what the cloud has configured, and send it up."""
        self._report_soon(child)

    def reset(self) -> None:
        """Begin as after a start: the gateway was registered again."""
        self._flagged.clear()
        self._to_pull.clear()
        self._pulled.clear()

    async def run(self, parent: Credentials) -> None:
        """Fetch, try and report until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        self._flagged.setdefault(parent.device_id, 0)
        async with asyncio.TaskGroup() as group:
            self._resume(parent, group)
            group.create_task(self._follow_registry(parent))
            group.create_task(self._report(parent))
            await self._fetch(parent, group)

    def _resume(self, parent: Credentials, group: asyncio.TaskGroup) -> None:
        """Try again what was being tried when the gateway stopped, and report what the cloud does not know."""
        for child, record in self._configurations.all.items():
            if record.device_id != self._device_id(parent, child):
                continue
            if record.tried is not None:
                self._trials.offer(child, record.tried, group)
            self._report_soon(child)

    # fetching ---------------------------------------------------------------------------------------------------------

    async def _follow_registry(self, parent: Credentials) -> None:
        """Fetch the configuration of each new child, and send up what has changed on site."""
        revision = -1
        while True:
            changed, revision = self._registry.changed_since(revision), self._registry.revision
            in_cloud = set(self._devices.children_in_cloud())
            for key in changed:
                record = self._registry.children.get(key)
                if record is None:
                    await self._forget(key)
                elif record.device_id in in_cloud and record.device_id is not None:
                    if (record.device_id, key) not in self._pulled:
                        self._to_pull[record.device_id] = None
                        self._wake.set()
                    self._report_soon(key)
            await self._wait_for_change(revision)

    async def _forget(self, child: str) -> None:
        await self._trials.end(child)
        self._configuring.target.forget(child)
        await retry_until_stored(partial(self._configurations.forget, child), what="that a configuration is forgotten")

    async def _wait_for_change(self, revision: int) -> None:
        async with self._registry.changed:
            await self._registry.changed.wait_for(lambda: self._registry.revision != revision)

    async def _fetch(self, parent: Credentials, group: asyncio.TaskGroup) -> None:
        pull_at = loop_time()
        while True:
            self._wake.clear()
            if self._flagged:
                device_id = next(iter(self._flagged))
                version = self._flagged.pop(device_id)
                if not await self._is_fetched(parent, device_id, version, group):
                    self._flagged.setdefault(device_id, version)  # behind the others
            elif self._to_pull and loop_time() >= pull_at:
                device_id = next(iter(self._to_pull))
                del self._to_pull[device_id]
                if not await self._is_fetched(parent, device_id, 0, group):
                    self._to_pull[device_id] = None
                pull_at = loop_time() + PULL_EVERY_SECONDS
            else:
                await wait_until(self._wake, pull_at if self._to_pull else None)

    async def _call(self, parent: Credentials, work: Callable[[], Awaitable[None]]) -> bool:
        return await self._calls.succeeds(parent, CallKind.CONFIGURATION, work)

    async def _is_fetched(self, parent: Credentials, device_id: str, flagged: int, group: asyncio.TaskGroup) -> bool:
        """Fetch the configuration of one device; return whether that is done, also because it was deleted or its key was lost."""
        is_there = device_id == parent.device_id or self._registry.by_device_id(device_id) is not None
        device = self._devices.credentials_of(parent, device_id) if is_there else None
        if device is None:
            return True
        return await self._call(parent, partial(self._fetch_one, parent, device, flagged, group))

    async def _fetch_one(self, parent: Credentials, device: Credentials, flagged: int, group: asyncio.TaskGroup) -> None:
        """Get the configuration of one device, and have it tried if it is new."""
        device_id = device.device_id
        child = self._devices.child_of(parent, device_id)
        self._pulled.add((device_id, child))
        try:
            fetched = await self._hub.get_config(device)
        except HubUnauthorised:
            self._look_again(device_id, flagged, RETRY_REFUSED_AFTER_SECONDS)
            self._devices.key_refused(parent, device_id)
        except HubRejected as error:
            self._cannot_fetch(child, device_id, flagged, error)
        except HubUnreachable as error:
            if error.status is None or error.status >= HTTPStatus.MULTIPLE_CHOICES:
                raise
            await self._unreadable(child, device_id, flagged, error)
        else:
            await self._take(
                child, device_id, flagged, VersionedContent(version=fetched.version, content=dict(fetched.values)), group
            )

    def _cannot_fetch(self, child: str | None, device_id: str, flagged: int, error: HubRejected) -> None:
        log.info("%s: its configuration cannot be fetched: %s", self._devices.name_of(child), error)
        self._look_again(device_id, flagged, RETRY_REFUSED_AFTER_SECONDS)

    async def _unreadable(self, child: str | None, device_id: str, flagged: int, error: HubUnreachable) -> None:
        """Refuse a configuration that is no JSON object of the API, such as one that is nested too deep to be parsed."""
        await self._configurations.follow(child, device_id)
        if not flagged:
            log.warning("%s: its configuration cannot be read: %s", self._devices.name_of(child), error)
        elif not self._is_known(child, device_id, flagged):
            why = f"it cannot be read: {error}. Use a JSON object with few levels"
            await self._trials.refuse(child, Refusal(version=flagged, why=why))

    async def _take(
        self, child: str | None, device_id: str, flagged: int, fetched: VersionedContent, group: asyncio.TaskGroup
    ) -> None:
        """Have a configuration tried if it is new: each version once.

        A device that was never configured has version 0: nothing is applied. But where it had a configuration under a former
        registration, that one ends.
        """
        is_new_registration = self._configurations.of(child).device_id not in ("", device_id)
        record = await self._configurations.follow(child, device_id)
        if fetched.version < flagged:
            self._look_again(device_id, flagged, BEHIND_AGAIN_AFTER_SECONDS)
        if fetched.version == 0:
            if is_new_registration or record.applied.content:
                self._trials.offer(child, VersionedContent(), group)
        elif not self._is_known(child, device_id, fetched.version):
            self._trials.offer(child, fetched, group)

    def _look_again(self, device_id: str, flagged: int, after_seconds: float) -> None:
        def look() -> None:
            if flagged:
                self.version_seen(device_id, flagged)
            else:
                self._to_pull[device_id] = None
                self._wake.set()

        asyncio.get_running_loop().call_later(after_seconds, look)

    def _is_known(self, child: str | None, device_id: str, version: int) -> bool:
        """Return whether a version of this device is applied, being tried or refused."""
        record = self._configurations.of(child)
        if record.device_id != device_id:
            return False
        if record.refusal is not None and record.refusal.version == version:
            return record.refusal.kind is not RefusalKind.CEILING or self._configuring.refusal(child) is not None
        return version in (record.applied.version, record.tried.version if record.tried is not None else None)

    def _child_of(self, device_id: str) -> str | None:
        record = self._registry.by_device_id(device_id)
        return None if record is None else record.child.key

    def _device_id(self, parent: Credentials, child: str | None) -> str | None:
        if child is None:
            return parent.device_id
        record = self._registry.children.get(child)
        return None if record is None else record.device_id

    # reporting --------------------------------------------------------------------------------------------------------

    def _report_soon(self, child: str | None) -> None:
        self._report_at[child] = min(self._report_at.get(child, 0.0), 0.0)
        self._has_reports.set()

    async def _report(self, parent: Credentials) -> None:
        while True:
            self._has_reports.clear()
            child, at = min(self._report_at.items(), key=lambda item: item[1], default=(None, None))
            if at is None or at > loop_time():
                await wait_until(self._has_reports, at)
                continue
            del self._report_at[child]
            device = None if self._trials.is_running(child) else self._device_to_report(parent, child)
            if device is not None and not await self._call(parent, partial(self._report_one, parent, device, child)):
                self._report_at.setdefault(child, 0.0)

    def _device_to_report(self, parent: Credentials, child: str | None) -> Credentials | None:
        """Return the credentials of a device whose configuration the cloud has to be told of; `None` where there is nothing."""
        record = self._configurations.of(child)
        device_id = self._device_id(parent, child)
        if record.applied.version == 0 or device_id is None or record.device_id != device_id:
            return None
        if not record.needs_confirmation and self._local_content(child, record) is None:
            return None
        return self._devices.credentials_of(parent, device_id)

    async def _report_one(self, parent: Credentials, device: Credentials, child: str | None) -> None:
        """Confirm the applied version of one device, and send up what a person has changed on site."""
        try:
            if await self._is_confirmed(device, child):
                await self._send_local(device, child)
        except HubUnauthorised:
            self._report_at.setdefault(child, loop_time() + RETRY_REFUSED_AFTER_SECONDS)
            self._devices.key_refused(parent, device.device_id)

    async def _is_confirmed(self, device: Credentials, child: str | None) -> bool:
        """Tell the cloud which version is applied, once; return whether it knows."""
        record = self._configurations.of(child)
        version = record.applied.version
        if not record.needs_confirmation:
            return True
        try:
            await self._hub.update_device(device, DeviceUpdate(config_version=version))
        except HubBusy as error:  # ten updates an hour; the newest version is confirmed later
            self._report_at[child] = loop_time() + max(error.retry_after_seconds or 0.0, RETRY_REFUSED_AFTER_SECONDS)
            return False
        except HubUnauthorised:
            raise
        except HubRejected as error:  # it is not sent unchanged again (section 14)
            log.warning("%s: the hub does not take version %d as applied: %s", self._devices.name_of(child), version, error)
        await retry_until_stored(partial(self._configurations.confirm, child, version), what="a confirmed configuration")
        return True

    def _local_content(self, child: str | None, record: ConfigurationRecord) -> Mapping[str, object] | None:
        """Return the applied configuration with what a person has changed on site; `None` where nobody has."""
        try:
            content = self._configuring.target.in_effect(child, record.applied.content)
        except Exception:  # code of an adapter: its bug costs the report, nothing else
            log.exception("%s: a bug: it cannot be said what is in effect", self._devices.name_of(child))
            return None
        is_known = dict(content) in (dict(record.applied.content), self._refused_local.get(child))
        return None if is_known else content

    async def _send_local(self, device: Credentials, child: str | None) -> None:
        """Send a configuration that was changed on site; a newer one of the cloud comes first."""
        record = self._configurations.of(child)
        content = self._local_content(child, record)
        if content is None:
            return
        fetched = await self._hub.get_config(device)
        if fetched.version != record.applied.version:
            self.version_seen(device.device_id, fetched.version)
            return
        try:
            version = await self._hub.set_config(device, content)
        except HubUnauthorised:
            raise
        except HubRejected as error:
            log.warning("%s: the hub does not take what was changed on site: %s", self._devices.name_of(child), error)
            self._refused_local[child] = dict(content)
            return
        sent = VersionedContent(version=record.applied.version if version is None else version, content=dict(content))
        await retry_until_stored(partial(self._configurations.accept_sent, child, sent), what="a configuration that was sent")
        log.info(
            "%s: what was changed on site is in the cloud as configuration version %d", self._devices.name_of(child), sent.version
        )
