"""Decide whether a device is in range, by the time of its last advertisement, and wait until it is received."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.discovery.tracker import Tracker
from gateway.adapter import DeviceUnreachable, loop_time

QUIET_CONNECTABLE = timedelta(seconds=195)
"""The longest silence of a connectable device that is in range: it has to advertise for each connection."""

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
            raise DeviceUnreachable(self._reason(child_address, device))
        return device

    async def wait_for(self, child_address: str) -> TrackedDevice:
        """Return the device with this address, as soon as it is received.

        Raises:
            DeviceUnreachable: it is not received in time.
        """
        ends_at = loop_time() + FIRST_ADVERTISEMENT_SECONDS
        while (device := self._tracker.get(child_address)) is None or self._is_out_of_range(device):
            if (left := ends_at - loop_time()) <= 0:
                raise DeviceUnreachable(self._reason(child_address, device))
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

    def _reason(self, child_address: str, device: TrackedDevice | None) -> str:
        if device is None:
            return f"{child_address} is not received: it is out of range, switched off, or its battery is empty"
        if not self.is_received(device):
            return f"{child_address} was not received since the radio was opened: it is out of range, or its battery is empty"
        minutes = (loop_time() - device.heard_at) / 60
        return f"{child_address} was not received for {minutes:.0f} min: it is out of range, or its battery is empty"
