from datetime import UTC, datetime, timedelta

from gateway.causes import Reason
from gateway.field.children.availability import Availability, AvailabilityChange, ChildAvailability
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


class Changes:
    """Notes each change that an observer gets."""

    def __init__(self):
        self.seen = []

    def take(self, readings):
        pass

    def missed(self, child, why):
        pass

    def changed(self, child, reach, at, why):
        self.seen.append((child, reach, at))


def restored(former):
    changes = Changes()
    availability = Availability(observer=changes)
    reason = Reason("no answer") if former is Reach.SILENT else None
    availability.restore("a", ChildAvailability(former, NOW, reason, 3))
    return availability, changes


def test_before_it_is_asked_a_child_is_what_it_was_before_the_start():
    availability, _ = restored(Reach.SILENT)
    of = availability.of("a")
    assert (of.reach, of.last_reach, of.since, of.why) == (Reach.UNKNOWN, Reach.SILENT, NOW, "no answer")


def test_what_goes_on_over_a_restart_began_when_it_began_and_is_no_news():
    later = NOW + timedelta(hours=1)
    availability, changes = restored(Reach.SILENT)
    assert availability.record_miss("a", later, Reason("still none")).is_continued
    assert (availability.of("a").since, availability.of("a").why) == (NOW, "still none")
    assert changes.seen == []
    availability, changes = restored(Reach.REACHABLE)
    assert availability.record_answer("a", later).is_continued
    assert availability.of("a").since == NOW
    assert changes.seen == []


def test_what_changed_over_a_restart_is_news_of_the_moment_at_which_it_is_seen():
    later = NOW + timedelta(hours=1)
    availability, changes = restored(Reach.REACHABLE)
    assert not availability.record_miss("a", later, Reason("gone")).is_continued
    assert availability.of("a").since == later
    assert changes.seen == [("a", Reach.SILENT, later)]
    availability, changes = restored(Reach.SILENT)
    assert not availability.record_answer("a", later).is_continued
    assert changes.seen == [("a", Reach.REACHABLE, later)]


def test_what_this_run_knows_is_not_overwritten_and_a_removed_child_is_forgotten():
    availability = Availability()
    availability.record_answer("a", NOW + timedelta(hours=1))
    availability.restore("a", ChildAvailability(Reach.SILENT, NOW, Reason("old"), 3))
    assert availability.of("a").reach is Reach.REACHABLE
    availability.restore("b", ChildAvailability(Reach.SILENT, NOW, Reason("old"), 3))
    availability.forget("b")
    assert availability.of("b").last_reach is Reach.UNKNOWN


def test_a_change_before_the_clock_was_set_gets_its_right_time_and_an_earlier_run_keeps_its_own():
    unset = datetime(1970, 1, 1, 0, 1, tzinfo=UTC)
    availability, _ = restored(Reach.SILENT)
    availability.record_miss("a", unset, Reason("still none"))
    availability.record_miss("b", unset, Reason("gone"))
    availability.redate(lambda at: at + (NOW - unset), ["b"])
    assert (availability.of("a").since, availability.of("b").since) == (NOW, NOW)
