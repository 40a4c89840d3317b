"""Prepare what a page shows of the line of a bus and of the load of its devices. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.models import FactSource
from gateway.status.buses_view import BusDetails
from gateway.status.render.metric_texts import metric_title

MOST_LOADS: Final = 25
"""Devices whose load a page shows, those that take most; the topology shows that of each."""

FACT_TITLES: Final[Mapping[str, str]] = {
    "host": "Host",
    "port": "Port",
    "selected_by": "Selected by",
    "transport": "Transport",
    "framing": "Frames",
    "speed": "Speed",
    "data_bits": "Data bits",
    "parity": "Parity",
    "stop_bits": "Stop bits",
    "flow_control": "Flow control",
    "timeout": "Waits for an answer",
    "protocol": "Protocol",
    "controller": "Bluetooth controller",
    "scanning": "Scanning",
    "scan_time": "Duration of a search",
    "connections": "Connections",
}

SOURCE_TEXTS: Final[Mapping[FactSource, str]] = {
    FactSource.CONFIGURED: "as configured",
    FactSource.USUAL: "usual value",
    FactSource.PROFILE: "by the profile of its device",
    FactSource.FOUND: "found by the search",
}


@dataclass(frozen=True, slots=True)
class ShownFact:
    """A fact with its title."""

    title: str
    value: str
    source: str | None


def line_of(details: BusDetails) -> Mapping[str, object]:
    """Return what the template of a line needs."""
    rest = details.devices[MOST_LOADS:]
    return {
        "facts": [
            ShownFact(
                FACT_TITLES.get(one.name) or metric_title(one.name),
                one.value,
                None if one.source is None else SOURCE_TEXTS[one.source],
            )
            for one in details.facts
        ],
        "loads": details.devices[:MOST_LOADS],
        "rest": len(rest),
        "rest_plan": sum(one.plan for one in rest),
        "rest_load": sum(one.load for one in rest),
        "minutes": round(details.measured_seconds / 60),
    }
