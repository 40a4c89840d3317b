"""Unregistered -> registered -> revoked: how the gateway comes by its own credentials and keeps its identity for life."""

from __future__ import annotations

import asyncio
import logging
import secrets
import string
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import uniform
from time import monotonic

from gateway.cloud.rate_control import MOST_QUIET_SECONDS
from gateway.config.settings import Configuration
from gateway.errors import HubBusy, HubError, HubRejected, HubUnauthorised, HubUnreachable, SettingsError, SettingsProblem
from gateway.hub import Credentials, GatewayRegistration, Hub, TelemetryMessage
from gateway.models import Status
from gateway.state.records import GatewayRecord
from gateway.state.registry import Registry
from gateway.state.writes import retry_until_stored, run_to_completion

log = logging.getLogger(__name__)

RETRY_EVERY = timedelta(minutes=15)
"""Between two registrations that the cloud answered with a refusal (device API reference, section 3.1)."""

UPDATE_AGAIN_AFTER = timedelta(minutes=10)
"""Until an Update Device is tried again: the hub takes ten an hour for a device (section 8.2)."""

LAST_ANSWER_SECONDS = 3.0
"""How long the end of the gateway waits for the answer to its registration: the key in it cannot be fetched again."""

LOOK_EVERY = timedelta(seconds=10)
"""Between two looks whether the network is back."""

_CLOUD_ID_ALPHABET = string.ascii_letters + string.digits


# the pure core --------------------------------------------------------------------------------------------------------


def make_cloud_id(partner_code: str) -> str:
    """Return a new Cloud ID: the partner's short code and 22 letters or digits (device API reference, section 3.3)."""
    return partner_code + "".join(secrets.choice(_CLOUD_ID_ALPHABET) for _ in range(22))


def make_serial_number() -> str:
    """Return a serial number for a gateway that was given none."""
    return f"XG-{secrets.token_hex(6).upper()}"


def identity(known: GatewayRecord | None, configuration: Configuration, *, machine_mac: str | None) -> GatewayRecord:
    """Return the identity to use: what was once used stays, what is missing is made.

    Raises:
        SettingsError: the config names another serial number or MAC than the one this gateway has already registered under, or
            a MAC is needed and there is none.
    """
    section, cloud = configuration.settings.gateway, configuration.settings.cloud
    by_cloud_id = cloud.authentication == "cloud_id"
    if known is None:
        known = GatewayRecord(serial_number=section.serial_number or make_serial_number(), mac=None, cloud_id=None)
    for key, asked, kept in (("serial_number", section.serial_number, known.serial_number), ("mac", section.mac, known.mac)):
        if asked is not None and kept is not None and asked != kept:
            wrong = f"is {asked!r}, but this gateway lives under {kept!r}"
            right = f"Put {kept!r} back, or start with an empty store to become another gateway"
            raise SettingsError(configuration.file, [SettingsProblem(f"gateway.{key}", wrong, right)])
    mac = known.mac or section.mac or machine_mac
    if mac is None and not by_cloud_id:
        right = "Set gateway.mac, as 02:00:5e:10:00:01"
        problem = SettingsProblem("gateway.mac", "is missing, and this machine shows no network card", right)
        raise SettingsError(configuration.file, [problem])
    cloud_id = known.cloud_id or (make_cloud_id(cloud.partner_code or "") if by_cloud_id else None)
    return replace(known, mac=mac, cloud_id=cloud_id)


def advice(error: HubError) -> str:
    """Return what an operator can do about a registration that failed (device API reference, sections 3.1 and 13.3)."""
    if not isinstance(error, HubRejected):
        return f"{error}; it is tried again by itself"
    text = error.error.lower()
    if _is_taken(error):
        return (
            f"{error}: the cloud has this gateway already, but its key is gone here. Delete it in the portal or press"
            " Replace Device there; registration is then retried by itself"
        )
    if "hardware key" in text:
        return f"{error}: check cloud.hardware_key against the model in the Partner Portal"
    if error.status == 404:
        return f"{error}: the model that belongs to the hardware key does not exist (any more); check it in the Partner Portal"
    return f"{error}: the cloud refuses what this gateway says of itself; check [gateway] and the model in the Partner Portal"


def _is_taken(error: HubError) -> bool:
    return isinstance(error, HubRejected) and "already" in error.error.lower()


def mac_of_machine(cards: Path = Path("/sys/class/net")) -> str | None:
    """Return the MAC of the first real network card, by name; `None` when there is none."""
    for card in sorted(cards.glob("*")):
        try:
            mac = (card / "address").read_text(encoding="ascii").strip()
        except OSError:
            continue
        if mac and mac != "00:00:00:00:00:00" and len(mac) == 17:
            return mac
    return None


# ----------------------------------------------------------------------------------------------------------------------


