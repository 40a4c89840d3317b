"""Decide whether a device is in range, by the time of its last advertisement, and wait until it is received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.discovery.tracker import Tracker
from gateway.adapter import Cause, DeviceUnreachable, loop_time

QUIET_CONNECTABLE = timedelta(seconds=195)
"""The longest silence of a connectable device that is in range: it has to advertise for each connection."""

LOW_BATTERY_PERCENT = 10.0
"""A device that vanishes with no more than this has an empty battery."""

WEAK_SIGNAL_DBM = -90
"""Below this, most advertisements are lost."""

FIRST_ADVERTISEMENT_SECONDS = 10.0
"""The longest wait for a device that is to be connected to."""


class Reachability:
    """Which of the tracked devices can be connected to.

    Args:
        tracker: the devices.
        is_connected: whether a connection to this address is open; such a device need not advertise.
    """

    def __init__(self, tracker: Tracker, is_connected: Callable[[str], bool]) -> None:
        self._tracker = tracker
        self._is_connected = is_connected
        self._received = asyncio.Event()
        self.opened_at = 0.0
        """When the radio was opened, in seconds of the loop's clock."""

    def radio_opened(self) -> None:
        """Expect every device to be received anew: the radio cannot connect to a device that it has not received itself."""
        self.opened_at = loop_time()

    def note_advertisement(self) -> None:
        """Wake up everything that waits for a device."""
        self._received.set()

    def is_received(self, device: TrackedDevice) -> bool:
        """Return whether the device was received since the radio was opened."""
        return device.heard_at >= self.opened_at

    def present(self, child_address: str) -> TrackedDevice:
        """Return the device with this address.

        Raises:
            DeviceUnreachable: it is not received any more.
        """
        device = self._tracker.get(child_address)
        if device is None or self._is_out_of_range(device):
            raise self.why_absent(child_address, device)
        return device

    async def wait_for(self, child_address: str) -> TrackedDevice:
        """Return the device with this address, as soon as it is received.

        Raises:
            DeviceUnreachable: it is not received in time.
        """
        ends_at = loop_time() + FIRST_ADVERTISEMENT_SECONDS
        while (device := self._tracker.get(child_address)) is None or self._is_out_of_range(device):
            if (left := ends_at - loop_time()) <= 0:
                raise self.why_absent(child_address, device)
            await self._next_advertisement(left)
        return device

    async def wait_while(self, is_so: Callable[[], bool]) -> None:
        """Return as soon as something is not so any more that advertisements or some seconds change."""
        while is_so():
            await self._next_advertisement(1.0)

    async def _next_advertisement(self, seconds: float) -> None:
        """Wait until an advertisement of any device is received, at most for this time."""
        self._received.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._received.wait()
        except TimeoutError:
            pass

    def _is_out_of_range(self, device: TrackedDevice) -> bool:
        if self._is_connected(device.address):
            return False
        return not self.is_received(device) or loop_time() - device.heard_at > QUIET_CONNECTABLE.total_seconds()

    def why_absent(self, child_address: str, device: TrackedDevice | None) -> DeviceUnreachable:
        """Return the error for a device that is not received: by its last battery level, and how weak it was received last."""
        if device is None:
            text = f"{child_address} is not received: it is out of range, switched off, or its battery is empty"
            return DeviceUnreachable(text, cause=Cause.OUT_OF_RANGE)
        minutes = (loop_time() - device.heard_at) / 60
        since = f"for {minutes:.0f} min" if self.is_received(device) else "since the radio was opened"
        battery, rssi = device.battery_percent, device.advertisement.rssi
        strength = "" if rssi is None else f", last at {rssi} dBm"
        if battery is not None and battery <= LOW_BATTERY_PERCENT:
            text = f"{child_address} was not received {since}; it reported {battery:.0f} % battery last"
            return DeviceUnreachable(text, cause=Cause.BATTERY_EMPTY)
        level = "" if battery is None else f" (it reported {battery:.0f} % last)"
        text = f"{child_address} was not received {since}{strength}: it is out of range, or its battery is empty{level}"
        weak = "Its signal was weak: bring it nearer, or put a second gateway or an antenna near it; then check its battery"
        is_weak = rssi is not None and rssi <= WEAK_SIGNAL_DBM
        return DeviceUnreachable(text, cause=Cause.OUT_OF_RANGE, next_step=weak if is_weak else None)
