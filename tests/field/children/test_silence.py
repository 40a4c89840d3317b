from hypothesis import given
from hypothesis import strategies as st

from gateway.field.children.silence import INTERVALS_LEARNED_FROM, NEVER, SHORTEST_PATIENCE_SECONDS, SilenceDetector


def listening(fall_back=900.0):
    presence = SilenceDetector()
    presence.expect("thermometer", fall_back, 0)
    return presence


def spoken(presence, every, times, start=0.0):
    for number in range(times):
        presence.heard("thermometer", start + number * every)
    return start + (times - 1) * every


def test_before_anything_is_learned_the_adapters_word_counts():
    presence = listening(195)
    assert presence.fallen_quiet(194) == []
    assert presence.fallen_quiet(195) == [("thermometer", "not heard for 3 min")]


def test_a_silence_is_told_once_and_again_only_after_it_spoke():
    presence = listening()
    assert len(presence.fallen_quiet(900)) == 1
    assert presence.fallen_quiet(901) == []
    assert presence.next_at() == NEVER
    presence.heard("thermometer", 1000)
    assert presence.fallen_quiet(1001) == []
    assert len(presence.fallen_quiet(1900)) == 1


def test_how_long_a_silence_is_normal_is_learned_from_the_devices_own_interval():
    presence = listening()
    end = spoken(presence, 60, INTERVALS_LEARNED_FROM + 1)
    assert presence.fallen_quiet(end + 179) == []
    ((_, why),) = presence.fallen_quiet(end + 180)
    assert why == "not heard for 3 min; it used to speak at least every 60 s"


def test_a_device_that_speaks_more_seldom_than_was_assumed_is_waited_for_from_its_first_interval_on():
    presence = listening(900)
    presence.heard("thermometer", 0)
    presence.heard("thermometer", 3600)
    assert presence.fallen_quiet(3600 + 3 * 3600 - 1) == []


def test_a_fast_talker_is_given_half_a_minute():
    presence = listening()
    end = spoken(presence, 0.1, 400)
    assert presence.patience_seconds("thermometer") == SHORTEST_PATIENCE_SECONDS
    assert presence.fallen_quiet(end + SHORTEST_PATIENCE_SECONDS - 0.1) == []


def test_what_is_said_several_times_in_a_row_is_one_utterance():
    presence = listening()
    for number in range(INTERVALS_LEARNED_FROM + 1):
        for repeat in range(10):
            presence.heard("thermometer", 60 * number + repeat * 0.03)
    assert presence.patience_seconds("thermometer") == 180


def test_nobody_is_blamed_for_the_time_the_bus_was_deaf():
    presence = listening()
    end = spoken(presence, 1, 30)
    presence.listen_anew(3600, end + 3600)
    assert presence.fallen_quiet(end + 3600 + SHORTEST_PATIENCE_SECONDS - 1) == []
    presence.heard("thermometer", end + 3601)
    assert presence.patience_seconds("thermometer") == SHORTEST_PATIENCE_SECONDS, "the deaf hour was no interval"


def test_a_child_that_is_not_listened_for_is_no_business_of_anybody():
    presence = listening()
    presence.forget("thermometer")
    presence.heard("thermometer", 5)
    presence.heard("stranger", 5)
    assert presence.fallen_quiet(10_000) == []
    assert "thermometer" not in presence


@given(st.lists(st.floats(0, 4000), min_size=1, max_size=60))
def test_the_next_moment_is_never_later_than_the_first_silence(gaps):
    presence, now = listening(300), 0.0
    for gap in gaps:
        now += gap
        presence.heard("thermometer", now)
    moment = presence.next_at()
    assert presence.fallen_quiet(moment - 0.001) == []
    assert len(presence.fallen_quiet(moment)) == 1
    assert moment - now > SHORTEST_PATIENCE_SECONDS - 0.001


def test_a_bus_that_is_opened_anew_since_nobody_speaks_excuses_only_the_time_it_was_closed():
    presence = listening(900)
    presence.heard("thermometer", 0)
    now, told = 0.0, []
    while now < 1200 and not told:
        now += 90
        told = presence.fallen_quiet(now)
        presence.listen_anew(1, now + 1)
        now += 1
    assert 900 <= now < 1010, "however often it is opened anew"
    assert told


def test_after_the_bus_was_deaf_everybody_is_given_a_moment():
    presence = listening(195)
    presence.heard("thermometer", 0)
    presence.listen_anew(1, 191)
    assert presence.fallen_quiet(191 + SHORTEST_PATIENCE_SECONDS - 1) == []
    assert presence.fallen_quiet(191 + SHORTEST_PATIENCE_SECONDS) != []
