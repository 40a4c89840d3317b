"""Parse unit ids from configs and addresses, and define the special ones. Pure."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator

from gateway.adapter import DeviceUnreachable

LAST_UNIT = 247
"""The highest unit id on a serial line (Modbus over Serial Line V1.02, section 2.2)."""

RESERVED_UNIT = 250
"""A unit id that no device can have (Modbus over Serial Line V1.02, section 2.2)."""

TCP_DEVICE_UNIT = 255
"""The unit id of a TCP device that is no gateway (Modbus Messaging on TCP/IP Implementation Guide V1.0b, section 4.4.2)."""


def parse_units(units: object) -> tuple[int, ...]:
    """Return `"1-16, 20"`, `20` or a list of these as a tuple of unit ids in rising order."""
    parts = [part for entry in (units if isinstance(units, list | tuple) else [units]) for part in str(entry).split(",")]
    ids: set[int] = set()
    for part in parts:
        matched = re.fullmatch(r"\s*(\d{1,3})\s*(?:-\s*(\d{1,3})\s*)?", part)
        if matched is None:
            raise ValueError(f'{part.strip()!r} is not a unit id: write "1-16, 20" or [1, 2, 20]')
        first, last = int(matched[1]), int(matched[2] or matched[1])
        wrong = [unit for unit in (first, last) if not (1 <= unit <= LAST_UNIT or unit == TCP_DEVICE_UNIT == first == last)]
        if wrong or last < first:
            raise ValueError(f"unit ids {part.strip()!r}: they go from 1 to {LAST_UNIT}; {TCP_DEVICE_UNIT} is a TCP host itself")
        ids.update(range(first, last + 1))
    return tuple(sorted(ids))


Units: TypeAlias = Annotated[tuple[int, ...], BeforeValidator(parse_units)]


def unit_id(address: str) -> int:
    """Return the unit id that an address names.

    Raises:
        DeviceUnreachable: no device can have this address.
    """
    if address.isdecimal() and (1 <= int(address) <= LAST_UNIT or int(address) == TCP_DEVICE_UNIT):
        return int(address)
    raise DeviceUnreachable(f"{address!r} is not a unit id: it is a number from 1 to {LAST_UNIT}, or {TCP_DEVICE_UNIT}")
