"""The clock of the cloud is known from its responses, and one odd response changes nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.cloud.client import CloudAccess, HttpHub
from gateway.cloud.server_clock import ServerClock
from gateway.hub import TelemetryMessage
from gateway.models import Status

pytestmark = pytest.mark.enable_socket

AT = datetime(2026, 12, 1, tzinfo=UTC)


def clock_after(*seconds_ahead):
    clock = ServerClock()
    for seconds in seconds_ahead:
        clock.record("hub.example", None if seconds is None else AT - timedelta(seconds=seconds), AT)
    return clock


def test_the_difference_is_known_after_three_responses():
    assert clock_after(100, 100).ahead is None
    assert clock_after(100, None, 100, 101).ahead == timedelta(seconds=100)


def test_one_odd_response_changes_nothing():
    assert clock_after(0, 1, 86_400).ahead == timedelta(seconds=1)


def test_a_clock_that_was_set_is_right_after_two_responses():
    assert clock_after(500, 500, 500, 0, 0).ahead == timedelta(seconds=0)


async def test_every_response_of_the_hub_is_compared(hub, hub_server, parent):
    hub_server.answers({"success": True}, status=201, headers={"Date": "Tue, 01 Dec 2020 00:00:00 GMT"})
    for _ in range(3):
        await hub.send_telemetry(parent, TelemetryMessage(status=Status.ONLINE, values={}))
    assert hub.clock.ahead > timedelta(days=1000)
    assert hub.clock.server in hub_server.url


async def test_a_hub_that_was_never_called_shows_no_difference():
    assert HttpHub(CloudAccess()).clock.ahead is None
