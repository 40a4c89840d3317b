from datetime import UTC, datetime, timedelta

from gateway.causes import Reason
from gateway.field.children.availability import Availability, AvailabilityChange
from gateway.models import Reach

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_one_miss_is_not_silence_and_an_answer_forgives_it():
    availability = Availability(misses_until_silent=3)
    availability.record_answer("a", NOW)
    for _ in range(5):
        assert availability.record_miss("a", NOW, Reason("timeout")) is None
        assert availability.record_miss("a", NOW, Reason("timeout")) is None
        assert availability.record_answer("a", NOW) is None
    assert availability.of("a").reach is Reach.REACHABLE


def test_silence_is_said_once_and_so_is_its_end():
    availability = Availability(misses_until_silent=3)
    assert availability.record_answer("a", NOW) == AvailabilityChange("a", Reach.REACHABLE, NOW, None)
    changes = [availability.record_miss("a", NOW + timedelta(seconds=n), Reason(f"timeout {n}")) for n in range(10)]
    assert [change for change in changes if change] == [
        AvailabilityChange("a", Reach.SILENT, NOW + timedelta(seconds=2), Reason("timeout 2"))
    ]
    standing = availability.of("a")
    assert (standing.since, standing.why, standing.misses) == (NOW + timedelta(seconds=2), "timeout 9", 10)
    later = NOW + timedelta(hours=1)
    assert availability.record_answer("a", later) == AvailabilityChange("a", Reach.REACHABLE, later, None)
    assert availability.record_answer("a", later) is None


def test_a_child_that_never_answered_is_silent_at_its_first_miss():
    assert Availability().record_miss("a", NOW, Reason("timeout")).reach is Reach.SILENT


def test_each_child_stands_for_itself():
    availability = Availability()
    availability.record_answer("a", NOW)
    availability.record_loss("b", NOW, Reason("gone"))
    assert availability.of("a").reach is Reach.REACHABLE
    assert availability.of("c").reach is Reach.UNKNOWN
    availability.forget("b")
    assert availability.of("b").reach is Reach.UNKNOWN


class Onlooker:
    def __init__(self):
        self.told = []

    def take(self, readings):
        self.told.append(("take", len(readings)))

    def missed(self, child, why):
        self.told.append(("missed", child, why))

    def changed(self, child, reach, at, why):
        self.told.append((reach, child, why))


def test_a_witness_is_told_each_miss_and_each_change_once():
    observer = Onlooker()
    availability = Availability(observer=observer)
    availability.record_answer("a", NOW)
    availability.record_answer("a", NOW)
    for _ in range(4):
        availability.record_miss("a", NOW, Reason("no answer"))
    availability.record_answer("a", NOW)
    miss = ("missed", "a", Reason("no answer"))
    assert observer.told == [
        (Reach.REACHABLE, "a", None), miss, miss, miss, (Reach.SILENT, "a", "no answer"), miss, (Reach.REACHABLE, "a", None),
    ]  # fmt: skip
