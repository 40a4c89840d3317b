"""A simulated unit of every profile is found as itself and as no other, and each of its points is read over a real socket."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from adapters.modbus import ModbusAdapter
from adapters.modbus.client.pdu import ExceptionResponse
from adapters.modbus.discovery.identify import UnitProbe
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.sunspec_models import own_name
from gateway.adapter import Found
from gateway.testing.modbus import ExceptionCode, ModbusTcpHost
from tests.adapters.modbus.profile_units import unit_of

CASES = sorted((Path(__file__).parents[1] / "cases").glob("*/*"))
PROFILES = PROFILE_FILES.load()
UNIT_IDS = {name: number for number, name in enumerate(sorted(PROFILES), start=1)}
IDENTIFIED = {name: PROFILES[name] for name in UNIT_IDS if PROFILES[name].match}
CONFIGURED = sorted(UNIT_IDS.keys() - IDENTIFIED.keys())


@pytest.mark.enable_socket
async def test_a_unit_of_every_profile_is_found_as_itself_and_read_whole(settings, admitted):
    devices = [{"unit": UNIT_IDS[name], "profile": name} for name in CONFIGURED]
    units = [unit_named(name).simulated() for name in UNIT_IDS]
    async with ModbusTcpHost(units, unknown_unit=ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND) as host:
        given = settings(hosts=[f"127.0.0.1:{host.port}"], units=f"1-{len(units)}", timeout=30, scan_timeout=30, devices=devices)
        async with ModbusAdapter(given) as adapter:
            found = [step async for step in adapter.discover() if isinstance(step, Found)]
            assert {device.profile: int(device.address) for device in found} == UNIT_IDS
            for device in found:
                child = admitted(device)
                blocks = [block async for block in adapter.read(child, frozenset(adapter.poll_groups(child)))]
                readings = {reading.metric.name: reading.value for block in blocks for reading in block}
                expected = unit_named(device.profile).values
                assert {name: readings.get(name) for name in expected} == expected, device.profile


@pytest.mark.parametrize("name", IDENTIFIED)
def test_a_unit_of_a_profile_fits_no_other_profile(name, memory_unit):
    fits = {other for other, profile in IDENTIFIED.items() if probed(memory_unit, name, [profile]) == other}
    assert name in fits
    assert fits - {name} <= more_general_than(PROFILES[name])


@pytest.mark.parametrize("name", CONFIGURED)
def test_a_unit_that_only_a_person_can_name_fits_no_profile(name, memory_unit):
    assert probed(memory_unit, name, IDENTIFIED.values()) is None


@pytest.mark.parametrize("folder", [pytest.param(folder, id=f"{folder.parent.name}/{folder.name}") for folder in CASES])
def test_the_device_of_a_case_fits_no_other_profile(folder, read_case):
    case = read_case(folder)
    fits = {name for name, profile in IDENTIFIED.items() if profile_found(case.device, [profile]) == name}
    assert (case.profile in fits) is (not case.configured)
    assert fits - {case.profile} <= more_general_than(PROFILES[case.profile])


@cache
def unit_named(name):
    """Return the unit that is made from this profile."""
    return unit_of(PROFILES[name], UNIT_IDS[name])


def probed(memory_unit, name, profiles):
    """Return the profile with which the probe of a unit that is made from a profile ends."""
    each = unit_named(name)
    return profile_found(memory_unit(each.tables, each.identification, each.server_id), profiles)


def profile_found(unit, profiles):
    """Return the profile with which the probe of a unit ends."""
    steps = UnitProbe(profiles).run()
    try:
        request = next(steps)
        while True:
            try:
                answer = unit.answer(request)
            except ExceptionResponse as refusal:
                answer = refusal
            request = steps.send(answer)
    except StopIteration as end:
        return own_name(end.value.profile) if end.value.profile is not None else None


def more_general_than(profile: Profile) -> set[str]:
    """Return the profiles for SunSpec devices of any maker, which also fit one of a maker that has its own profile."""
    ids = {model for rule in profile.match if rule.sunspec is not None for model in rule.sunspec.any_model}
    return {
        name
        for name, other in IDENTIFIED.items()
        for rule in other.match
        if rule.sunspec is not None and rule.sunspec.manufacturer == rule.sunspec.model == ".*" and rule.sunspec.any_model & ids
    }
