"""Define the children: the admitted devices, their names, whether they answer, and what reading them costs. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

NAME_LENGTH = 100
"""The longest name that a person can give to a device."""


def parse_name(text: str) -> str:
    """Return the text that a person typed as the name of a device, with its spaces normalised.

    Raises:
        ValueError: it is no readable name; the text says why, for that person.
    """
    name = " ".join(text.split())
    if not 1 <= len(name) <= NAME_LENGTH:
        raise ValueError(f"a name has 1 to {NAME_LENGTH} characters, this one has {len(name)}")
    if not name.isprintable():
        raise ValueError("a name has only letters, digits, signs and spaces; this one has something that cannot be seen")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildDevice:
    """An admitted device: one that the gateway registers in the cloud and polls."""

    key: str
    """`Identity.key`: the same for the life of the device."""
    adapter: str
    """The name of the `[[adapter]]` entry that found it."""
    bus: str
    """The label of the bus on which it was last found."""
    address: str
    profile: str | None
    family: str | None
    model_id: str
    """The Xyte model that it is registered under."""
    sub_model: str | None
    firmware_version: str | None
    name: str
    found_as: str | None = None
    """The name under which it was found, if a person has given it another."""
    serial_number: str | None = None
    mac: str | None = None
    manufacturer: str | None = None
    model: str | None = None

    def with_name(self, name: str | None) -> ChildDevice:
        """Return it with the name that a person has given it; `None` for the name under which it was found."""
        found_as = self.name if self.found_as is None else self.found_as
        return replace(self, name=found_as, found_as=None) if name is None else replace(self, name=name, found_as=found_as)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRead:
    """The planned cost of reading one poll group of one device."""

    address: str
    name: str
    """The name of the device, for a person."""
    group: str
    every: timedelta
    seconds: float
    """How long each read occupies the bus."""
    transactions: int

    @property
    def load(self) -> float:
        """The share of the bus's time that it needs."""
        return self.seconds / self.every.total_seconds()


class Reach(StrEnum):
    """Whether a child answers."""

    UNKNOWN = "unknown"
    """Not polled since the start."""
    REACHABLE = "reachable"
    SILENT = "silent"
