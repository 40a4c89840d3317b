"""The virtual line: its pace, its watch over the silence, and what units and lines do wrong. All in simulated time."""

import asyncio

import pytest

from gateway.testing.clock import simulated
from gateway.testing.modbus import ExceptionCode, Faults, Frame, Rtu, ScriptedUnit, SimulatedUnit, Table, VirtualLine

WORDS = {Table.HOLDING_REGISTERS: {address: address for address in range(200)}}


class Master(asyncio.Protocol):
    """A master of a dozen lines: sends what it is told and notes what comes when."""

    def __init__(self):
        self.heard = []
        self.lost = []
        self.port = None

    def connection_made(self, transport):
        self.port = transport

    def data_received(self, data):
        self.heard.append((now(), data))

    def connection_lost(self, exc):
        self.lost.append(exc)

    @property
    def bytes(self):
        return b"".join(data for _, data in self.heard)

    def ask(self, unit, pdu):
        self.port.write(frame(unit, pdu))


def frame(unit, pdu):
    return Rtu().bytes_of(Frame(unit, bytes.fromhex(pdu)))


def now():
    return asyncio.get_running_loop().time()


def on_a_line(test, units=(), **settings):
    async def main():
        line = VirtualLine(units or [SimulatedUnit(1, registers=WORDS)], **settings)
        _, master = await line.dial(Master)
        return await test(line, master)

    return simulated(main())


@pytest.mark.parametrize("baudrate", [1200, 9600, 19200, 38400, 115200])
@pytest.mark.parametrize("count", [1, 125])
def test_an_exchange_takes_what_the_specification_makes_it_take(baudrate, count):
    async def test(line, master):
        begun = now()
        master.ask(1, f"03 0000 {count:04x}")
        await asyncio.sleep(5)
        (exchange,) = line.exchanges
        least = (13 + 2 * count) * line.character_seconds + 2 * line.silence_seconds
        assert exchange.started_at == begun
        assert exchange.ended_at - begun + line.silence_seconds == pytest.approx(least, abs=1e-9)
        assert line.busy_seconds[1] == pytest.approx(least - line.silence_seconds, abs=1e-9)
        assert len(master.bytes) == 5 + 2 * count

    on_a_line(test, baudrate=baudrate)


def test_characters_arrive_as_the_line_brings_them():
    async def test(line, master):
        line.in_pieces_of = 1
        master.ask(1, "03 0000 0001")
        await asyncio.sleep(1)
        gaps = [later - sooner for (sooner, _), (later, _) in zip(master.heard, master.heard[1:], strict=False)]
        assert len(master.heard) == 7
        assert gaps == pytest.approx([line.character_seconds] * 6)

    on_a_line(test, baudrate=9600)


def test_a_master_that_keeps_the_silence_is_not_accused_and_a_hasty_one_is():
    async def test(line, master):
        for wait in (line.silence_seconds, 0.5 * line.silence_seconds):
            master.ask(1, "03 0000 0001")
            await asyncio.sleep(0.1)
            master.heard.clear()
            master.ask(1, "03 0000 0001")
            while len(master.bytes) < 7:  # noqa: ASYNC110 - what comes is counted, and no event tells of it
                await asyncio.sleep(line.character_seconds / 10)
            await asyncio.sleep(max(0.0, line.exchanges[-1].ended_at + wait - now()))
        master.ask(1, "03 0000 0001")
        (violation,) = line.violations
        assert violation.silence_seconds < violation.required_seconds == line.silence_seconds

    on_a_line(test, baudrate=9600)


@pytest.mark.parametrize(
    ("faults", "heard"),
    [
        (Faults(silent=True), ""),
        (Faults(exception=ExceptionCode.SERVER_DEVICE_BUSY), "01 83 06"),
        (Faults(answers_as=9), "09 03 02 0005"),
        (Faults(garbage=b"\xff"), "ff 01 03 02 0005"),
        (Faults(garbage_after=b"\xff"), "01 03 02 0005 7847 ff"),
        (Faults(truncated=True), "01 03 02"),
    ],
    ids=["silent", "busy", "another unit", "noise before", "noise behind", "half a frame"],
)
def test_a_unit_does_wrong_what_it_is_told_to(faults, heard):
    unit = SimulatedUnit(1, registers=WORDS)
    unit.faults = faults

    async def test(line, master):
        master.ask(1, "03 0005 0001")
        await asyncio.sleep(1)
        assert master.bytes.startswith(bytes.fromhex(heard))
        assert bool(master.bytes) == bool(heard)

    on_a_line(test, [unit])


