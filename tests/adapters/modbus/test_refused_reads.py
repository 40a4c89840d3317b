"""The whole adapter on simulated buses with units that refuse, are silent to long reads, or answer them in part."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.link import Link
from gateway.adapter import Command, DeviceUnreachable
from gateway.testing.clock import simulated
from gateway.testing.modbus import Faults, LongReads, ModbusTcpHost, RefusedAddresses, SimulatedUnit, Table, VirtualLine

PROFILE = """
name = "plain"
title = "a device with plain points"
family = "power-meter"
{extra}
[source]
document = "none"
edition = "1"
section = "1"

[groups]
fast = 5

[defaults]
group = "fast"
table = "input"
"""
POINT = '\n[[points]]\nmetric = "{name}"\naddress = {address}\ntype = "{type}"\n'

WORDS = {address: 100 + address for address in range(60)}
POINTS = {f"p{address}": 100 + address for address in range(30)} | {
    f"long{address}": (100 + address << 16) + 101 + address for address in range(40, 50, 2)
}


@pytest.fixture
def profiles(tmp_path):
    def write(extra=""):
        text = PROFILE.format(extra=extra)
        for name in POINTS:
            at, is_long = name.removeprefix("long").removeprefix("p"), name.startswith("long")
            text += POINT.format(name=name, address=at, type="uint32" if is_long else "uint16")
        (tmp_path / "plain.toml").write_text(text, encoding="utf-8")
        return [str(tmp_path)]

    return write


def simulated_unit(**faults):
    made = SimulatedUnit(1, registers={Table.INPUT_REGISTERS: WORDS, Table.HOLDING_REGISTERS: {0: 0}})
    made.faults = Faults(**faults)
    return made


@pytest.fixture
def on_a_line(settings, profiles, admitted):
    """Run a test against an adapter on a simulated line with this unit."""

    def run(unit, check, *, extra="", baudrate=19200):
        async def main():
            line = VirtualLine([unit], baudrate=baudrate)
            given = settings(
                lines=[{"port": "virtual", "baudrate": baudrate}],
                profiles=profiles(extra),
                devices=[{"unit": 1, "profile": "plain"}],
                units="1",
            )
            async with ModbusAdapter(given, transport=Link(given.all_buses[0], dial=line.dial)) as adapter:
                child = admitted(await adapter.identify("1"))

                async def read():
                    before = len(line.exchanges)
                    blocks = [block async for block in adapter.read(child, frozenset({"fast"}))]
                    values = {reading.metric.name: reading.value for block in blocks for reading in block}
                    return values, list(line.exchanges)[before:]

                await check(read, lambda: " ".join(adapter.remarks(child)), unit)
            assert not line.violations

        simulated(main())

    return run


@pytest.mark.parametrize(("code", "function_and_code"), [(0x04, "8404"), (0x02, "8402"), (0x00, "8400"), (0x20, "8420")])
def test_a_refusal_that_is_gone_the_next_time_costs_one_point_some_seconds(on_a_line, code, function_and_code):
    unit = simulated_unit(refused=(RefusedAddresses(addresses=range(7, 8), code=code, times=6),))

    async def check(read, remarks, _):
        values, exchanges = await read()
        assert values == {name: value for name, value in POINTS.items() if name != "p7"}
        assert any(exchange.answer is not None and exchange.answer[1:3].hex() == function_and_code for exchange in exchanges)
        assert "refuses input 7: p7 left out since" in remarks()
        for _ in range(4):
            await asyncio.sleep(5)
            values, _ = await read()
        assert values == POINTS
        assert "refuses" not in remarks()

    on_a_line(unit, check)


@pytest.mark.parametrize("then", ["silent", "short", 0x03], ids=str)
@pytest.mark.parametrize("registers", [1, 2, 9])
def test_a_unit_that_does_not_return_many_registers_is_read_completely(on_a_line, registers, then):
    unit = simulated_unit(long_reads=LongReads(registers=registers, then=then))

    async def check(read, remarks, _):
        for _ in range(2):
            values, exchanges = await read()
            assert values == POINTS
        counts = [int.from_bytes(exchange.request[4:6]) for exchange in exchanges]
        assert max(counts) <= registers
        assert "answers at most" in remarks()

    on_a_line(unit, check)


def test_a_value_that_is_longer_than_the_profile_allows_is_read_in_parts(on_a_line):
    async def check(read, remarks, _):
        values, exchanges = await read()
        assert values == POINTS
        assert {int.from_bytes(exchange.request[4:6]) for exchange in exchanges} == {1}
        assert "answers at most" not in remarks(), "the profile says so"

    on_a_line(simulated_unit(long_reads=LongReads(registers=1)), check, extra="max_registers = 1")


def test_a_unit_that_is_starting_is_read_completely_soon_after(on_a_line):
    unit = simulated_unit()

    async def check(read, _remarks, unit):
        unit.faults = Faults(exception=0x04)
        values, exchanges = await read()
        assert values == {}
        assert len(exchanges) <= 14, "two blocks, and six parts of each"
        unit.faults = Faults()
        for _ in range(4):
            await asyncio.sleep(5)
            values, _ = await read()
        assert values == POINTS

    on_a_line(unit, check)


def test_a_dead_unit_costs_what_it_did(on_a_line):
    async def check(read, _remarks, unit):
        await read()
        unit.faults = Faults(silent=True)
        begun = asyncio.get_running_loop().time()
        with pytest.raises(Exception, match="no answer"):
            await read()
        assert asyncio.get_running_loop().time() - begun < 1.2, "two tries of half a second at most"

    on_a_line(simulated_unit(), check)


@pytest.mark.enable_socket
@pytest.mark.parametrize("then", ["silent", "short"], ids=str)
async def test_it_is_read_over_tcp_as_well(settings, profiles, admitted, then):
    unit = simulated_unit(long_reads=LongReads(registers=20, then=then))
    async with ModbusTcpHost([unit]) as host:
        given = settings(
            hosts=[{"host": "127.0.0.1", "port": host.port}],
            profiles=profiles(),
            devices=[{"unit": 1, "profile": "plain"}],
            units="1",
            timeout=0.2,
        )
        async with ModbusAdapter(given) as adapter:
            child = admitted(await adapter.identify("1"))
            for _ in range(2):
                blocks = [block async for block in adapter.read(child, frozenset({"fast"}))]
                assert {reading.metric.name: reading.value for block in blocks for reading in block} == POINTS
            assert "answers at most" in " ".join(adapter.remarks(child))


WRITABLE = """
[[points]]
metric = "limit"
table = "holding"
address = 20
type = "uint32"

