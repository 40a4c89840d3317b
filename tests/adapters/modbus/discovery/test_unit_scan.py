"""A scan of hosts that are not ready at once, and of those that answer to the unit ids 0 and 255 only; in simulated time."""

from __future__ import annotations

import asyncio

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.connection_start import STARTUP_SECONDS
from adapters.modbus.client.link import Link
from adapters.modbus.settings import ModbusSettings
from gateway.adapter import Found, Progress
from gateway.testing.clock import simulated
from gateway.testing.modbus import ConnectionFaults, Faults, Firmware, Identification, ModbusTcpHost, SimulatedUnit, Table

SCAN_TIMEOUT = 0.3


def device(unit: int) -> SimulatedUnit:
    firmware = Firmware(identification=Identification({0: b"Acme", 1: b"M1", 2: b"1.0"}))
    return SimulatedUnit(unit, registers={Table.HOLDING_REGISTERS: {0: 7}}, firmware=firmware)


class Scanned:
    """What a scan found, at which addresses, in which time, with how many requests."""

    def __init__(self, host: ModbusTcpHost, units: str, **host_settings) -> None:
        self.steps: list[Found | Progress] = []
        self.seconds = 0.0
        self.link: Link | None = None
        self._host = host
        self._settings = ModbusSettings.model_validate(
            {"type": "modbus", "name": "scan", "units": units, "hosts": [{"host": "virtual", "name": "bus", **host_settings}]}
        )

    async def run(self) -> list[str]:
        bus = self._settings.hosts[0]
        self.link = Link(bus, dial=self._host.dial)
        began_at = asyncio.get_running_loop().time()
        adapter = ModbusAdapter(self._settings, bus, self.link)
        adapter._framing._link_to = lambda other: Link(other, dial=self._host.dial)
        async with adapter:
            self.steps = [step async for step in adapter.discover()]
        self.seconds = asyncio.get_running_loop().time() - began_at
        return [step.address for step in self.steps if isinstance(step, Found)]


def host_of(*ids: int, **faults) -> ModbusTcpHost:
    host = ModbusTcpHost([device(unit) for unit in ids])
    host.connection_faults = ConnectionFaults(**faults)
    return host


@pytest.mark.parametrize("ready_after", [0.2, 1.0, 2.0])
@pytest.mark.parametrize(("units", "ids"), [("1", (1,)), ("1-16", (1, 5)), ("5, 100", (100,)), ("1-100", (1, 2, 40))])
def test_every_unit_is_found_on_a_host_that_needs_a_while_after_connecting(ready_after, units, ids):
    async def main():
        scanned = Scanned(host_of(*ids, ready_after_seconds=ready_after), units)
        wanted = {str(unit) for unit in ids if unit in scanned._settings.units}
        assert set(await scanned.run()) == wanted

    simulated(main())


def test_a_scan_of_a_host_with_absent_units_waits_for_its_start_at_most_once():
    async def main():
        nobody, late, early = Scanned(host_of(), "1-100"), Scanned(host_of(90), "1-100"), Scanned(host_of(3), "1-100")
        assert await nobody.run() == []
        without = Scanned(host_of(), "1-100", connect_delay=0)
        assert await without.run() == []
        assert nobody.seconds <= without.seconds + STARTUP_SECONDS + SCAN_TIMEOUT
        assert await late.run() == ["90"]
        assert late.seconds <= 100 * SCAN_TIMEOUT + STARTUP_SECONDS + SCAN_TIMEOUT
        assert await early.run() == ["3"]
        assert early.seconds <= 100 * SCAN_TIMEOUT + 3 * SCAN_TIMEOUT + 0.1, "those before the first answer are asked twice"

    simulated(main())


def test_progress_never_goes_back_and_ends_at_its_total():
    async def main():
        for host in (host_of(), host_of(4, ready_after_seconds=1), host_of(0)):
            scanned = Scanned(host, "1-9")
            await scanned.run()
            done = [step.done for step in scanned.steps if isinstance(step, Progress)]
            assert done == sorted(done)
            last = next(step for step in reversed(scanned.steps) if isinstance(step, Progress))
            assert last.done == last.total

    simulated(main())


def test_a_host_that_closes_idle_connections_and_is_slow_after_connecting_is_found_each_time():
    async def main():
        host = host_of(1, ready_after_seconds=1.5, idle_limit_seconds=10)
        for _ in range(6):
            assert await Scanned(host, "1").run() == ["1"]
            await asyncio.sleep(20)

    simulated(main())


@pytest.mark.parametrize("only", [0, 255])
@pytest.mark.parametrize("units", ["1-5", "0-3", "1, 255"])
def test_a_device_that_answers_to_0_or_255_only_is_found(only, units):
    async def main():
        assert await Scanned(host_of(only), units).run() == [str(only)]

    simulated(main())


def test_a_host_that_answers_to_both_is_found_once():
    async def main():
        host = host_of(0, 255)
        assert await Scanned(host, "1-5").run() == ["255"]

    simulated(main())


def test_0_and_255_are_not_asked_where_another_unit_answers_nor_behind_rtu_frames():
    async def main():
        beside = Scanned(host_of(0, 255, 4), "1-5")
        assert await beside.run() == ["4"]
        assert not any("unit 0" in step.note or "unit 255" in step.note for step in beside.steps if isinstance(step, Progress))
        rtu = ModbusTcpHost([device(255)], framing="rtu")
        assert await Scanned(rtu, "1-5", framing="rtu").run() == []

    simulated(main())


def test_a_scan_waits_as_long_as_the_time_out_of_the_host():
    async def main():
        host = host_of(2)
        host.units[2].faults = Faults(delay_seconds=0.8)
        usual, own = Scanned(host, "1-3"), Scanned(host, "1-3", timeout=1)
        assert (await usual.run(), await own.run()) == (["2"], ["2"])
        assert own.link.late == type(own.link.late)(), "it did not come late"

    simulated(main())
