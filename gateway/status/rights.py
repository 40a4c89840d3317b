"""Define what a visitor of the status page may do. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Rights(IntEnum):
    """What a request may do; each level includes those below it. Every route declares which one it needs."""

    NONE = 0
    PROBE = 1
    """Ask whether the gateway is ready, without the reasons."""
    LOOK = 2
    """See everything that the page shows, and change nothing."""
    OPERATE = 3
    """Do what belongs to the daily work: admit, ignore, rename, search, try again, send harmless commands."""
    ADMINISTER = 4
    """Do what can cost data or reach: configuration, keys, tokens, restart, backup, restore, dangerous commands."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sent a request, and what they may do."""

    rights: Rights
    token_name: str | None = None
    """The name of their token; `None` for those who sent none, or a wrong one."""

    @property
    def has_token(self) -> bool:
        """Whether they have shown a token."""
        return self.token_name is not None
