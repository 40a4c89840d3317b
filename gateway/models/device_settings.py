"""Define what was written to a setting that a device keeps itself, and read back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from gateway.models.metrics import Value

SettingValue: TypeAlias = bool | int | float | str
"""The value of one setting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenSetting:
    """One setting that was written, and read back as it was to be."""

    name: str
    before: Value
    """The value that the device had; `None` where it reported none."""
    after: Value
    """The value as read back."""
