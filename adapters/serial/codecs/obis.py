"""Telegrams of meters: lines such as `1-0:1.8.1(000581.161*kWh)`, each named by its OBIS code (IEC 62056-21; DSMR P1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from adapters.serial.codec import Codec, Said
from gateway.adapter import Value

LINE = re.compile(r"(?:(\d+-\d+:[0-9A-F.]+)(?:\*\d+)?)?((?:\([^()\r\n]*\))+)\s*", re.IGNORECASE)

METERED: Mapping[int, str] = {3: "gas", 4: "heat", 6: "warm_water", 7: "water"}
"""Kinds of meters that tell their values through the electricity meter (DSMR P1 companion standard, device types)."""

CHANNELS = range(1, 5)
"""Where other meters hang on."""

THOUSANDS: Mapping[str, str] = {"W": "kW", "Wh": "kWh", "var": "kvar", "varh": "kvarh"}
"""Units of some meters -> those that all others tell in."""

LONGEST_NUMBER = 10
"""Longer rows of digits are numbers of devices and moments, not measured."""


class ObisCodec(Codec):
    """The telegram of a P1 port. Its fields are called by their codes: `1-0:1.8.1`.

    The moment that a value was taken at is the code with `@` behind it. What meters of other kinds tell is called `gas`, `heat`,
    `warm_water` or `water`, whichever channel they hang on.
    """

    def read(self, payload: bytes) -> Said | None:
        """Return what a telegram says; `None` when nothing in it is a line of one."""
        head, *lines = payload.decode("latin-1").splitlines() or [""]
        telegram = _Telegram()
        for line in lines:
            if (found := LINE.fullmatch(line)) is not None:
                telegram.take(found[1], found[2][1:-1].split(")("))
        if not telegram.values:
            return None
        telegram.name_other_meters()
        return Said("telegram", {"identification": head.strip(), **telegram.values}, telegram.units)


@dataclass(slots=True)
class _Telegram:
    values: dict[str, Value] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    _announced: Sequence[str] = ()
    """What the line before said of the value that stands alone in the next, up to DSMR 3: moment, ..., code, unit."""

    def take(self, code: str | None, told: Sequence[str]) -> None:
        """Take in one line. Of several values, the last is the one that is measured, and the first the moment."""
        if code is None:
            if len(self._announced) > 2:
                self._note(self._announced[-2], told[0], self._announced[-1])
            return
        number, _, unit = told[-1].partition("*")
        self._note(code, number, unit)
        if len(told) > 1:
            self.values[f"{code}@"] = told[0]
        self._announced = told

    def name_other_meters(self) -> None:
        """Call what other meters tell by what they measure: which hangs on which channel is up to who installed it."""
        for channel in CHANNELS:
            kind = self.values.get(f"0-{channel}:24.1.0")
            code = next((code for code in (f"0-{channel}:24.2.1", f"0-{channel}:24.2.3") if code in self.values), None)
            if code is not None and isinstance(kind, int) and kind in METERED:
                self.values[METERED[kind]] = self.values[code]
                self.units[METERED[kind]] = self.units.get(code, "")

    def _note(self, code: str, number: str, unit: str) -> None:
        value = _value(number)
        if unit in THOUSANDS and isinstance(value, int | float):
            value, unit = value / 1000, THOUSANDS[unit]
        self.values[code] = value
        if unit:
            self.units[code] = unit


def _value(written: str) -> Value:
    if re.fullmatch(r"-?\d+\.\d+", written):
        return float(written)
    if written.isascii() and written.isdigit() and len(written) <= LONGEST_NUMBER:
        return int(written)
    return written or None
