"""Evaluate the discovery filters of BlueZ's clients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.advertisement import Advertisement
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
