"""Receive advertisements and connect to devices, with bleak's scanner and its retry connector.

Only this file and `connection.py` use bleak. A failure to open or a loss of the radio is a `BusUnavailable`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Literal

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs, OrPattern
from bleak.assigned_numbers import AdvertisementDataType
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData, BaseBleakScanner
from bleak.exc import BleakBluetoothNotAvailableError, BleakBluetoothNotAvailableReason, BleakDBusError, BleakError
from bleak_retry_connector import BleakClientWithServiceCache, BleakOutOfConnectionSlotsError, establish_connection

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.metrics import printable
from adapters.ble.radio.bluez import AuthError, ControllerWatch, watch_controller
from adapters.ble.radio.connection import CLOSE_ERRORS, CLOSE_SECONDS, GattConnection, error_text
from adapters.ble.radio.gatt_records import GattRecords
from adapters.ble.radio.monitor_patterns import USUAL_FLAGS, Pattern
from adapters.ble.radio.open_errors import BluetoothUnusable, OpenError, not_open
from adapters.ble.radio.open_errors import error_text as open_error_text
from adapters.ble.radio.pairing import is_paired
from adapters.ble.radio.passive_devices import PassiveDevice, PassiveDevices
from adapters.ble.radio.passive_failures import TRIED_AGAIN_AFTER
from adapters.ble.radio.passive_scan import passive_scan
from adapters.ble.radio.rfkill import is_blocked_by_rfkill
from gateway.adapter import Cause, DeviceUnreachable, loop_time

log = logging.getLogger(__name__)

CONNECT_SECONDS = 25.0
CONNECT_TRIES = 2

CONNECTION_LIMIT = "connection-limit"
"""A part of BlueZ's error when the controller has as many connections as it takes."""

NO_SIGNAL_DBM = -127
"""The strength that bleak reports for a device that BlueZ forgets or no longer receives: not a real advertisement."""

SOON_SECONDS = 600.0
"""A bluetoothd that crashes within this time after the start of a passive scan may have crashed because of it."""

MOST_CRASHES = 2
"""After so many such crashes in a row, the radio scans actively."""

UNAVAILABLE_REASONS: Mapping[BleakBluetoothNotAvailableReason, OpenError] = {
    BleakBluetoothNotAvailableReason.NO_BLUETOOTH: OpenError.NO_CONTROLLER,
    BleakBluetoothNotAvailableReason.NO_BLE_CENTRAL_ROLE: OpenError.NOT_LOW_ENERGY,
    BleakBluetoothNotAvailableReason.POWERED_OFF: OpenError.POWERED_OFF,
    BleakBluetoothNotAvailableReason.DENIED_BY_SYSTEM: OpenError.AUTH_REJECTED,
}

DBUS_ERRORS: Mapping[str, OpenError] = {
    "org.freedesktop.DBus.Error.ServiceUnknown": OpenError.NO_DAEMON,
    "org.freedesktop.DBus.Error.NameHasNoOwner": OpenError.NO_DAEMON,
    "org.freedesktop.DBus.Error.AccessDenied": OpenError.ACCESS_DENIED,
    "org.freedesktop.DBus.Error.UnknownObject": OpenError.NO_CONTROLLER,
    "org.freedesktop.DBus.Error.UnknownMethod": OpenError.NO_CONTROLLER,
    "org.bluez.Error.NotReady": OpenError.POWERED_OFF,
    "org.bluez.Error.InProgress": OpenError.BUSY,
}


