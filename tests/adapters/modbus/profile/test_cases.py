"""Each case folder: the answers of a device, and the device and readings that the adapter must report."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.link import Link
from adapters.modbus.client.pdu import Table
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.tools.case_runner import case_settings, run_case
from gateway.adapter import Command, Found
from gateway.testing.clock import simulated
from gateway.testing.modbus import SimulatedUnit, VirtualLine
from gateway.testing.modbus import Table as Tables

CASES = Path(__file__).parents[1] / "cases"
PROFILES = PROFILE_FILES.load()
SETTINGS = case_settings()
WRITING_FUNCTIONS = frozenset({5, 6, 15, 16})


def folders() -> list[Any]:
    return [pytest.param(folder, id=f"{folder.parent.name}/{folder.name}") for folder in sorted(CASES.glob("*/*"))]


@pytest.fixture(params=folders())
def case(request, read_case):
    return read_case(request.param)


@pytest.fixture
def adapter(case, memory_transport, adapter_on):
    given = {"devices": [{"unit": case.unit, "profile": case.profile}]} if case.configured else {}
    return adapter_on(memory_transport({case.unit: case.device}), units=[1, 2, case.unit], **given)


async def discovered(adapter) -> list[Found]:
    return [step async for step in adapter.discover() if isinstance(step, Found)]


async def test_a_case_holds(case):
    result = await run_case(case, ModbusAdapter, SETTINGS)
    assert result.differences == []
    assert result.compared > len(case.found) + len(case.readings)


async def test_the_device_is_identified_again_with_evidence(case, adapter):
    (found,) = await discovered(adapter)
    assert found.evidence
    assert found == await adapter.identify(found.address)


async def test_each_reading_is_there_once_and_of_its_device(case, adapter, admitted):
    (found,) = await discovered(adapter)
    child = admitted(found)
    blocks = [block async for block in adapter.read(child, frozenset(adapter.poll_groups(child)))]
    readings = [reading for block in blocks for reading in block]
    assert {type(reading.value) for reading in readings if reading.metric.name.startswith("input_")} <= {bool, int}
    assert {reading.child for reading in readings} == {child.key}
    assert len(readings) == len(case.readings)


async def test_every_other_value_of_a_setting_is_told(case, adapter, admitted):
    (found,) = await discovered(adapter)
    another = {rule.name: other_value(rule.spec(PROFILES[case.profile])) for rule in PROFILES[case.profile].settings}
    assert await adapter.differing_settings(admitted(found), another) == case.settings


def commands() -> list[Any]:
    """Return each command of each case: every command of a profile has one."""
    expected = {folder: tomllib.loads((folder / "expected.toml").read_text("utf-8")) for folder in sorted(CASES.glob("*/*"))}
    return [
        pytest.param(folder, command, id=f"{folder.parent.name}/{folder.name}/{command['name']}")
        for folder, content in expected.items()
        for command in content.get("commands", [])
    ]


@pytest.mark.parametrize(("folder", "wanted"), commands())
def test_a_command_is_the_frame_of_the_makers_document(folder, wanted, read_case, settings):
    case = read_case(folder)
    given = settings(lines=[{"port": "virtual"}], devices=[{"unit": case.unit, "profile": case.profile}])
    tables = {Tables.COILS: case.device.tables[Table.COIL], Tables.HOLDING_REGISTERS: case.device.tables[Table.HOLDING]}

    async def execute():
        line = VirtualLine([SimulatedUnit(case.unit, registers=tables)])
        adapter = ModbusAdapter(given, given.lines[0], Link(given.lines[0], dial=line.dial))
        async with adapter:
            child = adapter.unregistered_child(address=str(case.unit), name="Unit", profile=case.profile)
            result = await adapter.execute(child, Command(1, child.key, wanted["name"], wanted.get("parameters", {})))
        assert result.after == wanted["after"]
        assert result.is_proven == bool(wanted["after"])
        return [exchange.request for exchange in line.exchanges if exchange.request[1] in WRITING_FUNCTIONS]

    assert simulated(execute()) == [bytes.fromhex(wanted["frame"])]


def other_value(spec):
    return spec.choices[-1] if spec.choices else spec.between[1] if spec.between else True


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_has_a_case_that_shows_all_its_points_and_a_source(name, read_case):
    profile = PROFILES[name]
    shown = {metric for folder in (CASES / name).glob("*") for metric in read_case(folder).readings}
    assert shown >= {point.metric for point in profile.points}
    assert profile.other_models or shown == {point.metric for point in profile.points}
    assert {one for folder in (CASES / name).glob("*") for one in read_case(folder).settings} == {
        rule.name for rule in profile.settings
    }
    cases = [read_case(folder) for folder in (CASES / name).glob("*")]
    assert {command.name for case in cases for command in case.commands} == {rule.name for rule in profile.commands}
    assert profile.source.document
    assert profile.source.edition
    assert profile.source.section
    assert profile.source.checked_against


def test_every_case_belongs_to_a_profile_and_tells_where_its_words_come_from(read_case):
    assert {folder.name for folder in CASES.iterdir()} == set(PROFILES)
    assert all(re.search(r"\w{4}", read_case(folder).origin) for folder in CASES.glob("*/*"))
