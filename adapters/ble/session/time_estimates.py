"""Estimate how long a profile occupies its radio: the requests of each connection, and their time. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.ble.profile.grammar import Point
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import ReadPlan, ServiceTable, expected_services, plan_reads
from gateway.adapter import CheckedProfile, PlannedBlock

CONNECT_SECONDS = 2.5
"""Waiting for the device's next advertisement, connecting and discovering its services."""

REQUEST_SECONDS = 0.1
"""One read or write: two connection intervals of 50 ms, the default of Linux."""

ANSWER_SECONDS = 0.5
"""One request: the write, and the notifications that answer it."""

FIRST_NOTIFICATION_SECONDS = 2.0
"""Waiting for the first notification: most devices notify every second or every few."""


def occupied_seconds(profile: Profile, plan: ReadPlan) -> float:
    """Return how long this plan occupies a connection slot; for a kept connection, only its requests."""
    requests = REQUEST_SECONDS * len(plan.reads) + ANSWER_SECONDS * len(plan.answers)
    if profile.connection.mode == "stay" or not (plan.reads or plan.subscriptions or plan.answers):
        return requests
    setup = REQUEST_SECONDS * (len(plan.initial_writes) + len(plan.subscriptions) + bool(plan.answers))
    return CONNECT_SECONDS + setup + requests + (FIRST_NOTIFICATION_SECONDS if plan.subscriptions else 0.0)


def count_requests(plan: ReadPlan) -> int:
    """Return the number of requests of a plan."""
    return len(plan.initial_writes) + len(plan.subscriptions) + len(plan.reads) + len(plan.answers)


def check_profile(profile: Profile) -> CheckedProfile:
    """Return the plan of a profile: for each poll group the connection, and each characteristic with its metrics."""
    return CheckedProfile(
        name=profile.name,
        title=profile.title,
        source=str(profile.source),
        blocks=list(_blocks(profile, expected_services(profile))),
    )


def _blocks(profile: Profile, services: ServiceTable) -> Iterator[PlannedBlock]:
    for group, every in profile.intervals.items():
        plan = plan_reads(profile, [group], services)
        overhead = occupied_seconds(profile, plan) - REQUEST_SECONDS * len(plan.reads) - ANSWER_SECONDS * len(plan.answers)
        parts: list[tuple[str, tuple[Point, ...], float]] = [
            *([("connect", (), overhead)] if overhead else []),
            *((f"notified {reader.path}", reader.points, 0.0) for reader in plan.subscriptions),
            *((f"read {reader.path}", reader.points, REQUEST_SECONDS) for reader in plan.reads),
            *((f"ask {reader.request.name}", reader.points, ANSWER_SECONDS) for reader in plan.answers),
        ]
        for what, points, seconds in parts:
            metrics = [point.metric for point in points]
            yield PlannedBlock(group=group, every_seconds=every.total_seconds(), what=what, metrics=metrics, seconds=seconds)
