"""A changed point map on a serial line that is always busy: it takes little of the line, and its values go nowhere."""

from __future__ import annotations

import asyncio
import struct
from types import SimpleNamespace

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.link import Link
from gateway.field.child_buses import ChildBuses
from gateway.field.configuration.map_trials import ROUNDS, MapTrials
from gateway.field.fleet import Fleet
from gateway.field.polling.supervisor import Supervisor
from gateway.state.point_maps import PointMaps
from gateway.tasks import loop_time
from gateway.testing.modbus import SimulatedUnit, Table, VirtualLine

PROFILE = """
name = "meter"
title = "Meter"
family = "meter"
[source]
document = "this test"
edition = "1"
section = "1"
[groups]
normal = 0.1
[[points]]
metric = "voltage"
address = 0
type = "float32"
unit = "V"
"""
OTHER_REGISTERS = PROFILE.replace("address = 0", "address = 40")


@pytest.fixture
async def plant(field, tmp_path):
    """A line at 9600 baud with one unit; `await plant.start(profile)` is a start of the gateway with this profile."""
    words = [int.from_bytes(struct.pack(">f", 230.5)[at : at + 2]) for at in (0, 2)]
    registers = {0: words[0], 1: words[1], 40: words[0], 41: words[1]}
    line = VirtualLine([SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: registers})], baudrate=9600)
    maps = PointMaps(field.registry._store)
    made = SimpleNamespace(line=line, maps=maps, events=[], running=[])

    async def start(profile):
        (tmp_path / "meter.toml").write_text(profile)
        for task in made.running:
            task.cancel()
        await asyncio.gather(*made.running, return_exceptions=True)
        devices = [{"unit": 1, "profile": "meter"}]
        lines = [{"port": "virtual", "baudrate": 9600}]
        given = ModbusAdapter.settings_model.model_validate(
            {"type": "modbus", "name": "entry", "lines": lines, "devices": devices, "profiles": [str(tmp_path)]}
        )
        adapter = ModbusAdapter(given, given.lines[0], Link(given.lines[0], dial=line.dial))
        fleet = Fleet((), {}, lambda adapter, entry: None)
        made.trials = MapTrials(
            field.registry, fleet, maps, field.in_effect, run_in_gaps=ChildBuses(field.registry, fleet).step,
            report_event=lambda *event: made.events.append(event),
        )  # fmt: skip
        supervisor = fleet.supervisors["entry", adapter.bus] = Supervisor(
            adapter, entry="entry", registry=field.registry, intake=field.intake, monitor=field.monitor,
            in_effect=field.in_effect, choose_map=made.trials.choose_map,
        )  # fmt: skip
        made.running = [asyncio.create_task(supervisor.run()), asyncio.create_task(made.trials.run())]
        field.tasks.extend(made.running)

    made.start = start
    return made


def reads_at(plant, address):
    return [exchange for exchange in plant.line.exchanges if int.from_bytes(exchange.request[2:4]) == address]


async def test_a_changed_map_takes_little_of_a_busy_line_before_it_is_used(plant, field):
    await plant.start(PROFILE)
    await field.until(lambda: field.registry.children and plant.maps.of(next(iter(field.registry.children))))
    (key,) = field.registry.children
    await plant.start(OTHER_REGISTERS)
    await field.until(lambda: reads_at(plant, 40))
    began_at = loop_time()
    await field.until(lambda: '"address": 40' in plant.maps.of(key).text, seconds=600)
    seconds, tried = loop_time() - began_at, reads_at(plant, 40)
    assert len(tried) == ROUNDS
    spent = 2 * sum(exchange.ended_at - exchange.started_at for exchange in tried)  # the former map is read as well
    assert spent / seconds < 0.05
    assert len(reads_at(plant, 0)) > 10 * ROUNDS, "the child was read by its former map meanwhile"
    await field.until(lambda: len(reads_at(plant, 40)) > 3 * ROUNDS, seconds=60)
    assert plant.line.violations == []
    assert plant.events == []
