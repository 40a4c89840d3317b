"""Find out what the cloud may do with a device: the lowest of three settings, none of which the cloud can change. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.config.settings import Configuration
from gateway.models import ChildDevice, Permission

UPDATE_FIRMWARE = "update_firmware"
"""The command that replaces firmware (device API reference, section 6.4)."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that the cloud may do with a device, and the table of the configuration that says so."""

    may: Permission
    table: str
    """As a person finds it in the file: `[cloud]`."""

    def refusal(self, needed: Permission, what: str | None = None, *, source: str = " from the cloud") -> str | None:
        """Return why something that needs this permission is refused, for the operator in the cloud; `None` when it is not.

        `what` names it in the plural, where it is not what the permission is called after; `source` says where it comes from,
        where that is not the cloud.
        """
        if self.may.includes(needed):
            return None
        noun = _NOUNS[needed] if what is None else what
        return f'it takes no {noun}{source}: `may = "{self.may}"` in {self.table} of the gateway\'s configuration'


def ceiling(configuration: Configuration, child: ChildDevice | None = None) -> Ceiling:
    """Return what the cloud may do with a child, or with the gateway itself: the lowest of the three tables."""
    return min(_ceilings(configuration, child), key=lambda one: one.may.level)


def needed_for(command: str) -> Permission:
    """Return the permission that a command of this name needs."""
    return Permission.FIRMWARE if command == UPDATE_FIRMWARE else Permission.COMMAND


def _ceilings(configuration: Configuration, child: ChildDevice | None) -> Iterator[Ceiling]:
    settings = configuration.settings
    yield Ceiling(settings.cloud.may, "[cloud]")
    if child is None:
        return
    for entry in configuration.entries:
        if entry.entry == child.adapter and entry.may is not None:
            yield Ceiling(entry.may, f"[[adapter]] {entry.entry}")
    own = settings.child.get(child.key)
    if own is not None and own.may is not None:
        yield Ceiling(own.may, f'[child."{child.key}"]')


_NOUNS = {
    Permission.OBSERVE: "part in telemetry",
    Permission.CONFIGURE: "configuration",
    Permission.COMMAND: "commands",
    Permission.FIRMWARE: "firmware",
}