class Radio:
    """One Bluetooth controller of this machine.

    Args:
        controller: its name, `hci0`; `None` for the first that is powered.
        scanning: `active` requests scan responses from devices, `passive` only listens.
        patterns: the advertisements that a passive scan receives, the most important first.
        scanner_backend: a class for bleak's scanner that replaces the system's.
        client_backend: the same for bleak's client.
    """

    def __init__(
        self,
        controller: str | None,
        scanning: Literal["active", "passive"],
        patterns: Sequence[Pattern] = USUAL_FLAGS,
        *,
        scanner_backend: type[BaseBleakScanner] | None = None,
        client_backend: type[BaseBleakClient] | None = None,
    ) -> None:
        self._controller = controller
        self._scanning: Literal["active", "passive"] = scanning
        self._patterns = patterns
        self.scanning_problem: str | None = None
        """The reason, for a person, to scan actively although it was to scan passively; takes effect when the radio is opened."""
        self.scanning_limit: str | None = None
        """The devices that a passive scan may not receive, for a person."""
        self._opened_at = 0.0
        self._crashes = 0
        """How often in a row bluetoothd crashed soon after the start of a passive scan."""
        self._scanner_backend = scanner_backend
        self._client_backend = client_backend
        self._watch_stack = AsyncExitStack()
        self._watch: ControllerWatch | None = None
        self._is_absent = False
        self._scanner: BleakScanner | None = None
        self._devices: dict[str, BLEDevice] = {}
        self.records = GattRecords()
        """The last reads, writes and notifications over its connections."""
        self._connecting: set[str] = set()
        """The addresses of the devices to which a connection is being opened."""

    async def open(self, on_advertisement: Callable[[Advertisement], None]) -> None:
        """Start to scan, and call `on_advertisement` with each advertisement.

        Raises:
            BusUnavailable: the radio cannot be used; the text contains the fix.
        """
        self._devices.clear()
        self._is_absent = False
        self._opened_at = loop_time()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if self._scanner_backend is None:
                    self._watch = await self._watch_stack.enter_async_context(watch_controller(self._controller))
                await self._start_scan(on_advertisement)
        except (BleakError, BluetoothUnusable, OSError, EOFError, TimeoutError, KeyError, AuthError) as error:
            reason = _open_error(error)
            try:
                self._is_absent = self._watch is not None and not await self._watch.is_ready()
                if isinstance(error, TimeoutError) and self._scanner_backend is None:
                    reason = OpenError.NO_REPLY if self._watch is None or self._watch.is_silent else reason
                is_blocked = is_blocked_by_rfkill() or (self._watch is not None and self._watch.is_blocked)
                if reason is OpenError.POWERED_OFF and is_blocked:
                    reason = OpenError.BLOCKED
                self._note_loss()
            finally:
                await self.close()
            raise not_open(reason, self._controller, error_text(error)) from error
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop scanning. Never raises."""
        scanner, self._scanner, self._watch = self._scanner, None, None
        if scanner is not None:
            with contextlib.suppress(*CLOSE_ERRORS):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await scanner.stop()
        await self._watch_stack.aclose()

    async def wait_until_lost(self) -> str:
        """Return the reason once the radio is lost; never for a radio with its own backend."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        reason = await (never if self._watch is None else self._watch.wait_until_lost())
        self._is_absent = True
        self._note_loss()
        return reason

    async def wait_until_back(self) -> None:
        """Return when a controller that was absent is back; never for one that was present and failed."""
        if self._is_absent:
            with contextlib.suppress(OSError, EOFError, AuthError):
                async with watch_controller(self._controller) as watch:
                    await watch.wait_until_ready()
                return
        await asyncio.get_running_loop().create_future()

    def forget(self, address: str) -> None:
        """Drop what is stored about a device that is no longer received."""
        self._devices.pop(address, None)

    async def connect(self, address: str) -> GattConnection:
        """Connect to a device that was received; the caller closes the connection.

        Raises:
            DeviceUnreachable: the connection fails; the text contains the reason.
        """
        device = self._devices.get(address)
        if device is None:
            raise DeviceUnreachable(f"{address} was not received since the radio was opened", cause=Cause.OUT_OF_RANGE)
        options: dict[str, Any] = {} if self._client_backend is None else {"backend": self._client_backend}
        self._connecting.add(address)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                client = await establish_connection(
                    BleakClientWithServiceCache,
                    device,
                    address,
                    max_attempts=CONNECT_TRIES,
                    use_services_cache=False,  # bleak's cache outlives bluetoothd: after a crash it is wrong
                    **options,
                )
        except TimeoutError as error:
            raise DeviceUnreachable(
                f"{address} accepted no connection within {CONNECT_SECONDS:.0f} s", cause=Cause.NO_ANSWER
            ) from error
        except (BleakError, OSError, EOFError) as error:
            raise _not_connected(error) from error
        finally:
            self._connecting.discard(address)
        path = self.bluez_path(address)
        if path is None:
            return GattConnection(client, address, records=self.records)
        return GattConnection(client, address, partial(is_paired, path), self.records)

    def bluez_path(self, address: str) -> str | None:
        """Return the path of a device that was received; `None` where bluetoothd is not used, or it was not received."""
        device = self._devices.get(address)
        path = device.details.get("path") if device is not None and isinstance(device.details, dict) else None
        return path if isinstance(path, str) else None

    async def _start_scan(self, on_advertisement: Callable[[Advertisement], None]) -> None:
        if self._is_passive and self._watch is not None:
            try:
                await self._scan_passively(self._watch, on_advertisement)
            except BluetoothUnusable as error:
                if error.open_error is not OpenError.PASSIVE_REFUSED or not await self._watch.is_ready():
                    raise  # a controller that is switched off or removed at this moment shows nothing
                self._scan_actively_from_now_on(open_error_text(error.open_error, self._controller).problem)
            else:
                return

        def on_detection(device: BLEDevice, data: AdvertisementData) -> None:
            if data.rssi <= NO_SIGNAL_DBM:
                return
            self._devices[device.address] = device
            on_advertisement(_advertisement(device, data))

        scanner = self._new_scanner(on_detection)
        await scanner.start()
        self._scanner = scanner

    async def _scan_passively(self, watch: ControllerWatch, on_advertisement: Callable[[Advertisement], None]) -> None:
        def on_received(device: PassiveDevice, advertisement: Advertisement) -> None:
            known = self._devices.get(advertisement.address)
            if known is None or known.name != advertisement.name:
                details = {"path": device.path, "props": device.properties}
                self._devices[advertisement.address] = BLEDevice(advertisement.address, advertisement.name, details)
            on_advertisement(advertisement)

        devices = PassiveDevices(loop_time, on_received, in_use=self._connecting)
        scan = await self._watch_stack.enter_async_context(
            passive_scan(watch.bus, self._controller, self._patterns, devices, watch.report_end_of_scan)
        )
        if scan.limit is not None and scan.limit != self.scanning_limit:
            log.warning("%s: %s", self._controller or "the Bluetooth controller", scan.limit)
        self.scanning_limit = scan.limit

    @property
    def _is_passive(self) -> bool:
        return self._scanning == "passive" and self.scanning_problem is None

    def _note_loss(self) -> None:
        """Give passive scanning up where it crashes bluetoothd: some versions do at certain advertisements (bluez#1169)."""
        if not self._is_passive or self._watch is None:
            return
        if loop_time() - self._opened_at > SOON_SECONDS:
            self._crashes = 0
            return
        if not self._watch.has_crashed:
            return
        self._crashes += 1
        if self._crashes >= MOST_CRASHES:
            self._scan_actively_from_now_on(
                f"bluetoothd crashed {self._crashes} times within {SOON_SECONDS / 60:.0f} min of the start of a passive scan"
            )

    def _scan_actively_from_now_on(self, problem: str) -> None:
        name = self._controller or "the Bluetooth controller"
        self.scanning_problem = (
            f"{problem}: {name} scans actively, and passively again in {TRIED_AGAIN_AFTER.days} days at the earliest"
        )
        self._crashes = 0
        log.warning(
            '%s. A newer BlueZ may help; with scanning = "active" in this entry of the config it is not tried',
            self.scanning_problem,
        )

    def _new_scanner(self, on_detection: Callable[[BLEDevice, AdvertisementData], None]) -> BleakScanner:
        """Return a scanner that reports every advertisement, not only changes: a device that repeats itself is alive."""
        bluez: BlueZScannerArgs = {"filters": {"DuplicateData": True}}
        if self._controller is not None:
            bluez["adapter"] = self._controller
        if self._is_passive:
            bluez["or_patterns"] = [OrPattern(at, AdvertisementDataType(kind), content) for at, kind, content in self._patterns]
        return BleakScanner(
            on_detection, scanning_mode="passive" if self._is_passive else "active", bluez=bluez, backend=self._scanner_backend
        )


