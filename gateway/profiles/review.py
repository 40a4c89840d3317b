"""Tell what is unusual in a profile without mistakes: names, units, sources, rules for missing values, and its cases. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.metrics.vocabulary import metric_mistake, vocabulary
from gateway.profiles.model import DeviceProfile
from gateway.profiles.point_facts import PointFacts
from gateway.toml_lines import line_of

NO_VALUE = "<none>"
"""The text that stands for "no value" in a case: TOML has no word for it."""

ONE_DIRECTION = frozenset({"ev-charger", "pdu", "ups"})
"""Families of devices whose power has one direction."""


@dataclass(frozen=True, slots=True)
class CaseReadings:
    """The readings that one case folder expects."""

    name: str
    """The name of the folder."""
    values: Mapping[str, object]
    """Metric -> value; `NO_VALUE` where the device has none."""


def review(profile: DeviceProfile, text: str) -> list[tuple[int, str]]:
    """Return what is unusual in a profile, each with its 1-based line, in the order of the file."""
    lines = text.splitlines()
    found = [(_line_with(point.metric, lines), told) for point in profile.point_facts if (told := _unusual(point))]
    found += [(_line_with(metric, lines), told) for metric, told in profile.rules_to_add]
    if not profile.source.checked_against:
        found.append((line_of(text, ("source",)) or 1, "`[source]` names no second source: `checked_against`"))
    return sorted(dict.fromkeys(found))


def review_cases(profile: DeviceProfile, cases: Sequence[CaseReadings]) -> Iterator[str]:
    """Yield which cases the profile lacks: any, one with a negative number, one with a missing value."""
    if not cases:
        yield "it has no case: `xyte-gateway profile new` makes the first one"
        return
    points = list(profile.point_facts)
    values = [value for case in cases for value in case.values.values()]
    negative = next((point.metric for point in points if _can_be_negative(point, profile.family)), None)
    if negative is not None and not any(_is_negative(value) for value in values):
        yield f"no case has a negative number, although `{negative}` can be negative"
    missing = next((point.metric for point in points if point.has_no_value_rule), None)
    if missing is not None and NO_VALUE not in values:
        yield f'no case has a value that is missing ("{NO_VALUE}"), although `{missing}` has a rule for it'


def _unusual(point: PointFacts) -> str | None:
    needs_unit = point.is_number and point.has_own_unit
    return metric_mistake(point.metric, point.unit, is_number=needs_unit)


def _can_be_negative(point: PointFacts, family: str) -> bool:
    if point.can_be_negative is not None:
        return point.can_be_negative
    if family in ONE_DIRECTION or point.metric.endswith(("_import", "_export")):
        return False
    entry = vocabulary().entry(point.metric)
    return point.is_number and entry is not None and "negative:" in (entry.sign or "")


def _is_negative(value: object) -> bool:
    return isinstance(value, int | float) and value < 0


def _line_with(name: str, lines: Iterable[str]) -> int:
    """Return the 1-based line that names a metric; 1 where it is made by a rule."""
    return next((number for number, line in enumerate(lines, 1) if f'"{name}"' in line), 1)