[[commands]]
name = "set_limit"
metric = "limit"
between = [0, 100000]
"""


def test_a_command_for_a_long_value_is_read_back_in_parts(settings, tmp_path, admitted):
    (tmp_path / "plain.toml").write_text(PROFILE.format(extra="max_registers = 1") + WRITABLE, encoding="utf-8")

    async def main():
        unit = SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: {0: 0, 20: 0, 21: 5}})
        unit.faults = Faults(long_reads=LongReads(registers=1))
        line = VirtualLine([unit])
        given = settings(lines=[{"port": "virtual"}], profiles=[str(tmp_path)], devices=[{"unit": 1, "profile": "plain"}])
        async with ModbusAdapter(given, transport=Link(given.all_buses[0], dial=line.dial)) as adapter:
            child = admitted(await adapter.identify("1"))
            result = await adapter.execute(child, Command(1, child.key, "set_limit", {"value": 70000}))
            assert result.message is not None
            assert unit.read(Table.HOLDING_REGISTERS, 20, 1)[0] << 16 | unit.read(Table.HOLDING_REGISTERS, 21, 1)[0] == 70000

    simulated(main())


def test_a_unit_that_is_slower_than_the_time_out_is_told_with_what_to_set(on_a_line):
    unit = simulated_unit()

    async def check(read, remarks, _):
        unit.faults = Faults(delay_seconds=0.7)
        for _ in range(12):
            with suppress(DeviceUnreachable):
                await read()
        assert "longer than `timeout`, so some answers are given up: set timeout = 1.5 (it is 0.5 s)" in remarks()
        unit.faults = Faults()
        for _ in range(30):
            await read()
        assert "`timeout`" not in remarks()

    on_a_line(unit, check)
