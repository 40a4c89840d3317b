"""Evaluate the discovery filters and the advertisement monitors of BlueZ's clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.advertisement import MANUFACTURER_DATA, Advertisement, Pattern
from gateway.testing.bluetooth.dbus_errors import OperationFailed

MOST_PATTERNS = 7
"""The number of patterns that a monitor may have.

bluetoothd keeps the length of the command for the kernel, 1 + 34 for each pattern, in one byte (`merged_pattern_send_add_pattern`
in src/adv_monitor.c, 5.56 to 5.87 at least). With 8 it writes beyond its memory, the kernel refuses the command,
the monitor is released, and bluetoothd aborts when it is removed: so does 5.66. Only monitors with the same patterns in the same
order share a command, so each monitor counts for itself.
"""

_MAX_STRUCTURE = 31
_FILTER_SIGNATURES: Mapping[str, str] = MappingProxyType(
    {
        "UUIDs": "as",
        "RSSI": "n",
        "Pathloss": "q",
        "Transport": "s",
        "DuplicateData": "b",
        "Discoverable": "b",
        "Pattern": "s",
    }
)


@dataclass(frozen=True, slots=True)
class DiscoveryFilter:
    """The devices that a discovery session is notified of."""

    uuids: frozenset[str] = frozenset()
    """A device has to advertise one of them; every device fits, when empty."""
    rssi: int | None = None
    """The lowest signal strength, in dBm."""
    pattern: str = ""
    """The beginning of its address or its name."""
    reports_duplicates: bool = False
    """Report unchanged data, too, and drop data that an advertisement does not repeat."""
    is_set: bool = False
    """The client has set a filter: BlueZ then reports each signal strength, and devices that are not discoverable."""

    @classmethod
    def of(cls, arguments: Mapping[str, Variant]) -> DiscoveryFilter:
        """Return the filter of a call of SetDiscoveryFilter.

        Raises:
            OperationFailed: BlueZ does not support one of its options.
        """
        if any(_FILTER_SIGNATURES.get(key) != value.signature for key, value in arguments.items()):
            raise OperationFailed(dbus_errors.INVALID_ARGUMENTS)
        options = {key: value.value for key, value in arguments.items()}
        return cls(
            uuids=frozenset(uuid.lower() for uuid in options.get("UUIDs", ())),
            rssi=options.get("RSSI"),
            pattern=options.get("Pattern", ""),
            reports_duplicates=options.get("DuplicateData", False),
            is_set=bool(options),
        )

    def accepts(self, advertisement: Advertisement) -> bool:
        """Return whether the session is notified of this advertisement."""
        return (
            (not self.uuids or not self.uuids.isdisjoint(advertisement.service_uuids))
            and (self.rssi is None or advertisement.rssi >= self.rssi)
            and (advertisement.address.startswith(self.pattern) or (advertisement.name or "").startswith(self.pattern))
        )


def patterns_of(monitor: Mapping[str, Variant]) -> Sequence[Pattern] | None:
    """Return the patterns in a monitor's properties; `None` for a monitor that BlueZ would not accept."""
    kind, patterns = monitor.get("Type"), monitor.get("Patterns")
    if kind is None or kind.value != "or_patterns" or patterns is None:
        return None
    found = tuple((start, structure, bytes(content)) for start, structure, content in patterns.value)
    return found if found and all(map(_is_valid, found)) else None


def _is_valid(pattern: Pattern) -> bool:
    """Return whether BlueZ accepts a pattern (`bt_ad_pattern_new` in src/shared/ad.c)."""
    start, structure, content = pattern
    return bool(content) and start + len(content) <= _MAX_STRUCTURE and (0 < structure <= 0x3D or structure == MANUFACTURER_DATA)


class Monitor:
    """An advertisement monitor of a client: a passive scan.

    Args:
        client: the client's name on the bus.
        path: the path of the client's object.
        on_device: called with the path of a device that the client is notified of.
        is_offloaded: the controller matches the patterns and reports a device once; bluetoothd reports each advertisement.
    """

    def __init__(self, client: str, path: str, on_device: Callable[[str], None], *, is_offloaded: bool = False) -> None:
        self.client = client
        self.path = path
        self.patterns: Sequence[Pattern] = ()
        """Empty until the client has exported its object, and where BlueZ has released the monitor."""
        self.is_overflown = False
        """It had more than `MOST_PATTERNS`: BlueZ crashes when it is removed."""
        self._on_device = on_device
        self._is_offloaded = is_offloaded
        self._reported: set[str] = set()

    def accepts(self, advertisement: Advertisement) -> bool:
        """Return whether the client is notified of this advertisement."""
        return bool(self.patterns) and advertisement.fits(self.patterns)

    def found(self, device: str) -> None:
        """Notify the client of an advertisement (`adv_monitor_filter_rssi` in src/adv_monitor.c: no thresholds, no memory)."""
        if not self._is_offloaded or device not in self._reported:
            self._reported.add(device)
            self._on_device(device)

    def lost(self, device: str) -> bool:
        """Forget a device that is received no longer; return whether the client is notified: only a controller notices that."""
        was_reported = device in self._reported
        self._reported.discard(device)
        return was_reported and self._is_offloaded
