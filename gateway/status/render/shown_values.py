"""Turn values into what a person reads: few digits, a unit that fits the size, and words for booleans. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, isfinite, log10
from typing import Final

from gateway.models import Value
from gateway.status.languages.texts import decimal, gettext_noop
from gateway.status.languages.texts import gettext as _

DIGITS: Final = 4
"""Significant digits of a number whose profile names no decimals."""

MOST_DECIMALS: Final = 3
"""Decimals of a number with a unit that is not in `DECIMALS`."""

DECIMALS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("ppm", "ppb", "rpm", "lx", "dBm", "Bq/m³", "µS/cm", "Wh", "varh"), 0),
    **dict.fromkeys(
        ("V", "mV", "mA", "W", "VA", "var", "°C", "°F", "K", "%", "hPa", "mbar", "s", "min", "h", "d", "mm", "km/h"), 1
    ),
    **dict.fromkeys(("A", "kW", "kVA", "kvar", "kWh", "kvarh", "Hz", "bar", "m/s", "kV", "MW", "MWh"), 2),
}
"""Units -> the most decimals that are worth reading."""

LARGER_UNITS: Final[Mapping[str, tuple[float, float, str]]] = {
    **{unit: (1e4, 1e3, f"k{unit}") for unit in ("W", "VA", "var", "Wh", "VAh", "varh", "V", "A", "Hz", "m", "g", "Pa", "B")},
    **{f"k{unit}": (1e5, 1e3, f"M{unit}") for unit in ("W", "VA", "var", "Wh", "VAh", "varh", "Hz", "Pa", "B")},
    **{f"M{unit}": (1e5, 1e3, f"G{unit}") for unit in ("W", "Wh", "Hz", "B")},
    "s": (1e4, 3600.0, "h"),
    "min": (1e4, 60.0, "h"),
    "mV": (1e4, 1e3, "V"),
    "mA": (1e4, 1e3, "A"),
    "mm": (1e5, 1e3, "m"),
    "kg": (1e5, 1e3, "t"),
}
"""Units -> from which number on a larger one is read more easily, how many make one of it, and that unit."""

STATE_WORDS: Final = frozenset(
    (
        *(gettext_noop("charging"), gettext_noop("closed"), gettext_noop("cooling"), gettext_noop("discharging")),
        *(gettext_noop("error"), gettext_noop("fault"), gettext_noop("heating"), gettext_noop("idle"), gettext_noop("manual")),
        *(gettext_noop("no signal"), gettext_noop("normal"), gettext_noop("not ready"), gettext_noop("not supported")),
        *(gettext_noop("off"), gettext_noop("on"), gettext_noop("open"), gettext_noop("ready"), gettext_noop("rebooting")),
        *(gettext_noop("running"), gettext_noop("sleeping"), gettext_noop("standby"), gettext_noop("starting")),
        *(gettext_noop("stopped"), gettext_noop("throttled"), gettext_noop("waiting"), gettext_noop("warming up")),
        *(gettext_noop("warning"),),
    )
)
"""Words by which profiles call usual states; others are shown as they are."""

LARGE_NUMBERS: Final = ((1e9, gettext_noop("billion")), (1e6, gettext_noop("million")), (1e3, gettext_noop("thousand")))
ONE_LINE_FROM: Final = 99_999.5
"""Numbers from here on are not written out."""

_TIMES: Final = "\N{MULTIPLICATION SIGN}"
_SUPERSCRIPTS: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SNAKE_CASE: Final = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)+")


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A value as a person reads it."""

    text: str
    unit: str | None = None
    """The unit of the text: `kW` where 12,345 W are shown as 12.35."""
    number: str | None = None
    """The number with a point and all its decimals, which the browser writes by its own rules; `None` for no plain number."""
    is_missing: bool = False
    """The device reports that there is no value."""


def shown_value(value: Value, unit: str | None = None, decimals: int | None = None) -> ShownValue:
    """Return a value as a person reads it.

    Args:
        value: the value of a metric.
        unit: its unit.
        decimals: the decimals that its profile names.
    """
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return ShownValue(_("not available"), is_missing=True)
    if isinstance(value, bool):
        return ShownValue(_("on") if value else _("off"), unit)
    if isinstance(value, str):
        return ShownValue(shown_word(value), unit)
    return _shown_number(value, unit, decimals)


def shown_word(value: str) -> str:
    """Return a value that is a text, such as a state, in the language of the reader where it is a usual one."""
    text = value.replace("_", " ") if _SNAKE_CASE.fullmatch(value) else value
    return _(text) if text in STATE_WORDS else text


def _shown_number(value: float, unit: str | None, decimals: int | None) -> ShownValue:
    try:
        number: float = value if isinstance(value, int) and abs(value) < 1e15 else float(value)
    except OverflowError:
        return ShownValue(_("a number without end"), unit)
    while (larger := LARGER_UNITS.get(unit or "")) is not None and abs(number) >= larger[0]:
        number, unit, decimals = number / larger[1], larger[2], None
    if abs(number) >= ONE_LINE_FROM:
        return _large(number, unit)
    if decimals is None:
        decimals = _fitting_decimals(number, unit)
        if number and not round(number, decimals):
            return _small(number, unit)
    number = round(number, decimals) + 0.0  # without the sign of a zero
    return ShownValue(_plain(number, decimals), unit, f"{number:.{decimals}f}")


def _fitting_decimals(number: float, unit: str | None) -> int:
    """Return the decimals of a number with so many digits, none where it is whole, and no more than its unit deserves."""
    if isinstance(number, int):
        return 0
    most = DECIMALS.get(unit or "", MOST_DECIMALS)
    if number == 0:
        return most if unit in DECIMALS else 0
    fitting = max(0, DIGITS - 1 - floor(log10(abs(number))))
    if unit in DECIMALS:
        return min(most, fitting)
    needed = len(f"{abs(number):.{MOST_DECIMALS}f}".rstrip("0").partition(".")[2])
    return min(most, fitting, needed)


def _large(number: float, unit: str | None) -> ShownValue:
    number = float(f"{number:.{DIGITS}g}")
    for size, word in LARGE_NUMBERS:
        if size <= abs(number) < size * 1e3:
            return ShownValue(f"{_plain(number / size, _fitting_decimals(number / size, None))} {_(word)}", unit)
    return _scientific(number, unit)


def _small(number: float, unit: str | None) -> ShownValue:
    """Return a number that its usual decimals would turn into nothing, with two digits."""
    if abs(number) < 1e-4:
        return _scientific(number, unit)
    decimals = 1 - floor(log10(abs(number)))
    return ShownValue(_plain(number, decimals), unit, f"{number:.{decimals}f}")


def _scientific(number: float, unit: str | None) -> ShownValue:
    mantissa, exponent = f"{number:.2e}".split("e")
    return ShownValue(f"{decimal(mantissa)} {_TIMES} 10{str(int(exponent)).translate(_SUPERSCRIPTS)}", unit)


def _plain(number: float, decimals: int) -> str:
    """Return a number with thousands, from 10,000 on, separated by spaces at which no line breaks."""
    text = f"{number:,.{decimals}f}"
    return decimal(text.replace(",", "\u202f" if abs(number) >= 9_999.5 else ""))
