"""The link on a serial line with its time: silence, time-outs, late answers, echo, writes. All in simulated time."""

import asyncio
from contextlib import suppress

import pytest

from adapters.modbus.link import Link
from adapters.modbus.pdu import Read, ReadIdentification, Refused, Table, Write
from adapters.modbus.settings import Line
from adapters.modbus.wire import Patience
from gateway.adapter import BusUnavailable, DeviceUnreachable
from gateway.testing.clock import simulated
from gateway.testing.modbus import ExceptionCode, Faults, SimulatedUnit
from gateway.testing.modbus import Table as Tables
from gateway.testing.modbus.line import ScriptedUnit, VirtualLine

WORDS = {Tables.HOLDING_REGISTERS: {address: address for address in range(200)}, Tables.COILS: dict.fromkeys(range(32), 0)}
HASTY = Patience(0.05, late_seconds=1.0)


def on_a_line(test, units=(), *, baudrate=9600, **settings):
    """Run `test(link, line)` with an open link on a line with these units; the master kept its silence at the end."""

    async def main():
        line = VirtualLine(units or [SimulatedUnit(1, registers=WORDS)], baudrate=baudrate, **settings)
        link = Link(Line(port="virtual", baudrate=baudrate), dial=line.dial)
        await link.open()
        try:
            await test(link, line)
        finally:
            link.close()
        assert not line.violations

    simulated(main())


def holding(address, count=1):
    return Read(Table.HOLDING, address, count)


def time():
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("baudrate", [1200, 9600, 19200, 38400, 115200])
@pytest.mark.parametrize("count", [1, 10, 125])
def test_reads_follow_each_other_as_closely_as_the_specification_allows(baudrate, count):
    async def test(link, line):
        begun = time()
        for _ in range(20):
            await link.ask(1, holding(0, count), Patience(1))
        least = (13 + 2 * count) * line.character_seconds + 2 * line.silence_seconds
        assert 20 * least / (time() - begun) >= 0.99

    on_a_line(test, baudrate=baudrate)


def test_a_silent_unit_costs_its_request_and_the_timeout():
    async def test(link, line):
        begun = time()
        with pytest.raises(DeviceUnreachable, match=r"no answer within 0\.05 s"):
            await link.ask(9, holding(0, 100), HASTY)
        assert time() - begun == pytest.approx(8 * line.character_seconds + 0.05, abs=0.03)
        assert link.answer_seconds is None

    on_a_line(test)


def test_an_answer_that_has_begun_is_heard_to_its_end():
    async def test(link, line):
        line.in_pieces_of = 8
        payload = await link.ask(1, holding(0, 125), Patience(0.02))
        assert len(payload) == 250, "255 characters at 1200 bit/s take more than 2 s"

    on_a_line(test, baudrate=1200)


def test_what_a_unit_takes_is_told_without_the_time_of_its_characters():
    async def test(link, line):
        await link.ask(1, holding(0, 50), Patience(1))
        assert link.answer_seconds == pytest.approx(0.03, abs=1e-6)

    on_a_line(test, [SimulatedUnit(1, registers=WORDS, turnaround_seconds=0.03)])


@pytest.mark.parametrize("delay", [0.06, 0.1, 0.3, 0.9])
def test_a_late_answer_is_never_taken_for_the_answer_to_another_question(delay):
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=delay)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), HASTY)
        unit.faults = Faults()
        assert await link.ask(1, holding(100, 4), HASTY) == bytes.fromhex("0064 0065 0066 0067")

    on_a_line(test, [unit])


def test_the_same_question_may_be_asked_again_at_once_for_a_late_answer_to_it_is_true():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=0.1)
        begun = time()
        assert await link.ask(1, holding(5), Patience(0.05, tries=3, late_seconds=1.0)) == b"\0\5"
        assert time() - begun < 0.25

    on_a_line(test, [unit])


def test_a_late_answer_that_was_seen_holds_nobody_up_any_more():
    unit = SimulatedUnit(1, registers=WORDS)

    async def test(link, line):
        unit.faults = Faults(delay_seconds=0.1)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), HASTY)
        unit.faults = Faults()
        await asyncio.sleep(0.2)
        begun = time()
        await link.ask(1, holding(100, 4), HASTY)
        assert time() - begun < 0.05

    on_a_line(test, [unit])


def test_a_neighbour_is_asked_at_once_and_its_answer_is_its_own():
    late, quick = SimulatedUnit(1, registers=WORDS), SimulatedUnit(2, registers={Tables.HOLDING_REGISTERS: {0: 7}})

    async def test(link, line):
        late.faults = Faults(delay_seconds=0.3)
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0), HASTY)
        begun = time()
        assert await link.ask(2, holding(0), HASTY) == b"\0\7"
        assert time() - begun < 0.05

    on_a_line(test, [late, quick])


