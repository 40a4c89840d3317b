"""Define the facts about a bus that its adapter knows: where it is, and how its line is set. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FactSource(StrEnum):
    """Where a fact about a bus comes from."""

    CONFIGURED = "configured"
    """The configuration has it."""
    USUAL = "usual"
    """The configuration leaves it out, so the usual value counts."""
    PROFILE = "profile"
    """The profile of its device has it."""
    FOUND = "found"
    """A search has found it on the bus."""


@dataclass(frozen=True, slots=True)
class BusFact:
    """One fact about a bus: `speed`, `9600 baud`, configured."""

    name: str
    """In snake_case. Pages have titles of their own for `port`, `host`, `transport`, `framing`, `speed`, `data_bits`, `parity`,
    `stop_bits`, `flow_control`, `timeout`, `controller`, `scanning`, `connections` and `protocol`; of another one, its words."""
    value: str
    """As a person reads it."""
    source: FactSource | None = None
    """`None` where it needs no source, such as a state of the moment."""
