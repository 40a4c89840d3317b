"""A scan of buses whose answers come late, and of hosts that answer in another framing; in simulated time."""

import asyncio

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.buses import SerialLine, TcpHost
from adapters.modbus.client.late_answers import LateAnswer
from adapters.modbus.client.link import Link
from adapters.modbus.discovery.framing_trial import FramingTrial
from adapters.modbus.discovery.scan_timing import ScanTiming
from gateway.adapter import DeviceUnreachable, Found
from gateway.testing.clock import simulated
from gateway.testing.modbus import ExceptionCode, Faults, ModbusTcpHost, SimulatedUnit, Table, VirtualLine

WORDS = {Table.HOLDING_REGISTERS: {0: 1, 1: 2}}


def quick(number):
    unit = SimulatedUnit(number, registers=WORDS)
    unit.faults = Faults(delay_seconds=0.03)
    return unit


def modbus(**given):
    settings = {"type": "modbus", "name": "plant", "hosts": ["virtual"], **given}
    return ModbusAdapter.settings_model.model_validate(settings)


async def scanned(host, **given):
    bus = TcpHost(host="virtual", framing=given.pop("framing", "tcp"))
    adapter = ModbusAdapter(modbus(**given), bus, Link(bus, dial=host.dial))
    adapter._framing._link_to = lambda other: Link(other, dial=host.dial)
    async with adapter:
        found = [int(step.address) async for step in adapter.discover() if isinstance(step, Found)]
    await host.hang_up()
    return found, list(adapter.bus_remarks())


def gateway_of(*units, absent_seconds=1.0, **given):
    host = ModbusTcpHost([quick(unit) for unit in units], **given)
    host.absent_seconds = absent_seconds
    return host


GATEWAYS = {
    "TCP, silence": ("tcp", None),
    "TCP, 0B": ("tcp", ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND),
    "RTU over TCP": ("rtu", None),
}


@pytest.mark.parametrize(("framing", "unknown"), GATEWAYS.values(), ids=GATEWAYS.keys())
@pytest.mark.parametrize("units", [(5,), (1, 2, 40), (3, 17, 60), (58,)], ids=["5", "1, 2 and 40", "3, 17 and 60", "58"])
def test_units_behind_a_gateway_that_takes_a_second_for_each_absent_unit_are_found(units, framing, unknown):
    found, remarks = simulated(scanned(gateway_of(*units, unknown_unit=unknown, framing=framing), framing=framing, units="1-60"))
    assert sorted(found) == list(units)
    assert len(remarks) == 1
    assert "answers to the scan came late" in remarks[0]
    assert "absent units occupy this bus for about 1.0 s each. Set scan_timeout = 1.5 (it is 0.3)" in remarks[0]


def test_a_scan_with_the_setting_that_was_advised_finds_all_in_one_go_and_says_nothing():
    found, remarks = simulated(scanned(gateway_of(5, 40), units="1-60", scan_timeout=1.5))
    assert (found, remarks) == ([5, 40], [])


def test_a_scan_behind_a_late_gateway_takes_hardly_longer_than_the_gateway():
    async def main():
        begun = asyncio.get_running_loop().time()
        await scanned(gateway_of(5), units="1-60")
        return asyncio.get_running_loop().time() - begun

    assert simulated(main()) < 60 * 1.0 * 1.6


def test_a_slow_unit_on_a_line_is_found_by_its_late_answer():
    async def main():
        slow = SimulatedUnit(5, registers=WORDS, turnaround_seconds=0.45)
        line = VirtualLine([SimulatedUnit(2, registers=WORDS), slow], baudrate=9600)
        bus = SerialLine(port="virtual", baudrate=9600)
        settings = modbus(hosts=[], lines=[{"port": "virtual", "baudrate": 9600}], units="1-9")
        adapter = ModbusAdapter(settings, bus, Link(bus, dial=line.dial))
        async with adapter:
            return [int(step.address) async for step in adapter.discover() if isinstance(step, Found)], adapter.bus_remarks()

    found, remarks = simulated(main())
    assert found == [2, 5]
    assert "Set scan_timeout = " in remarks[0]


