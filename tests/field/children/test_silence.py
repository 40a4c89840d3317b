import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.field.children.silence import INTERVALS_LEARNED_FROM, NEVER, SHORTEST_LIMIT_SECONDS, SilenceDetector


def listening(fall_back=900.0):
    detector = SilenceDetector()
    detector.expect("thermometer", fall_back, 0)
    return detector


def spoken(detector, every, times, start=0.0):
    for number in range(times):
        detector.record_message("thermometer", start + number * every)
    return start + (times - 1) * every


def test_before_anything_is_learned_the_adapters_word_counts():
    detector = listening(195)
    assert detector.newly_silent(194) == []
    assert detector.newly_silent(195) == [("thermometer", "not heard for 3 min")]


def test_a_silence_is_told_once_and_again_only_after_it_spoke():
    detector = listening()
    assert len(detector.newly_silent(900)) == 1
    assert detector.newly_silent(901) == []
    assert detector.next_check_at() == NEVER
    detector.record_message("thermometer", 1000)
    assert detector.newly_silent(1001) == []
    assert len(detector.newly_silent(1900)) == 1


def test_how_long_a_silence_is_normal_is_learned_from_the_devices_own_interval():
    detector = listening()
    end = spoken(detector, 60, INTERVALS_LEARNED_FROM + 1)
    assert detector.newly_silent(end + 179) == []
    ((_, why),) = detector.newly_silent(end + 180)
    assert why == "not heard for 3 min; it used to send at least every 60 s"


def test_a_device_that_speaks_more_seldom_than_was_assumed_is_waited_for_from_its_first_interval_on():
    detector = listening(900)
    detector.record_message("thermometer", 0)
    detector.record_message("thermometer", 3600)
    assert detector.newly_silent(3600 + 3 * 3600 - 1) == []


def test_a_fast_talker_is_given_half_a_minute():
    detector = listening()
    end = spoken(detector, 0.1, 400)
    assert detector.next_check_at() == end + SHORTEST_LIMIT_SECONDS
    assert detector.newly_silent(end + SHORTEST_LIMIT_SECONDS - 0.1) == []


def test_what_is_said_several_times_in_a_row_is_one_utterance():
    detector = listening()
    for number in range(INTERVALS_LEARNED_FROM + 1):
        for repeat in range(10):
            detector.record_message("thermometer", 60 * number + repeat * 0.03)
    assert detector.next_check_at() == pytest.approx(60 * INTERVALS_LEARNED_FROM + 9 * 0.03 + 180)


def test_nobody_is_blamed_for_the_time_the_bus_was_deaf():
    detector = listening()
    end = spoken(detector, 1, 30)
    detector.resume(3600, end + 3600)
    assert detector.newly_silent(end + 3600 + SHORTEST_LIMIT_SECONDS - 1) == []
    detector.record_message("thermometer", end + 3601)
    assert detector.next_check_at() == end + 3601 + SHORTEST_LIMIT_SECONDS, "the hour without a bus was no interval"


def test_a_child_that_is_not_listened_for_is_no_business_of_anybody():
    detector = listening()
    detector.forget("thermometer")
    detector.record_message("thermometer", 5)
    detector.record_message("stranger", 5)
    assert detector.newly_silent(10_000) == []
    assert "thermometer" not in detector


@given(st.lists(st.floats(0, 4000), min_size=1, max_size=60))
def test_the_next_moment_is_never_later_than_the_first_silence(gaps):
    detector, now = listening(300), 0.0
    for gap in gaps:
        now += gap
        detector.record_message("thermometer", now)
    moment = detector.next_check_at()
    assert detector.newly_silent(moment - 0.001) == []
    assert len(detector.newly_silent(moment)) == 1
    assert moment - now > SHORTEST_LIMIT_SECONDS - 0.001


def test_a_bus_that_is_opened_anew_since_nobody_speaks_excuses_only_the_time_it_was_closed():
    detector = listening(900)
    detector.record_message("thermometer", 0)
    now, told = 0.0, []
    while now < 1200 and not told:
        now += 90
        told = detector.newly_silent(now)
        detector.resume(1, now + 1)
        now += 1
    assert 900 <= now < 1010, "however often it is opened anew"
    assert told


def test_after_the_bus_was_deaf_everybody_is_given_a_moment():
    detector = listening(195)
    detector.record_message("thermometer", 0)
    detector.resume(1, 191)
    assert detector.newly_silent(191 + SHORTEST_LIMIT_SECONDS - 1) == []
    assert detector.newly_silent(191 + SHORTEST_LIMIT_SECONDS) != []


def test_a_child_that_was_silent_before_a_reopening_is_reported_again_after_it():
    detector = listening(195)
    assert detector.newly_silent(195)
    detector.resume(1, 200)
    assert detector.newly_silent(200 + SHORTEST_LIMIT_SECONDS)


def test_a_few_short_intervals_do_not_shorten_the_default_limit():
    detector = listening(900)
    end = spoken(detector, 10, INTERVALS_LEARNED_FROM)
    assert detector.next_check_at() == end + 900


def test_the_longest_interval_counts():
    detector = listening(900)
    end = spoken(detector, 20, INTERVALS_LEARNED_FROM)
    detector.record_message("thermometer", end + 100)
    assert detector.next_check_at() == end + 100 + 300


def test_a_new_default_limit_applies_at_once():
    detector = listening(900)
    detector.expect("thermometer", 100, 50)
    assert detector.next_check_at() == 100


def test_a_child_that_is_expected_again_gets_no_new_time():
    detector = listening(900)
    detector.expect("thermometer", 900, 500)
    assert detector.next_check_at() == 900
