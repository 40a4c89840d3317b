"""A profile that was edited is read beside its former map first: swapped words never reach the cloud."""

from __future__ import annotations

import struct
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.modbus import ModbusAdapter
from gateway.testing.modbus import ModbusTcpHost, SimulatedUnit, Table

pytestmark = pytest.mark.enable_socket

ADAPTERS = {"modbus": ModbusAdapter}
PROFILE = """
name = "meter"
title = "Meter"
family = "meter"
[source]
document = "this test"
edition = "1"
section = "1"
[groups]
normal = 0.3
[[points]]
metric = "voltage"
address = 0
type = "float32"
unit = "V"
"""
ABSENT = PROFILE.replace("address = 0", "address = 500") + '[[points]]\nmetric = "frequency"\naddress = 2\ntype = "float32"\n'
SWAPPED = PROFILE.replace('unit = "V"', 'unit = "V"\nword_order = "low-first"')
LONGER = PROFILE + '[[points]]\nmetric = "frequency"\naddress = 2\ntype = "float32"\nunit = "Hz"\n'
EVENT_SECONDS = 120  # events of one device go up at most once a minute


@pytest.fixture
async def host():
    words = [int.from_bytes(struct.pack(">f", number)[at : at + 2]) for number in (230.5, 50.25) for at in (0, 2)]
    async with ModbusTcpHost([SimulatedUnit(1, registers={Table.HOLDING_REGISTERS: dict(enumerate(words))})]) as serving:
        yield serving


@pytest.fixture
def profile(tmp_path):
    folder = tmp_path / "profiles"
    folder.mkdir()
    file = folder / "meter.toml"
    file.write_text(PROFILE)
    return file


@pytest.fixture
def started(running, host, profile, quick):
    """Start the gateway with the profile as it is now."""

    def start():
        entry = {
            "type": "modbus", "name": "plant", "hosts": [{"host": host.host, "port": host.port, "name": "bus"}],
            "devices": [{"unit": 1, "profile": "meter"}], "profiles": [str(profile.parent)],
        }  # fmt: skip
        return running(ADAPTERS, entry, timing=replace(quick, map_trial_rest=timedelta(seconds=0.1)))

    return start


@pytest.fixture
def values(emulator):
    """Everything that the cloud was ever told of the child's metrics."""
    seen = {}

    def look():
        for one in emulator.cloud.devices.values():
            if one.parent_id is not None:
                for name, value in one.state.items():
                    seen.setdefault(name, set()).add(value)
        return seen

    return look


def problems(gateway):
    return list(gateway.parts.field.in_effect.map_problems.values())


def maps(gateway):
    return [gateway.parts.state.point_maps.of(key) for key in gateway.parts.state.registry.children]


async def test_swapped_words_are_refused_told_and_never_sent(emulator, until, started, values, profile):
    async with started() as gateway:
        await until(lambda: values().get("voltage") == {230.5})
        await until(lambda: maps(gateway) != [None])
    child = next(one for one in emulator.cloud.devices.values() if one.parent_id is not None)
    emulator.cloud.claim(child.parent_id)
    profile.write_text(SWAPPED)
    async with started() as gateway:
        await until(lambda: values() and problems(gateway))
        (problem,) = problems(gateway)
        assert problem.startswith("its changed point map is not used: voltage is ")
        details = gateway.parts.view._children.details(next(iter(gateway.parts.state.registry.children)))
        assert problem in details.remarks
        await until(lambda: values() and "point_map_refused" in [event.name for event in child.events], EVENT_SECONDS)
    async with started() as gateway:
        await until(lambda: values() and problems(gateway) == [problem])
        assert gateway.parts.children.map_trials._wanted == {}, "it is not tried again"
    assert values()["voltage"] == {230.5}


async def test_a_plausible_change_is_used_after_it_was_tried(until, started, values, profile):
    async with started() as gateway:
        await until(lambda: values().get("voltage") == {230.5})
        await until(lambda: maps(gateway) != [None])
    profile.write_text(LONGER)
    async with started() as gateway:
        await until(lambda: "frequency" in values())
        assert problems(gateway) == []
        assert "frequency" in maps(gateway)[0].text
    async with started():
        await until(lambda: values()["frequency"] == {50.25})


async def test_a_profile_that_wants_no_trial_is_used_at_once(until, started, values, profile):
    async with started() as gateway:
        await until(lambda: values().get("voltage") == {230.5})
        await until(lambda: maps(gateway) != [None])
    profile.write_text(SWAPPED.replace('family = "meter"', 'family = "meter"\ntrial = false'))
    async with started() as gateway:
        await until(lambda: len(values()["voltage"]) > 1)
        await until(lambda: maps(gateway) == [None])


async def test_a_former_map_that_cannot_be_read_any_more_gives_way(until, started, values, profile):
    async with started() as gateway:
        await until(lambda: values().get("voltage") == {230.5})
        await until(lambda: maps(gateway) != [None])
        await gateway.parts.state.point_maps.use(next(iter(gateway.parts.state.registry.children)), "{}")
    async with started() as gateway:
        await until(lambda: '"voltage"' in maps(gateway)[0].text)


async def test_points_that_the_device_does_not_have_are_refused(until, started, values, profile):
    async with started() as gateway:
        await until(lambda: values().get("voltage") == {230.5})
        await until(lambda: maps(gateway) != [None])
    profile.write_text(ABSENT)
    async with started() as gateway:
        await until(lambda: problems(gateway) == ["its changed point map is not used: voltage is not available, and was 230.5"])
        assert "frequency" not in values()
