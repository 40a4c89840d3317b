"""Describe a point of a profile for a review: its unit, and whether it can be negative or without a value. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PointFacts:
    """The unit of one point, and the kind of its values."""

    metric: str
    """The name of the metric."""
    unit: str | None = None
    has_own_unit: bool = True
    """False: the device sends the unit with the value."""
    is_number: bool = False
    """Whether its values are numbers, and neither texts, nor words for numbers, nor true and false."""
    can_be_negative: bool | None = False
    """Whether its encoding can be negative; `None` where it always can, as that of a float: the meaning of the metric decides."""
    has_no_value_rule: bool = False
    """Whether the profile names numbers or words that say "no value"."""