def test_a_late_answer_that_meets_another_frame_spoils_both():
    late, quick = SimulatedUnit(1, registers=WORDS), SimulatedUnit(2, registers=WORDS)

    async def test(line, master):
        late.faults = Faults(delay_seconds=0.05)
        master.ask(1, "03 0000 0001")
        await asyncio.sleep(0.05)
        master.ask(2, "03 0000 0050")
        await asyncio.sleep(1)
        assert frame(1, "03 02 0000") not in master.bytes

    on_a_line(test, [late, quick], baudrate=9600)


def test_two_units_with_one_id_answer_at_once_and_nobody_understands_them():
    async def test(line, master):
        master.ask(1, "03 0005 0001")
        await asyncio.sleep(1)
        assert master.bytes
        assert frame(1, "03 02 0005") not in master.bytes

    on_a_line(test, [SimulatedUnit(1, registers=WORDS), SimulatedUnit(1, registers=WORDS)])


def test_a_line_with_an_echo_brings_the_request_back_first():
    async def test(line, master):
        line.echoes = True
        master.ask(1, "03 0005 0001")
        await asyncio.sleep(1)
        assert master.bytes == frame(1, "03 0005 0001") + frame(1, "03 02 0005")

    on_a_line(test)


def test_a_scripted_unit_answers_what_its_author_says_after_its_turnaround():
    async def test(line, master):
        master.ask(7, "11")
        await asyncio.sleep(2)
        assert master.bytes == frame(7, "11 01 ff")
        (exchange,) = line.exchanges
        assert exchange.ended_at - exchange.started_at > 0.25

    on_a_line(test, [ScriptedUnit(7, lambda request: request[:1] + b"\x01\xff", turnaround_seconds=0.25)])


def test_a_broadcast_is_obeyed_by_all_and_answered_by_nobody():
    units = [SimulatedUnit(unit, registers={Table.HOLDING_REGISTERS: {0: 0}}) for unit in (1, 2)]

    async def test(line, master):
        master.ask(0, "06 0000 0007")
        await asyncio.sleep(1)
        assert not master.bytes
        assert [list(unit.read(Table.HOLDING_REGISTERS, 0, 1)) for unit in units] == [[7], [7]]

    on_a_line(test, units)


def test_a_port_that_is_pulled_is_lost_and_cannot_be_opened_until_it_is_back():
    async def test(line, master):
        line.unplug()
        await asyncio.sleep(0)
        assert isinstance(master.lost[0], OSError)
        with pytest.raises(OSError, match="unplugged"):
            await line.dial(Master)
        line.replug()
        _, again = await line.dial(Master)
        again.ask(1, "03 0005 0001")
        await asyncio.sleep(1)
        assert again.bytes == frame(1, "03 02 0005")
        with pytest.raises(OSError, match="open already"):
            await line.dial(Master)

    on_a_line(test)


@pytest.mark.parametrize(
    ("wrong", "is_understood"),
    [({"baudrate": 9600}, False), ({"parity": "N"}, False), ({"stopbits": 2}, True), ({"stopbits": 1}, True)],
)
def test_who_has_the_port_set_wrongly_is_not_understood_and_hears_garbage(wrong, is_understood):
    async def main():
        line = VirtualLine([SimulatedUnit(1, registers=WORDS)], baudrate=19200, parity="E")
        _, master = await line.dial(Master, **wrong)
        master.ask(1, "03 0005 0001")
        await asyncio.sleep(1)
        assert bool(line.exchanges) == is_understood
        line.send_as_other_master(frame(1, "03 0005 0001"))
        await asyncio.sleep(1)
        assert (frame(1, "03 0005 0001") in master.bytes) == is_understood
        assert master.bytes

    simulated(main())


def test_the_same_seed_makes_the_same_noise():
    def noise(seed):
        async def test(line, master):
            line.make_noise(20)
            await asyncio.sleep(1)
            return master.bytes

        return on_a_line(test, seed=seed)

    assert noise(1) == noise(1) != noise(2)


def test_another_master_polls_in_turn_until_it_is_cancelled():
    async def main():
        line = VirtualLine([SimulatedUnit(1, registers=WORDS)], baudrate=19200)
        _, master = await line.dial(Master)
        first, second = frame(1, "03 0005 0001"), frame(9, "03 0006 0001")
        polling = asyncio.create_task(line.poll_as_other_master([first, second], every_seconds=1))
        await asyncio.sleep(3.5)
        polling.cancel()
        await asyncio.sleep(5)
        assert master.bytes == (first + frame(1, "03 02 0005")) + second + (first + frame(1, "03 02 0005"))

    simulated(main())
