"""Emulate the advertisement monitors of BlueZ: the passive scans of its clients, with their limits (src/adv_monitor.c)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.advertisement import FLAGS, MANUFACTURER_DATA, Advertisement, Pattern
from gateway.testing.bluetooth.dbus_errors import OperationFailed

MONITOR: Final = "org.bluez.AdvertisementMonitor1"

MOST_PATTERNS: Final = 7
"""The number of patterns that a monitor may have.

bluetoothd keeps the length of the command for the kernel, 1 + 34 for each pattern, in one byte
(`merged_pattern_send_add_pattern`, 5.56 to 5.87 at least). With 8 it writes beyond its memory, the kernel refuses the command,
the monitor is released, and bluetoothd aborts when it is removed: so does 5.66. Only monitors with the same patterns in the same
order share a command, so each monitor counts for itself.
"""

_MAX_STRUCTURE = 31


@dataclass(slots=True, eq=False)
class Monitor:
    """An advertisement monitor of a client."""

    client: str
    """The client's name on the bus."""
    path: str
    is_offloaded: bool
    """The controller matches the patterns, and reports a device once; bluetoothd itself reports each advertisement."""
    patterns: Sequence[Pattern] = ()
    """Empty until the client has exported its object, and where BlueZ has released the monitor."""
    is_overflown: bool = False
    """It had more than `MOST_PATTERNS`: BlueZ crashes when it is removed."""
    reported: set[str] = field(default_factory=set)
    """The paths of the devices that its client was notified of."""

    def accepts(self, advertisement: Advertisement) -> bool:
        """Return whether the client is notified of this advertisement."""
        return bool(self.patterns) and advertisement.fits(self.patterns)


class Monitors:
    """The monitors of a controller.

    Args:
        call: calls a method of a monitor's client: the monitor, the method, and arguments with their signatures.
    """

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call
        self._monitors: list[Monitor] = []

    def __len__(self) -> int:
        return len(self._monitors)

    @property
    def are_scanning(self) -> bool:
        """Whether one of them is active."""
        return any(monitor.patterns for monitor in self._monitors)

    def register(self, client: str, path: str, *, is_offloaded: bool) -> None:
        """Register a monitor whose object the client will export.

        Raises:
            OperationFailed: the client has registered it already.
        """
        if self._get(client, path) is not None:
            raise OperationFailed(dbus_errors.ALREADY_EXISTS)
        self._monitors.append(Monitor(client, path, is_offloaded))

    def appeared(
        self, client: str, path: str, properties: Mapping[str, Variant], *, most: int | None, matches_only_flags: bool
    ) -> None:
        """Activate a registered monitor whose object was exported, or release it: without a valid pattern, or without room."""
        monitor = self._get(client, path)
        if monitor is None:
            return
        patterns = _patterns(properties)
        monitor.is_overflown = len(patterns) > MOST_PATTERNS
        active = sum(bool(other.patterns) for other in self._monitors)
        if monitor.is_overflown or (most is not None and active >= most):
            patterns = ()
        self._call(monitor, "Activate" if patterns else "Release")
        monitor.patterns = [one for one in patterns if one[1] == FLAGS or not matches_only_flags]

    def unregister(self, client: str, path: str) -> bool:
        """Remove a monitor; return whether that crashes BlueZ.

        Raises:
            OperationFailed: there is no such monitor.
        """
        monitor = self._get(client, path)
        if monitor is None:
            raise OperationFailed(dbus_errors.DOES_NOT_EXIST)
        self._monitors.remove(monitor)
        return monitor.is_overflown

    def forget_client(self, client: str) -> bool:
        """Remove the monitors of a client that has left the bus; return whether that crashes BlueZ."""
        removed = [monitor for monitor in self._monitors if monitor.client == client]
        self._monitors = [monitor for monitor in self._monitors if monitor.client != client]
        return any(monitor.is_overflown for monitor in removed)

    def release_all(self) -> None:
        """Release all."""
        for monitor in self._monitors:
            self._call(monitor, "Release")
        self.clear()

    def clear(self) -> None:
        """Remove all."""
        self._monitors.clear()

    def matching(self, advertisement: Advertisement) -> list[Monitor]:
        """Return those whose clients are notified of this advertisement."""
        return [monitor for monitor in self._monitors if monitor.accepts(advertisement)]

    def found(self, monitors: Sequence[Monitor], device: str) -> None:
        """Notify these of a device: of each advertisement or, where the controller matches the patterns, once."""
        for monitor in monitors:
            if not monitor.is_offloaded or device not in monitor.reported:
                monitor.reported.add(device)
                self._call(monitor, "DeviceFound", ("o", device))

    def lost(self, device: str) -> None:
        """Forget a device that is received no longer; only a controller that matches the patterns notices and reports that."""
        for monitor in self._monitors:
            if device in monitor.reported:
                monitor.reported.remove(device)
                if monitor.is_offloaded:
                    self._call(monitor, "DeviceLost", ("o", device))

    def _get(self, client: str, path: str) -> Monitor | None:
        return next((one for one in self._monitors if (one.client, one.path) == (client, path)), None)


def _patterns(monitor: Mapping[str, Variant]) -> Sequence[Pattern]:
    """Return the patterns in a monitor's properties; none for a monitor that BlueZ would not accept."""
    kind, patterns = monitor.get("Type"), monitor.get("Patterns")
    if kind is None or kind.value != "or_patterns" or patterns is None:
        return ()
    found = tuple((start, structure, bytes(content)) for start, structure, content in patterns.value)
    return found if all(map(_is_valid, found)) else ()


def _is_valid(pattern: Pattern) -> bool:
    """Return whether BlueZ accepts a pattern (`bt_ad_pattern_new` in src/shared/ad.c)."""
    start, structure, content = pattern
    return bool(content) and start + len(content) <= _MAX_STRUCTURE and (0 < structure <= 0x3D or structure == MANUFACTURER_DATA)
