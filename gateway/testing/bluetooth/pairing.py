"""Describe how a simulated device pairs, and what that asks of the agent of a host. Pure.

The methods follow from what both sides can show and enter (Core Specification, volume 3, part H, 2.3.5.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class PairingMethod(StrEnum):
    """The method by which a pairing is made certain."""

    JUST_WORKS = "just works"
    """Not at all: the device can neither show nor enter a number."""
    PASSKEY_ENTRY = "passkey entry"
    """The device shows a passkey, or it is printed on it; the host enters it."""
    PASSKEY_DISPLAY = "passkey display"
    """The host shows a passkey; the device enters it."""
    COMPARISON = "comparison"
    """Both show the same number; the host confirms it."""


_CAPABLE: Mapping[PairingMethod, frozenset[str]] = MappingProxyType(
    {
        PairingMethod.PASSKEY_ENTRY: frozenset({"KeyboardOnly", "KeyboardDisplay"}),
        PairingMethod.PASSKEY_DISPLAY: frozenset({"DisplayOnly", "DisplayYesNo", "KeyboardDisplay"}),
        PairingMethod.COMPARISON: frozenset({"DisplayYesNo", "KeyboardDisplay"}),
    }
)
"""The capabilities of an agent with which each method is possible."""

NO_CAPABILITY = "NoInputNoOutput"
"""The capability of a host without an agent."""


@dataclass(slots=True, kw_only=True)
class Pairing:
    """The pairing of a peripheral; can be changed while it runs. It pairs by no weaker method."""

    method: PairingMethod = PairingMethod.JUST_WORKS
    passkey: int = 123456
    """The number that it shows, that is printed on it, or that it compares: 0 to 999999."""

    def method_with(self, capability: str) -> PairingMethod:
        """Return the method with a host of this capability; it is refused where it is weaker than that of the peripheral."""
        if self.method is PairingMethod.COMPARISON and capability == "KeyboardOnly":
            return PairingMethod.PASSKEY_ENTRY
        return self.method if capability in _CAPABLE.get(self.method, ()) else PairingMethod.JUST_WORKS
