"""Make profiles from SunSpec's own model definitions, for devices that no profile file fits. Pure.

The definitions are the JSON files of the package `sunspec2`, read as data. A device lists its models; what it measures, in which
unit and with which scale factor, is in the definition of each. Only measurements become points: nameplate data, settings and
controls do not. A group that a model repeats (strings, modules) becomes points with `repeats`: how often it is repeated, only the
device knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from itertools import accumulate
from typing import Any

from adapters.modbus.profile.grammar import NOT_AVAILABLE
from adapters.modbus.profile.points import ValueType
from adapters.modbus.profile.profile import Profile

FAMILIES: Mapping[int, str] = {
    1: "inverter",
    2: "power-meter",
    3: "weather-station",
    4: "string-combiner",
    5: "pv-module",
    6: "tracker",
    7: "inverter",
    8: "battery",
}
"""Hundreds of the model id -> family (SunSpec Information Model Reference, ranges of model ids)."""

MEASUREMENT_MODELS = frozenset(
    {
        *(101, 102, 103, 111, 112, 113, 122, 160),
        *(201, 202, 203, 204, 211, 212, 213, 214),
        *(302, 303, 304, 305, 306, 307, 308),
        *(401, 402, 403, 404, 501, 502, 601, 701, 713, 714),
        *(802, 803, 804, 805, 806, 807, 808, 809),
    }
)
"""The models with measurements; the others are for configuration or control."""

TYPES: Mapping[str, ValueType] = {
    **{kind: ValueType(kind) for kind in ("int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")},
    **{f"acc{bits}": ValueType(f"uint{bits}") for bits in (16, 32, 64)},
    **{f"enum{bits}": ValueType(f"uint{bits}") for bits in (16, 32)},
    **{f"bitfield{bits}": ValueType(f"uint{bits}") for bits in (16, 32, 64)},
}
"""SunSpec types -> value types; a type that is missing here is not a measurement."""

PHASES = (("A", "l1"), ("B", "l2"), ("C", "l3"))
PHASE_PAIRS = (("AB", "l1_l2"), ("BC", "l2_l3"), ("CA", "l3_l1"))

NAMES: Mapping[str, str] = {
    "A": "current",
    "PhV": "voltage",
    "Hz": "frequency",
    "W": "active_power",
    "VA": "apparent_power",
    **dict.fromkeys(("VAR", "VAr", "Var"), "reactive_power"),
    "PF": "power_factor",
    "TotWhImp": "energy_import",
    "TotWhExp": "energy_export",
    "TotVAhImp": "apparent_energy_import",
    "TotVAhExp": "apparent_energy_export",
    "WH": "energy_total",
    **{f"{kind}{pair}": f"voltage_{phases}" for kind in ("PhVph", "PPVph") for pair, phases in PHASE_PAIRS},
    **{
        f"{kind}{letter}": f"{metric}_{phase}"
        for kind, metric in (
            *(("Aph", "current"), ("PhVph", "voltage"), ("Wph", "active_power"), ("VAph", "apparent_power")),
            *(("VARph", "reactive_power"), ("PFph", "power_factor")),
            *(("TotWhImpPh", "energy_import"), ("TotWhExpPh", "energy_export")),
            *(("TotVAhImpPh", "apparent_energy_import"), ("TotVAhExpPh", "apparent_energy_export")),
        )
        for letter, phase in PHASES
    },
    **{
        f"{kind}{phase.upper()}": f"{metric}_{phase}"
        for kind, metric in (
            *(("A", "current"), ("V", "voltage"), ("W", "active_power"), ("VA", "apparent_power")),
            *(("Var", "reactive_power"), ("PF", "power_factor")),
        )
        for _, phase in PHASES
    },
    **{f"V{phases.upper().replace('_', '')}": f"voltage_{phases}" for _, phases in PHASE_PAIRS},
}
"""SunSpec names -> the metric names of the other profiles; any other point is named by its label."""

UNITS: Mapping[str, str | None] = {
    "C": "°C",
    "Pct": "%",
    "%WHRtg": "%",
    "PF": None,
    "Degrees": "°",
    "deg": "°",
    "meters": "m",
    "mps": "m/s",
    "HPa": "hPa",
    "W/m2": "W/m²",
    "Vm": "V/m",
    "kO": "kohm",
    "ohms": "ohm",
    "WH": "Wh",
    "Var": "var",
    "Varh": "varh",
    "Secs": "s",
}
"""SunSpec units -> the units of the other profiles, where SunSpec uses several spellings."""

GROUPS: Mapping[str, float] = {"fast": 5, "normal": 15, "slow": 60}
FAST_UNITS = frozenset({"A", "V", "W", "VA", "var", "Var", "VAr", "Hz", "Pct", "cos()"})
NAME = re.compile(r"sunspec((?:-\d{1,5})+)")
EXTENDED_NAME = re.compile(r"(.+)-and((?:-\d{1,5})+)")

EQUIVALENT_MODELS: tuple[frozenset[int], ...] = (
    frozenset({101, 102, 103, 111, 112, 113, 701}),
    frozenset({201, 202, 203, 204, 211, 212, 213, 214}),
)
"""Models with the same measurements in other types: of several, those that the profile names are read."""

BOOKKEEPING = frozenset({"ID", "L", "InID", "Tms", "TmsPer"})
"""Points about the model itself: its id and length, the number of a repetition, a clock."""

METRIC_PREFIXES: Mapping[int, str] = {160: "mppt", 2: "meter", 3: "weather", 4: "strings", 5: "panel", 6: "tracker", 8: "battery"}
"""Model id, or its hundreds -> prefix of its metrics beside those of another device, such as a meter beside an inverter."""


def profile_for(models: Iterable[int]) -> Profile | None:
    """Return the profile of a device with these SunSpec models; `None` when none of them has measurements."""
    ids = sorted(MEASUREMENT_MODELS & set(models))
    return _made(tuple(ids)) if ids else None


def with_other_models(profile: Profile, models: Iterable[int]) -> Profile:
    """Return the profile with the points of those of these models that it does not name; unchanged without `other_models`."""
    if not profile.other_models:
        return profile
    named = {model for point in profile.points for model in point.models}
    named |= {model for same in EQUIVALENT_MODELS if same & named for model in same}
    ids = sorted((MEASUREMENT_MODELS & set(models)) - named)
    points = _unique(ids, {point.metric for point in profile.points}, METRIC_PREFIXES)
    if not points:
        return profile
    fields = {name: getattr(profile, name) for name in type(profile).model_fields}
    added = [{"metric": metric, **point} for metric, point in points.items()]
    name = "-".join([profile.name, "and", *map(str, ids)])
    return Profile.model_validate(fields | {"name": name, "match": (), "points": [*profile.points, *added]})


def profile_named(name: str, library: Mapping[str, Profile] | None = None) -> Profile | None:
    """Return the profile of this name, from the library or made again from the models in the name; `None` if there is none."""
    library = library if library is not None else {}
    if (known := library.get(name)) is not None:
        return known
    if (matched := NAME.fullmatch(name)) is not None:
        profile = profile_for(_ids(matched[1]))
    elif (matched := EXTENDED_NAME.fullmatch(name)) is not None and matched[1] in library:
        profile = with_other_models(library[matched[1]], _ids(matched[2]))
    else:
        return None
    return profile if profile is not None and profile.name == name else None


def own_name(profile: Profile) -> str:
    """Return the profile's name without the models that were added to it: it stays the same when the device gets another."""
    matched = EXTENDED_NAME.fullmatch(profile.name)
    return matched[1] if matched is not None and profile.other_models else profile.name


