"""Define what a gateway may let the cloud do: four permissions, each of which includes the former ones. Pure."""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """What the cloud may do with a device, the least first."""

    OBSERVE = "observe"
    """Receive its telemetry."""
    CONFIGURE = "configure"
    """Also change its configuration and its licences."""
    COMMAND = "command"
    """Also send it commands."""
    FIRMWARE = "firmware"
    """Also replace its firmware."""

    @property
    def level(self) -> int:
        """How much it allows: 0 for the least."""
        return list(Permission).index(self)

    def includes(self, needed: Permission) -> bool:
        """Return whether it allows what needs the other permission."""
        return needed.level <= self.level
