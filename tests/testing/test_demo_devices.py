"""The demo's plant as an independent client reads it, by the register maps of the real devices."""

from __future__ import annotations

import asyncio
import struct
import tomllib
from pathlib import Path

import pytest
import serial
from modbus_tk import defines, modbus_rtu, modbus_tcp

from gateway.testing.demo_devices import rtu_units, tcp_units
from gateway.testing.modbus import ModbusRtuBus, ModbusTcpHost, Table

pytestmark = pytest.mark.enable_socket

DISCRETE, INPUT, HOLDING = defines.READ_DISCRETE_INPUTS, defines.READ_INPUT_REGISTERS, defines.READ_HOLDING_REGISTERS


HOLDING_TABLE = Table.HOLDING_REGISTERS
PROFILES = Path(__file__).parents[2] / "adapters" / "modbus" / "profiles"
TABLES = {"discrete": Table.DISCRETE_INPUTS, "input": Table.INPUT_REGISTERS, "holding": HOLDING_TABLE}
WORDS = {"bool": 1, "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "float32": 2, "uint64": 4}
SCALED = [
    ("ac_current", 2, 6),
    ("ac_voltage_l1_l2", 7, 13),
    ("ac_voltage_l1", 10, 13),
    ("ac_power", 14, 15),
    ("frequency", 16, 17),
    ("apparent_power", 18, 19),
    ("reactive_power", 20, 21),
    ("power_factor", 22, 23),
    ("dc_current", 27, 28),
    ("dc_voltage", 29, 30),
    ("dc_power", 31, 32),
    ("cabinet_temperature", 33, 37),
    ("heat_sink_temperature", 34, 37),
]
"""Metric, register and scale-factor register within SunSpec model 103."""


@pytest.fixture
async def read_tcp(clock):
    async with ModbusTcpHost(tcp_units(clock)) as host:
        master = modbus_tcp.TcpMaster(host.host, host.port, timeout_in_sec=5)
        yield lambda *request, **more: asyncio.to_thread(master.execute, *request, **more)
        master.close()


@pytest.fixture
async def read_rtu(clock):
    async with ModbusRtuBus(rtu_units(clock)) as bus:
        with serial.Serial(bus.port, bus.baudrate) as port:
            master = modbus_rtu.RtuMaster(port)
            master.set_timeout(5)
            yield lambda *request, **more: asyncio.to_thread(master.execute, *request, **more)


def text(words: tuple[int, ...]) -> str:
    return struct.pack(f">{len(words)}H", *words).rstrip(b"\x00").decode()


async def test_the_meter_with_an_identification(read_tcp, clock):
    assert text(await read_tcp(1, HOLDING, 49, 20)) == "iEM3255"
    assert await read_tcp(1, HOLDING, 129, 2, data_format=">L") == (21_340_217,)
    assert await read_tcp(1, HOLDING, 3027, 6, data_format=">fff") == (230, 231, 229)
    (before,) = await read_tcp(1, HOLDING, 3203, 4, data_format=">Q")
    clock.advance(3600)
    (after,) = await read_tcp(1, HOLDING, 3203, 4, data_format=">Q")
    assert after - before == 8400


async def test_the_solar_inverter_is_a_whole_sunspec_chain(read_tcp, clock):
    common = await read_tcp(2, HOLDING, 40000, 69)
    assert text(common[:2]) == "SunS"
    assert common[2:4] == (1, 65)
    assert (text(common[4:20]), text(common[20:36]), text(common[52:68])) == ("Fronius", "Symo 10.0-3-M", "34120987")
    inverter = await read_tcp(2, HOLDING, 40069, 54)
    assert inverter[:2] == (103, 50)
    assert inverter[52:] == (0xFFFF, 0)
    voltage_scale = struct.unpack(">h", struct.pack(">H", inverter[13]))[0]
    assert inverter[10] * 10**voltage_scale == pytest.approx(230)
    assert inverter[38] == 4  # MPPT
    clock.advance(3600)
    later = await read_tcp(2, HOLDING, 40093, 2, data_format=">L")
    assert later[0] - (inverter[24] << 16 | inverter[25]) == 3170


async def test_the_scale_factors_of_the_inverter_agree_with_its_signals(clock):
    """A value is served twice: as history tells it, and as a count with a power of ten in another register."""
    (inverter,) = (unit for unit in tcp_units(clock) if unit.unit_id == 2)
    model = inverter.read(HOLDING_TABLE, 40069, 52)
    told = {served.metric: served.value for served in inverter.history}
    for metric, at, factor_at in SCALED:
        power = struct.unpack(">h", struct.pack(">H", model[factor_at]))[0]
        assert told[metric] == pytest.approx(model[at] * 10**power), metric


async def test_the_io_module_toggles_its_inputs(read_tcp, clock):
    assert text(await read_tcp(3, INPUT, 5000, 10)) == "ioLogik E1210"
    assert struct.pack(">HHH", *await read_tcp(3, INPUT, 5024, 3)).hex(":") == "00:90:e8:7a:31:c4"
    assert await read_tcp(3, DISCRETE, 0, 16) == (0,) * 16
    clock.advance(4)
    assert await read_tcp(3, DISCRETE, 0, 16) == (1,) + (0,) * 15
    clock.advance(3)
    assert await read_tcp(3, DISCRETE, 0, 16) == (1, 1) + (0,) * 14


async def test_the_meter_with_a_code(read_rtu, clock):
    assert await read_rtu(1, HOLDING, 0xFC00, 3, data_format=">LH") == (22_051_877, 0x0070)
    clock.advance(47 / 4)
    voltages = await read_rtu(1, INPUT, 0, 6, data_format=">fff")
    assert voltages[0] == pytest.approx(232)
    assert all(225 < voltage < 235 for voltage in voltages)
    assert (await read_rtu(1, INPUT, 342, 2, data_format=">f"))[0] == pytest.approx(1542.7, abs=0.02)
    assert await read_rtu(1, INPUT, 0x12, 4) == (0, 0, 0, 0)


async def test_the_meter_with_a_name(read_rtu, clock):
    assert text(await read_rtu(2, HOLDING, 0x8960, 6)) == "B23 112-100"
    assert await read_rtu(2, HOLDING, 0x8900, 2, data_format=">L") == (30_412_766,)
    assert await read_rtu(2, HOLDING, 0x5000, 4, data_format=">Q") == (3_011_725,)
    assert await read_rtu(2, HOLDING, 0x5B00, 6, data_format=">LLL") == (2300, 2310, 2290)
    clock.advance(3600)
    assert await read_rtu(2, HOLDING, 0x5000, 4, data_format=">Q") == (3_011_935,)


async def test_the_temperature_controller_drifts_and_takes_a_set_point(read_rtu, clock):
    assert await read_rtu(3, HOLDING, 0x2000, 1) == (185,)
    clock.advance(71 / 4)
    assert await read_rtu(3, HOLDING, 0x2000, 1) == (189,)
    await read_rtu(3, defines.WRITE_SINGLE_REGISTER, 0x2103, output_value=190)
    assert await read_rtu(3, HOLDING, 0x2103, 1) == (190,)


def test_all_six_are_different_devices(clock):
    units = (*tcp_units(clock), *rtu_units(clock))
    assert len({unit.name for unit in units}) == 6


@pytest.mark.parametrize(
    ("profile", "make_units", "unit_id"),
    [
        ("schneider-iem3000", tcp_units, 1),
        ("fronius-inverter", tcp_units, 2),
        ("moxa-iologik-e1210", tcp_units, 3),
        ("eastron-sdm630", rtu_units, 1),
        ("abb-b23", rtu_units, 2),
        ("omron-e5cc", rtu_units, 3),
    ],
)
def test_each_point_of_the_shipped_profile_is_a_signal_of_its_unit(profile, make_units, unit_id, clock):
    """The metric's name in history is its name in the cloud, so that the demo can compare the two."""
    (unit,) = (unit for unit in make_units(clock) if unit.unit_id == unit_id)
    description = tomllib.loads((PROFILES / f"{profile}.toml").read_text(encoding="utf-8"))
    for point in description["points"]:
        if 103 not in point.get("models", [103]):
            continue  # a battery, which the simulated inverter lacks
        place = description.get("defaults", {}) | point
        start = place["address"] if "address" in place else 40069 + place["at"]
        unit.history.clear()
        unit.read(TABLES[place.get("table", "holding")], start, WORDS[place["type"]])
        assert [served.metric for served in unit.history] == [point["metric"]]