class Enrolment:
    """The gateway's own standing in the cloud."""

    def __init__(
        self,
        hub: Hub,
        registry: Registry,
        configuration: Configuration,
        *,
        firmware_version: str,
        network_is_back: Callable[[], Awaitable[bool]],
        retry_every: timedelta = RETRY_EVERY,
        look_every: timedelta = LOOK_EVERY,
    ) -> None:
        self._hub = hub
        self._registry = registry
        self._configuration = configuration
        self._firmware_version = firmware_version
        self._network_is_back = network_is_back
        self._retry_every = retry_every
        self._look_every = look_every
        self.registered_at: float | None = None
        """Monotonic time of the registration made in this run; `None` when the credentials are older."""
        self.problem: str | None = None
        """Why the gateway is not registered, in words for an operator; `None` while it is."""
        self.next_try: datetime | None = None
        self._connectable = False
        self._tell_at = 0.0

    async def prepare(self) -> None:
        """Make the identity once and store it, before anything is sent.

        Raises:
            SettingsError: see `identity`.
        """
        record = identity(self._registry.gateway, self._configuration, machine_mac=mac_of_machine())
        if record != self._registry.gateway:
            await self._registry.save_gateway(record)

    async def credentials(self) -> Credentials:
        """Return the gateway's credentials; register, as often as it takes, when there are none. Stored before returned."""
        while (kept := self._record().credentials) is None:
            try:
                await run_to_completion(self._register(), within_seconds=LAST_ANSWER_SECONDS)
            except HubError as error:
                if not (_is_taken(error) and await self._former_still_work()):
                    await self._wait_after(error)
        return kept

    async def _register(self) -> None:
        record = self._record()
        credentials = await self._hub.register_device(self._registration(record))
        await self._keep(replace(record, credentials=credentials, former_credentials=None, sent_info=self._about_us()))
        self.registered_at, self.problem, self._connectable = monotonic(), None, False
        log.info("registered as %s (serial number %s)", credentials.device_id, record.serial_number)

    async def _keep(self, record: GatewayRecord) -> None:
        await retry_until_stored(lambda: self._registry.save_gateway(record), what="the gateway's registration")

    async def revoke(self) -> None:
        """Put the credentials aside: the gateway was deleted in the cloud. The identity stays."""
        log.warning("this gateway was deleted in the cloud; it registers anew under its old serial number")
        record = self._record()
        await self._keep(replace(record, credentials=None, former_credentials=record.credentials))

    async def _former_still_work(self) -> bool:
        """The cloud says that it has this gateway, so it may have erred when it refused the key: if so, take it up again."""
        record = self._record()
        if record.former_credentials is None:
            return False
        try:
            await self._hub.send_telemetry(record.former_credentials, TelemetryMessage(status=Status.ONLINE, values={}))
        except HubError:
            return False
        log.warning("the cloud had this gateway all along, and takes its former key again")
        await self._keep(replace(record, credentials=record.former_credentials, former_credentials=None))
        self.problem, self._connectable = None, False
        return True

    async def tell_changes(self, parent: Credentials) -> None:
        """Bring the cloud's record of the gateway up to date after an update or a new name; one call, and only if needed."""
        record = self._record()
        if record.sent_info == self._about_us() or monotonic() < self._tell_at:
            return
        self._tell_at = monotonic() + UPDATE_AGAIN_AFTER.total_seconds()
        section = self._configuration.settings.gateway
        try:
            await self._hub.update_device(
                parent, name=section.name, firmware_version=self._firmware_version, sub_model=section.sub_model
            )
        except (HubBusy, HubUnauthorised):  # ten updates an hour; or the next telemetry tells whether the gateway is deleted
            return
        except HubRejected as error:
            log.warning("the cloud does not take the gateway's new name or version: %s", error)
        await self._registry.save_gateway(replace(record, sent_info=self._about_us()))

    def _record(self) -> GatewayRecord:
        if self._registry.gateway is None:
            raise RuntimeError("prepare() comes first")
        return self._registry.gateway

    def _about_us(self) -> str:
        section = self._configuration.settings.gateway
        return f"{section.name}\n{self._firmware_version}\n{section.sub_model or ''}"

    def _registration(self, record: GatewayRecord) -> GatewayRegistration:
        section, cloud = self._configuration.settings.gateway, self._configuration.settings.cloud
        if cloud.hardware_key is None:
            raise RuntimeError("the configuration was not loaded for the cloud")
        return GatewayRegistration(
            hardware_key=cloud.hardware_key,
            serial_number=record.serial_number,
            firmware_version=self._firmware_version,
            mac=record.mac,
            cloud_id=record.cloud_id if cloud.authentication == "cloud_id" else None,
            name=section.name,
            sub_model=section.sub_model,
            details=section.details,
        )

    async def _wait_after(self, error: HubError) -> None:
        """Wait about a quarter of an hour, or until the network is back if it was away."""
        seconds = self._retry_every.total_seconds() * uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret
        if isinstance(error, HubBusy):
            seconds = max(min(error.retry_after_seconds or 0, MOST_QUIET_SECONDS), min(seconds, 300))
        problem = advice(error)
        if problem != self.problem:
            log.error("not registered: %s", problem)
        self.problem = problem
        self.next_try = datetime.now().astimezone() + timedelta(seconds=seconds)
        if isinstance(error, HubUnreachable) and error.status is None:
            await self._wait_for_network(seconds)
        else:
            await asyncio.sleep(seconds)
        self.next_try = None

    async def _wait_for_network(self, seconds: float) -> None:
        """Return when the cloud's server can be connected to again, after `seconds` at the latest.

        A server that can be connected to all the while gets one more try soon; after that it is not the network.
        """
        until = monotonic() + seconds
        look = self._look_every.total_seconds()
        while (left := until - monotonic()) > 0:
            await asyncio.sleep(min(left, look))
            before, self._connectable = self._connectable, await self._network_is_back()
            if self._connectable and not before:
                return
