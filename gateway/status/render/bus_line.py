"""Prepare what a page shows of the line of a bus and of the load of its devices. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.models import FactSource
from gateway.status.buses_view import BusDetails
from gateway.status.languages.texts import gettext_noop
from gateway.status.render.metric_texts import metric_title

MOST_LOADS: Final = 25
"""Devices whose load a page shows, those that take most; the topology shows that of each."""

FACT_TITLES: Final[Mapping[str, str]] = {
    "host": gettext_noop("Host"),
    "port": gettext_noop("Port"),
    "selected_by": gettext_noop("Selected by"),
    "transport": gettext_noop("Transport"),
    "framing": gettext_noop("Frames"),
    "speed": gettext_noop("Speed"),
    "data_bits": gettext_noop("Data bits"),
    "parity": gettext_noop("Parity"),
    "stop_bits": gettext_noop("Stop bits"),
    "flow_control": gettext_noop("Flow control"),
    "timeout": gettext_noop("Waits for an answer"),
    "protocol": gettext_noop("Protocol"),
    "controller": gettext_noop("Bluetooth controller"),
    "scanning": gettext_noop("Scanning"),
    "scan_time": gettext_noop("Duration of a search"),
    "connections": gettext_noop("Connections"),
}

SOURCE_TEXTS: Final[Mapping[FactSource, str]] = {
    FactSource.CONFIGURED: gettext_noop("as configured"),
    FactSource.USUAL: gettext_noop("usual value"),
    FactSource.PROFILE: gettext_noop("by the profile of its device"),
    FactSource.FOUND: gettext_noop("found by the search"),
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
        "minutes": max(1, round(details.measured_seconds / 60)),
    }
