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

ZERO_UNIT = 0
"""The other unit id of such a device (same section). On a serial line it addresses all units at once, and none of them answers
(Modbus over Serial Line V1.02, section 2.2)."""

HOST_UNITS = (TCP_DEVICE_UNIT, ZERO_UNIT)
"""The unit ids with which a TCP host itself is addressed, the recommended one first."""


def parse_units(units: object) -> tuple[int, ...]:
    """Return `"1-16, 20"`, `20` or a list of these as a tuple of unit ids in rising order."""
    parts = [part for entry in (units if isinstance(units, list | tuple) else [units]) for part in str(entry).split(",")]
    ids: set[int] = set()
    for part in parts:
        matched = re.fullmatch(r"\s*(\d{1,3})\s*(?:-\s*(\d{1,3})\s*)?", part)
        if matched is None:
            raise ValueError(f'{part.strip()!r} is not a unit id: write "1-16, 20" or [1, 2, 20]')
        first, last = int(matched[1]), int(matched[2] or matched[1])
        if last < first:
            raise ValueError(f'unit ids {part.strip()!r} go backwards: write "{last}-{first}"')
        if last > LAST_UNIT and not first == last == TCP_DEVICE_UNIT:
            raise ValueError(
                f"unit ids {part.strip()!r}: they go from 1 to {LAST_UNIT}; over Modbus TCP also {ZERO_UNIT}, {TCP_DEVICE_UNIT}"
            )
        ids.update(range(first, last + 1))
    return tuple(sorted(ids))


Units: TypeAlias = Annotated[tuple[int, ...], BeforeValidator(parse_units)]


def is_usable(unit: int, *, on_line: bool) -> bool:
    """Return whether a unit can have this id: on a serial line, also one behind TCP, 0 and 255 are not possible."""
    return 1 <= unit <= LAST_UNIT or (unit in HOST_UNITS and not on_line)


def why_not_usable(unit: int, *, on_line: bool) -> str:
    """Return why no unit can have this id, for one that is not usable."""
    if unit == ZERO_UNIT:
        reason = "0 addresses all units of a serial line at once (broadcast), and none of them answers"
    elif unit == TCP_DEVICE_UNIT:
        reason = f"{TCP_DEVICE_UNIT} addresses a TCP host itself, and is reserved on a serial line"
    elif LAST_UNIT < unit < TCP_DEVICE_UNIT:
        reason = f"{LAST_UNIT + 1} to {TCP_DEVICE_UNIT - 1} are reserved"
    else:
        reason = "a unit id is one byte"
    possible = f"1 to {LAST_UNIT}" + ("" if on_line else f", {ZERO_UNIT} and {TCP_DEVICE_UNIT}")
    return f"{reason}; possible are {possible}"


def unit_id(address: str, *, on_line: bool) -> int:
    """Return the unit id that an address names.

    Args:
        address: the address, as a person may have written it.
        on_line: the units are on a serial line, also one behind a TCP host: frames are not those of Modbus TCP.

    Raises:
        DeviceUnreachable: no device can have this address.
    """
    if not (address.isascii() and address.isdecimal() and len(address) < 10):
        raise DeviceUnreachable(f"{address!r} is not a unit id: it is a number from 1 to {LAST_UNIT}")
    unit = int(address)
    if not is_usable(unit, on_line=on_line):
        raise DeviceUnreachable(f"{address!r} is not a unit id here: {why_not_usable(unit, on_line=on_line)}")
    return unit