def _advertisement(device: BLEDevice, data: AdvertisementData) -> Advertisement:
    details = device.details
    properties = details.get("props", {}) if isinstance(details, dict) else {}
    address_type = properties.get("AddressType")
    return Advertisement(
        address=device.address,
        is_random=None if address_type is None else address_type == "random",
        name=None if data.local_name is None else printable(data.local_name) or None,  # anybody can send it, and it is shown
        rssi=data.rssi,
        tx_power=data.tx_power,
        manufacturer_data=data.manufacturer_data,
        service_data=data.service_data,
        service_uuids=tuple(data.service_uuids),
    )


def _not_connected(error: BaseException) -> DeviceUnreachable:
    """Return the error for a device that is received, and to which no connection comes about."""
    text = error_text(error)
    if isinstance(error, BleakOutOfConnectionSlotsError) or CONNECTION_LIMIT in text:
        step = "Lower `connections` of this entry, end other programs that use the controller, or plug in a second one"
        return DeviceUnreachable(text, cause=Cause.HOST_FULL, next_step=step)
    return DeviceUnreachable(text, cause=Cause.NO_ANSWER)


def _open_error(error: BaseException) -> OpenError | None:
    match error:
        case BluetoothUnusable():
            return error.open_error
        case BleakBluetoothNotAvailableError():
            return UNAVAILABLE_REASONS.get(error.reason)
        case BleakDBusError():
            return DBUS_ERRORS.get(error.dbus_error)
        case FileNotFoundError() | ConnectionRefusedError():
            return OpenError.NO_SOCKET
        case PermissionError():
            return OpenError.NO_PERMISSION
        case AuthError():
            return OpenError.AUTH_REJECTED
        case TimeoutError():
            return OpenError.SCAN_DOES_NOT_START
        case BleakError() if "--experimental" in str(error):
            return OpenError.NO_PASSIVE_SCANNING
        case BleakError() if "not found" in str(error):
            return OpenError.NO_CONTROLLER
    return None
