"""What a profile costs its radio, by plan: which transactions a visit makes, and how long they take. Nothing here waits."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.ble.profile.profile import Point, Profile
from adapters.ble.profile.read_plan import Tree, Visit, expected, plan
from gateway.adapter import CheckedProfile, PlannedBlock

CONNECT_SECONDS = 2.5
"""Waiting for the device's next advertisement, connecting, and asking for its services."""

REQUEST_SECONDS = 0.1
"""One read or write: two connection intervals of 50 ms, which is what Linux asks for."""

NOTIFIED_SECONDS = 2.0
"""Waiting for the first value that a device notifies: most do so every second or every few."""


def visit_seconds(profile: Profile, visit: Visit) -> float:
    """Return how long this visit takes one connection slot; with a device that one stays connected to, only its requests."""
    requests = REQUEST_SECONDS * len(visit.reads)
    if profile.connection.mode == "stay" or not (visit.reads or visit.subscriptions):
        return requests
    setting_up = REQUEST_SECONDS * (len(visit.writes) + len(visit.subscriptions))
    return CONNECT_SECONDS + setting_up + requests + (NOTIFIED_SECONDS if visit.subscriptions else 0.0)


def transactions(visit: Visit) -> int:
    """Return how many requests a visit makes."""
    return len(visit.writes) + len(visit.subscriptions) + len(visit.reads)


def checked(profile: Profile) -> CheckedProfile:
    """Return what the profile makes of a radio: for each poll group the connection, and each characteristic with its metrics."""
    return CheckedProfile(
        name=profile.name,
        title=profile.title,
        source=str(profile.source),
        blocks=list(_blocks(profile, expected(profile))),
    )


def _blocks(profile: Profile, tree: Tree) -> Iterator[PlannedBlock]:
    for group, every in profile.intervals.items():
        visit = plan(profile, [group], tree)
        overhead = visit_seconds(profile, visit) - REQUEST_SECONDS * len(visit.reads)
        parts: list[tuple[str, tuple[Point, ...], float]] = [
            *([("connect", (), overhead)] if overhead else []),
            *((f"notified {reader.place}", reader.points, 0.0) for reader in visit.subscriptions),
            *((f"read {reader.place}", reader.points, REQUEST_SECONDS) for reader in visit.reads),
        ]
        for what, points, seconds in parts:
            metrics = [point.metric for point in points]
            yield PlannedBlock(group=group, every_seconds=every.total_seconds(), what=what, metrics=metrics, seconds=seconds)
