"""Keep the devices of the emulated cloud, check their keys and carry out what customers do in the portal. Pure.

The clock is passed in. The calls of devices are in one file for each chapter of the reference: `registration`, `telemetry`,
`commands`, `configuration`, `device_info`, `spaces`, `licences`, `files`, `incidents`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from uuid import NAMESPACE_URL, uuid4, uuid5

from gateway.emulator.api_types import ApiError
from gateway.emulator.device import (
    Device,
    Incident,
    IncidentOrigin,
    Licence,
    LicenceAction,
    ModelFile,
    QueuedCommand,
    Space,
)
from gateway.emulator.field_validation import GUID, is_semantic
from gateway.emulator.journal import Journal
from gateway.emulator.quirks import Quirks
from gateway.emulator.rate_limit import RateLimits

NEVER = "00000000-0000-4000-8000-00000000dead"
"""A hardware key and model id that is always refused, for demos."""

RATE_WINDOW = timedelta(seconds=30)
"""The window over which requests of all kinds are counted (section 14)."""


def utc_now() -> datetime:
    """Return the present moment, aware."""
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class SavedState:
    """The state that survives a restart when there is a state file."""

    devices: dict[str, Device] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    files: list[ModelFile] = field(default_factory=list)
    commands_queued: int = 0


@dataclass(slots=True)
class Dump:
    """A file sent by a device; kept in memory only."""

    device_id: str
    mime_type: str
    filename: str
    content: bytes


class Cloud:
    """The state of the emulated cloud and the rules that are the same for all calls.

    Hardware keys and model ids are GUIDs. With `hardware_keys` or `models` given, only those exist; otherwise every
    GUID except `NEVER` does. A hardware key selects the model whose id is derived from it by `model_of`; the key is not stored.
    """

    def __init__(
        self,
        *,
        quirks: Quirks | None = None,
        clock: Callable[[], datetime] = utc_now,
        journal: Journal | None = None,
        hardware_keys: Iterable[str] | None = None,
        models: Iterable[str] | None = None,
        saved_state: SavedState | None = None,
    ) -> None:
        self.quirks = quirks if quirks is not None else Quirks()
        self.clock = clock
        self.journal = journal if journal is not None else Journal()
        self.saved_state = saved_state if saved_state is not None else SavedState()
        self.limits = RateLimits()
        self.dumps: dict[str, Dump] = {}
        self._hardware_keys = None if hardware_keys is None else {key.lower() for key in hardware_keys}
        self._models = None if models is None else {model.lower() for model in models}

    # devices

    @property
    def devices(self) -> Mapping[str, Device]:
        """The registered devices by id, in the order of their registration."""
        return MappingProxyType(self.saved_state.devices)

    def device(self, device_id: str) -> Device:
        """Return a device, or raise `ApiError` (404 `Device not found`); for the control surface, which needs no key."""
        device = self.devices.get(device_id)
        if device is None:
            raise ApiError(404, "Device not found")
        return device

    def children(self, parent: Device) -> list[Device]:
        """Return the devices directly under a parent."""
        return [device for device in self.devices.values() if device.parent_id == parent.id]

    def descendants(self, device: Device) -> Iterator[Device]:
        """Yield a device's children, their children and so on."""
        for child in self.children(device):
            yield child
            yield from self.descendants(child)

    def knows_hardware_key(self, key: object) -> bool:
        """Return whether this hardware key selects a model."""
        return _is_known(key, self._hardware_keys)

    def knows_model(self, model_id: object) -> bool:
        """Return whether there is a model with this id."""
        return _is_known(model_id, self._models)

    # keys and limits

    def authorise(self, device_id: str, key: str | None, *, error_status: int = 401, updates_last_seen: bool = True) -> Device:
        """Return the device if the key is its own, and update `last_seen`; the key comes without `Bearer` (section 1).

        Raises:
            ApiError: `error_status` (401, but 400 for Get Device Info), or 429 beyond the rate limit.
        """
        device = self.devices.get(device_id)
        if device is None and device_id in self.saved_state.deleted:
            raise self._error_for_deleted(error_status)
        if device is None or key is None or not self._is_key_of(key, device):
            raise ApiError(error_status, "Not authorized")
        if device.spurious_refusals < self.quirks.spurious_401:
            device.spurious_refusals += 1
            raise ApiError(401, "Not authorized")
        if self.quirks.rate_limit:
            self.admit(f"{device_id} all", limit=self.quirks.rate_limit, within=RATE_WINDOW)
        if updates_last_seen:
            device.last_seen = self.clock()
        return device

    def admit(self, name: str, *, limit: int, within: timedelta) -> None:
        """Count one more call; 429 when the window is full (section 14)."""
        wait = self.limits.admit(name, limit=limit, within=within, now=self.clock())
        if wait:
            raise ApiError(
                429, "Too many requests", retry_after_seconds=wait.total_seconds() if self.quirks.retry_after else None
            )

    def _is_key_of(self, key: str, device: Device) -> bool:
        holders = [device]
        parent = self.devices.get(device.parent_id or "")
        if parent is not None and self.quirks.parent_key_opens_children:
            holders.append(parent)
        return any(secrets.compare_digest(key.encode(errors="surrogateescape"), holder.access_key.encode()) for holder in holders)

    def _error_for_deleted(self, error_status: int) -> ApiError:
        match self.quirks.deleted_answer:
            case "not-found":
                return ApiError(404, "Not found")
            case "error-in-2xx":
                return ApiError(200, "Not found")
            case _:
                return ApiError(error_status, "Not authorized")

    # adding and removing

    def add(self, device: Device) -> None:
        """Add a new device; under a claimed parent it is claimed, too (section 4)."""
        self.saved_state.devices[device.id] = device
        parent = self.devices.get(device.parent_id or "")
        if parent is not None and parent.claimed:
            device.assign(parent.claimed, parent.space or Space())

    def delete(self, device_id: str) -> None:
        """Delete a device as the portal does: every later call with its key is refused (section 13.1)."""
        device = self.device(device_id)
        for child in self.children(device):
            if self.quirks.parent_deletion == "deletes-children":
                self.delete(child.id)
            else:
                child.parent_id = None
        del self.saved_state.devices[device_id]
        self.saved_state.deleted.add(device_id)

    def replace(self, device_id: str) -> None:
        """Do as Replace Device: the next registration with the same ids takes over this device with a new key (section 13.1)."""
        self.device(device_id).awaits_replacement = True

    # actions of customers

    def claim(self, device_id: str, customer: str = "Example Ltd", space: Space | None = None) -> None:
        """Claim a device and all its children for a customer, in a space (sections 3.4 and 4)."""
        device = self.device(device_id)
        for claimed in (device, *self.descendants(device)):
            claimed.assign(customer, space or Space())

    def unclaim(self, device_id: str) -> None:
        """Remove the customer from a device and all its children."""
        device = self.device(device_id)
        for unclaimed in (device, *self.descendants(device)):
            unclaimed.release()
        if self.quirks.parent_unclaiming == "deletes-children":
            for child in self.children(device):
                self.delete(child.id)

    def set_config(self, device_id: str, values: Mapping[str, object]) -> int:
        """Change a device's configuration in the cloud and return its new version (section 7.3)."""
        return self.device(device_id).config.write(values, self.clock())

    def queue_command(
        self,
        device_id: str,
        name: str,
        parameters: Mapping[str, object] | None = MappingProxyType({}),
        *,
        timeout: timedelta | None = None,
        tunnel: Mapping[str, object] | None = None,
    ) -> QueuedCommand:
        """Append a command to the queue; after `timeout` the server itself marks it as failed (section 6).

        Raises:
            ApiError: 422 for an unclaimed device, if such a device takes no commands.
        """
        device, now = self.device(device_id), self.clock()
        if self.quirks.commands_need_claim and device.space_data_version == 0:
            raise ApiError(422, "only a customer can send commands: the device is not claimed")
        self.saved_state.commands_queued += 1
        command = QueuedCommand(
            id=new_id() if self.quirks.command_id == "uuid" else self.saved_state.commands_queued,
            name=name,
            parameters=None if parameters is None else dict(parameters),
            queued_at=now,
            expires_at=None if timeout is None else now + timeout,
            tunnel=None if tunnel is None else dict(tunnel),
        )
        device.commands.append(command)
        return command

    def cancel_command(self, device_id: str, command_id: str) -> QueuedCommand:
        """Cancel an open command, as a customer does: it is not offered any more (section 18).

        Raises:
            ApiError: 404 without such a command, 422 for one that has ended.
        """
        command = next((one for one in self.device(device_id).commands if str(one.id) == command_id), None)
        if command is None:
            raise ApiError(404, f"no command {command_id}")
        if not command.is_open:
            raise ApiError(422, f"the command has ended: {command.status}")
        command.status, command.ended_at = "aborted", self.clock()
        return command

    def offer_licence(
        self,
        device_id: str,
        data: str = "",
        action: LicenceAction = "add",
        *,
        licence_id: str | None = None,
        signature: str = "",
        expires_at: str | None = None,
    ) -> Licence:
        """Offer a device a new licence, or a change of the one with this id (section 9).

        The signature is passed on unchanged: the emulator has no partner's key to sign with.
        """
        device = self.device(device_id)
        licence = Licence(id=licence_id or new_id(), data=data, signature=signature, action=action, expires_at=expires_at)
        device.licences = [known for known in device.licences if known.id != licence.id] + [licence]
        return licence

    def open_incident(
        self,
        device: Device,
        title: str,
        *,
        issue: str | None = None,
        priority: int = 3,
        description: str | None = None,
        origin: IncidentOrigin = "customer",
    ) -> Incident:
        """Open an incident; one at a time is open for an issue (section 11)."""
        issue, now = issue or secrets.token_hex(8), self.clock()
        for incident in device.incidents:
            if incident.is_open and incident.issue == issue:
                return incident
        incident = Incident(
            id=new_id(),
            title=title,
            issue=issue,
            priority=priority,
            description=description,
            origin=origin,
            created_at=now,
            updated_at=now,
        )
        device.incidents.append(incident)
        return incident

    def add_file(
        self,
        model_id: str,
        *,
        name: str,
        url: str,
        version: str,
        file_type: str = "firmware",
        desc: str | None = None,
        public_notes: str | None = None,
    ) -> ModelFile:
        """Publish a file for a model; 422 when the version of a firmware is no semantic version (section 6.4)."""
        if file_type == "firmware" and not is_semantic(version):
            raise ApiError(422, "Version must be a semantic version")
        file = ModelFile(
            id=new_id(),
            model_id=model_id.lower(),
            name=name,
            url=url,
            version=version,
            file_type=file_type,
            desc=desc,
            public_notes=public_notes,
            created_at=self.clock(),
        )
        self.saved_state.files.append(file)
        return file


def new_id() -> str:
    """Return a new id."""
    return str(uuid4())


def new_access_key() -> str:
    """Return a new access key: 32 hexadecimal characters, as observed (section 1)."""
    return secrets.token_hex(16)


def model_of(hardware_key: str) -> str:
    """Return the id of the model that a hardware key selects; the key cannot be derived from it."""
    return str(uuid5(NAMESPACE_URL, f"hardware-key:{hardware_key.lower()}"))


def _is_known(value: object, known: set[str] | None) -> bool:
    if not isinstance(value, str) or not GUID.fullmatch(value) or value.lower() == NEVER:
        return False
    return known is None or value.lower() in known
