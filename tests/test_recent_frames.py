from gateway.recent_frames import HIDDEN, LONGEST_FRAME, RecentFrames, frame_line


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
    parts = [frame_line(line) for line in frames.lines()]
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
    assert [frame_line(line).text for line in frames.lines()] == [HIDDEN, HIDDEN, "6c 61 74 65 72"]


def test_text_is_shown_as_text_and_other_bytes_are_not():
    assert frame_line("10:00:00.000 < 3f 50 57 52 0d").characters == "?PWR·"
    assert frame_line("10:00:00.000 > [3] 03 04 00 00 00 01").characters is None
    odd = frame_line("something of another adapter")
    assert (odd.text, odd.at, odd.characters) == ("something of another adapter", None, None)