def test_a_healthy_host_is_asked_nothing_more_than_before():
    async def main():
        host = ModbusTcpHost([quick(5)])
        heard = []
        answer = host.units[5].answer
        host.units[5].answer = lambda request: heard.append(request) or answer(request)
        begun = asyncio.get_running_loop().time()
        found, remarks = await scanned(host, units="1-60")
        return found, remarks, heard, asyncio.get_running_loop().time() - begun

    found, remarks, heard, seconds = simulated(main())
    assert (found, remarks) == ([5], [])
    assert len(heard) == len(set(heard)) + 1, "only whether it is still there is asked again"
    assert seconds < 60 * 0.3 + 1.6 + 0.04 * len(heard)


def test_a_scan_that_nobody_answers_says_what_to_set():
    found, [remark] = simulated(scanned(ModbusTcpHost([]), units="1-5"))
    assert found == []
    assert "no unit answered the scan within 0.3 s" in remark
    assert "set scan_timeout above the time for which it waits for a unit" in remark


def test_a_gateway_that_says_at_once_that_a_unit_is_absent_is_told_nothing():
    host = ModbusTcpHost([], unknown_unit=ExceptionCode.GATEWAY_PATH_UNAVAILABLE)
    assert simulated(scanned(host, units="1-5")) == ([], [])


def test_late_answers_to_other_requests_do_not_change_the_pace():
    timing = ScanTiming(0.3)
    timing.asks(9, 4.0)
    timing.heard(LateAnswer(9, 0.0, 5.0, is_absence=False))  # to a poll from before the scan
    timing.heard(LateAnswer(7, 4.5, 5.0, is_absence=False))  # to a poll of a known child
    assert (timing.timeout_seconds, timing.next_late(), timing.remark(is_silent_host=False)) == (0.3, None, None)


def test_a_unit_that_was_heard_late_and_is_silent_is_asked_four_times():
    timing = ScanTiming(0.3)
    timing.asks(9, 0.0)
    timing.heard(LateAnswer(9, 0.0, 0.8, is_absence=False))
    assert [timing.next_late() is not None for _ in range(5)] == [True, True, True, True, False]


@pytest.mark.parametrize(
    ("configured", "served"), [("tcp", "rtu"), ("rtu", "tcp"), ("tcp", "ascii"), ("ascii", "tcp"), ("rtu", "ascii")]
)
def test_a_host_that_answers_in_another_framing_is_found_out_and_the_setting_named(configured, served):
    async def main():
        host = ModbusTcpHost([quick(5)], framing=served)
        found, remarks = await scanned(host, units="1-9", framing=configured)
        assert found == []
        return remarks

    [remark] = simulated(main())
    assert f'set framing = "{served}" for this host' in remark
    assert "unit 5 answers" in remark


def test_a_unit_that_is_read_in_the_wrong_framing_says_so():
    async def main():
        host = ModbusTcpHost([quick(5)], framing="rtu")
        bus = TcpHost(host="virtual")
        adapter = ModbusAdapter(modbus(), bus, Link(bus, dial=host.dial))
        adapter._framing = FramingTrial(bus, adapter._transport, lambda other: Link(other, dial=host.dial))
        async with adapter:
            for _ in range(2):
                with pytest.raises(DeviceUnreachable, match='answers RTU frames: set framing = "rtu" for this host'):
                    await adapter.identify("5")
        connections = host.connections
        await host.hang_up()
        return connections

    assert simulated(main()) == 3, "the trial is made once, on a connection of its own"


def test_a_host_that_has_answered_is_not_tried_in_another_framing():
    async def main():
        host = ModbusTcpHost([quick(5)])
        bus = TcpHost(host="virtual")
        adapter = ModbusAdapter(modbus(), bus, Link(bus, dial=host.dial))
        async with adapter:
            await adapter.identify("5")
            with pytest.raises(DeviceUnreachable):
                await adapter.identify("6")
        connections = host.connections
        await host.hang_up()
        return connections

    assert simulated(main()) == 1
