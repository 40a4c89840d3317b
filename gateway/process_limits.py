"""Set the limits of this process: room for many connections, and no core dump, as one would contain keys."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

MOST_DESCRIPTORS: Final = 8192
"""Enough for a thousand hosts, the cloud and the page."""


def set_process_limits() -> None:
    """Raise the number of files and sockets as far as is useful and allowed, and write no core dump.

    The usual limit of 1,024 is there for programs that use `select`, as pyserial does for writing: numbers are given from the
    lowest free one, so a port has a larger one only where the old limit would have given it none.
    """
    with contextlib.suppress(OSError, ValueError):  # a sandbox forbids it, and has set them itself
        _, most = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    with contextlib.suppress(OSError, ValueError):
        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MOST_DESCRIPTORS if most == resource.RLIM_INFINITY else min(MOST_DESCRIPTORS, most)
        if now != resource.RLIM_INFINITY and now < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
