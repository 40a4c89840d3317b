"""Profiles made of SunSpec's own model definitions, for devices that no profile of ours fits. Nothing here waits.

The definitions are the JSON files of the package `sunspec2`, read as data. A device says which models it has; what it measures,
in which unit and with which scale factor, stands in the definition of each. Only what is measured becomes a point: nameplate
data, settings and controls do not. Of models that repeat a group (strings, modules), the fixed part is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from adapters.modbus.points import ValueType
from adapters.modbus.profile import Profile

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

MEASURING = frozenset(
    {
        *(101, 102, 103, 111, 112, 113, 122, 160),
        *(201, 202, 203, 204, 211, 212, 213, 214),
        *(302, 303, 304, 305, 306, 307, 308),
        *(401, 402, 403, 404, 501, 502, 601, 701, 713, 714),
        *(802, 803, 804, 805, 806, 807, 808, 809),
    }
)
"""Models that measure; the others configure or control."""

TYPES: Mapping[str, ValueType] = {
    **{kind: ValueType(kind) for kind in ("int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")},
    **{f"acc{bits}": ValueType(f"uint{bits}") for bits in (16, 32, 64)},
    **{f"enum{bits}": ValueType(f"uint{bits}") for bits in (16, 32)},
    **{f"bitfield{bits}": ValueType(f"uint{bits}") for bits in (16, 32, 64)},
}
"""Their types and ours; what is missing is no measurement."""

NAMES: Mapping[str, str] = {
    "A": "current",
    "AphA": "current_l1",
    "AphB": "current_l2",
    "AphC": "current_l3",
    "PhV": "voltage",
    "PhVphA": "voltage_l1",
    "PhVphB": "voltage_l2",
    "PhVphC": "voltage_l3",
    "PhVphAB": "voltage_l1_l2",
    "PhVphBC": "voltage_l2_l3",
    "PhVphCA": "voltage_l3_l1",
    "Hz": "frequency",
    "W": "active_power",
    "WphA": "active_power_l1",
    "WphB": "active_power_l2",
    "WphC": "active_power_l3",
    "VA": "apparent_power",
    "VAR": "reactive_power",
    "PF": "power_factor",
    "TotWhImp": "energy_import",
    "TotWhExp": "energy_export",
    "WH": "energy_total",
}
"""What our other profiles call what SunSpec calls so; anything else is called by its label."""

GROUPS: Mapping[str, float] = {"fast": 5, "normal": 15, "slow": 60}
FAST_UNITS = frozenset({"A", "V", "W", "VA", "var", "Var", "VAr", "Hz", "Pct", "cos()"})
NAME = re.compile(r"sunspec((?:-\d{1,5})+)")


def profile_for(models: Iterable[int]) -> Profile | None:
    """Return the profile of a device with these SunSpec models; `None` when none of them measures anything."""
    ids = sorted(MEASURING & set(models))
    return _made(tuple(ids)) if ids else None


def profile_named(name: str) -> Profile | None:
    """Return the profile that `profile_for` gave this name, as after a restart; `None` for any other name."""
    matched = NAME.fullmatch(name)
    profile = profile_for(int(number) for number in matched[1].split("-")[1:]) if matched else None
    return profile if profile is not None and profile.name == name else None


@lru_cache(maxsize=64)
def _made(ids: tuple[int, ...]) -> Profile | None:
    points: dict[str, dict[str, Any]] = {}
    titles = []
    for model in ids:
        group = _definition(model)
        titles.append(str(group.get("label") or group["name"]))
        for metric, point in _points(model, group):
            points.setdefault(metric if metric not in points else f"{group['name']}_{model}_{metric}", point)
    if not points:
        return None
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


def _points(model: int, group: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the fixed part of a model measures; offsets count from the model's id."""
    offsets, offset = {}, 0
    for point in group["points"]:
        offsets[point["name"]] = offset
        offset += point["size"]
    for point in group["points"]:
        if (made := _point(model, point, offsets)) is not None:
            yield _metric(point), made


def _point(model: int, point: Mapping[str, Any], offsets: Mapping[str, int]) -> dict[str, Any] | None:
    is_measured = point["type"] in TYPES and point.get("static") != "S" and point.get("access") != "RW"
    if not is_measured or point["name"] in {"ID", "L"}:
        return None
    made: dict[str, Any] = {"models": [model], "at": offsets[point["name"]], "type": TYPES[point["type"]]}
    if (unit := point.get("units")) is not None:
        made["unit"] = unit
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
    words = re.sub(r"[^a-z0-9]+", "_", str(point.get("label") or point["name"]).lower()).strip("_")
    return f"{words}_reported" if words == "status" else words
