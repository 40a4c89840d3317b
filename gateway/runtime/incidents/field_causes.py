"""Find what is wrong in the field: a bus that does not work, a bus without answers, and single silent devices. Pure.

One cause is one incident: the devices on a bus that does not work are silent because of it, and get no incident of their own. The
same holds where all devices on a bus are silent, or many of them: a cable is likelier than as many broken devices.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.causes import Cause, Reason
from gateway.models import ChildDevice
from gateway.state.incidents import OpenIncident, Priority
from gateway.status.open_causes import SHARED_BY

MANY_SILENT = 5
"""So many silent devices, and at least half of all on the bus, have one incident together."""

NAMES_SHOWN = 5

Bus = tuple[str, str]
"""The entry and the label of a bus."""


@dataclass(frozen=True, slots=True)
class WatchedChild:
    """A registered child, and whether it is silent."""

    child: ChildDevice
    is_silent: bool
    why: str | None
    silent_seconds: float = 0.0
    """How long it has been silent as far as is known, also before the start."""
    was_silent: bool = False
    """It was silent before the start, and nobody knows yet whether it still is."""


class FieldCauses:
    """Knows how long what is wrong has lasted.

    Args:
        silent_after: how long a device has to be silent; 0: silent devices are no cause.
        bus_lost_after: how long a bus has to be out of service.
    """

    def __init__(self, *, silent_after: timedelta, bus_lost_after: timedelta) -> None:
        self._silent_seconds = silent_after.total_seconds()
        self._bus_lost_seconds = bus_lost_after.total_seconds()
        self._bus_failing = _Durations()
        self._silent = _Durations()

    def current(
        self, now: float, problems: Mapping[Bus, Reason], children: Sequence[WatchedChild]
    ) -> Iterator[OpenIncident]:  # fmt: skip
        """Yield the incidents that should be open now.

        Args:
            now: the loop time.
            problems: why buses do not work, for each that does not.
            children: the registered children.
        """
        self._bus_failing.keep(dict.fromkeys(problems, 0.0), now)
        by_bus: defaultdict[Bus, list[WatchedChild]] = defaultdict(list)
        for one in children:
            by_bus[one.child.adapter, one.child.bus].append(one)
        lost = {bus: why for bus, why in problems.items() if self._bus_failing.lasted(bus, now) >= self._bus_lost_seconds}
        for reason, buses in _together(lost):
            yield _buses_lost(reason, buses, [one.child for bus in buses for one in by_bus[bus]])
        silent = [one for bus, on_bus in by_bus.items() if bus not in problems for one in on_bus if one.is_silent]
        self._silent.keep({one.child.key: one.silent_seconds for one in silent}, now)
        if self._silent_seconds:
            for bus, on_bus in by_bus.items():
                if bus not in problems:
                    yield from self._silent_on(bus, on_bus, now)

    def _silent_on(self, bus: Bus, on_bus: Sequence[WatchedChild], now: float) -> Iterator[OpenIncident]:
        silent = [one for one in on_bus if one.is_silent]
        lasting = [one for one in silent if self._silent.lasted(one.child.key, now) >= self._silent_seconds]
        # After a start, asking all of a silent bus takes minutes: those that were silent before count until they are asked.
        together = [one for one in on_bus if one.is_silent or one.was_silent]
        are_all = len(together) == len(on_bus) >= 2
        if lasting and (are_all or (len(together) >= MANY_SILENT and 2 * len(together) >= len(on_bus))):
            yield _bus_silent(bus, [one.child for one in together], len(on_bus))
            return
        for one in lasting:
            yield _child_silent(one, round(self._silent_seconds / 60))


def _together(lost: Mapping[Bus, Reason]) -> Iterator[tuple[Reason, Sequence[Bus]]]:
    """Yield each bus that is lost; those that share a cause above them together."""
    by_cause: defaultdict[Cause, list[Bus]] = defaultdict(list)
    for bus, reason in lost.items():
        by_cause[reason.cause].append(bus)
    for cause, buses in by_cause.items():
        if len(buses) >= SHARED_BY.get(cause, len(buses) + 1):
            yield lost[buses[0]], buses
        else:
            yield from ((lost[bus], [bus]) for bus in buses)


class _Durations:
    """Remembers since when each of some conditions has held."""

    def __init__(self) -> None:
        self._since: dict[Hashable, float] = {}

    def keep(self, holding: Mapping[Hashable, float], now: float) -> None:
        """Begin those that hold now, each with the seconds that it has held already, and forget the others."""
        self._since = {one: self._since.get(one, now - seconds) for one, seconds in holding.items()}

    def lasted(self, one: Hashable, now: float) -> float:
        """Return for how many seconds it has held."""
        return now - self._since[one]


def _buses_lost(reason: Reason, buses: Sequence[Bus], children: Sequence[ChildDevice]) -> OpenIncident:
    if len(buses) == 1:
        return _bus_lost(buses[0], reason, children)
    labels = ", ".join(label for _, label in buses[:NAMES_SHOWN])
    more = f" and {len(buses) - NAMES_SHOWN} more" if len(buses) > NAMES_SHOWN else ""
    affected = f" {_count(len(children))} on them cannot be read: {_names(children)}." if children else ""
    return OpenIncident(
        cause=f"buses_lost:{reason.cause}",
        child=None,
        title=f"{len(buses)} buses ({labels}{more}): {reason.phrase}",
        what_to_do=f"{reason.text.rstrip('.?!')}.{affected} {reason.next_step}",
        priority=Priority.HIGH,
    )


def _bus_lost(bus: Bus, reason: Reason, children: Sequence[ChildDevice]) -> OpenIncident:
    entry, label = bus
    advice = f"Check its cable and its power supply, and the entry {entry} of the configuration"
    if reason.cause is not Cause.UNKNOWN:
        advice = reason.next_step.rstrip(".")
    affected = f" {_count(len(children))} on it cannot be read: {_names(children)}." if children else ""
    return OpenIncident(
        cause=f"bus_lost:{entry}/{label}",
        child=None,
        title=f"The bus {label} does not work" + ("" if reason.cause is Cause.UNKNOWN else f": {reason.phrase}"),
        what_to_do=f"{reason.text.rstrip('.?!')}.{affected} {advice}; the gateway keeps trying to open it.",
        priority=Priority.HIGH,
    )


def _bus_silent(bus: Bus, silent: Sequence[ChildDevice], count: int) -> OpenIncident:
    entry, label = bus
    who = "No device" if len(silent) == count else f"{len(silent)} of {count} devices"
    return OpenIncident(
        cause=f"bus_silent:{entry}/{label}",
        child=None,
        title=f"{who} on the bus {label} {'answers' if len(silent) == count else 'do not answer'}",
        what_to_do=f"The bus is open, but these devices do not answer: {_names(silent)}. Check the cable between the gateway"
        f" and the devices, its termination, and their power supply; then the settings of the entry {entry}, such as the speed.",
        priority=Priority.HIGH,
    )


def _child_silent(silent: WatchedChild, minutes: int) -> OpenIncident:
    child = silent.child
    reason = f" ({silent.why})" if silent.why else ""
    return OpenIncident(
        cause=f"child_silent:{child.key}",
        child=child.key,
        title=f"{child.name} does not answer",
        what_to_do=f"It has not answered for {minutes} min at {child.bus}, address {child.address}{reason}. Check its power"
        " supply and its cable.",
        priority=Priority.MODERATE,
    )


def _count(devices: int) -> str:
    return "1 device" if devices == 1 else f"{devices} devices"


def _names(children: Sequence[ChildDevice]) -> str:
    shown = ", ".join(child.name for child in children[:NAMES_SHOWN])
    more = len(children) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
