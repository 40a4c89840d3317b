"""The search for the awaited answer among everything that arrives on an RTU line, in pieces of every size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import ReadDeviceIdentification, ReadRequest, ReportServerId, Table, WriteRequest
from adapters.modbus.client.rtu_frames import LONGEST_FRAME_BYTES, with_checksum
from adapters.modbus.client.rtu_search import Awaited, FrameKind, RtuSearch

ODD_UNITS = [*range(1, 8), 15, 16, 17, 20, 43, 200, 247]
"""Units whose id is the code of a function, and others: behind a stray byte they look like the function of unit 0."""


def frame(text):
    return with_checksum(bytes.fromhex(text))


class Receiver:
    """Feeds pieces to the search, and keeps what it has not used, as pymodbus does."""

    def __init__(self, awaited=None, sent=b"", *, echo_is_due=False):
        self.search = RtuSearch()
        self.search.sent, self.search.echo_is_due = sent, echo_is_due
        self.awaited = awaited
        self.buffer = b""
        self.frames, self.noise = [], b""
        self.longest_buffer = 0

    def hear(self, data, piece=None, now=0.0):
        for at in range(0, len(data), piece or len(data)):
            self.buffer += data[at : at + (piece or len(data))]
            heard = self.search.search(self.buffer, self.awaited, now)
            self.buffer = self.buffer[heard.used :]
            self.frames += heard.frames
            self.noise += heard.noise
            if any(one.kind is FrameKind.AWAITED for one in heard.frames):
                self.awaited = None
            self.longest_buffer = max(self.longest_buffer, len(self.buffer))
        return self

    @property
    def kinds(self):
        return [one.kind for one in self.frames]

    @property
    def answer(self):
        found = [one.pdu for one in self.frames if one.kind is FrameKind.AWAITED]
        assert len(found) <= 1
        return found[0] if found else None


STRAYS = ["00", "FF", "55", "04", "00 00", "00 FF 00", "F8 FE", "01 03 F0", "11 11 11 11"]


@pytest.mark.parametrize("stray", STRAYS)
def test_a_stray_byte_before_and_after_an_answer_hides_no_unit_at_any_size_of_the_pieces(stray):
    noise = bytes.fromhex(stray)
    for unit in ODD_UNITS:
        for own in (noise, noise + bytes([unit])):  # the last stray byte may even be the id of the unit
            for answer in (frame(f"{unit:02X} 04 02 1234"), frame(f"{unit:02X} 84 02")):
                for before, after in ((own, b""), (b"", own), (own, own)):
                    for piece in (1, 2, 3, 5, None):
                        heard = Receiver(Awaited(unit, ReadRequest(Table.INPUT, 0, 1)))
                        heard.hear(before + answer + after, piece)
                        assert heard.answer == answer[1:-2]
                        assert heard.noise + heard.buffer == before + after


def test_the_answer_of_the_report_is_found_behind_its_stray_byte():
    heard = Receiver(Awaited(4, ReadRequest(Table.HOLDING, 0, 1))).hear(bytes.fromhex("00 04 83 02 D0 F0"))
    assert (heard.answer, heard.noise) == (b"\x83\x02", b"\0")


EXCHANGES = {
    "coils": ("09 01 0000 000A", "09 01 02 CD01"),
    "discrete inputs": ("09 02 00C4 0016", "09 02 03 ACDB35"),
    "holding registers": ("09 03 006B 0003", "09 03 06 022B 0000 0064"),
    "input registers": ("09 04 0008 0001", "09 04 02 000A"),
    "a refused read": ("09 03 FFFF 0001", "09 83 02"),
    "one coil": ("09 05 00AC FF00", "09 05 00AC FF00"),
    "one register": ("09 06 0001 0003", "09 06 0001 0003"),
    "coils written": ("09 0F 0013 000A 02 CD01", "09 0F 0013 000A"),
    "registers written": ("09 10 0001 0002 04 000A 0102", "09 10 0001 0002"),
    "server id": ("09 11", "09 11 03 42FF 01"),
    "a masked write": ("09 16 0004 00F2 0025", "09 16 0004 00F2 0025"),
    "read and write": ("09 17 0003 0001 000E 0001 02 00FF", "09 17 02 00FE"),
    "identification": ("09 2B 0E 01 00", "09 2B 0E 01 01 00 00 02 00 04 41636D65 01 03 453130"),
    "a queue": ("09 18 04DE", "09 18 0006 0002 01B8 1284"),
    "a broadcast": ("00 06 0001 0003", ""),
}


@pytest.mark.parametrize("piece", [1, 4, 16, None])
@pytest.mark.parametrize(("request_", "answer"), EXCHANGES.values(), ids=EXCHANGES.keys())
def test_what_another_master_asks_and_is_answered_is_set_aside(request_, answer, piece):
    theirs = frame(request_) + (frame(answer) if answer else b"")
    ours = frame("05 03 02 1234")
    heard = Receiver(Awaited(5, ReadRequest(Table.HOLDING, 0, 1))).hear(theirs + ours + theirs, piece)
    assert heard.answer == ours[1:-2]
    assert heard.noise == b""
    assert len(heard.frames) == (5 if answer else 3)
    if request_ != answer and answer:  # a write of one value and its confirmation look the same
        assert heard.kinds[:2] == [FrameKind.FOREIGN_REQUEST, FrameKind.FOREIGN_ANSWER]


OURS = {
    "a read": (ReadRequest(Table.HOLDING, 0, 2), "05 03 04 1234 5678"),
    "bits": (ReadRequest(Table.COIL, 0, 10), "05 01 02 0502"),
    "a refusal": (ReadRequest(Table.COIL, 0, 10), "05 81 02"),
    "a refusal of the maker's own": (ReadRequest(Table.INPUT, 0, 10), "05 84 20"),
    "a server id": (ReportServerId(), "05 11 08 42FF 504D2D373130"),
    "an identification": (ReadDeviceIdentification(), "05 2B 0E 01 83 00 00 01 00 04 41636D65"),
    "a write": (WriteRequest(Table.HOLDING, 1, (3,)), "05 06 0001 0003"),
    "writes": (WriteRequest(Table.HOLDING, 1, (3, 4)), "05 10 0001 0002"),
}


@pytest.mark.parametrize(("request_", "answer"), OURS.values(), ids=OURS.keys())
def test_every_answer_is_found_between_the_frames_of_others(request_, answer):
    ours = frame(answer)
    theirs = b"".join(frame(one) for pair in EXCHANGES.values() for one in pair if one)
    for piece in (1, 7, None):
        heard = Receiver(Awaited(5, request_)).hear(b"\0" + theirs + b"\xff" + ours + b"\0" + theirs, piece)
        assert heard.answer == ours[1:-2]
        assert heard.noise == b"\x00\xff\x00"


def test_an_answer_that_follows_another_masters_request_belongs_to_that():
    theirs = frame("05 03 0064 0001") + frame("05 03 02 DEAD")
    for piece in (1, None):
        heard = Receiver(Awaited(5, ReadRequest(Table.HOLDING, 0, 1)))
        heard.hear(theirs, piece)
        assert heard.answer is None
        heard.hear(frame("05 03 02 1234"), piece)
        assert heard.answer == bytes.fromhex("03 02 1234")


def test_an_answer_that_another_master_did_not_get_in_a_second_is_ours():
    heard = Receiver(Awaited(5, ReadRequest(Table.HOLDING, 0, 1)))
    heard.hear(frame("05 03 0064 0001"), now=0.0)
    heard.hear(frame("05 03 02 1234"), now=1.5)
    assert heard.answer == bytes.fromhex("03 02 1234")


def test_an_answer_of_another_size_is_not_the_awaited_one():
    heard = Receiver(Awaited(5, ReadRequest(Table.HOLDING, 0, 1))).hear(frame("05 03 04 1234 5678") + frame("05 03 02 1234"))
    assert heard.kinds == [FrameKind.ANSWER, FrameKind.AWAITED]


def test_our_own_request_behind_a_stray_byte_is_an_echo_and_no_other_master():
    sent = frame("05 03 0000 0001")
    heard = Receiver(Awaited(5, ReadRequest(Table.HOLDING, 0, 1)), sent).hear(b"\0" + sent + frame("05 03 02 1234"), 1)
    assert heard.kinds == [FrameKind.ECHO, FrameKind.AWAITED]


def test_the_echo_of_a_write_confirms_nothing_where_an_echo_is_due():
    sent = frame("05 06 0001 0003")
    write = Awaited(5, WriteRequest(Table.HOLDING, 1, (3,)))
    assert Receiver(write, sent, echo_is_due=True).hear(b"\0" + sent).kinds == [FrameKind.ECHO]
    assert Receiver(write, sent, echo_is_due=True).hear(b"\0" + sent + sent).kinds == [FrameKind.ECHO, FrameKind.AWAITED]
    assert Receiver(write, sent).hear(b"\0" + sent).kinds == [FrameKind.AWAITED]


def test_the_beginning_of_a_long_frame_that_never_comes_hides_no_answer():
    cut = frame("09 03 F0" + "00" * 240)[:20]
    heard = Receiver(Awaited(5, ReadRequest(Table.HOLDING, 0, 1))).hear(cut + frame("05 03 02 1234"), 4)
    assert heard.answer == bytes.fromhex("03 02 1234")
    assert heard.noise == cut


def test_a_late_answer_of_another_unit_is_found_behind_what_looks_like_a_long_frame():
    late = frame("09 03 02 0001")
    heard = Receiver(Awaited(5, ReadRequest(Table.HOLDING, 0, 1))).hear(b"\x01\x03\xf0" + late)
    assert [(one.kind, one.unit) for one in heard.frames] == [(FrameKind.ANSWER, 9)]


@given(st.binary(max_size=2000), st.sampled_from([1, 7, 64, 2000]))
def test_noise_is_never_an_answer_is_counted_and_fills_no_buffer(noise, piece):
    heard = Receiver(Awaited(5, ReadRequest(Table.HOLDING, 0, 1))).hear(noise or b"\0", piece)
    assert heard.answer is None or with_checksum(b"\5" + heard.answer) in noise
    assert heard.longest_buffer <= LONGEST_FRAME_BYTES
    in_frames = sum(3 + len(one.pdu) for one in heard.frames)
    assert len(heard.noise) + in_frames + len(heard.buffer) == len(noise or b"\0")


@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(1, 247), st.integers(1, 60), st.integers(1, 4))
def test_the_answer_is_found_in_any_noise(before, after, unit, piece, count):
    answer = with_checksum(bytes([unit, 3, 2 * count]) + bytes(range(2 * count)))
    heard = Receiver(Awaited(unit, ReadRequest(Table.HOLDING, 0, count))).hear(before + answer + after, piece)
    assert heard.answer == answer[1:-2]


def test_a_checksum_that_is_right_by_chance_inside_noise_is_no_answer():
    shape = bytes.fromhex("05 03 04 12 34")  # 2 bytes longer than what is awaited
    by_chance = b"\x11\x22" + with_checksum(shape) + b"\x33"
    assert Receiver(Awaited(5, ReadRequest(Table.HOLDING, 0, 1))).hear(by_chance, 1).answer is None


def test_a_request_of_another_master_that_begins_like_the_answer_is_found_before_the_answer_is_long_enough():
    foreign = with_checksum(bytes.fromhex("01 03 14 00 00 05"))
    heard = RtuSearch().search(foreign, Awaited(1, ReadRequest(Table.HOLDING, 0, 10)), 0.0)
    assert [frame.kind for frame in heard.frames] == [FrameKind.FOREIGN_REQUEST]
