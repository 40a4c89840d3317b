"""What is known of each unit of one bus, and what of it is worth knowing again after a restart. Nothing here waits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field

from adapters.modbus.client.pdu import MAX_REGISTERS, Question, Read, ReadIdentification, ReportServerId, Table
from adapters.modbus.client.timing import Turnaround
from adapters.modbus.profile.sunspec_layout import NOWHERE, Layout

NOTED_AFTER_CHANGE_OF = 0.25
"""A turnaround is noted anew when it differs by so much, as a share: its last digits are worth no write."""


@dataclass(slots=True)
class KnownUnit:
    """One unit id."""

    turnaround: Turnaround = field(default_factory=Turnaround)
    sign_of_life: Question | None = None
    """A question that it answered: the cheapest way to see whether it is there."""
    models: Layout = NOWHERE
    """The SunSpec models that it has."""


class KnownUnits:
    """The units of one bus.

    Args:
        bus: its label, part of each note's name: all buses of an entry share one memory.
        memory: gives the adapter's memory as it is now.
    """

    def __init__(self, bus: str, memory: Callable[[], MutableMapping[str, str]]) -> None:
        self._bus = bus
        self._memory = memory
        self._units: dict[int, KnownUnit] = {}
        self._noted_seconds: dict[int, float] = {}

    def of(self, unit: int) -> KnownUnit:
        """Return what is known of this unit; at first what is noted."""
        known = self._units.get(unit)
        if known is None:
            note = self._memory().get
            known = self._units[unit] = KnownUnit(
                Turnaround.from_text(note(self._name(unit, "turnaround"), "")),
                _question(note(self._name(unit, "answers"), "")),
                Layout.from_text(note(self._name(unit, "models"), "")),
            )
            self._noted_seconds[unit] = known.turnaround.mean
        return known

    def answered(self, unit: int, seconds: float | None) -> None:
        """Take in an answer, and what it took where that is known."""
        turnaround = self.of(unit).turnaround
        if seconds is None:
            turnaround.misses = 0
            return
        turnaround.answered(seconds)
        noted = self._noted_seconds[unit]
        is_new = turnaround.typical_seconds is not None and abs(turnaround.mean - noted) > NOTED_AFTER_CHANGE_OF * max(
            noted, 0.002
        )
        if is_new:
            self._noted_seconds[unit] = turnaround.mean
            self._memory()[self._name(unit, "turnaround")] = turnaround.as_text()

    def met(self, unit: int, sign_of_life: Question | None, models: Layout) -> None:
        """Take in what an interview found out."""
        known = self.of(unit)
        if sign_of_life is not None and sign_of_life != known.sign_of_life:
            known.sign_of_life = sign_of_life
            self._memory()[self._name(unit, "answers")] = str(sign_of_life)
        if models != known.models:
            known.models = models
            self._memory()[self._name(unit, "models")] = models.as_text()

    @property
    def scan_position(self) -> int:
        """The unit id at which a scan was broken off; 0 when the last one came to its end."""
        noted = self._memory().get(f"{self._bus} scan", "0")
        return int(noted) if noted.isdecimal() else 0

    @scan_position.setter
    def scan_position(self, unit: int) -> None:
        self._memory()[f"{self._bus} scan"] = str(unit)

    def _name(self, unit: int, what: str) -> str:
        return f"{self._bus} unit {unit} {what}"


def _question(text: str) -> Question | None:
    """Return the question that this text is of; `None` when it is none."""
    plain: Mapping[str, Question] = {str(one): one for one in (ReadIdentification(), ReportServerId())}
    if text in plain:
        return plain[text]
    table, _, places = text.partition(" ")
    first, _, last = places.partition("-")
    if table not in set(Table) or not first.isdecimal() or not (last or first).isdecimal():
        return None
    count = int(last or first) - int(first) + 1
    return Read(Table(table), int(first), count) if 1 <= count <= MAX_REGISTERS else None
