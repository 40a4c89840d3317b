"""Decode meter telegrams: lines such as `1-0:1.8.1(000581.161*kWh)` with an OBIS code (IEC 62056-21; DSMR P1). Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.serial.codec import Codec, DecodedFrame
from gateway.adapter import Value

LINE = re.compile(r"(?:(\d+-\d+:[0-9A-F.]+)(?:\*\d+)?)?((?:\([^()\r\n]*\))+)\s*", re.IGNORECASE)

METER_TYPES: Mapping[int, str] = {3: "gas", 4: "heat", 6: "warm_water", 7: "water"}
"""Types of the meters that are connected to the electricity meter (DSMR P1 companion standard, device types)."""

MBUS_CHANNELS = range(1, 5)
"""Channels of the electricity meter for other meters."""

THOUSANDS: Mapping[str, str] = {"W": "kW", "Wh": "kWh", "var": "kvar", "varh": "kvarh"}
"""Units of some meters -> the units that the others use."""

MAX_NUMBER_LENGTH = 10
"""Longer digit strings are device numbers and timestamps, not measurements."""


class ObisCodec(Codec):
    """Decodes the telegram of a P1 port. Fields are named by their codes: `1-0:1.8.1`.

    The timestamp of a value is the field with `@` after the code. Values of connected meters are also named `gas`, `heat`,
    `warm_water` or `water`, independent of their channel.
    """

    def read(self, payload: bytes) -> DecodedFrame | None:
        """Decode a telegram; return `None` if it contains no valid line."""
        head, *lines = payload.decode("latin-1").splitlines() or [""]
        telegram = _Telegram()
        for line in lines:
            if (found := LINE.fullmatch(line)) is not None:
                telegram.take(found[1], found[2][1:-1].split(")("))
        if not telegram.values:
            return None
        telegram.name_other_meters()
        return DecodedFrame("telegram", {"identification": head.strip(), **telegram.values}, telegram.units)


@dataclass(slots=True)
class _Telegram:
    values: dict[str, Value] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    _previous_line: Sequence[str] = ()
    """Values of the previous line; up to DSMR 3, they describe a value in the next line: time, ..., code, unit."""

    def take(self, code: str | None, values: Sequence[str]) -> None:
        """Process one line. Of several values, the last one is the measurement, and the first one its timestamp."""
        if code is None:
            if len(self._previous_line) > 2:
                self._store(self._previous_line[-2], values[0], self._previous_line[-1])
            return
        number, _, unit = values[-1].partition("*")
        self._store(code, number, unit)
        if len(values) > 1:
            self.values[f"{code}@"] = values[0]
        self._previous_line = values

    def name_other_meters(self) -> None:
        """Name the values of connected meters by meter type: the channel depends on the installation."""
        for channel in MBUS_CHANNELS:
            kind = self.values.get(f"0-{channel}:24.1.0")
            code = next((code for code in (f"0-{channel}:24.2.1", f"0-{channel}:24.2.3") if code in self.values), None)
            if code is not None and isinstance(kind, int) and kind in METER_TYPES:
                self.values[METER_TYPES[kind]] = self.values[code]
                self.units[METER_TYPES[kind]] = self.units.get(code, "")

    def _store(self, code: str, number: str, unit: str) -> None:
        value = _value(number)
        if unit in THOUSANDS and isinstance(value, int | float):
            value, unit = value / 1000, THOUSANDS[unit]
        self.values[code] = value
        if unit:
            self.units[code] = unit


def _value(written: str) -> Value:
    if re.fullmatch(r"-?\d{1,40}\.\d{1,40}", written):
        return float(written)
    if written.isascii() and written.isdigit() and len(written) <= MAX_NUMBER_LENGTH:
        return int(written)
    return written or None
