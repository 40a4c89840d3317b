"""Collect the gateway's own telemetry: version, uptime, load, memory, its children and its buses."""

from __future__ import annotations

import os
import re
import resource
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from gateway import __version__
from gateway.models import Reach, Value
from gateway.tasks import loop_time

CHILD_STATUSES = (NOT_REGISTERED := "not_registered", *map(str, Reach))
"""How children are counted. None is left out: the cloud keeps the last value of a metric that is not sent any more."""

MAX_BUSES_SENT = 20
"""The number of buses whose load is sent; the status page shows those of all."""


def own_telemetry(
    *,
    started_at: float,
    children: Iterable[str],
    outbox_samples: int,
    lost_samples: int,
    bus_loads: Mapping[str, float],
    configuration_problem: str | None = None,
) -> dict[str, Value]:
    """Return the gateway's own telemetry.

    Args:
        started_at: the start of the gateway by `loop_time`.
        children: the status of each child, one of `CHILD_STATUSES`.
        outbox_samples: the number of samples that wait for the hub.
        lost_samples: the number of samples that were lost.
        bus_loads: the share of its recent time for which each bus was in use.
        configuration_problem: why the newest configuration from the cloud is not in effect; `None` removes it in the cloud.
    """
    by_status = Counter(children)
    values: dict[str, Value] = {
        "version": __version__,
        "uptime_seconds": int(loop_time() - started_at),
        "children": by_status.total(),
        "outbox_samples": outbox_samples,
        "lost_samples": lost_samples,
        "load_1m": round(os.getloadavg()[0], 2),
        "memory_mb": round(_resident_bytes() / 1e6, 1),
        "configuration_problem": configuration_problem,
    }
    values |= {f"children_{status}": by_status[status] for status in CHILD_STATUSES}
    return values | {f"bus_load_{_as_key(bus)}": round(load, 3) for bus, load in sorted(bus_loads.items())[:MAX_BUSES_SENT]}


def _as_key(bus: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", bus.lower()).strip("_")


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # not Linux: the peak is the best there is
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return pages * resource.getpagesize()
