from datetime import UTC, datetime, timedelta

import pytest

from adapters.modbus.client import ascii_frames
from adapters.modbus.client.frame_descriptions import explained
from adapters.modbus.client.rtu_frames import with_checksum
from gateway.adapter import RecordedFrame

AT = datetime(2026, 11, 30, 8, tzinfo=UTC)


def recorded(*frames):
    return [
        RecordedFrame(content.hex(" "), AT + timedelta(milliseconds=number), direction, "5")
        for number, (direction, content) in enumerate(frames)
    ]


def told(framing, *frames):
    return [(one.direction, one.meaning, one.is_wrong) for one in explained(recorded(*frames), framing)]


def rtu(text):
    return with_checksum(bytes.fromhex(text))


def tcp(transaction, text):
    content = bytes.fromhex(text)
    return transaction.to_bytes(2) + b"\0\0" + len(content).to_bytes(2) + content


IDENTIFY = "read device identification"
READ = rtu("05 03 0000 0002")


@pytest.mark.parametrize(
    ("request_bytes", "answer", "asked", "answered"),
    [
        ("05 03 0000 0002", "05 03 04 0001 ffff", "read holding registers 0 to 1", "holding registers 0 to 1 = 1, 65535"),
        ("05 04 000a 0001", "05 04 02 00e6", "read input register 10", "input register 10 = 230"),
        ("05 01 0003 000a", "05 01 02 cd01", "read coils 3 to 12", "coils 3 to 12 = 1, 0, 1, 1, 0, 0, 1, 1, 1, 0"),
        ("05 06 0028 0001", "05 06 0028 0001", "write holding register 40: 1", "confirms the write"),
        ("05 10 0028 0002 04 0001 0002", "05 10 0028 0002", "write holding registers 40 to 41: 1, 2", "confirms the write"),
        ("05 05 0003 ff00", "05 05 0003 ff00", "write coil 3: 1", "confirms the write"),
        ("05 11", "05 11 03 41 42 ff", "read server id", "answer to read server id"),
        ("05 2b 0e 01 00", "05 2b 0e 01 01 00 00 01 00 04 41636d65", IDENTIFY, f"answer to {IDENTIFY}: Acme"),
    ],
)  # fmt: skip
def test_requests_and_answers_are_told_in_words(request_bytes, answer, asked, answered):
    unit = "unit 5: "
    assert told("tcp", (">", tcp(7, request_bytes)), ("<", tcp(7, answer))) == [
        (">", f"{unit}{asked}; transaction 7", False),
        ("<", f"{unit}{answered}; transaction 7", False),
    ]
    if asked != answered and request_bytes != answer:  # an equal answer is an echo on a line
        assert told("rtu", (">", rtu(request_bytes)), ("<", rtu(answer)))[1] == ("<", f"{unit}{answered}; checksum right", False)


def test_an_exception_is_named_and_marked():
    _, answer = told("rtu", (">", READ), ("<", rtu("05 83 02")))
    assert answer == ("<", "unit 5: exception 02, illegal data address, to read holding registers; checksum right", True)


def test_a_wrong_checksum_is_said_with_the_right_one():
    good = rtu("05 03 04 0001 0002")
    _, answer = told("rtu", (">", READ), ("<", good[:-1] + bytes([good[-1] ^ 1])))
    assert "checksum wrong" in answer[1]
    assert good[-2:].hex() in answer[1]
    assert answer[2]


def test_pieces_of_an_answer_are_put_together_with_the_time_of_the_first():
    answer = rtu("05 03 04 0001 0002")
    frames = explained(recorded((">", READ), ("<", answer[:3]), ("<", answer[3:])), "rtu")
    assert [one.text for one in frames] == [READ.hex(" "), answer.hex(" ")]
    assert frames[1].at == AT + timedelta(milliseconds=1)


def test_two_answers_in_one_piece_are_taken_apart():
    pieces = tcp(1, "05 03 02 0001") + tcp(2, "05 03 02 0002")
    requests = [(">", tcp(number, "05 03 0000 0001")) for number in (1, 2)]
    assert [words for _, words, _ in told("tcp", *requests, ("<", pieces))[2:]] == [
        "unit 5: holding register 0 = 1; transaction 1",
        "unit 5: holding register 0 = 2; transaction 2",
    ]


def test_an_echo_stray_bytes_and_the_answer_of_another_unit_are_told_apart():
    other = rtu("06 03 04 0001 0002")
    assert [(words, is_wrong) for _, words, is_wrong in told("rtu", (">", READ), ("<", READ + b"\x00" + other))[1:]] == [
        ("echo of the request", False),
        ("bytes that belong to no frame", True),
        ("unit 6: holding registers 0 to 1 = 1, 2; checksum right, but unit 5 was asked", True),
    ]


def test_an_answer_to_nothing_here_an_early_end_and_another_protocol_are_marked():
    assert told("tcp", ("<", tcp(9, "05 03 02 0001")))[0][1].endswith("transaction 9, of no request here")
    assert "ended 2 bytes early" in told("tcp", (">", tcp(1, "05 03 0000 0001")), ("<", tcp(1, "05 03 02 0001")[:-2]))[1][1]
    assert told("tcp", ("<", b"HTTP/1.1 400"))[0][1] == "not Modbus TCP"


def test_more_or_fewer_registers_than_asked_for_are_marked():
    _, few = told("rtu", (">", rtu("05 03 0000 0003")), ("<", rtu("05 03 04 0001 0002")))
    assert few == ("<", "unit 5: 2 holding registers, and 3 were asked for: 1, 2; checksum right", True)


def test_ascii_frames_are_told_in_the_same_words():
    request, answer = (
        ascii_frames.frame_of(5, bytes.fromhex("03 0000 0001")),
        ascii_frames.frame_of(5, bytes.fromhex("03 02 0007")),
    )
    assert [words for _, words, _ in told("ascii", (">", request), ("<", answer[:4]), ("<", answer[4:]))] == [
        "unit 5: read holding register 0",
        "unit 5: holding register 0 = 7; checksum right",
    ]
    damaged = answer.replace(b"7", b"8", 1)
    assert told("ascii", (">", request), ("<", damaged))[1][1:] == ("no frame with a right checksum", True)


def test_any_bytes_are_told_without_an_error_and_nothing_is_logged(caplog):
    for framing in ("tcp", "rtu", "ascii"):
        for content in (
            b"",
            b"\x00",
            b"\x05",
            b"\x05\x64\x01\x02\x03",
            bytes(300),
            bytes(range(256)),
            rtu("05 64 01"),
            rtu("05 83"),
            rtu("05 03"),
        ):
            told(framing, (">", content), ("<", content), ("<", content[:1]))
    assert caplog.records == []


def test_what_may_contain_a_secret_stays_as_it_is():
    hidden = RecordedFrame("(not kept: it may contain a secret)", AT, ">", "5")
    assert explained([hidden], "rtu") == [hidden]
