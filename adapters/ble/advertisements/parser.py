"""What one advertisement says, as the parser of its device understood it. Nothing here waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.metrics import Measured


class NotUnderstood(ValueError):
    """An advertisement of this device cannot be read; the text says why, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a parser made of one advertisement."""

    model: str
    manufacturer: str | None = None
    name: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    hardware_version: str | None = None
    measured: Sequence[Measured] = ()
    """What this advertisement says, never what an earlier one did."""
    events: Sequence[Measured] = ()
    """What happened; told once, however often the advertisement is heard."""
    needs: tuple[str, ...] = ()
    """What keeps it from saying more: `a bind key`, `a connection`."""


class Parser(Protocol):
    """What understands the advertisements of one device: made for it, and keeps what it has to remember of it."""

    def parse(self, advertisement: Advertisement, at: float) -> Said | None:
        """Return what the advertisement says; `None` when it is none of the devices that this parser knows.

        Args:
            advertisement: what was heard.
            at: when, in seconds of a clock that only runs forward.

        Raises:
            NotUnderstood: it is such a device, and this cannot be read.
        """
