"""The link on a serial line in simulated time: pauses, time-outs, late answers, echoes, writes."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.modbus.client.buses import SerialLine
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ExceptionResponse, ReadDeviceIdentification, ReadRequest, Table, WriteRequest
from adapters.modbus.client.rtu_frames import LONGEST_FRAME_BYTES
from adapters.modbus.client.timing import Turnaround
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import BusUnavailable, DeviceUnreachable, OutcomeUnknown
from gateway.testing.clock import simulated
from gateway.testing.modbus import ExceptionCode, Faults, SimulatedUnit
from gateway.testing.modbus import Table as Tables
from gateway.testing.modbus.framing import Frame, Rtu
from gateway.testing.modbus.line import ScriptedUnit, VirtualLine

WORDS = {Tables.HOLDING_REGISTERS: {address: address for address in range(200)}, Tables.COILS: dict.fromkeys(range(32), 0)}
SHORT = RetryPolicy(0.05, late_seconds=1.0)


def on_a_line(test, units=(), *, baudrate=9600, collides=False):
    """Run `test(link, line)` with an open link on a line with these units; the master kept its silence at the end.

    Where late answers may begin at any moment, it can run into one: then it `collides`.
    """

    async def main():
        line = VirtualLine(units or [SimulatedUnit(1, registers=WORDS)], baudrate=baudrate)
        link = Link(SerialLine(port="virtual", baudrate=baudrate), dial=line.dial)
        await link.open()
        try:
            await test(link, line)
        finally:
            link.close()
        assert collides or not line.violations

    simulated(main())


def words(*values):
    return b"".join(value.to_bytes(2) for value in values)


def holding(address, count=1):
    return ReadRequest(Table.HOLDING, address, count)


def time():
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("baudrate", [1200, 9600, 19200, 38400, 115200])
@pytest.mark.parametrize("count", [1, 10, 125])
def test_reads_follow_each_other_as_closely_as_the_specification_allows(baudrate, count):
    async def test(link, line):
        begun = time()
        for _ in range(20):
            await link.ask(1, holding(0, count), RetryPolicy(1))
        least = (13 + 2 * count) * line.character_seconds + 2 * line.silence_seconds
        assert 20 * least / (time() - begun) >= 0.99

    on_a_line(test, baudrate=baudrate)


def test_a_silent_unit_costs_its_request_and_the_timeout():
    async def test(link, line):
        begun = time()
        with pytest.raises(DeviceUnreachable, match=r"no answer within 0\.05 s"):
            await link.ask(9, holding(0, 100), SHORT)
        assert time() - begun == pytest.approx(8 * line.character_seconds + 0.05, abs=0.03)
        assert link.answer_seconds is None

    on_a_line(test)


def test_an_answer_that_has_begun_is_heard_to_its_end():
    async def test(link, line):
        line.in_pieces_of = 8
        payload = await link.ask(1, holding(0, 125), RetryPolicy(0.02))
        assert len(payload) == 250, "255 characters at 1200 bit/s take more than 2 s"

    on_a_line(test, baudrate=1200)


def test_what_a_unit_takes_is_reported_without_the_time_of_its_characters():
    async def test(link, line):
        await link.ask(1, holding(0, 50), RetryPolicy(1))
        assert link.answer_seconds == pytest.approx(0.03, abs=1e-6)

    on_a_line(test, [SimulatedUnit(1, registers=WORDS, turnaround_seconds=0.03)])


@pytest.mark.parametrize("delay", [0.06, 0.1, 0.3, 0.9])
def test_a_late_answer_is_never_taken_for_the_answer_to_another_request(delay):
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=delay)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), SHORT)
        unit.faults = Faults()
        assert await link.ask(1, holding(100, 4), SHORT) == bytes.fromhex("0064 0065 0066 0067")

    on_a_line(test, [unit])


def test_the_same_request_may_be_asked_again_at_once_for_a_late_answer_to_it_is_true():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=0.1)
        begun = time()
        assert await link.ask(1, holding(5), RetryPolicy(0.05, tries=3, late_seconds=1.0)) == b"\0\5"
        assert time() - begun < 0.25

    on_a_line(test, [unit])


def test_a_late_answer_that_was_seen_delays_no_request_any_more():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=0.1)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), SHORT)
        unit.faults = Faults()
        await asyncio.sleep(0.2)
        begun = time()
        await link.ask(1, holding(100, 4), SHORT)
        assert time() - begun < 0.05

    on_a_line(test, [unit])


def test_a_late_answer_that_is_seen_while_a_request_is_held_lets_it_go_at_once():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=0.1)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), SHORT)
        unit.faults = Faults()
        begun = time()
        assert await link.ask(1, holding(100, 4), SHORT) == words(100, 101, 102, 103)
        assert time() - begun < 0.1

    on_a_line(test, [unit])


def test_another_unanswered_request_does_not_make_the_first_forgotten():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        for request, delay in ((holding(0, 4), 0.9), (ReadRequest(Table.INPUT, 0, 4), 0.9)):
            unit.faults = Faults(delay_seconds=delay)
            with pytest.raises(DeviceUnreachable):
                await link.ask(1, request, SHORT)
        unit.faults = Faults(delay_seconds=0.8)
        assert await link.ask(1, holding(100, 4), RetryPolicy(0.9)) == words(100, 101, 102, 103)

    on_a_line(test, [unit])


@pytest.mark.parametrize("tries", [2, 3, 4])
def test_each_answer_to_a_request_that_was_repeated_is_expected(tries):
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=0.6)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), RetryPolicy(0.05, tries=tries, late_seconds=1.0))
        await asyncio.sleep(0.64 - time())
        assert line.exchanges[0].ended_at < time(), "the first late answer has come, the others have not"
        unit.faults = Faults(delay_seconds=0.4)
        assert await link.ask(1, holding(100, 4), RetryPolicy(0.9)) == words(100, 101, 102, 103)

    on_a_line(test, [unit])


def test_a_late_answer_of_another_size_is_left_out_and_the_true_one_awaited():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        assert await link.ask(1, holding(0, 4), RetryPolicy(1)) == words(0, 1, 2, 3)
        unit.faults = Faults(delay_seconds=0.1)
        assert await link.ask(1, holding(0, 4), RetryPolicy(0.05, tries=2, late_seconds=1.0)) == words(0, 1, 2, 3)
        unit.faults = Faults(delay_seconds=0.3)
        assert await link.ask(1, holding(50, 5), RetryPolicy(0.9)) == words(50, 51, 52, 53, 54)

    on_a_line(test, [unit])


def test_a_late_refusal_is_never_taken_for_the_refusal_of_another_request():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=0.3)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(60000, 4), SHORT)
        assert await link.ask(1, holding(50, 5), RetryPolicy(0.9)) == words(50, 51, 52, 53, 54)

    on_a_line(test, [unit])


def test_noise_that_begins_like_a_late_answer_is_not_taken_for_it():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=0.9)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), SHORT)
        line.send_as_other_master(b"\1\x03\x08\0")
        await asyncio.sleep(0.05)
        unit.faults = Faults(delay_seconds=0.8)
        assert await link.ask(1, holding(100, 4), RetryPolicy(0.9)) == words(100, 101, 102, 103)

    on_a_line(test, [unit])


@pytest.mark.parametrize("pieces", [16, 62, 255])
def test_a_late_answer_that_is_handed_over_together_with_the_awaited_one_costs_neither(pieces):
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        line.in_pieces_of = pieces
        late = Rtu().bytes_of(Frame(1, b"\x03\x02\x00\x05"))
        true = Rtu().bytes_of(Frame(1, b"\x03\x04\x00\x07\x00\x08"))
        unit.faults = Faults(silent=True)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(5), SHORT)
        asking = asyncio.create_task(link.ask(1, holding(5), SHORT))
        await asyncio.sleep(0.02)
        line.send_as_other_master(late)
        assert await asking == words(5)
        asking = asyncio.create_task(link.ask(1, holding(7, 2), SHORT))
        await asyncio.sleep(0.02)
        line.send_as_other_master(late + true)
        assert await asking == words(7, 8)

    on_a_line(test, [unit])


def test_an_answer_that_is_said_twice_at_once_costs_nothing(caplog):
    async def main():
        answer = Rtu().bytes_of(Frame(1, b"\x03\x02\x00\x05"))
        line = VirtualLine()

        async def dial(factory):
            transport, protocol = await line.dial(factory)

            def answer_twice(_request):
                for _ in range(2):
                    asyncio.get_running_loop().call_soon(protocol.data_received, answer)

            transport.write = answer_twice
            return transport, protocol

        link = Link(SerialLine(port="virtual", baudrate=9600), dial=dial)
        for _ in range(3):
            assert await link.ask(1, holding(5), SHORT) == b"\0\5"
        link.close()

    simulated(main())
    assert not caplog.records, "an error in a callback of the loop costs a real port"


STEPS = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 2]),
        st.builds(
            ReadRequest, st.sampled_from([Table.HOLDING, Table.INPUT]), st.sampled_from([0, 10, 97]), st.sampled_from([2, 4])
        ),
        st.sampled_from([0.0, 0.06, 0.2, 0.5, 0.9]),  # how late the units answer
        st.sampled_from([0.05, 0.1, 0.9]),  # how long they are waited for
        st.integers(1, 3),  # tries
        st.sampled_from([0.0, 0.0, 0.1, 0.4]),  # pause afterwards
    ),
    min_size=5,
    max_size=30,
)


@settings(deadline=None)
@given(steps=STEPS, baudrate=st.sampled_from([9600, 19200, 115200]), pieces=st.sampled_from([1, 16, 255]), echoes=st.booleans())
def test_however_late_units_answer_no_value_and_no_refusal_is_that_of_another_request(steps, baudrate, pieces, echoes):
    units = {number: _telling_unit(number) for number in (1, 2)}

    async def test(link, line):
        line.in_pieces_of, line.echoes = pieces, echoes
        for number, request, delay, timeout, tries, pause in steps:
            for unit in units.values():
                unit.faults = Faults(delay_seconds=delay)
            places = range(request.address, request.address + request.count)
            with suppress(DeviceUnreachable):
                try:
                    reported = await link.ask(number, request, RetryPolicy(timeout, tries, late_seconds=1.0))
                    assert reported == words(*(_told(number, request.table, place) for place in places))
                except ExceptionResponse:
                    assert places[-1] >= 100
            await asyncio.sleep(pause)

    on_a_line(test, units.values(), baudrate=baudrate, collides=True)


def _told(number, table, address):
    return 0x1000 * (1 + (table is Table.INPUT)) + 0x100 * number + address


def _telling_unit(number):
    tables = {Tables.HOLDING_REGISTERS: Table.HOLDING, Tables.INPUT_REGISTERS: Table.INPUT}
    return SimulatedUnit(
        number, registers={theirs: {at: _told(number, ours, at) for at in range(100)} for theirs, ours in tables.items()}
    )


def test_a_lost_answer_neither_slows_a_unit_down_for_long_nor_makes_it_look_slow():
    unit = SimulatedUnit(1, registers=WORDS, turnaround_seconds=0.005)

    async def test(link, line):
        learned = Turnaround()
        for round_ in range(100):
            unit.faults = Faults(silent=round_ == 50)
            for request in (holding(0, 4), holding(10, 5)):
                with suppress(DeviceUnreachable):
                    await link.ask(1, request, RetryPolicy(learned.timeout_seconds(1.0), 1, 1.0))
                    learned.answered(link.answer_seconds)
            await asyncio.sleep(0.1)
        assert learned.mean == pytest.approx(0.005, abs=1e-4)
        begun = time()
        await link.ask(1, holding(20, 4), RetryPolicy(1.0))
        assert time() - begun < 0.05, "nothing is owed any more"

    on_a_line(test, [unit])


def test_a_unit_that_has_become_slow_is_soon_waited_for_as_long_as_it_needs():
    unit = SimulatedUnit(1, registers=WORDS, turnaround_seconds=0.005)

    async def test(link, line):
        learned = Turnaround()
        for _ in range(20):
            await link.ask(1, holding(0, 4), RetryPolicy(learned.timeout_seconds(1.0), 2, 1.0))
            learned.answered(link.answer_seconds)
        unit.turnaround_seconds = 0.09
        for address in (0, 10, 20):
            await link.ask(1, holding(address, 4), RetryPolicy(learned.timeout_seconds(1.0), 2, 1.0))
            learned.answered(link.answer_seconds)
        assert learned.timeout_seconds(1.0) > 0.09
        asked = len(line.exchanges)
        for address in (30, 40, 50):
            await link.ask(1, holding(address, 4), RetryPolicy(learned.timeout_seconds(1.0), 2, 1.0))
        assert len(line.exchanges) == asked + 3, "each is asked once again"

    on_a_line(test, [unit])


def test_another_unit_is_read_at_once_and_its_answer_is_its_own():
    late, quick = SimulatedUnit(1, registers=WORDS), SimulatedUnit(2, registers={Tables.HOLDING_REGISTERS: {0: 7}})

    async def test(link, line):
        late.faults = Faults(delay_seconds=0.3)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0), SHORT)
        begun = time()
        assert await link.ask(2, holding(0), SHORT) == b"\0\7"
        assert time() - begun < 0.05

    on_a_line(test, [late, quick])


@pytest.mark.parametrize("pieces", [1, 3, 8, 16, 64])
def test_an_echo_is_detected_and_skipped_for_reads_and_writes(pieces):
    async def test(link, line):
        line.echoes, line.in_pieces_of = True, pieces
        assert await link.ask(1, holding(3, 2), RetryPolicy(0.2, tries=2)) == b"\0\3\0\4"
        assert link.echoes
        assert await link.ask(1, WriteRequest(Table.HOLDING, 5, (77,)), RetryPolicy(0.2)) == b""
        assert await link.ask(1, holding(5), RetryPolicy(0.2)) == b"\0\x4d"
        with pytest.raises(OutcomeUnknown):
            await link.ask(9, WriteRequest(Table.HOLDING, 5, (1,)), RetryPolicy(0.2))

    on_a_line(test)


def test_an_adapter_without_echo_in_place_of_one_with_it_is_detected(caplog):
    caplog.set_level("INFO", "adapters.modbus")

    async def test(link, line):
        line.echoes = True
        await link.ask(1, holding(3), RetryPolicy(0.2, tries=2))
        line.unplug()
        line.echoes = False
        line.replug()
        assert await link.ask(1, holding(4), RetryPolicy(0.2)) == b"\0\4"
        assert not link.echoes
        assert await link.ask(1, WriteRequest(Table.HOLDING, 5, (77,)), RetryPolicy(0.2)) == b""

    on_a_line(test)
    assert [record.getMessage() for record in caplog.records] == [
        "virtual: the line echoes requests; the echoes are skipped",
        "virtual: the line does not echo requests any more",
    ]


def test_an_echo_that_was_lost_makes_no_confirmation_of_the_next_one():
    async def test(link, line):
        line.echoes = True
        await link.ask(1, holding(3), RetryPolicy(0.2, tries=2))
        line.echoes = False
        with pytest.raises(DeviceUnreachable):
            await link.ask(9, holding(3), SHORT)
        line.echoes = True
        with pytest.raises(OutcomeUnknown, match="not known whether the write was executed"):
            await link.ask(9, WriteRequest(Table.HOLDING, 5, (1,)), SHORT)

    on_a_line(test)


@pytest.mark.parametrize(
    ("write", "frame"),
    [
        (WriteRequest(Table.COIL, 0xAC, (1,)), "05 00AC FF00"),
        (WriteRequest(Table.HOLDING, 1, (3,)), "06 0001 0003"),
        (WriteRequest(Table.COIL, 0x13, (1, 0, 1, 1, 0, 0, 1, 1, 1, 0)), "0F 0013 000A 02 CD01"),
        (WriteRequest(Table.HOLDING, 1, (0x000A, 0x0102)), "10 0001 0002 04 000A 0102"),
    ],
    ids=["section 6.5", "section 6.6", "section 6.11", "section 6.12"],
)
def test_writes_are_the_frames_of_the_specification(write, frame):
    heard = []

    def obey(request):
        heard.append(request)
        return request[:5]

    async def test(link, line):
        await link.ask(1, write, RetryPolicy(0.2))
        assert heard == [bytes.fromhex(frame)]

    on_a_line(test, [ScriptedUnit(1, obey)])


def test_a_write_that_is_not_answered_is_not_sent_again():
    heard = []

    async def test(link, line):
        with pytest.raises(OutcomeUnknown, match="not known whether the write was executed"):
            await link.ask(1, WriteRequest(Table.HOLDING, 1, (3,)), RetryPolicy(0.05, tries=5))
        assert len(heard) == 1

    on_a_line(test, [ScriptedUnit(1, heard.append)])


def test_a_write_is_not_repeated_after_a_lost_connection():
    received = []

    async def test(link, line):
        writing = asyncio.create_task(link.ask(1, WriteRequest(Table.HOLDING, 1, (3,)), RetryPolicy(0.5, tries=5)))
        await asyncio.sleep(0.02)
        assert len(received) == 1, "the write has arrived"
        line.unplug()
        line.replug()
        with pytest.raises(OutcomeUnknown, match="not known whether the write was executed"):
            await writing
        assert len(received) == 1
        with pytest.raises(DeviceUnreachable, match="no answer"):
            await link.ask(1, holding(0), SHORT)
        assert len(received) == 2, "the port is open again"

    on_a_line(test, [ScriptedUnit(1, received.append)])


def test_a_read_is_repeated_once_after_a_lost_connection_and_not_at_each_loss():
    received = []

    async def test(link, line):
        def answer(request):
            received.append(request)
            asyncio.get_running_loop().call_later(0.01, replugged)

        def replugged():
            line.unplug()
            line.replug()

        line.units.append(ScriptedUnit(2, answer))
        with pytest.raises(DeviceUnreachable, match="the connection was closed instead of an answer"):
            await link.ask(2, holding(0), RetryPolicy(0.5))
        assert len(received) == 2

    on_a_line(test)


def test_the_pause_between_frames_is_also_kept_after_opening():
    async def main():
        line = VirtualLine([SimulatedUnit(1, registers=WORDS)], baudrate=9600)
        line.make_noise(5)
        await asyncio.sleep(5 * line.character_seconds)
        link = Link(SerialLine(port="virtual", baudrate=9600), dial=line.dial)
        await link.open()
        assert await link.ask(1, holding(7), RetryPolicy(0.5)) == words(7)
        link.close()
        assert line.violations == []

    simulated(main())


def test_a_write_that_is_confirmed_as_another_one_is_not_believed():
    async def test(link, line):
        with pytest.raises(OutcomeUnknown, match="confirmed a write to holding 1 as something else"):
            await link.ask(1, WriteRequest(Table.HOLDING, 1, (3,)), RetryPolicy(0.2))

    on_a_line(test, [ScriptedUnit(1, lambda request: request[:4] + b"\x09")])


def test_a_write_that_is_refused_says_so():
    async def test(link, line):
        with pytest.raises(ExceptionResponse, match="illegal data address"):
            await link.ask(1, WriteRequest(Table.HOLDING, 60000, (3,)), RetryPolicy(0.2))

    on_a_line(test)


@pytest.mark.parametrize(
    "faults",
    [
        Faults(silent=True),
        Faults(delay_seconds=0.07),
        Faults(exception=ExceptionCode.SERVER_DEVICE_BUSY),
        Faults(truncated=True),
        Faults(wrong_crc=True),
        Faults(answers_as=2),
        Faults(garbage=b"\x00\xff\x00"),
    ],
    ids=["silent", "late", "busy", "half a frame", "wrong checksum", "another unit", "noise before"],
)
def test_whatever_a_unit_does_the_pause_is_kept_and_another_unit_is_read(faults):
    bad, good = SimulatedUnit(1, registers=WORDS), SimulatedUnit(3, registers=WORDS)
    bad.faults = faults

    async def test(link, line):
        for round_ in range(20):
            with suppress(DeviceUnreachable, ExceptionResponse):
                assert await link.ask(1, holding(round_, 2), SHORT) == bytes([0, round_, 0, round_ + 1])
            payload = await link.ask(3, holding(round_ + 50, 2), RetryPolicy(0.2, tries=3))
            assert payload == bytes([0, round_ + 50, 0, round_ + 51])

    on_a_line(test, [bad, good])


def test_a_request_is_held_back_no_longer_than_a_late_answer_may_arrive():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(silent=True)
        begun = time()
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), RetryPolicy(0.05, late_seconds=1.0))
        unit.faults = Faults()
        assert await link.ask(1, holding(100, 4), RetryPolicy(0.2)) == words(100, 101, 102, 103)
        longest = LONGEST_FRAME_BYTES * line.character_seconds
        assert 1.0 + longest <= time() - begun < 1.0 + longest + 0.1

    on_a_line(test, [unit])


def test_without_a_longer_wait_a_late_answer_is_expected_for_the_length_of_the_timeout():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(silent=True)
        begun = time()
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), RetryPolicy(0.5))
        unit.faults = Faults()
        await link.ask(1, holding(100, 4), RetryPolicy(0.2))
        longest = LONGEST_FRAME_BYTES * line.character_seconds
        assert 0.5 + longest <= time() - begun < 0.5 + longest + 0.1

    on_a_line(test, [unit])


def test_a_frame_of_another_unit_does_not_use_up_the_time_of_the_answer():
    unit = SimulatedUnit(1, registers=WORDS, turnaround_seconds=0.25)

    async def test(link, line):
        line.in_pieces_of = 8
        asking = asyncio.create_task(link.ask(1, holding(0, 125), RetryPolicy(0.3)))
        await asyncio.sleep(0.15)
        line.send_as_other_master(Rtu().bytes_of(Frame(9, b"\x03\x02\x00\x05")))
        assert len(await asking) == 250

    on_a_line(test, [unit], baudrate=1200)


def test_characters_that_a_usb_adapter_holds_back_are_waited_for():
    async def main():
        line = VirtualLine([SimulatedUnit(1, registers=WORDS)], baudrate=9600)

        async def dial(factory):
            transport, protocol = await line.dial(factory)
            deliver, pieces = protocol.data_received, []

            def hold_back(data):
                pieces.append(data)
                asyncio.get_running_loop().call_later(0.02 if len(pieces) > 1 else 0, deliver, data)

            protocol.data_received = hold_back
            return transport, protocol

        link = Link(SerialLine(port="virtual", baudrate=9600), dial=dial)
        assert len(await link.ask(1, holding(0, 50), RetryPolicy(0.01))) == 100
        link.close()

    simulated(main())


def test_after_a_lost_connection_no_late_answer_is_expected():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(silent=True)
        asking = asyncio.create_task(link.ask(1, WriteRequest(Table.HOLDING, 0, (1,)), RetryPolicy(5)))
        await asyncio.sleep(0.05)
        line.unplug()
        line.replug()
        with pytest.raises(OutcomeUnknown):
            await asking
        unit.faults = Faults()
        begun = time()
        await link.ask(1, WriteRequest(Table.HOLDING, 7, (1,)), RetryPolicy(0.2))
        assert time() - begun < 0.1

    on_a_line(test, [unit])


def test_a_unit_that_answers_without_a_pause_has_a_turnaround_of_0():
    async def test(link, line):
        asking = asyncio.create_task(link.ask(1, holding(0), RetryPolicy(0.2)))
        await asyncio.sleep(line.silence_seconds + 8 * line.character_seconds)
        line.send_as_other_master(Rtu().bytes_of(Frame(1, b"\x03\x02\x00\x05")))
        assert await asking == words(5)
        assert link.answer_seconds == 0.0

    on_a_line(test, [ScriptedUnit(1, lambda request: None)])


def test_listening_returns_what_others_send_and_forgets_what_was_before():
    request = Rtu().bytes_of(Frame(9, bytes.fromhex("03 0000 0001")))

    async def test(link, line):
        line.send_as_other_master(request)
        await asyncio.sleep(0.1)
        assert await link.listen(0.1) == b""
        listening = asyncio.create_task(link.listen(0.1))
        await asyncio.sleep(0.01)
        line.send_as_other_master(request)
        assert await listening == request

    on_a_line(test)


def test_listening_keeps_the_last_four_kilobytes():
    async def test(link, line):
        listening = asyncio.create_task(link.listen(10))
        await asyncio.sleep(0)
        line.send_as_other_master(bytes(range(100)) * 50)
        assert await listening == (bytes(range(100)) * 50)[-4096:]

    on_a_line(test)


def test_an_answer_is_not_overheard():
    async def test(link, line):
        listening = asyncio.create_task(link.listen(0.2))
        await asyncio.sleep(0)
        await link.ask(1, holding(0, 4), RetryPolicy(0.1))
        assert await listening == b""

    on_a_line(test)


def test_the_reason_of_a_silent_unit_is_not_the_bad_answer_of_another():
    bad = SimulatedUnit(1, registers=WORDS)
    bad.faults = Faults(wrong_crc=True)

    async def test(link, line):
        with pytest.raises(DeviceUnreachable, match="wrong checksum"):
            await link.ask(1, holding(0, 4), SHORT)
        with pytest.raises(DeviceUnreachable, match=r"unit 9: no answer within 0\.05 s"):
            await link.ask(9, holding(0, 4), SHORT)

    on_a_line(test, [bad])


def test_noise_on_the_line_is_waited_out():
    async def test(link, line):
        line.make_noise(5)
        await asyncio.sleep(5 * line.character_seconds)
        assert await link.ask(1, holding(1), RetryPolicy(0.2, tries=2)) == b"\0\1"

    on_a_line(test)


def test_two_units_with_one_id_are_not_believed():
    async def test(link, line):
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), RetryPolicy(0.2))

    on_a_line(test, [SimulatedUnit(1, registers=WORDS), SimulatedUnit(1, registers=WORDS)])


def test_an_adapter_that_is_pulled_is_a_lost_bus_until_it_is_back():
    async def test(link, line):
        line.unplug()
        with pytest.raises(BusUnavailable):
            await link.ask(1, holding(0), RetryPolicy(0.2))
        line.replug()
        assert await link.ask(1, holding(7), RetryPolicy(0.2)) == b"\0\7"

    on_a_line(test)


def test_a_reading_that_was_cancelled_leaves_no_answer_behind_for_the_next():
    async def test(link, line):
        asking = asyncio.create_task(link.ask(1, holding(0, 4), RetryPolicy(0.2)))
        await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await link.ask(1, holding(100, 4), RetryPolicy(0.2)) == bytes.fromhex("0064 0065 0066 0067")

    on_a_line(test)


def test_a_master_at_another_speed_is_answered_by_no_unit():
    async def main():
        line = VirtualLine([SimulatedUnit(1, registers=WORDS)], baudrate=9600)

        async def dial_wrongly(factory):
            return await line.dial(factory, baudrate=19200)

        link = Link(SerialLine(port="virtual", baudrate=19200), dial=dial_wrongly)
        await link.open()
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, ReadDeviceIdentification(), SHORT)
        link.close()

    simulated(main())
