"""Run long work that a person may end with Ctrl-C, so that what was found until then is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

EXIT_STOPPED = 130
"""The exit code of shells for Ctrl-C."""


def is_interrupted(work: Callable[[], Coroutine[None, None, None]]) -> bool:
    """Run the work, and return whether Ctrl-C stopped it."""
    try:
        asyncio.run(work())
    except KeyboardInterrupt:
        return True
    return False
