"""Plants of any size for the tests of the topology."""

from __future__ import annotations

from datetime import timedelta

from gateway.causes import Cause
from gateway.models import Reach


def fill(view, fake, *, buses, devices):
    """Add so many buses with so many devices each: the last bus is lost, and a device of the first is silent by itself."""
    for bus in range(1, buses + 1):
        name = f"10.20.30.{bus}:502"
        is_lost = bus == buses
        outage = {
            "problem": "connection refused: nothing listens on port 502 there",
            "cause": Cause.HOST_REFUSES,
            "since": fake.now() - timedelta(minutes=25),
            "tried_at": fake.now() - timedelta(seconds=20),
            "tries": 31,
            "next_try_at": fake.now() + timedelta(seconds=35),
            "load": {},
        }
        view.add_bus(name, "site", **(outage if is_lost else {}))
        for number in range(1, devices + 1):
            reach = Reach.SILENT if is_lost or (bus, number) == (1, devices) else Reach.REACHABLE
            why = "its bus is lost" if is_lost else fake.NO_ANSWER if reach is Reach.SILENT else None
            key = view.add_child(f"Meter {bus}-{number}", name, address=str(number), reach=reach, why=why).line.key
            if is_lost:
                child = view.children[key]
                line = child.line.model_copy(update={"stems_from": view.buses[name].id, "cause": Cause.HOST_REFUSES})
                view.children[key] = child.model_copy(update={"line": line, "load": 0.0})
    return view
