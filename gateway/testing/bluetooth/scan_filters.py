"""What a program that scans tells BlueZ to look for: discovery filters and the patterns of monitors. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.advertisement import Advertisement, Pattern
from gateway.testing.bluetooth.dbus_errors import Refused

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
    """Which devices a discovery session is to hear of."""

    uuids: frozenset[str] = frozenset()
    """Of which a device has to advertise one; all, when empty."""
    rssi: int | None = None
    """How strongly it has to be heard, in dBm."""
    pattern: str = ""
    """What its address or its name begins with."""
    repeats: bool = False
    """Tell also what has not changed, and forget what an advertisement does not repeat."""

    @classmethod
    def of(cls, said: Mapping[str, Variant]) -> DiscoveryFilter:
        """Return the filter of a call of SetDiscoveryFilter.

        Raises:
            Refused: BlueZ does not know one of its words.
        """
        if any(_FILTER_SIGNATURES.get(word) != value.signature for word, value in said.items()):
            raise Refused(dbus_errors.INVALID_ARGUMENTS)
        words = {word: value.value for word, value in said.items()}
        return cls(
            uuids=frozenset(uuid.lower() for uuid in words.get("UUIDs", ())),
            rssi=words.get("RSSI"),
            pattern=words.get("Pattern", ""),
            repeats=words.get("DuplicateData", False),
        )

    def lets_through(self, said: Advertisement) -> bool:
        """The session is to hear of whoever said this."""
        return (
            (not self.uuids or not self.uuids.isdisjoint(said.service_uuids))
            and (self.rssi is None or said.rssi >= self.rssi)
            and (said.address.startswith(self.pattern) or (said.name or "").startswith(self.pattern))
        )


def patterns_of(monitor: Mapping[str, Variant]) -> Sequence[Pattern] | None:
    """Return what a monitor looks for, from its properties; `None` for one that BlueZ would not take."""
    kind, patterns = monitor.get("Type"), monitor.get("Patterns")
    if kind is None or kind.value != "or_patterns" or patterns is None:
        return None
    return tuple((start, structure, bytes(content)) for start, structure, content in patterns.value) or None


class Monitor:
    """Somebody who listens without asking: a passive scan."""

    def __init__(self, client: str, path: str, tell: Callable[[str], None]) -> None:
        self.client = client
        """Its name on the bus."""
        self.path = path
        self.patterns: Sequence[Pattern] = ()
        """What it looks for; nothing before it has exported its object."""
        self._tell = tell
        self._found: set[str] = set()

    def lets_through(self, said: Advertisement) -> bool:
        """It is to hear of whoever said this."""
        return bool(self.patterns) and said.fits(self.patterns)

    def found(self, device: str) -> None:
        """Tell it once of each device."""
        if device not in self._found:
            self._found.add(device)
            self._tell(device)
