"""Look names of metrics up in the one vocabulary of all adapters, profiles and the status page. Pure.

A name is a base with qualifiers behind it (`voltage_l1`, `energy_import_tariff_1`), and may have a part of the device before it
(`battery_voltage`). The bases are in `vocabulary.toml`; qualifiers and parts are rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from gateway.toml_text import read_toml

QUALIFIERS: Final = (
    *("l1_l2", "l2_l3", "l3_l1", "l1", "l2", "l3", "n"),
    *("today", "month", "year", "total", "import", "export", "max", "min", "average", "demand", "long_term"),
    *("x", "y", "z", "2d_x", "2d_y", "left", "right", "set_point"),
    *(r"tariff_[0-9]{1,2}", r"[0-9]{1,3}"),
)
"""The qualifiers that may follow a base, as regular expressions: phase, two phases, number, period, direction, statistic."""

PARTS: Final = (
    *("ac", "dc", "dc_link", "pv", "grid", "load", "backup", "generator", "inverter", "string", "module", "cell", "meter"),
    *("battery", "cabinet", "heat_sink", "ambient", "transformer", "motor", "input", "output", "outdoor", "indoor", "room"),
    *("charger", "supply", "return", "flow", "water", "surface", "probe", "board", "internal", "bypass", "load_side"),
    *("hot_water", "source_in", "source_out", "condenser", "evaporator", "compressor", "suction", "discharge", "buffer"),
    *("defrost",),
)
"""The parts of a device that may stand before a base: where it is measured."""

UNITS: Final = frozenset(
    {"V", "mV", "kV", "A", "mA", "kA", "W", "kW", "MW", "var", "kvar", "Mvar", "VA", "kVA", "MVA", "Hz", "mHz", "kHz", "MHz"}
    | {"Wh", "kWh", "MWh", "GJ", "varh", "kvarh", "Mvarh", "VAh", "kVAh", "MVAh", "Ω", "kΩ", "MΩ", "%", "rpm", "s", "ms", "h"}
    | {"°C", "K", "hPa", "Pa", "kPa", "bar", "mbar", "ppm", "ppb", "mg/m³", "µg/m³", "kg/m³", "g/m³", "1/m³", "Bq/m³", "lx"}
    | {"dB", "dBA", "dBm", "µS/cm", "mS/cm", "W/m²", "m/s", "km/h", "°", "mm", "m", "µT", "T", "m³", "dm³", "l", "L", "kg", "g"}
    | {"lb", "SG", "SG/d", "points/day", "bpm", "kJ", "mmHg", "mg/dL", "Ah"}
    | {"l/min", "m³/h", "m/s²"}
)
"""The units of the vocabulary, as they are written."""

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Text = Annotated[str, Field(min_length=2)]


class VocabularyError(ValueError):
    """The vocabulary contradicts itself; the text names the metric."""


class MetricEntry(BaseModel):
    """The entry of one base name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    unit: str | None = Field(default=None, description="the unit; left out: the metric has none, or that of what it counts")
    other_units: tuple[str, ...] = Field(default=(), description="units that devices also use for it")
    title: Text = Field(description="what a person calls it")
    about: Text = Field(description="what it means")
    sign: str | None = Field(default=None, description="what a positive and a negative number mean")
    dead_band: float | None = Field(default=None, gt=0, description="a change of this size is reported at once, in its unit")
    plausible: tuple[float, float] | None = Field(default=None, description="[lowest, highest] number that can be measured")
    plausible_source: str = Field(default="", description="the document that sets the range")
    synonyms: tuple[Name, ...] = Field(default=(), description="other names of it, which profiles do not use")

    @property
    def units(self) -> tuple[str, ...]:
        """All units that it may have, the usual one first; empty: it has none."""
        return (*(() if self.unit is None else (self.unit,)), *self.other_units)

    @model_validator(mode="after")
    def _has_known_units(self) -> MetricEntry:
        if unknown := [unit for unit in self.units if unit not in UNITS]:
            raise ValueError(f"there is no unit {unknown[0]!r}")
        if len(set(self.units)) < len(self.units):
            raise ValueError("a unit is there twice")
        if self.plausible is not None and self.plausible[0] >= self.plausible[1]:
            raise ValueError("`plausible` is [lowest, highest]")
        return self


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The bases by name, and the names that stand for them."""

    entries: Mapping[str, MetricEntry]
    synonyms: Mapping[str, str]
    """Another name -> the base."""

    def entry(self, name: str) -> MetricEntry | None:
        """Return the entry of a name with its part and its qualifiers; `None` for a name outside of the vocabulary."""
        if self.accepted(name) is not None:
            return None
        base = next((base for base in _bases(name) if base in self.entries), None)
        return None if base is None else self.entries[base]

    def accepted(self, name: str) -> str | None:
        """Return the name that a synonym stands for, with its qualifiers; `None` for a name that is none."""
        if name in self.entries:
            return None
        if name.startswith("neutral_") and (base := name.removeprefix("neutral_")) in self.entries:
            return f"{base}_n"
        if (phases := _PHASE_LETTERS.fullmatch(name)) is not None:
            return self._by_letters(phases)
        for base, qualifiers in _qualified(name):
            if base in self.entries:
                return None
            if base in self.synonyms:
                return f"{self.synonyms[base]}{qualifiers}"
        return None

    def _by_letters(self, phases: re.Match[str]) -> str | None:
        base = self.synonyms.get(phases[1], phases[1])
        letters = "_".join(f"l{'abc'.index(letter) + 1}" for letter in phases[2])
        return f"{base}_{letters}" if base in self.entries else None


_PHASE_LETTERS: Final = re.compile(r"(\w+?)_(?:phase_)?(a|b|c|ab|bc|ca)")
_LAST_QUALIFIER: Final = re.compile(rf"(.+?)_({'|'.join(QUALIFIERS)})")
_FIRST_PART: Final = re.compile(rf"({'|'.join(sorted(PARTS, key=len, reverse=True))})_(.+)")


def _qualified(name: str) -> Iterator[tuple[str, str]]:
    """Yield a name with fewer and fewer of its qualifiers, and those that were taken away."""
    base, qualifiers = name, ""
    yield base, qualifiers
    while (found := _LAST_QUALIFIER.fullmatch(base)) is not None:
        base, qualifiers = found[1], f"_{found[2]}{qualifiers}"
        yield base, qualifiers


def _bases(name: str) -> Iterator[str]:
    """Yield the possible bases of a name, the longest first: without qualifiers, then without its part, too."""
    yield from (base for base, _ in _qualified(name))
    if (found := _FIRST_PART.fullmatch(name)) is not None:
        yield from (base for base, _ in _qualified(found[2]) if base != "power")


def parse_vocabulary(text: str) -> Vocabulary:
    """Return the vocabulary in a TOML text.

    Raises:
        ValueError: it is no TOML, an entry is wrong, or (as `VocabularyError`) two entries contradict each other.
    """
    entries = TypeAdapter(dict[Name, MetricEntry]).validate_python(read_toml(text))
    synonyms: dict[str, str] = {}
    for name, entry in entries.items():
        for synonym in entry.synonyms:
            if synonym in entries:
                raise VocabularyError(f"{name}: its synonym {synonym!r} is a metric of its own")
            if synonym in synonyms:
                raise VocabularyError(f"{name}: its synonym {synonym!r} stands for {synonyms[synonym]!r}, too")
            synonyms[synonym] = name
    return Vocabulary(entries, synonyms)


@cache
def vocabulary() -> Vocabulary:
    """Return the vocabulary that comes with the gateway; read once."""
    return parse_vocabulary(files("gateway.metrics").joinpath("vocabulary.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=4096)
def metric_mistake(name: str, unit: str | None, *, is_number: bool) -> str | None:
    """Return what is unusual in a name and its unit, as a sentence; `None` where both are of the vocabulary.

    Args:
        name: the metric's.
        unit: its unit, as written.
        is_number: whether its values are numbers: those of most metrics need a unit.
    """
    known = vocabulary()
    if (accepted := known.accepted(name)) is not None:
        return f"`{name}` is usually called `{accepted}`"
    if (entry := known.entry(name)) is None:
        return f"`{name}` is not in the vocabulary of metrics; `xyte-gateway schema metrics` lists it"
    if unit is not None and unit not in entry.units:
        return f"`{name}` is usually in {' or '.join(entry.units) if entry.units else 'no unit'}, not in {unit}"
    if unit is None and entry.unit is not None and is_number:
        return f"`{name}` has no unit; it is usually in {entry.unit}"
    return None
