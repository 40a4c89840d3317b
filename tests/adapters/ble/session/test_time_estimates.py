"""Test how long a profile occupies its radio."""

from __future__ import annotations

import pytest

from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import expected_services, plan_reads
from adapters.ble.session.time_estimates import (
    CONNECT_SECONDS,
    FIRST_NOTIFICATION_SECONDS,
    check_profile,
    count_requests,
    occupied_seconds,
)

POINTS = [
    {"metric": "temperature", "service": "ff01", "characteristic": "ffa1", "format": "sint16", "group": "fast"},
    {"metric": "humidity", "service": "ff01", "characteristic": "ffa1", "at": 2, "group": "slow"},
    {"metric": "battery", "service": "ff01", "characteristic": "ffa2", "group": "slow"},
]


def profile(points=POINTS, **said) -> Profile:
    source = {"document": "made up for a test", "edition": "1", "section": "all"}
    return Profile.model_validate(
        {"name": "test", "title": "Test", "family": "climate-sensor", "source": source, "points": points} | said
    )


def test_a_read_includes_connecting_unless_the_connection_is_kept():
    points = [POINTS[0] | {"notify": True}, POINTS[2]]
    for mode, seconds in [("visit", CONNECT_SECONDS + FIRST_NOTIFICATION_SECONDS + 0.2), ("stay", 0.1)]:
        device = profile(points, connection={"mode": mode})
        plan = plan_reads(device, {"fast", "slow"}, expected_services(device))
        assert occupied_seconds(device, plan) == pytest.approx(seconds)
        assert count_requests(plan) == 2


def test_a_checked_profile_shows_the_plan_of_each_group():
    shown = check_profile(profile())
    assert [(block.group, block.every_seconds, block.what, block.metrics) for block in shown.blocks] == [
        ("fast", 30, "connect", []),
        ("fast", 30, "read ff01/ffa1", ["temperature", "humidity"]),
        ("slow", 3600, "connect", []),
        ("slow", 3600, "read ff01/ffa1", ["temperature", "humidity"]),
        ("slow", 3600, "read ff01/ffa2", ["battery"]),
    ]
    assert sum(block.seconds for block in shown.blocks if block.group == "fast") == pytest.approx(CONNECT_SECONDS + 0.1)
    assert shown.source == "made up for a test, 1, all"
