"""Define what the page shows of the log, and how its level is set for a while. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from gateway.status.languages.texts import gettext_noop

LEVELS: Final = ("debug", "info", "warning", "error")
"""From the most to the least that is logged."""
MOST_MINUTES: Final = 24 * 60

PARTS: Final[Mapping[str, str]] = {
    "cloud": gettext_noop("Cloud"),
    "devices": gettext_noop("Buses and devices"),
    "modbus": gettext_noop("Modbus"),
    "ble": gettext_noop("Bluetooth"),
    "serial": gettext_noop("Serial"),
    "store": gettext_noop("Store"),
    "page": gettext_noop("Status page"),
    "configuration": gettext_noop("Configuration"),
    "gateway": gettext_noop("Gateway"),
    "other": gettext_noop("Others"),
}
"""The parts of the program that write to the log, with their titles."""

_PART_OF: Final[Mapping[str, str]] = {
    "gateway.cloud": "cloud",
    "gateway.field": "devices",
    "adapters.modbus": "modbus",
    "adapters.ble": "ble",
    "adapters.serial": "serial",
    "gateway.state": "store",
    "gateway.status": "page",
    "gateway.config": "configuration",
    "gateway.first_start": "configuration",
    "gateway.runtime.configuration": "configuration",
    "gateway": "gateway",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One record of the log, with its traceback if it has one."""

    seq: int
    """Its number in this run, from 1."""
    at: datetime
    """Aware."""
    level: str
    """One of `LEVELS`."""
    logger: str
    text: str
    """Printable characters; a traceback in further lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLevel:
    """The level from which on lines are logged."""

    level: str
    """One of `LEVELS`."""
    normal: str
    """The level that comes back."""
    until: datetime | None = None
    """When it comes back, aware; `None` while it is the normal one."""


class LogsView(Protocol):
    """The log of the gateway, without secrets."""

    def log_lines(self) -> Sequence[LogLine]:
        """Return the lines that are kept, the oldest first."""

    def log_level(self) -> LogLevel:
        """Return the level at the time."""

    def set_log_level(self, level: str, minutes: int) -> None:
        """Log from another level on for so many minutes, 1 to `MOST_MINUTES`; the normal level ends that at once."""


def part_of(logger: str) -> str:
    """Return the part of the program that a logger belongs to."""
    while logger:
        if (part := _PART_OF.get(logger)) is not None:
            return part
        logger = logger.rpartition(".")[0]
    return "other"
