"""The link on a line with stray bytes and another master, in simulated time."""

import asyncio
from contextlib import suppress

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.buses import SerialLine, TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ReadRequest, Table, WriteRequest
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import DeviceUnreachable, Found, OutcomeUnknown
from gateway.testing.clock import simulated
from gateway.testing.modbus import Faults, Frame, ModbusRtuBus, ModbusTcpHost, Rtu, ScriptedUnit, SimulatedUnit, VirtualLine
from gateway.testing.modbus import Table as Tables

UNITS = [*range(1, 8), 15, 16, 17, 20, 200]
WORDS = {Tables.HOLDING_REGISTERS: {address: address for address in range(200)}}
ONCE = RetryPolicy(0.2)


def frame(unit, pdu):
    return Rtu().bytes_of(Frame(unit, bytes.fromhex(pdu)))


def holding(address, count=1):
    return ReadRequest(Table.HOLDING, address, count)


def on_a_line(test, units, **given):
    async def main():
        line = VirtualLine(units, baudrate=9600)
        link = Link(SerialLine(port="virtual", baudrate=9600), dial=line.dial)
        await link.open()
        try:
            await test(link, line, **given)
        finally:
            link.close()

    simulated(main())


@pytest.mark.parametrize("pieces", [1, 2, 7, 16, 64])
@pytest.mark.parametrize("stray", [b"\x00", b"\xff", b"\x55", b"\x00\xff\x00\x04"], ids=["00", "FF", "55", "several"])
def test_units_that_send_stray_bytes_around_their_answers_are_read(stray, pieces):
    units = [SimulatedUnit(number, registers=WORDS, turnaround_seconds=0.01) for number in UNITS]
    for unit in units:
        unit.faults = Faults(garbage=stray, garbage_after=stray)

    async def test(link, line):
        line.in_pieces_of = pieces
        for unit in UNITS:
            assert await link.ask(unit, holding(unit - 1), ONCE) == (unit - 1).to_bytes(2)
        assert await link.ask(1, WriteRequest(Table.HOLDING, 3, (7,)), ONCE) == b""

    on_a_line(test, units)


def scanned(line, bus):
    async def main():
        adapter = ModbusAdapter(
            MODBUS({"lines": [{"port": "virtual", "baudrate": 9600}], "units": UNITS}), bus, Link(bus, dial=line.dial)
        )
        async with adapter:
            found = [int(step.address) async for step in adapter.discover() if isinstance(step, Found)]
        return found, adapter

    return simulated(main())


def MODBUS(given):  # noqa: N802 - reads like the type that it makes
    return ModbusAdapter.settings_model.model_validate({"type": "modbus", "name": "plant", **given})


@pytest.mark.parametrize("stray", [b"\x00", b"\xff"], ids=["00", "FF"])
def test_a_scan_finds_units_behind_a_stray_byte(stray):
    line = VirtualLine([SimulatedUnit(number, registers=WORDS) for number in UNITS], baudrate=9600)
    for unit in line.units:
        unit.faults = Faults(garbage=stray)
    found, adapter = scanned(line, SerialLine(port="virtual", baudrate=9600))
    assert found == UNITS
    assert adapter.recent_frames()[-1] == (
        f"set aside: {len(line.exchanges)} stray bytes, 0 requests of another master, 0 answers to it"
    )
    assert any("stray bytes arrived on this line" in remark for remark in adapter.bus_remarks())


@pytest.mark.parametrize("pieces", [1, 16, 64])
def test_another_masters_request_and_answer_ahead_of_ours_cost_nothing_and_are_told_once(pieces, caplog):
    other = frame(5, "03 0064 0001") + frame(5, "03 02 DEAD")

    async def test(link, line):
        line.in_pieces_of = pieces
        line.units.append(ScriptedUnit(5, lambda request: None))
        for round_ in range(3):
            asking = asyncio.create_task(link.ask(5, holding(round_), RetryPolicy(0.5)))
            await asyncio.sleep(0.05)
            line.send_as_other_master(other + frame(5, "03 02 1234"))
            assert await asking == b"\x12\x34"
        assert [remark.split(":")[0] for remark in link.remarks()] == ["another master speaks on this line (3 requests heard)"]

    on_a_line(test, [])
    assert [record.getMessage().split(" (")[0] for record in caplog.records] == ["virtual: another master speaks on this line"]


def test_a_line_with_another_master_that_polls_is_read_and_no_value_is_that_of_the_other():
    units = [SimulatedUnit(number, registers=WORDS, turnaround_seconds=0.02) for number in (1, 2)]

    async def test(link, line):
        requests = [
            frame(1, "03 0064 0002"),
            frame(2, "03 0070 0002"),
            frame(1, "10 00C0 0001 02 0009"),
            frame(9, "03 0000 0001"),
        ]
        polling = asyncio.create_task(line.poll_as_other_master(requests, every_seconds=0.37))
        values = 0
        for round_ in range(100):
            with suppress(DeviceUnreachable):  # where both speak at once
                assert await link.ask(1 + round_ % 2, holding(round_, 2), RetryPolicy(0.2, 2)) == bytes(
                    [0, round_, 0, round_ + 1]
                )
                values += 1
            await asyncio.sleep(0.05)
        polling.cancel()
        assert values > 90
        assert "another master speaks on this line" in link.remarks()[0]

    on_a_line(test, units)


