from gateway.recent_frames import LONGEST_FRAME, RecentFrames


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
