"""How the gateway itself is doing, as telemetry."""

from __future__ import annotations

import os
import re
import resource
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from time import monotonic

from gateway import __version__
from gateway.models import Value

BUSES_TOLD = 20
"""Of so many buses the load is told; a gateway with more of them has a page to look at."""


def vitals(
    *, started_at: float, children: Iterable[str], outbox_samples: int, lost_samples: int, bus_loads: Mapping[str, float]
) -> dict[str, Value]:
    """Return the gateway's own telemetry.

    Args:
        started_at: monotonic seconds.
        children: one word for each child: how it stands.
        outbox_samples: how many samples wait for the hub.
        lost_samples: how many will never arrive.
        bus_loads: the share of its time that each bus was taken lately.
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
    values |= {f"children_{standing}": count for standing, count in sorted(standings.items())}
    return values | {f"bus_load_{_as_key(bus)}": round(load, 3) for bus, load in sorted(bus_loads.items())[:BUSES_TOLD]}


def _as_key(bus: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", bus.lower()).strip("_")


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux: the peak is the next best
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
