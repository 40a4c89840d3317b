"""Name the values of meters that are connected to an electricity meter, whatever their channels are. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from gateway.adapter import Value

METER_TYPES: Mapping[int, str] = {
    2: "slave_electricity",
    3: "gas",
    4: "heat",
    6: "warm_water",
    7: "water",
    10: "cooling",
    11: "cooling",
    12: "heat",
    13: "heat",
    21: "warm_water",
    22: "water",
}
"""Types of connected meters (DSMR P1 companion standard, device types; EN 13757-3, table of media: 10 and 11 are cooling at the
outlet and the inlet, 12 heat at the inlet, 13 heat and cooling, 21 hot and 22 cold water)."""

UNITS: Mapping[str, str] = {
    "slave_electricity": "kWh",
    "gas": "m3",
    "heat": "GJ",
    "warm_water": "m3",
    "water": "m3",
    "cooling": "GJ",
}
"""Units of the readings of these kinds, for a placeholder without a unit: the unit of a metric should not change with it."""

MBUS_CHANNELS = range(1, 9)
"""Channels of the electricity meter for other meters; DSMR has four."""

READINGS = ("24.2.1", "24.2.3")
"""Codes of the reading; 24.2.3 is the gas that is not converted by its temperature, in Belgium."""

NUMBERS = ("96.1.0", "96.1.1")
"""Codes of the number of a connected meter."""

NEVER_READ_YEAR = 70
"""Timestamps from this year on (1970) are those of a clock that was never set."""

NO_NUMBER = re.compile(r"[0\s]*")


class ConnectedMeter(NamedTuple):
    """The reading of one connected meter."""

    name: str
    """`gas`; `gas_2` for the second one of the kind, in the order of the channels."""
    usual_unit: str
    code: str
    value: Value
    """`None` if the electricity meter has not read it."""


class _Channel(NamedTuple):
    kind: str
    code: str
    value: Value
    is_in_use: bool


def connected_meters(values: Mapping[str, Value]) -> Sequence[ConnectedMeter]:
    """Return the readings of the connected meters of a telegram, given its values by code (timestamps with `@`).

    A channel without a meter has a placeholder for a reading: a value of zero, with an impossible time or that of 1970. It comes
    after those in use, so that it never takes the name of a real meter. A meter that is in use, and was not read, keeps its name,
    and has no value.
    """
    channels = [channel for number in MBUS_CHANNELS if (channel := _channel(values, number)) is not None]
    counts: Counter[str] = Counter()
    meters: list[ConnectedMeter] = []
    for channel in sorted(channels, key=lambda channel: not channel.is_in_use):
        counts[channel.kind] += 1
        if channel.is_in_use or counts[channel.kind] == 1:
            name = channel.kind if counts[channel.kind] == 1 else f"{channel.kind}_{counts[channel.kind]}"
            meters.append(ConnectedMeter(name, UNITS[channel.kind], channel.code, channel.value))
    return meters


def _channel(values: Mapping[str, Value], number: int) -> _Channel | None:
    """Return a channel; `None` if it tells no meter of a known type, or no reading."""
    kind = values.get(f"0-{number}:24.1.0")
    code = next((code for code in (f"0-{number}:{end}" for end in READINGS) if code in values), None)
    if code is None or not isinstance(kind, int) or kind not in METER_TYPES:
        return None
    moment = values.get(f"{code}@")
    value = told if isinstance(told := values[code], int | float) else None
    if value != 0 or not isinstance(moment, str) or is_time(moment):
        return _Channel(METER_TYPES[kind], code, value, is_in_use=True)
    identifications = [values[key] for key in (f"0-{number}:{end}" for end in NUMBERS) if key in values]
    is_numbered = any(one is not None and NO_NUMBER.fullmatch(str(one)) is None for one in identifications)
    was_never_read = moment[:2].isdecimal() and int(moment[:2]) >= NEVER_READ_YEAR
    is_in_use = not was_never_read and (is_numbered or not identifications)
    return _Channel(METER_TYPES[kind], code, None, is_in_use)


def is_time(written: str) -> bool:
    """Return whether a timestamp `YYMMDDhhmmss`, maybe with W or S for winter or summer, is a time since meters send them."""
    try:
        datetime.strptime(written.rstrip("WS"), "%y%m%d%H%M%S")  # noqa: DTZ007 - only whether it is one
    except ValueError:
        return False
    return int(written[:2]) < NEVER_READ_YEAR
