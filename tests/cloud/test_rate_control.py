from datetime import timedelta

import pytest

from gateway.cloud import rate_control as module
from gateway.cloud.rate_control import MOST_QUIET_SECONDS, Pace, Strand
from gateway.errors import HubBusy, HubUnreachable

AWAY = HubUnreachable("no route", maybe_done=False)


def busy(seconds=None):
    return HubBusy("429", retry_after_seconds=seconds)


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1000.0

        def pass_by(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    monkeypatch.setattr(module, "uniform", lambda low, high: high)
    return clock


def test_a_strand_that_fails_waits_longer_and_longer_whatever_the_others_hear(clock):
    pace, waits = Pace(), []
    for _ in range(8):
        pace.failed(Strand.CHILDREN, AWAY)
        waits.append(pace.seconds_left(Strand.CHILDREN))
        pace.answered(Strand.TELEMETRY)
        assert pace.seconds_left(Strand.TELEMETRY) <= 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pace.problem == "no route"
    pace.answered(Strand.CHILDREN)
    assert pace.problem is None


def test_a_429_stops_every_strand(clock):
    pace = Pace()
    pace.failed(Strand.ERRANDS, busy())
    assert {pace.seconds_left(strand) for strand in Strand} == {5}


def test_429s_to_calls_that_were_under_way_count_once(clock):
    pace = Pace()
    for strand in Strand:
        pace.failed(strand, busy())
    pace.answered(Strand.TELEMETRY)
    assert pace.seconds_left(Strand.TELEMETRY) == 5
    assert pace.problem is not None, "an answer to a call from before is no sign that the quiet is over"
    clock.pass_by(5)
    pace.failed(Strand.TELEMETRY, busy())
    assert pace.seconds_left(Strand.TELEMETRY) == 10, "it wants more quiet"
    clock.pass_by(10)
    pace.answered(Strand.TELEMETRY)
    pace.failed(Strand.TELEMETRY, busy())
    assert pace.seconds_left(Strand.TELEMETRY) == 5


@pytest.mark.parametrize(("asked", "kept"), [(0, 1), (7, 7), (timedelta(days=400).total_seconds(), MOST_QUIET_SECONDS)])
def test_a_retry_after_is_obeyed_within_reason(clock, asked, kept):
    pace = Pace()
    pace.failed(Strand.TELEMETRY, busy(asked))
    assert pace.seconds_left(Strand.TELEMETRY) == kept


def test_that_there_was_nothing_to_register_does_not_say_that_the_hub_answers():
    pace = Pace()
    pace.answered(Strand.CHILDREN)
    assert pace.is_reachable is None
    pace.answered(Strand.TELEMETRY)
    assert pace.is_reachable is True


def test_a_server_that_only_takes_no_children_is_not_the_hub_being_away():
    pace = Pace()
    pace.answered(Strand.TELEMETRY)
    since = pace.since
    pace.failed(Strand.CHILDREN, AWAY)
    assert (pace.is_reachable, pace.since, pace.problem) == (True, since, "no route")
    pace.failed(Strand.TELEMETRY, AWAY)
    assert pace.is_reachable is False
    assert pace.since > since
    away_since = pace.since
    pace.answered(Strand.CHILDREN)
    assert (pace.is_reachable, pace.since) == (False, away_since)
    pace.answered(Strand.TELEMETRY)
    assert (pace.is_reachable, pace.problem) == (True, None)
