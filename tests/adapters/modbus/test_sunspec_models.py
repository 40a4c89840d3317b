"""SunSpec devices that no profile fits: their own models say what they measure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.pdu import Table
from adapters.modbus.sunspec_models import MEASURING, profile_for, profile_named
from gateway.adapter import Confidence, Found

MARKER = (0x5375, 0x6E53)
NOT_AVAILABLE = 0x8000


def text(words, content):
    raw = content.encode().ljust(2 * words, b"\0")
    return [int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw), 2)]


def device(**models):
    """Registers of a SunSpec device: the common model, and for each other one its length and the words that are not zero."""
    words = [*MARKER, 1, 66, *text(16, "Acme"), *text(16, "Meter 9"), *text(8, ""), *text(8, "1.2"), *text(16, "SN-77"), 1, 0]
    for model, (length, filled) in models.items():
        body = [0] * length
        for at, word in filled.items():
            body[at - 2] = word & 0xFFFF
        words += [int(model.removeprefix("m")), length, *body]
    words += [0xFFFF, 0]
    return {Table.HOLDING: dict(enumerate(words, start=40000))}


METER = {"m203": (105, {2: 123, 3: 41, 6: -1, 8: 2301, 15: -1, 16: 5001, 17: -2, 18: -1500, 22: 0})}


async def test_a_meter_that_no_profile_fits_is_read_by_its_own_models(memory_wire, memory_unit, adapter_on, admitted):
    adapter = adapter_on(memory_wire({1: memory_unit(tables=device(**METER))}), units=1)
    (found,) = [step async for step in adapter.discover() if isinstance(step, Found)]
    assert (found.profile, found.family, found.sub_model) == ("sunspec-203", "power-meter", "Meter 9")
    assert (found.manufacturer, found.serial_number, found.firmware_version) == ("Acme", "SN-77", "1.2")
    assert found.confidence is Confidence.CERTAIN
    child = admitted(found)
    groups = frozenset(adapter.poll_groups(child))
    values = {one.metric.name: one.value async for block in adapter.read(child, groups) for one in block}
    assert values["current"] == pytest.approx(12.3)
    assert values["current_l1"] == pytest.approx(4.1)
    assert values["frequency"] == pytest.approx(50.01)
    assert values["active_power"] == -1500


async def test_a_child_is_read_after_a_restart_although_its_profile_is_in_no_file(memory_wire, memory_unit, adapter_on, admitted):
    wire = memory_wire({1: memory_unit(tables=device(**METER))})
    child = admitted(await adapter_on(wire, units=1).identify("1"))
    restarted = adapter_on(wire, units=1)
    names = {one.metric.name async for block in restarted.read(child, frozenset({"fast"})) for one in block}
    assert "active_power" in names


def test_each_measuring_model_makes_a_profile():
    for model in MEASURING:
        profile = profile_for([model])
        assert profile is None or profile.name == f"sunspec-{model}"
    assert sum(profile_for([model]) is not None for model in MEASURING) >= 35
    assert profile_for([802]).family == "battery"
    assert profile_for([307]).family == "weather-station"


def test_models_that_set_or_control_make_none():
    assert profile_for([1, 120, 121, 123, 126]) is None
    assert profile_for([]) is None


@pytest.mark.parametrize("name", ["sunspec", "sunspec-", "sunspec-1", "sunspec-abc", "sunspec-203-102", "sunspec-99999", "abb"])
def test_a_name_that_no_profile_was_given_is_none(name):
    assert profile_named(name) is None


@given(st.sets(st.sampled_from(sorted(MEASURING)), min_size=1, max_size=6))
def test_a_profile_is_found_again_by_its_name(models):
    profile = profile_for(models)
    if profile is not None:
        assert profile_named(profile.name) == profile
        metrics = [point.metric for point in profile.points]
        assert len(metrics) == len(set(metrics))


def test_states_are_told_by_name_and_at_once():
    state = next(point for point in profile_for([802]).points if point.values)
    assert state.urgent
    assert all(isinstance(meaning, str) for meaning in state.values.values())
