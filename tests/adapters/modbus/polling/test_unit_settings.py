"""Settings of a unit: each is written once, read back, and reported as it was and is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.link import Link
from adapters.modbus.profile.library import PROFILE_FILES
from gateway.adapter import CommandRejected, OutcomeUnknown, WrittenSetting
from gateway.testing.clock import simulated
from gateway.testing.modbus import Firmware, ScriptedUnit, SimulatedUnit, Table, VirtualLine

OVEN = """
name = "oven"
title = "Oven"
family = "oven"
[source]
document = "this test"
edition = "1"
section = "1"
[[points]]
metric = "set_point"
address = 10
type = "int16"
scale = 0.1
unit = "°C"
[[points]]
metric = "temperature"
table = "input"
address = 0
"""

SETTINGS = """
[[settings]]
name = "set_point"
title = "Set point"
metric = "set_point"
between = [0, 250]
[[settings]]
name = "mode"
title = "Mode"
address = 11
values = { 0 = "off", 1 = "heat" }
[[settings]]
name = "fan"
title = "Fan"
table = "coil"
type = "bool"
address = 3
[[settings]]
name = "seconds"
title = "Longest time"
address = 20
type = "uint32"
between = [0, 100000]
"""

READ, WRITE_ONE, WRITE_MANY, WRITE_COIL, READ_COILS = 3, 6, 16, 5, 1


@pytest.fixture
def on_line(tmp_path, settings, admitted):
    """Run steps with the adapter on a line with this unit, and return their result with the functions on the wire."""

    def run(unit, steps, profile=OVEN + SETTINGS):
        (tmp_path / "oven.toml").write_text(profile, encoding="utf-8")
        given = settings(lines=[{"port": "virtual"}], devices=[{"unit": 1, "profile": "oven"}], profiles=[str(tmp_path)])

        async def main():
            line = VirtualLine([unit])
            adapter = ModbusAdapter(given, given.lines[0], Link(given.lines[0], dial=line.dial))
            child = adapter.unregistered_child(address="1", name="Oven", profile="oven")
            async with adapter:
                result = await steps(adapter, child)
            assert line.violations == []
            return result, [exchange.request[1] for exchange in line.exchanges]

        return simulated(main())

    return run


def oven():
    holding = {10: 215, 11: 0, 20: 0, 21: 90}
    return SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: holding, Table.COILS: dict.fromkeys(range(8), 0)})


def test_settings_of_every_kind_are_written_once_and_read_back(on_line):
    async def configure(adapter, child):
        return await adapter.configure(child, {"set_point": 180.0, "mode": "heat", "fan": True, "seconds": 70_000})

    written, functions = on_line(oven(), configure)
    assert written == [
        WrittenSetting(name="set_point", before=21.5, after=180.0),
        WrittenSetting(name="mode", before="off", after="heat"),
        WrittenSetting(name="fan", before=False, after=True),
        WrittenSetting(name="seconds", before=90, after=70_000),
    ]
    assert functions == [
        *(READ, WRITE_ONE, READ),
        *(READ, WRITE_ONE, READ),
        *(READ_COILS, WRITE_COIL, READ_COILS),
        *(READ, WRITE_MANY, READ),
    ]


def test_only_settings_that_differ_are_reported_and_nothing_is_written(on_line):
    async def compare(adapter, child):
        return await adapter.differing_settings(child, {"set_point": 21.52, "mode": "heat", "fan": False})

    differing, functions = on_line(oven(), compare)
    assert differing == {"mode": "off"}, "a set point of tenths cannot be closer to 21.52 than 21.5"
    assert set(functions) <= {READ, READ_COILS}


def test_a_refused_setting_is_refused_with_the_reason(on_line):
    firmware = Firmware(functions=frozenset({READ}))
    unit = SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: {10: 0, 11: 0}}, firmware=firmware)

    async def configure(adapter, child):
        with pytest.raises(CommandRejected, match="refuses mode = heat: exception 01 illegal function"):
            await adapter.configure(child, {"mode": "heat"})

    on_line(unit, configure)


def test_a_device_that_keeps_its_own_value_is_reported(on_line):
    def answer(request):
        if request[0] == READ:
            return bytes((READ, 2, 0, 0))
        return request  # it confirms the write, and forgets it

    async def configure(adapter, child):
        with pytest.raises(CommandRejected, match="mode was to be heat, and reads back as off"):
            await adapter.configure(child, {"mode": "heat"})

    on_line(scripted(answer), configure)


def test_a_write_whose_answer_is_lost_counts_if_the_device_has_the_value(on_line):
    has = [0]

    def answer(request):
        if request[0] == READ:
            return bytes((READ, 2, 0, has[0]))
        has[0] = 1
        return None

    async def configure(adapter, child):
        return await adapter.configure(child, {"mode": "heat"})

    written, functions = on_line(scripted(answer), configure)
    assert written == [WrittenSetting(name="mode", before="off", after="heat")]
    assert functions == [READ, WRITE_ONE, READ], "the write is never repeated"


def test_a_device_that_is_lost_after_a_write_leaves_it_unknown(on_line):
    is_lost = []

    def answer(request):
        if is_lost or request[0] == WRITE_ONE:
            is_lost.append(True)
            return None
        return bytes((READ, 2, 0, 0))

    async def configure(adapter, child):
        with pytest.raises(OutcomeUnknown, match="mode was sent to Oven, which did not answer"):
            await adapter.configure(child, {"mode": "heat"})

    on_line(scripted(answer), configure)


def test_an_unknown_setting_and_a_value_that_does_not_fit_are_refused_before_anything_is_sent(on_line):
    async def configure(adapter, child):
        with pytest.raises(CommandRejected, match="Oven has no setting 'colour'; there are set_point, mode, fan, seconds"):
            await adapter.configure(child, {"mode": "heat", "colour": 1})
        with pytest.raises(CommandRejected, match="setting set_point: 4000 does not fit into int16"):
            await adapter.configure(child, {"mode": "heat", "set_point": 4000})

    _, functions = on_line(oven(), configure)
    assert functions == []


def test_the_model_of_the_settings_has_titles_units_and_ranges(on_line):
    async def model(adapter, child):
        return adapter.configuration_model(child), adapter.metrics(child)

    (settings, metrics), _ = on_line(oven(), model)
    properties = settings.model_json_schema()["properties"]
    assert properties["set_point"]["title"] == "Set point"
    assert properties["set_point"]["unit"] == "°C"
    assert {"type": "number", "minimum": 0.0, "maximum": 250.0} in properties["set_point"]["anyOf"]
    assert {"type": "string", "enum": ["off", "heat"]} in properties["mode"]["anyOf"]
    assert {"type": "integer", "minimum": 0, "maximum": 100000} in properties["seconds"]["anyOf"]
    assert {group: [metric.name for metric in metrics[group]] for group in metrics} == {"normal": ["set_point", "temperature"]}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('metric = "nothing"\nbetween = [0, 1]', "setting `x`: there is no point `nothing`"),
        ('metric = "temperature"\nbetween = [0, 1]', "setting `x`: only coils and holding registers"),
        ('metric = "set_point"', "setting `x`: `between` belongs to a plain number"),
        ('metric = "set_point"\naddress = 4\nbetween = [0, 1]', "either the `metric` of a point, or an `address`"),
        ('metric = "set_point"\nscale = 0.1\nbetween = [0, 1]', "stored as its point says: remove scale"),
        ("between = [0, 1]", "either the `metric` of a point, or an `address`"),
        ('address = 4\nvalues = { 0 = "off" }\nbetween = [0, 1]', "`between` belongs to a plain number"),
        ("address = 4\nbetween = [1, 0]", "`between` is [lowest, highest]"),
        ("address = 4\nbits = [0, 2]\nbetween = [0, 1]", "not bits, texts"),
        ('address = 4\ntable = "coil"\ntype = "bool"\nvalues = { 0 = "off" }', "a coil is true or false"),
    ],
)
def test_a_setting_that_cannot_work_is_a_mistake_of_the_profile(lines, why):
    with pytest.raises(ValueError, match=re.escape(why)):
        PROFILE_FILES.parse(f'{OVEN}[[settings]]\nname = "x"\ntitle = "X"\n{lines}\n', Path("oven.toml"))


def scripted(answer):
    return ScriptedUnit(1, answer)
