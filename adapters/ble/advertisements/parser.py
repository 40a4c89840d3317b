"""Define what an advertisement parser is and what it returns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.metrics import Measured


class MalformedAdvertisement(ValueError):
    """An advertisement of a supported device cannot be parsed; the text says why, for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedAdvertisement:
    """The content of one advertisement, as its parser returns it."""

    model: str
    manufacturer: str | None = None
    name: str | None = None
    serial_number: str | None = None
    firmware_version: str | None = None
    hardware_version: str | None = None
    measured: Sequence[Measured] = ()
    """The values of this advertisement, never those of an earlier one."""
    events: Sequence[Measured] = ()
    """What happened; reported once, however often the advertisement is received."""
    needs: tuple[str, ...] = ()
    """What is missing to learn more: `a bind key`, `a connection`."""


class Parser(Protocol):
    """A parser of one device's advertisements: each device has its own, which may remember earlier ones."""

    def parse(self, advertisement: Advertisement, received_at: float) -> ParsedAdvertisement | None:
        """Return the content of the advertisement; `None` when this parser does not know the device.

        Args:
            advertisement: what was received.
            received_at: in seconds of a monotonic clock.

        Raises:
            MalformedAdvertisement: the parser knows the device, and cannot parse this.
        """
