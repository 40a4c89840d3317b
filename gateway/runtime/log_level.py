"""Set the level of the log for the whole process, and remember it: what else changes the level is put back."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final


@dataclass(slots=True)
class _Chosen:
    level: int = logging.INFO


_CHOSEN: Final = _Chosen()
"""The log is one for a process, and so is its level."""


def set_log_level(level: str | int) -> None:
    """Log what is at least as important as this from now on, by the name of a level in any case or by its number."""
    number = logging.getLevelNamesMapping()[level.upper()] if isinstance(level, str) else level
    _CHOSEN.level = number
    logging.getLogger().setLevel(number)


def keep_present_level() -> None:
    """Take the level that the log has now for the one that was chosen."""
    _CHOSEN.level = logging.getLogger().level


def chosen_level() -> int:
    """Return the level that was chosen last."""
    return _CHOSEN.level