def length_fits(model: int, length: int) -> bool | None:
    """Return whether a model with this id can have this length by its definition; `None` for a model without a definition.

    The length counts the registers behind id and length. A group that the model repeats may be there any number of times. Model 1
    may be without its last register, which only pads it to an even number.
    """
    try:
        definition = _definition(model)
    except FileNotFoundError:
        return None
    rest = 2 + length - _registers(definition)
    groups = definition.get("groups", ())
    if not groups:
        return rest == 0 or (rest == -1 and definition["points"][-1]["type"] == "pad")
    if len(groups) > 1 or groups[0].get("groups"):
        return rest >= 0
    return rest >= 0 and rest % _registers(groups[0]) == 0


def defined_length(model: int) -> int | None:
    """Return the length of this model by its definition; `None` where it has none, or repeats groups."""
    try:
        definition = _definition(model)
    except FileNotFoundError:
        return None
    return None if definition.get("groups") else _registers(definition) - 2


def _registers(group: Mapping[str, Any]) -> int:
    return sum(point["size"] for point in group["points"])


def _ids(text: str) -> list[int]:
    return [int(number) for number in text.split("-")[1:]]


@lru_cache(maxsize=64)
def _made(ids: tuple[int, ...]) -> Profile | None:
    points = _unique(ids, set(), {})
    if not points:
        return None
    titles = [str(_definition(model).get("label") or _definition(model)["name"]) for model in ids]
    return Profile.model_validate(
        {
            "name": "-".join(["sunspec", *map(str, ids)]),
            "title": f"SunSpec device: {', '.join(titles)}",
            "family": FAMILIES[ids[0] // 100],
            "source": {
                "document": "SunSpec Information Model Reference, its model definitions in JSON",
                "edition": "as packaged by pysunspec2",
                "section": f"models {', '.join(map(str, ids))}",
            },
            "groups": dict(GROUPS),
            "read_through": 20,
            "points": [{"metric": metric, **point} for metric, point in points.items()],
        }
    )


@lru_cache(maxsize=64)
def _definition(model: int) -> Mapping[str, Any]:
    """Return the group that defines this model."""
    file = files("sunspec2").joinpath("models", "json", f"model_{model}.json")
    group: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))["group"]
    return group


