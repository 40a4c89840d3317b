"""Keep the registered devices of the emulated cloud, check their keys and limits, and record when each was heard. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from uuid import NAMESPACE_URL, uuid4, uuid5

from gateway.emulator.api_types import ApiError
from gateway.emulator.device import Device, ModelFile, Space
from gateway.emulator.field_validation import GUID
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
    offline_minutes: dict[str, float] = field(default_factory=dict)
    """The offline threshold of single models, by id; the others have the quirk's."""
    signing_key: str | None = None
    """The private key that signs files and licences, as `signing` writes it."""


@dataclass(slots=True)
class Dump:
    """A file sent by a device; kept in memory only."""

    device_id: str
    mime_type: str
    filename: str
    content: bytes


class DeviceRegistry:
    """The registered devices and the rules that are the same for all calls.

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
        self.contents: dict[str, bytes] = {}
        """The files of the file server by id; kept in memory only."""
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

    def authorise(
        self,
        device_id: str,
        key: str | None,
        *,
        wrong_key_status: int = 401,
        deleted_status: int = 401,
        updates_last_seen: bool = True,
    ) -> Device:
        """Return the device if the key is its own, count the call and update `last_seen`; the key has no `Bearer` (section 1).

        Raises:
            ApiError: `deleted_status` or `wrong_key_status`, which differ for Get Device Info; or 429 beyond the rate limit.
        """
        device = self.identify(device_id, key, wrong_key_status=wrong_key_status, deleted_status=deleted_status)
        self.count_request([device])
        if updates_last_seen:
            device.hear(self.clock())
        return device

    def identify(self, device_id: str, key: str | None, *, wrong_key_status: int = 401, deleted_status: int = 401) -> Device:
        """Return the device if the key is its own."""
        device = self.devices.get(device_id)
        if device is None and device_id in self.saved_state.deleted:
            raise self._error_for_deleted(deleted_status)
        if device is None or key is None or not self._is_key_of(key, device):
            raise ApiError(wrong_key_status, "Not authorized")
        if device.spurious_refusals < self.quirks.spurious_401:
            device.spurious_refusals += 1
            raise ApiError(401, "Not authorized")
        return device

    def count_request(self, devices: Iterable[Device]) -> None:
        """Count one request, bulk or not, against the limit of each device or customer that it is about (section 18)."""
        if self.quirks.rate_limit:
            for name in sorted({self._limit_of(device) for device in devices}):
                self.admit(name, limit=self.quirks.rate_limit, within=RATE_WINDOW)

    def admit(self, name: str, *, limit: int, within: timedelta) -> None:
        """Count one more call; 429 when the window is full (section 14)."""
        wait = self.limits.admit(name, limit=limit, within=within, now=self.clock())
        if wait:
            raise ApiError(
                429, "Too many requests", retry_after_seconds=wait.total_seconds() if self.quirks.retry_after else None
            )

    def _limit_of(self, device: Device) -> str:
        by_customer = self.quirks.rate_limit_counts == "customer" and device.claimed
        return f"customer {device.claimed}" if by_customer else f"{device.id} all"

    def _is_key_of(self, key: str, device: Device) -> bool:
        holders = [device]
        parent = self.devices.get(device.parent_id or "")
        if parent is not None and self.quirks.parent_key_opens_children:
            holders.append(parent)
        return any(secrets.compare_digest(key.encode(errors="surrogateescape"), holder.access_key.encode()) for holder in holders)

    def _error_for_deleted(self, status: int) -> ApiError:
        match self.quirks.deleted_answer:
            case "not-found":
                return ApiError(404, "Not found")
            case "error-in-2xx":
                return ApiError(200, "Not found")
            case _:
                return ApiError(status, "Not authorized")

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
