"""Divide the values of a device into groups with a heading: the two that matter most first, what is for service last. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from gateway.status.languages.texts import gettext_noop
from gateway.status.render.metric_texts import LINES, ORDER, quantity_of, words_of
from gateway.status.snapshot import LatestValue

FEWEST: Final = 8
"""Of fewer values a person needs no headings."""

HEADLINES: Final = 2


class MetricGroup(StrEnum):
    """A group of values, in the order in which they are shown."""

    MAIN = "main"
    POWER = "power"
    ENERGY = "energy"
    ELECTRIC = "electric"
    PHASES = "phases"
    CLIMATE = "climate"
    STATES = "states"
    OTHER = "other"
    LIMITS = "limits"
    DIAGNOSTICS = "diagnostics"


GROUP_TEXTS: Final[Mapping[MetricGroup, str]] = {
    MetricGroup.MAIN: gettext_noop("Main values"),
    MetricGroup.POWER: gettext_noop("Power"),
    MetricGroup.ENERGY: gettext_noop("Energy"),
    MetricGroup.ELECTRIC: gettext_noop("Current and voltage"),
    MetricGroup.PHASES: gettext_noop("Phases"),
    MetricGroup.CLIMATE: gettext_noop("Climate and air"),
    MetricGroup.STATES: gettext_noop("States"),
    MetricGroup.OTHER: gettext_noop("Other values"),
    MetricGroup.LIMITS: gettext_noop("Settings and limits"),
    MetricGroup.DIAGNOSTICS: gettext_noop("Diagnostic values"),
}

OF_QUANTITY: Final[Mapping[str, MetricGroup]] = {
    **dict.fromkeys((quantity for quantity in ORDER if quantity.endswith("power")), MetricGroup.POWER),  # reactive power, too
    "energy": MetricGroup.ENERGY,
    "current": MetricGroup.ELECTRIC,
    "voltage": MetricGroup.ELECTRIC,
    **dict.fromkeys(("temperature", "humidity", "air", "pressure"), MetricGroup.CLIMATE),
    "state": MetricGroup.STATES,
    "late": MetricGroup.DIAGNOSTICS,
}

LIMIT_WORDS: Final = frozenset({"set", "setpoint", "limit", "threshold", "target", "preset"})


@dataclass(frozen=True, slots=True)
class GroupedValues:
    """The values under one heading."""

    group: MetricGroup | None
    """`None` where no headings are needed."""
    values: Sequence[LatestValue]


def grouped(values: Sequence[LatestValue]) -> Sequence[GroupedValues]:
    """Return values, in the order in which people want them (`headline_order`), by group; few of them without headings."""
    if len(values) < FEWEST:
        return [GroupedValues(None, values)] if values else []
    groups: dict[MetricGroup, list[LatestValue]] = {group: [] for group in MetricGroup}
    groups[MetricGroup.MAIN] += values[:HEADLINES]
    for value in values[HEADLINES:]:
        groups[group_of(value.metric, value.unit)].append(value)
    return [GroupedValues(group, found) for group, found in groups.items() if found]


@lru_cache(maxsize=4096)
def group_of(name: str, unit: str | None) -> MetricGroup:
    """Return the group of a metric that is not one of the main values."""
    words, quantity = words_of(name), quantity_of(name, unit)
    if quantity == "late":
        return MetricGroup.DIAGNOSTICS
    if LIMIT_WORDS & words:
        return MetricGroup.LIMITS
    if quantity != "energy" and any(LINES.fullmatch(word) for word in words):
        return MetricGroup.PHASES
    return OF_QUANTITY.get(quantity, MetricGroup.OTHER)
