"""How the gateway itself is doing, as telemetry."""

from __future__ import annotations

import os
import resource
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from time import monotonic

from gateway import __version__
from gateway.models import Value


def vitals(*, started_at: float, children: Iterable[str], outbox_samples: int, lost_samples: int) -> dict[str, Value]:
    """Return the gateway's own telemetry.

    Args:
        started_at: monotonic seconds.
        children: one word for each child: how it stands.
        outbox_samples: how many samples wait for the hub.
        lost_samples: how many will never arrive.
    """
    standings = Counter(children)
    values: dict[str, Value] = {
        "version": __version__,
        "uptime_seconds": int(monotonic() - started_at),
        "children": standings.total(),
        "outbox_samples": outbox_samples,
        "lost_samples": lost_samples,
        "load_1m": round(os.getloadavg()[0], 2),
        "memory_mb": round(_resident_bytes() / 1e6, 1),
    }
    return values | {f"children_{standing}": count for standing, count in sorted(standings.items())}


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux: the peak is the next best
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
