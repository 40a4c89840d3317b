"""Register the gateway itself, keep its credentials, and register it again under the same identity after a deletion."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from gateway.backoff import Backoff
from gateway.causes import Reason
from gateway.cloud import enrolment_states
from gateway.cloud.gateway_identity import gateway_identity, mac_of_machine
from gateway.cloud.hub_reasons import reason_of
from gateway.cloud.rate_control import MAX_QUIET_SECONDS
from gateway.cloud.retry_times import in_words
from gateway.config.settings import Configuration
from gateway.errors import HubBusy, HubError, HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import Credentials, DeviceUpdate, GatewayRegistration, Hub, TelemetryMessage
from gateway.models import Status
from gateway.state.records import GatewayRecord
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored, run_to_completion
from gateway.tasks import loop_time, run_until

log = logging.getLogger(__name__)

RETRY_EVERY = timedelta(minutes=15)
"""The interval between registrations that the cloud refused (device API reference, section 3.1)."""

RETRY_JITTER = 0.3
"""The largest share by which that interval is shortened at random, so that gateways do not retry all at once."""

BUSY_RETRY_SECONDS = 300.0
"""The longest wait after a 429 that asks for no longer one."""

UPDATE_AGAIN_AFTER = timedelta(minutes=10)
"""The retry interval of Update Device: the hub accepts ten an hour for a device (section 8.2)."""

LAST_RESPONSE_SECONDS = 3.0
"""The time that a stopping gateway waits for the response to its registration: the key in it cannot be fetched again."""

CHECK_NETWORK_EVERY = timedelta(seconds=10)
"""The interval of the checks whether the network is back."""

_STEPS_OF_KEY = "Copy the hardware key again from the gateway's model in the Partner Portal, and enter it on the gateway's page."
_STEPS_OF_TAKEN = "Delete this gateway in the portal, or press Replace Device there. Then try again."


def advice_for(error: HubError) -> str:
    """Return what an operator can do about a failed registration (device API reference, sections 3.1 and 13.3)."""
    if not isinstance(error, HubRejected):
        return f"{error}; it is retried automatically"
    text = error.error.lower()
    if _is_taken(error):
        return (
            f"{error}: the cloud has this gateway already, but its key is lost here. Delete it in the portal or press"
            " Replace Device there; registration is then retried automatically"
        )
    if "hardware key" in text:
        return f"{error}: check cloud.hardware_key against the model in the Partner Portal"
    if error.status == 404:
        return f"{error}: the model of the hardware key does not exist (any more); check it in the Partner Portal"
    return f"{error}: the cloud refuses the data of this gateway; check [gateway] and the model in the Partner Portal"


class Enrolment:
    """The gateway's own registration in the cloud."""

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        configuration: Configuration,
        *,
        firmware_version: str,
        network_is_back: Callable[[], Awaitable[bool]],
        retry_every: timedelta = RETRY_EVERY,
        check_network_every: timedelta = CHECK_NETWORK_EVERY,
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._configuration = configuration
        self._firmware_version = firmware_version
        self._network_is_back = network_is_back
        self._backoff = Backoff(retry_every.total_seconds(), retry_every.total_seconds(), jitter=RETRY_JITTER)
        self._check_network_seconds = check_network_every.total_seconds()
        self.registered_at: float | None = None
        """The loop time of the registration made in this run; `None` when the credentials are older."""
        self.reason: Reason | None = None
        """Why the gateway is not registered, as of the last attempt; `None` while it is."""
        self.tried_at: datetime | None = None
        """When the last registration failed."""
        self.tries = 0
        """How many registrations in a row have failed."""
        self.next_try: datetime | None = None
        self.is_key_refused = False
        """Whether the last registration failed since the cloud refuses the hardware key."""
        self._hardware_key = configuration.settings.cloud.hardware_key
        self._wanted = asyncio.Event()
        self._ended = asyncio.Event()
        self._is_connectable = False
        self._send_changes_at = 0.0

    @property
    def problem(self) -> str | None:
        """The reason why the gateway is not registered, for an operator; `None` while it is."""
        return None if self.reason is None else self.reason.text

    async def try_now(self) -> Reason | None:
        """Register at once, not after the wait; return why that failed, `None` when it succeeded."""
        ended = self._ended
        self._wanted.set()
        await ended.wait()
        return self.reason

    def use_hardware_key(self, key: SecretStr) -> None:
        """Register with this key from now on."""
        self._hardware_key = key

    async def prepare(self) -> None:
        """Make the identity once and store it, before anything is sent.

        Raises:
            SettingsError: see `gateway_identity`.
        """
        record = gateway_identity(self._registry.gateway, self._configuration, machine_mac=mac_of_machine())
        if record != self._registry.gateway:
            await self._registry.save_gateway(record)

    async def credentials(self) -> Credentials:
        """Return the gateway's stored credentials; without any, register until it succeeds."""
        while (credentials := self._record().credentials) is None:
            try:
                await run_to_completion(self._register(), within_seconds=LAST_RESPONSE_SECONDS)
            except HubError as error:
                if not (_is_taken(error) and await self._former_credentials_work()):
                    await self._wait_after(error)
        return credentials

    async def revoke(self) -> None:
        """Put the credentials aside: the gateway was deleted in the cloud. The identity stays."""
        log.warning("this gateway was deleted in the cloud; it registers again at once, under its old serial number")
        await self._store(enrolment_states.revoked(self._record()))

    async def send_changes(self, parent: Credentials) -> None:
        """Update the cloud's record of the gateway after an update or a new name; one call, and only if needed."""
        record = self._record()
        if record.sent_info == self._own_info() or loop_time() < self._send_changes_at:
            return
        self._send_changes_at = loop_time() + UPDATE_AGAIN_AFTER.total_seconds()
        section = self._configuration.settings.gateway
        update = DeviceUpdate(name=section.name, firmware_version=self._firmware_version, sub_model=section.sub_model)
        try:
            await self._hub.update_device(parent, update)
        except (HubBusy, HubUnauthorised):  # ten updates an hour; or the next telemetry shows whether the gateway is deleted
            return
        except HubRejected as error:
            log.warning("the cloud does not accept the gateway's new name or version: %s", error)
        await self._registry.save_gateway(replace(record, sent_info=self._own_info()))

    async def _register(self) -> None:
        record = self._record()
        credentials = await self._hub.register_device(self._registration(record))
        await self._store(enrolment_states.registered(record, credentials, sent_info=self._own_info()))
        self.registered_at, self._is_connectable = loop_time(), False
        self._end_attempt(None)
        log.info("registered as %s (serial number %s)", credentials.device_id, record.serial_number)

    async def _former_credentials_work(self) -> bool:
        """Try the former key: a cloud that already has this gateway may have refused it by mistake. If it works, use it again."""
        record = self._record()
        if record.former_credentials is None:
            return False
        try:
            await self._hub.send_telemetry(record.former_credentials, TelemetryMessage(status=Status.ONLINE, values={}))
        except HubError:
            return False
        log.warning("the cloud still has this gateway and accepts its former key again")
        await self._store(enrolment_states.restored(record))
        self._is_connectable = False
        self._end_attempt(None)
        return True

    async def _store(self, record: GatewayRecord) -> None:
        await retry_until_stored(lambda: self._registry.save_gateway(record), what="the gateway's registration")

    def _record(self) -> GatewayRecord:
        if self._registry.gateway is None:
            raise RuntimeError("prepare() comes first")
        return self._registry.gateway

    def _own_info(self) -> str:
        section = self._configuration.settings.gateway
        return f"{section.name}\n{self._firmware_version}\n{section.sub_model or ''}"

    def _registration(self, record: GatewayRecord) -> GatewayRegistration:
        section, cloud = self._configuration.settings.gateway, self._configuration.settings.cloud
        if self._hardware_key is None:
            raise RuntimeError("the configuration was not loaded for the cloud")
        return GatewayRegistration(
            hardware_key=self._hardware_key,
            serial_number=record.serial_number,
            firmware_version=self._firmware_version,
            mac=record.mac,
            cloud_id=record.cloud_id if cloud.authentication == "cloud_id" else None,
            name=section.name,
            sub_model=section.sub_model,
            details=section.details,
        )

    async def _wait_after(self, error: HubError) -> None:
        """Wait for the retry interval, or until the network is back after an outage."""
        seconds = self._backoff.next_wait_seconds()
        if isinstance(error, HubBusy):
            seconds = max(min(error.retry_after_seconds or 0, MAX_QUIET_SECONDS), min(seconds, BUSY_RETRY_SECONDS))
        problem = advice_for(error)
        if problem != self.problem:
            until = "" if not _is_network_fault(error) else ", or as soon as the network is back"
            log.error("not registered: %s; next try %s%s", problem, in_words(timedelta(seconds=seconds)), until)
        self.is_key_refused = isinstance(error, HubRejected) and "hardware key" in error.error.lower()
        self._wanted.clear()  # what was asked for meanwhile is what has just failed
        steps = _STEPS_OF_KEY if self.is_key_refused else _STEPS_OF_TAKEN if _is_taken(error) else reason_of(error).special_step
        self._end_attempt(Reason(problem, error.cause, steps))
        self.next_try = datetime.now().astimezone() + timedelta(seconds=seconds)
        wait = self._wait_for_network(seconds) if _is_network_fault(error) else asyncio.sleep(seconds)
        await run_until(self._wanted, wait)
        self.next_try = None

    def _end_attempt(self, reason: Reason | None) -> None:
        self.reason = reason
        self.is_key_refused &= reason is not None
        self.tries = 0 if reason is None else self.tries + 1
        self.tried_at = None if reason is None else datetime.now(UTC)
        ended, self._ended = self._ended, asyncio.Event()
        ended.set()

    async def _wait_for_network(self, seconds: float) -> None:
        """Return when the cloud's server can be connected to again, after `seconds` at the latest.

        A server that could be connected to all the time gets one more try soon; after that the network is not the cause.
        """
        until = loop_time() + seconds
        while (left := until - loop_time()) > 0:
            await asyncio.sleep(min(left, self._check_network_seconds))
            before, self._is_connectable = self._is_connectable, await self._network_is_back()
            if self._is_connectable and not before:
                return


def _is_network_fault(error: HubError) -> bool:
    return isinstance(error, HubUnreachable) and error.status is None


def _is_taken(error: HubError) -> bool:
    return isinstance(error, HubRejected) and "already" in error.error.lower()
