"""The link with units that miss a request which follows their last answer too soon; in simulated time."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from adapters.modbus.client.buses import SerialLine, TcpHost
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import ReadRequest, ReportServerId, Table, WriteRequest
from adapters.modbus.client.timing import Turnaround
from adapters.modbus.client.transport import RetryPolicy
from gateway.adapter import DeviceUnreachable
from gateway.testing.clock import simulated
from gateway.testing.modbus import Faults, Firmware, ModbusTcpHost, SimulatedUnit, VirtualLine
from gateway.testing.modbus import Table as Tables

WORDS = {Tables.HOLDING_REGISTERS: dict.fromkeys(range(100), 7)}
PAUSE = 0.35
BUSES = pytest.mark.parametrize("bus", ["tcp", "rtu over tcp", "line"])


def now() -> float:
    return asyncio.get_running_loop().time()


def link_to(bus: str, units: list[SimulatedUnit], memory: dict[str, str] | None = None, *, pauses=None, **settings) -> Link:
    memory = {} if memory is None else memory
    if bus == "line":
        line = VirtualLine(units, baudrate=9600)
        return Link(SerialLine(port="p", baudrate=9600, **settings), dial=line.dial, memory=lambda: memory, pauses=pauses)
    framing = "tcp" if bus == "tcp" else "rtu"
    host = ModbusTcpHost(units, framing=framing)
    return Link(TcpHost(host="h", framing=framing, **settings), dial=host.dial, memory=lambda: memory, pauses=pauses)


def unit_that_needs(pause: float, unit_id: int = 1) -> SimulatedUnit:
    unit = SimulatedUnit(unit_id, registers=WORDS)
    unit.faults = Faults(needs_pause_seconds=pause)
    return unit


def read(address: int) -> ReadRequest:
    return ReadRequest(Table.HOLDING, address, 1)


class Poller:
    """Reads ten blocks of a unit once in ten seconds, with time-outs learned as the adapter does."""

    def __init__(self, link: Link, unit: int = 1) -> None:
        self.turnaround = Turnaround()
        self.lost = 0
        self.seconds = 0.0
        self._link = link
        self._unit = unit

    async def poll(self, rounds: int) -> None:
        for _ in range(rounds):
            began_at = now()
            for address in range(10):
                await self._read(read(address))
            self.seconds = now() - began_at
            await asyncio.sleep(max(0.0, 10 - self.seconds))

    async def _read(self, request: ReadRequest) -> None:
        tries = 1 if self.turnaround.misses else 2
        try:
            await self._link.ask(self._unit, request, RetryPolicy(self.turnaround.timeout_seconds(0.5), tries, 0.5))
        except DeviceUnreachable:
            self.lost += 1
            self.turnaround.missed()
        else:
            self.turnaround.answered(self._link.answer_seconds or 0.0)


@BUSES
@pytest.mark.parametrize("pause", [0.06, 0.35, 1.0, 1.8])
def test_the_pause_that_a_unit_needs_is_learned_and_hardly_a_read_is_lost(bus, pause):
    async def main():
        link = link_to(bus, [unit_that_needs(pause)], memory := {})
        poller = Poller(link)
        await poller.poll(10)
        assert poller.lost <= (2 if pause <= 0.5 else 25), "of the first hundred"
        lost = poller.lost
        await poller.poll(20)
        assert poller.lost <= lost + 1
        assert pause <= link.pause_seconds(1) < 1.4 * pause + 0.02
        assert poller.seconds < 14 * pause + 1
        again = link_to(bus, [unit_that_needs(pause)], memory)
        poller = Poller(again)
        await poller.poll(1)
        assert (poller.lost, again.pause_seconds(1)) == (0, pytest.approx(link.pause_seconds(1), rel=0.4))

    simulated(main())


@BUSES
def test_a_pause_that_is_not_needed_any_more_is_forgotten(bus):
    async def main():
        unit = unit_that_needs(PAUSE)
        link = link_to(bus, [unit], memory := {})
        await Poller(link).poll(10)
        assert any(name.endswith("unit 1 pause") for name in memory)
        unit.faults = Faults()
        await Poller(link).poll(500)
        assert link.pause_seconds(1) == 0
        assert not any(name.endswith("unit 1 pause") for name in memory)

    simulated(main())


@BUSES
def test_a_unit_that_begins_to_need_a_pause_gets_one(bus):
    async def main():
        unit = SimulatedUnit(1, registers=WORDS)
        link = link_to(bus, [unit])
        poller = Poller(link)
        await poller.poll(5)
        assert poller.lost == 0
        unit.faults = Faults(needs_pause_seconds=PAUSE)
        await poller.poll(10)
        lost = poller.lost
        await poller.poll(10)
        assert poller.lost <= lost + 1
        assert link.pause_seconds(1) >= PAUSE

    simulated(main())


@BUSES
def test_each_unit_has_its_own_pause(bus):
    async def main():
        link = link_to(bus, [unit_that_needs(PAUSE, 1), SimulatedUnit(2, registers=WORDS)])
        for _ in range(10):
            await Poller(link, 1).poll(1)
            await Poller(link, 2).poll(1)
        assert link.pause_seconds(1) >= PAUSE
        assert link.pause_seconds(2) == 0

    simulated(main())


@BUSES
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_lost_answers_of_a_quick_unit_make_it_no_slow_one(bus, share):
    async def main():
        unit, luck = SimulatedUnit(1, registers=WORDS), random.Random(4)
        link, answer = link_to(bus, [unit]), unit.answer
        unit.answer = lambda request: None if luck.random() < share else answer(request)
        poller = Poller(link)
        await poller.poll(50)
        unit.answer = answer
        await poller.poll(5 if share < 0.3 else 100)
        assert link.pause_seconds(1) < 0.05
        assert poller.seconds < 0.6

    simulated(main())


@BUSES
@pytest.mark.parametrize("answers_after", [0.6, 0.9])
def test_a_unit_that_answers_late_is_not_one_that_needs_a_pause(bus, answers_after):
    async def main():
        unit = SimulatedUnit(1, registers=WORDS)
        unit.faults = Faults(delay_seconds=answers_after)
        link = link_to(bus, [unit])
        for address in range(20):
            with suppress(DeviceUnreachable):
                await link.ask(1, read(address), RetryPolicy(0.5, 3, 2.0))
            await asyncio.sleep(2)
        assert link.pause_seconds(1) == 0
        assert link.session.start.learned_seconds == 0

    simulated(main())


@BUSES
def test_silence_to_what_a_unit_does_not_know_is_not_taken_for_a_pause(bus):
    async def main():
        unit = SimulatedUnit(1, registers=WORDS, firmware=Firmware())
        answer = unit.answer
        unit.answer = lambda request: answer(request) if request[0] == 3 and request[1] == 0 else None
        link = link_to(bus, [unit])
        for unknown in (ReportServerId(), ReadRequest(Table.HOLDING, 40000, 2), ReadRequest(Table.INPUT, 0, 1)):
            await link.ask(1, read(0), RetryPolicy(0.5, 2))
            with pytest.raises(DeviceUnreachable):
                await link.ask(1, unknown, RetryPolicy(0.5, 2))
        await link.ask(1, read(0), RetryPolicy(0.5, 2))
        await link.ask(1, read(1), RetryPolicy(0.5, 2))
        assert link.pause_seconds(1) == 0

    simulated(main())


@BUSES
def test_a_unit_that_dies_costs_no_pause(bus):
    async def main():
        unit = SimulatedUnit(1, registers=WORDS)
        link = link_to(bus, [unit])
        await Poller(link).poll(5)
        unit.faults = Faults(silent=True)
        began_at = now()
        for _ in range(5):
            with pytest.raises(DeviceUnreachable):
                await link.ask(1, read(0), RetryPolicy(0.1))
        assert now() - began_at < 0.9

    simulated(main())


@BUSES
def test_a_write_waits_for_the_whole_pause_and_is_sent_once(bus):
    async def main():
        unit = unit_that_needs(PAUSE)
        link = link_to(bus, [unit])
        await Poller(link).poll(12)
        for value in range(30):
            await link.ask(1, read(0), RetryPolicy(0.5, 2))
            assert await link.ask(1, WriteRequest(Table.HOLDING, 1, (value,)), RetryPolicy(0.5)) == b""

    simulated(main())


@BUSES
@pytest.mark.parametrize("where", ["bus", "unit"])
def test_a_configured_pause_is_kept_from_the_first_request_on(bus, where):
    async def main():
        units = [unit_that_needs(PAUSE), SimulatedUnit(2, registers=WORDS)]
        given = {"request_pause": 0.36} if where == "bus" else {"pauses": {1: 0.36}}
        link = link_to(bus, units, **given)
        poller = Poller(link)
        await poller.poll(1)
        assert poller.lost == 0
        assert 9 * 0.359 <= poller.seconds < 10 * 0.45
        quick = Poller(link, 2)
        await quick.poll(1)
        assert quick.seconds < 10 * 0.05 if where == "unit" else quick.seconds >= 9 * 0.359

    simulated(main())
