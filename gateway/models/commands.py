"""Define what the cloud asks of a child: a command. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the cloud for one child or for the gateway itself."""

    id: int | str
    """Opaque: returned to the cloud exactly as it came."""
    child: str | None
    """The child's local key; `None` for the gateway itself."""
    name: str
    parameters: Mapping[str, object]
    until: datetime | None = None
    """Aware, UTC: after this moment it must not start any more; `None` where nobody set a limit."""
