"""Define what a visitor of the status page may do. Pure."""

from __future__ import annotations

from enum import IntEnum


class Rights(IntEnum):
    """What a request may do; each level includes those below it."""

    NONE = 0
    PROBE = 1
    """Ask whether the gateway is ready, without the reasons."""
    LOOK = 2
    ACT = 3