def _unique(ids: Iterable[int], taken: Collection[str], kinds: Mapping[int, str]) -> dict[str, dict[str, Any]]:
    """Return the points of these models by metric, with metrics that are not taken."""
    points: dict[str, dict[str, Any]] = {}
    for model in ids:
        kind, definition = kinds.get(model, kinds.get(model // 100)), _definition(model)
        for group, metric, point in _points(model, definition):
            plain = metric if kind is None or metric.startswith(kind) else f"{kind}_{metric}"
            whole = f"{_words(definition)}_{model}_{metric}"
            clear = (plain, f"{_words(group)}_{plain}", whole, f"{whole}_register_{point['at']}")
            points[next(name for name in clear if name not in points and name not in taken)] = point
    return points


def _points(model: int, definition: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], str, dict[str, Any]]]:
    """Yield the points of a model, each with its group: those of the fixed part, then those of the repeated groups.

    Offsets count from the model's id; those in a repeated group are those of its first repetition.
    """
    offsets = _offsets(definition, 0)
    for point in definition["points"]:
        if (made := _point(model, point, offsets)) is not None:
            yield definition, _metric(point), made
    first = _registers(definition)
    for group in definition.get("groups", ()):
        repeats = [first, _registers(group)]
        for point in group["points"]:
            if (made := _point(model, point, offsets | _offsets(group, first))) is not None:
                yield group, _metric(point), {**made, "repeats": repeats}


def _offsets(group: Mapping[str, Any], first: int) -> dict[str, int]:
    sizes = [point["size"] for point in group["points"]]
    return {point["name"]: at for point, at in zip(group["points"], accumulate(sizes, initial=first), strict=False)}


def _point(model: int, point: Mapping[str, Any], offsets: Mapping[str, int]) -> dict[str, Any] | None:
    is_measured = point["type"] in TYPES and point.get("static") != "S" and point.get("access") != "RW"
    if not is_measured or point["name"] in BOOKKEEPING:
        return None
    made: dict[str, Any] = {"models": [model], "at": offsets[point["name"]], "type": TYPES[point["type"]]}
    if point["type"].startswith("acc"):
        made["not_available"] = [0, *NOT_AVAILABLE[TYPES[point["type"]]]]
    if (unit := point.get("units")) is not None:
        made["unit"] = UNITS.get(unit, unit)
    if point["type"].startswith("enum"):
        made["values"] = {symbol["value"]: symbol["name"].lower() for symbol in point.get("symbols", [])}
    factor = point.get("sf")
    if isinstance(factor, int):
        made["scale"] = 10.0**factor
    elif factor is not None:
        made["scale_factor"] = offsets[factor]
    made["group"] = _group(point)
    made["urgent"] = point["type"].startswith(("enum", "bitfield"))
    return made


def _group(point: Mapping[str, Any]) -> str:
    if point["type"].startswith("acc"):
        return "slow"
    return "fast" if point.get("units") in FAST_UNITS else "normal"


def _metric(point: Mapping[str, Any]) -> str:
    if (known := NAMES.get(point["name"])) is not None:
        return known
    words = _words(point)
    return f"{words}_reported" if words == "status" else words


def _words(named: Mapping[str, Any]) -> str:
    return re.sub(r"[^a-z0-9]+", "_", str(named.get("label") or named["name"]).lower()).strip("_")