def test_we_let_a_unit_answer_the_other_master_before_we_send():
    async def test(link, line):
        line.send_as_other_master(frame(1, "03 0064 0001"))
        await asyncio.sleep(8 * line.character_seconds)
        assert await link.ask(1, holding(7), ONCE) == b"\0\7"
        assert [one.answer for one in line.exchanges] == [frame(1, "03 02 0064"), frame(1, "03 02 0007")]

    on_a_line(test, [SimulatedUnit(1, registers=WORDS, turnaround_seconds=0.05)])


def test_one_request_in_the_noise_is_no_other_master():
    async def test(link, line):
        line.send_as_other_master(frame(9, "03 0064 0001"))
        await asyncio.sleep(2)
        assert link.remarks() == []
        line.send_as_other_master(frame(9, "03 0064 0001"))
        await asyncio.sleep(0.1)
        assert link.remarks() != []
        await asyncio.sleep(3601)
        line.make_noise(1)
        await asyncio.sleep(0.1)
        assert link.remarks() == []

    on_a_line(test, [])


def test_stray_bytes_do_not_prolong_the_wait_for_a_silent_unit():
    async def test(link, line):
        async def chatter():
            while True:
                line.send_as_other_master(b"\x05")  # the id of the unit that is asked
                await asyncio.sleep(0.01)

        chattering = asyncio.create_task(chatter())
        begun = asyncio.get_running_loop().time()
        asking = asyncio.create_task(link.ask(5, holding(0, 100), RetryPolicy(0.1)))
        with pytest.raises(DeviceUnreachable):
            await asking
        chattering.cancel()
        longest = (8 + 205 + 16) * line.character_seconds + 0.1 + 0.03 + 0.02
        assert asyncio.get_running_loop().time() - begun <= longest

    on_a_line(test, [])


def test_a_stray_byte_does_not_use_up_the_time_of_an_answer_that_begins_late():
    unit = SimulatedUnit(1, registers=WORDS, turnaround_seconds=0.25)

    async def test(link, line):
        asking = asyncio.create_task(link.ask(1, holding(0, 125), RetryPolicy(0.3)))
        await asyncio.sleep(0.1)
        line.send_as_other_master(b"\xff")
        assert len(await asking) == 250

    on_a_line(test, [unit])


def test_a_write_is_not_confirmed_by_its_echo_behind_a_stray_byte(caplog):
    async def test(link, line):
        line.echoes = True
        await link.ask(1, holding(3), RetryPolicy(0.2, tries=2))
        assert link.echoes
        line.units.clear()
        write = WriteRequest(Table.HOLDING, 5, (1,))
        asking = asyncio.create_task(link.ask(1, write, ONCE))
        line.echoes = False
        await asyncio.sleep(0.02)
        line.send_as_other_master(b"\x00" + frame(1, "06 0005 0001"))
        with pytest.raises(OutcomeUnknown):
            await asking

    on_a_line(test, [SimulatedUnit(1, registers=WORDS)])


def test_an_echo_behind_a_stray_byte_is_detected():
    sent = frame(1, "03 0003 0001")

    async def test(link, line):
        line.units.append(ScriptedUnit(1, lambda request: None))
        asking = asyncio.create_task(link.ask(1, holding(3), RetryPolicy(0.5)))
        await asyncio.sleep(0.02)
        line.send_as_other_master(b"\x00" + sent + frame(1, "03 02 0003"))
        assert await asking == b"\0\3"
        assert link.echoes

    on_a_line(test, [])


@pytest.mark.enable_socket
async def test_stray_bytes_are_skipped_on_a_pseudo_terminal_and_with_rtu_over_tcp():
    unit = SimulatedUnit(4, registers=WORDS)
    unit.faults = Faults(garbage=b"\x00", garbage_after=b"\xff")
    async with ModbusRtuBus([unit]) as bus, ModbusTcpHost([unit], framing="rtu") as host:
        for place in (SerialLine(port=bus.port, parity="N"), TcpHost(host=host.host, port=host.port, framing="rtu")):
            link = Link(place)
            try:
                for address in range(5):
                    assert await link.ask(4, holding(address), RetryPolicy(5)) == address.to_bytes(2)
            finally:
                link.close()


@pytest.mark.enable_socket
async def test_another_master_on_a_pseudo_terminal_is_set_aside():
    async with ModbusRtuBus([SimulatedUnit(4, registers=WORDS)]) as bus:
        link = Link(SerialLine(port=bus.port, parity="N"))
        try:
            assert await link.ask(4, holding(1), RetryPolicy(5)) == b"\0\1"
            for _ in range(3):
                await bus.send_as_other_master(frame(4, "03 0064 0001"))
            assert await link.ask(4, holding(2), RetryPolicy(5)) == b"\0\2"
            assert "another master speaks on this line (3 requests heard)" in link.remarks()[0]
        finally:
            link.close()
