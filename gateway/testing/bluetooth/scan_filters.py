"""Evaluate the discovery filters and the advertisement monitors of BlueZ's clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.advertisement import Advertisement, Pattern
from gateway.testing.bluetooth.dbus_errors import OperationFailed

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
    return tuple((start, structure, bytes(content)) for start, structure, content in patterns.value) or None


class Monitor:
    """An advertisement monitor of a client: a passive scan."""

    def __init__(self, client: str, path: str, on_device: Callable[[str], None]) -> None:
        self.client = client
        """The client's name on the bus."""
        self.path = path
        self.patterns: Sequence[Pattern] = ()
        """Empty until the client has exported its object."""
        self._on_device = on_device
        self._reported: set[str] = set()

    def accepts(self, advertisement: Advertisement) -> bool:
        """Return whether the client is notified of this advertisement."""
        return bool(self.patterns) and advertisement.fits(self.patterns)

    def found(self, device: str) -> None:
        """Notify the client once of each device."""
        if device not in self._reported:
            self._reported.add(device)
            self._on_device(device)
