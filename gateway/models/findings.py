"""Define what `doctor` reports: one finding for each thing that it checks. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from gateway.plain_text import replace_unprintable


class FindingState(StrEnum):
    """The state of something that `doctor` checked."""

    FINE = "fine"
    WARNING = "warning"
    """It works or is not needed now, but can become a fault."""
    FAULT = "fault"
    """Something that the configuration needs cannot work like this."""
    NOT_LOOKED_AT = "not looked at"
    """It could not be checked, or did not need to be; the meaning says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `doctor` checked, what the result means, and the one line that fixes it.

    Each text is made printable and put on one line, since some of it comes from devices, programs and servers. It has no secrets.

    Raises:
        ValueError: a warning or a fault has no fix.
    """

    what: str
    """What was checked, in a word or two: `disk space`."""
    state: FindingState
    meaning: str
    """In plain words, for the person who runs this machine."""
    fix: str | None = None
    """What to do: a command to type, or a line for the config."""

    def __post_init__(self) -> None:
        for name in ("what", "meaning", "fix"):
            if (text := getattr(self, name)) is not None:
                object.__setattr__(self, name, _in_one_line(text))
        if not self.fix and self.state in (FindingState.WARNING, FindingState.FAULT):
            raise ValueError(f"{self.what}: a {self.state} needs a fix")

    @classmethod
    def fine(cls, what: str, meaning: str) -> Self:
        """Return a finding that all is well."""
        return cls(what, FindingState.FINE, meaning)

    @classmethod
    def warning(cls, what: str, meaning: str, fix: str) -> Self:
        """Return a finding that can become a fault."""
        return cls(what, FindingState.WARNING, meaning, fix)

    @classmethod
    def fault(cls, what: str, meaning: str, fix: str) -> Self:
        """Return a finding that something cannot work like this."""
        return cls(what, FindingState.FAULT, meaning, fix)

    @classmethod
    def not_looked_at(cls, what: str, meaning: str, fix: str | None = None) -> Self:
        """Return a finding that something was not checked, and why."""
        return cls(what, FindingState.NOT_LOOKED_AT, meaning, fix)

    def within(self, entry: str) -> Finding:
        """Return the finding with the name of this entry of the config in front."""
        return replace(self, what=f"{entry}: {self.what}")


def _in_one_line(text: str) -> str:
    """Return the text without line breaks and terminal control characters."""
    return replace_unprintable(" ".join(text.split()))
