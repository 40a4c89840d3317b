from datetime import UTC, datetime

from gateway.recent_frames import HIDDEN, LONGEST_FRAME, RecentFrames, frames_of, recorded_frame


def test_the_last_frames_are_kept_in_order_with_their_direction():
    frames = RecentFrames(most=2)
    frames.sent(b"\x00")
    frames.sent(b"\x01\x03")
    frames.received(b"\x01\x83\x02")
    assert [line.partition(" ")[2] for line in frames.lines()] == ["> 01 03", "< 01 83 02"]


def test_a_long_frame_is_cut_and_says_so():
    frames = RecentFrames()
    frames.received(bytes(LONGEST_FRAME))
    frames.received(bytes(LONGEST_FRAME + 1))
    assert [line.endswith("...") for line in frames.lines()] == [False, True]


def test_an_answer_counts_to_the_address_that_was_asked_last():
    frames = RecentFrames()
    frames.received(b"\x00")
    frames.sent(b"\x03\x04", "3")
    frames.received(b"\x03\x05")
    parts = [recorded_frame(line) for line in frames.lines()]
    assert [(one.direction, one.address, one.text) for one in parts] == [
        ("<", None, "00"),
        (">", "3", "03 04"),
        ("<", "3", "03 05"),
    ]


def test_no_byte_is_kept_of_what_may_contain_a_secret():
    frames = RecentFrames()
    with frames.hiding():
        frames.sent(b"hunter2")
        frames.received(b"hunter2")
    frames.sent(b"later")
    assert [recorded_frame(line).text for line in frames.lines()] == [HIDDEN, HIDDEN, "6c 61 74 65 72"]


def test_text_is_shown_as_text_and_other_bytes_are_not():
    assert recorded_frame("10:00:00.000 < 3f 50 57 52 0d").characters == "?PWR·"
    assert recorded_frame("10:00:00.000 > [3] 03 04 00 00 00 01").characters is None
    odd = recorded_frame("something of another adapter")
    assert (odd.text, odd.at, odd.characters) == ("something of another adapter", None, None)


def test_a_line_has_the_day_on_which_it_can_have_been_written():
    now = datetime(2026, 11, 30, 0, 5, tzinfo=UTC)
    assert recorded_frame("00:04:59.500 > [3] 03", now).at == datetime(2026, 11, 30, 0, 4, 59, 500_000, UTC)
    assert recorded_frame("23:59:59.000 > [3] 03", now).at == datetime(2026, 11, 29, 23, 59, 59, tzinfo=UTC)
    assert recorded_frame("25:00:00.000 > [3] 03", now).at is None


def test_a_frame_in_its_parts_is_the_same_line_again():
    frames = RecentFrames()
    frames.sent(b"\x03\x04", "3")
    frames.received(b"\x03\x05")
    assert [str(one) for one in frames.recorded()] == frames.lines() == [str(recorded_frame(line)) for line in frames.lines()]


def test_the_frames_of_one_device_are_those_of_its_address_or_all_where_there_are_no_addresses():
    frames = RecentFrames()
    frames.sent(b"\x03", "3")
    frames.sent(b"\x04", "4")
    assert [one.text for one in frames_of(frames.recorded(), "4")] == ["04"]
    without = RecentFrames()
    without.sent(b"\x05")
    assert [one.text for one in frames_of(without.recorded(), "4")] == ["05"]