@pytest.mark.parametrize("pieces", [1, 3, 8, 16, 64])
def test_a_line_that_hears_itself_is_noticed_and_borne_for_reads_and_writes(pieces):
    async def test(link, line):
        line.echoes, line.in_pieces_of = True, pieces
        assert await link.ask(1, holding(3, 2), Patience(0.2, tries=2)) == b"\0\3\0\4"
        assert link.echoes
        assert await link.ask(1, Write(Table.HOLDING, 5, (77,)), Patience(0.2)) == b""
        assert await link.ask(1, holding(5), Patience(0.2)) == b"\0\x4d"
        with pytest.raises(DeviceUnreachable):
            await link.ask(9, Write(Table.HOLDING, 5, (1,)), Patience(0.2))

    on_a_line(test)


@pytest.mark.parametrize(
    ("write", "frame"),
    [
        (Write(Table.COIL, 0xAC, (1,)), "05 00AC FF00"),
        (Write(Table.HOLDING, 1, (3,)), "06 0001 0003"),
        (Write(Table.COIL, 0x13, (1, 0, 1, 1, 0, 0, 1, 1, 1, 0)), "0F 0013 000A 02 CD01"),
        (Write(Table.HOLDING, 1, (0x000A, 0x0102)), "10 0001 0002 04 000A 0102"),
    ],
    ids=["section 6.5", "section 6.6", "section 6.11", "section 6.12"],
)
def test_writes_are_the_frames_of_the_specification(write, frame):
    heard = []

    def obey(request):
        heard.append(request)
        return request[:5]

    async def test(link, line):
        await link.ask(1, write, Patience(0.2))
        assert heard == [bytes.fromhex(frame)]

    on_a_line(test, [ScriptedUnit(1, obey)])


def test_a_write_that_is_not_answered_is_not_sent_again():
    heard = []

    async def test(link, line):
        with pytest.raises(DeviceUnreachable, match="whether it obeyed is not known"):
            await link.ask(1, Write(Table.HOLDING, 1, (3,)), Patience(0.05, tries=5))
        assert len(heard) == 1

    on_a_line(test, [ScriptedUnit(1, heard.append)])


def test_a_write_that_is_confirmed_as_another_one_is_not_believed():
    async def test(link, line):
        with pytest.raises(DeviceUnreachable, match="confirmed a write to holding 1 as something else"):
            await link.ask(1, Write(Table.HOLDING, 1, (3,)), Patience(0.2))

    on_a_line(test, [ScriptedUnit(1, lambda request: request[:4] + b"\x09")])


def test_a_write_that_is_refused_says_so():
    async def test(link, line):
        with pytest.raises(Refused, match="illegal data address"):
            await link.ask(1, Write(Table.HOLDING, 60000, (3,)), Patience(0.2))

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
def test_whatever_a_unit_does_the_silence_is_kept_and_its_neighbour_is_heard(faults):
    bad, good = SimulatedUnit(1, registers=WORDS), SimulatedUnit(3, registers=WORDS)
    bad.faults = faults

    async def test(link, line):
        for round_ in range(20):
            with suppress(DeviceUnreachable, Refused):
                assert await link.ask(1, holding(round_, 2), HASTY) == bytes([0, round_, 0, round_ + 1])
            payload = await link.ask(3, holding(round_ + 50, 2), Patience(0.2, tries=3))
            assert payload == bytes([0, round_ + 50, 0, round_ + 51])

    on_a_line(test, [bad, good])


def test_noise_on_the_line_is_waited_out():
    async def test(link, line):
        line.make_noise(5)
        await asyncio.sleep(5 * line.character_seconds)
        assert await link.ask(1, holding(1), Patience(0.2, tries=2)) == b"\0\1"

    on_a_line(test)


def test_two_units_with_one_id_are_not_believed():
    async def test(link, line):
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, holding(0, 4), Patience(0.2))

    on_a_line(test, [SimulatedUnit(1, registers=WORDS), SimulatedUnit(1, registers=WORDS)])


def test_an_adapter_that_is_pulled_is_a_lost_bus_until_it_is_back():
    async def test(link, line):
        line.unplug()
        with pytest.raises(BusUnavailable):
            await link.ask(1, holding(0), Patience(0.2))
        line.replug()
        assert await link.ask(1, holding(7), Patience(0.2)) == b"\0\7"

    on_a_line(test)


def test_a_reading_that_was_cancelled_leaves_no_answer_behind_for_the_next():
    async def test(link, line):
        asking = asyncio.create_task(link.ask(1, holding(0, 4), Patience(0.2)))
        await asyncio.sleep(0.001)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert await link.ask(1, holding(100, 4), Patience(0.2)) == bytes.fromhex("0064 0065 0066 0067")

    on_a_line(test)


def test_who_does_not_know_the_speed_of_the_line_is_answered_by_nobody():
    async def main():
        line = VirtualLine([SimulatedUnit(1, registers=WORDS)], baudrate=9600)

        async def dial_wrongly(factory):
            return await line.dial(factory, baudrate=19200)

        link = Link(Line(port="virtual", baudrate=19200), dial=dial_wrongly)
        await link.open()
        with pytest.raises(DeviceUnreachable):
            await link.ask(1, ReadIdentification(), HASTY)
        link.close()

    simulated(main())
