"""Keep what is known about each unit of one bus, and store what is useful after a restart. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field

from adapters.modbus.client.pdu import (
    ADDRESSES,
    MAX_BITS,
    MAX_REGISTERS,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Request,
    Table,
)
from adapters.modbus.client.timing import Turnaround
from adapters.modbus.profile.sunspec_layout import NO_MODELS, SunSpecLayout

SAVED_AFTER_CHANGE_OF = 0.25
"""A turnaround is stored again when it has changed by this fraction: smaller changes are not worth a write."""

ADDRESS_DIGITS = 5
"""The digits of the largest address."""


@dataclass(slots=True)
class KnownUnit:
    """The turnaround, an answered request and the SunSpec models of one unit."""

    turnaround: Turnaround = field(default_factory=Turnaround)
    answered_request: Request | None = None
    """A request that it answered: the cheapest way to check whether it is there."""
    models: SunSpecLayout = NO_MODELS
    """The SunSpec models that it has."""
    pause_seconds: float = 0.0
    """The pause that it needs before each request."""
    at_once: int | None = None
    """The most registers that it is asked for in one request; `None` where no limit is known."""
    answered_reads: set[ReadRequest] = field(default_factory=set)
    """Blocks that it has answered since the start: where it is silent to one of them, it is not for the block."""
    unanswered_reads: dict[ReadRequest, int] = field(default_factory=dict)
    """How often in a row it was silent to a block that it had answered before."""
    problem: str | None = None
    """What was wrong with its answers when it was identified last, for a person."""


class KnownUnits:
    """The units of one bus.

    Args:
        bus: its label, part of each key in the memory, which all buses of an entry share.
        memory: gives the adapter's memory as it is now.
        pause_seconds: returns the pause that a unit needs before each request.
    """

    def __init__(
        self,
        bus: str,
        memory: Callable[[], MutableMapping[str, str]],
        pause_seconds: Callable[[int], float] = lambda unit: 0.0,
    ) -> None:
        self._bus = bus
        self._memory = memory
        self._pause_seconds = pause_seconds
        self._units: dict[int, KnownUnit] = {}
        self._saved_seconds: dict[int, float] = {}

    def of(self, unit: int) -> KnownUnit:
        """Return what is known about this unit; at first what is stored."""
        known = self._units.get(unit)
        if known is None:
            stored = self._memory().get
            known = self._units[unit] = KnownUnit(
                Turnaround.from_text(stored(self._name(unit, "turnaround"), "")),
                _request_from(stored(self._name(unit, "answers"), "")),
                SunSpecLayout.from_text(stored(self._name(unit, "models"), "")),
            )
            self._saved_seconds[unit] = known.turnaround.mean
        known.pause_seconds = self._pause_seconds(unit)
        return known

    def answered(self, unit: int, seconds: float | None) -> None:
        """Learn from an answer, and from its turnaround where that is known."""
        turnaround = self.of(unit).turnaround
        if seconds is None:
            turnaround.misses = 0
            return
        turnaround.answered(seconds)
        stored = self._saved_seconds[unit]
        is_new = turnaround.typical_seconds is not None and abs(turnaround.mean - stored) > SAVED_AFTER_CHANGE_OF * max(
            stored, 0.002
        )
        if is_new:
            self._saved_seconds[unit] = turnaround.mean
            self._memory()[self._name(unit, "turnaround")] = turnaround.as_text()

    def identified(self, unit: int, answered_request: Request | None, models: SunSpecLayout) -> None:
        """Store the result of a probe."""
        known = self.of(unit)
        if answered_request is not None and answered_request != known.answered_request:
            known.answered_request = answered_request
            self._memory()[self._name(unit, "answers")] = str(answered_request)
        if models != known.models:
            known.models = models
            self._memory()[self._name(unit, "models")] = models.as_text()

    @property
    def problems(self) -> list[str]:
        """What was wrong with the answers of units when they were identified last, for a person."""
        return [f"unit {unit}: {known.problem}" for unit, known in sorted(self._units.items()) if known.problem is not None]

    @property
    def scan_position(self) -> int:
        """The unit id at which a scan was interrupted; 0 when the last one was completed."""
        stored = self._memory().get(f"{self._bus} scan", "0")
        return int(stored) if stored.isdecimal() else 0

    @scan_position.setter
    def scan_position(self, unit: int) -> None:
        self._memory()[f"{self._bus} scan"] = str(unit)

    def _name(self, unit: int, what: str) -> str:
        return f"{self._bus} unit {unit} {what}"


def read_from_text(text: str) -> ReadRequest | None:
    """Return the read whose `str()` is this text; `None` when it is not one."""
    table, _, places = text.partition(" ")
    first, _, last = places.partition("-")
    last = last or first
    if table not in set(Table) or not all(place.isdecimal() and len(place) <= ADDRESS_DIGITS for place in (first, last)):
        return None
    count, most = int(last) - int(first) + 1, MAX_BITS if Table(table).holds_bits else MAX_REGISTERS
    is_possible = 1 <= count <= most and int(last) < ADDRESSES
    return ReadRequest(Table(table), int(first), count) if is_possible else None


def _request_from(text: str) -> Request | None:
    """Return the request that this text stands for; `None` when it is not one."""
    plain: Mapping[str, Request] = {str(one): one for one in (ReadDeviceIdentification(), ReportServerId())}
    return plain.get(text) or read_from_text(text)
