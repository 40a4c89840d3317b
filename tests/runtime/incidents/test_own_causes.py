"""Faults of the gateway itself become incidents with what to do."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.runtime.incidents.own_causes import LossCause, StoreCause, clock_cause, recovery_cause
from gateway.state.incidents import Priority
from gateway.state.outbox import Loss, LossReason
from gateway.state.recovery.recoveries import Recovery, RecoveryKind

AT = datetime(2026, 12, 1, tzinfo=UTC)


def loss(samples, why=LossReason.THINNED, child="c1"):
    return Loss(child, why, AT, AT, samples)


def test_a_store_that_keeps_failing_is_a_critical_incident_until_it_works_again():
    cause = StoreCause()
    assert list(cause.current(0, "database or disk is full")) == []
    (incident,) = cause.current(5, "database or disk is full")
    assert incident.priority is Priority.CRITICAL
    assert "database or disk is full" in incident.what_to_do
    assert list(cause.current(6, None)) == []
    assert list(cause.current(7, "database or disk is full")) == []


def test_a_lost_store_is_an_incident_for_a_day_that_says_what_is_lost():
    lost = Recovery(AT, RecoveryKind.LOST, "the store was missing. The gateway goes on")
    (incident,) = recovery_cause([lost], AT + timedelta(hours=23))
    assert "the store was missing. The gateway goes on" in incident.what_to_do
    assert list(recovery_cause([lost], AT + timedelta(hours=24))) == []
    assert list(recovery_cause([lost._replace(kind=RecoveryKind.RESTORED)], AT)) == [], "a person did it"


def test_lost_samples_are_an_incident_with_the_reason_until_none_is_lost_for_a_while():
    cause = LossCause([loss(100)])
    assert list(cause.current(0)) == []
    assert cause.take([loss(150), loss(3, child="c2")], 10) == f"53 because {LossReason.THINNED}"
    assert cause.take([loss(150), loss(3, child="c2")], 11) is None
    (incident,) = cause.current(10)
    assert incident.cause == "samples_lost"
    assert f"53 because {LossReason.THINNED}" in incident.what_to_do
    assert "most_mb" in incident.what_to_do
    assert list(cause.current(909))
    assert list(cause.current(910)) == []


def test_samples_that_the_hub_rejects_are_an_incident_that_names_the_reason():
    cause = LossCause([])
    cause.take([loss(1, LossReason.REJECTED)], 0)
    (incident,) = cause.current(0)
    assert f"1 because {LossReason.REJECTED}" in incident.what_to_do
    assert "most_mb" not in incident.what_to_do


def test_samples_that_the_store_did_not_take_are_an_incident_that_asks_for_the_disk():
    cause = LossCause([])
    assert cause.is_over
    cause.take([loss(9, LossReason.MERGED)], 0)
    (incident,) = cause.current(0)
    assert "free space on its disk" in incident.what_to_do
    assert not cause.is_over


def test_samples_of_a_child_that_was_deleted_on_purpose_are_no_incident():
    cause = LossCause([])
    cause.take([loss(500, LossReason.DELETED)], 0)
    assert list(cause.current(0)) == []


@pytest.mark.parametrize("ahead", [None, timedelta(seconds=59), timedelta(seconds=-59)])
def test_a_clock_that_is_right_or_unknown_is_no_incident(ahead):
    assert list(clock_cause(ahead, AT, "hub.example")) == []


@pytest.mark.parametrize(("ahead", "words"), [(timedelta(days=30), "30 days ahead of"), (timedelta(minutes=-3), "3 min behind")])
def test_a_wrong_clock_is_an_incident_with_the_difference_and_the_command_that_sets_it(ahead, words):
    (incident,) = clock_cause(ahead, AT, "hub.example")
    assert incident.cause == "clock_wrong"
    assert f"It is {words}" in incident.what_to_do
    assert "timedatectl" in incident.what_to_do
