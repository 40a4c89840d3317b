"""SunSpec devices that no profile fits: profiles made from their own models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import Table
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.profile.profile import MOST_POINTS
from adapters.modbus.profile.sunspec_layout import PlacedModel, SunSpecLayout
from adapters.modbus.profile.sunspec_models import (
    MEASUREMENT_MODELS,
    _definition,
    own_name,
    profile_for,
    profile_named,
    with_other_models,
)
from adapters.modbus.profile.values import decode_one
from gateway.adapter import Confidence, Found
from gateway.testing import modbus as simulated
from gateway.testing.modbus import SunSpecModel, sunspec_registers

LIBRARY = PROFILE_FILES.load()
NOT_AVAILABLE = 0x8000


def device(*models, **reported):
    """What a unit in memory holds to be a SunSpec device with these models."""
    return {Table.HOLDING: dict(sunspec_registers(models, **reported)[simulated.Table.HOLDING_REGISTERS])}


def meter(power):
    return SunSpecModel(203, 105, {2: 123, 3: 41, 6: -1, 8: 2301, 15: -1, 16: 5001, 17: -2, 18: power, 22: 0})


INVERTER = SunSpecModel(103, 50, {2: 160, 6: -1, 14: 3650, 15: 0, 38: 4})


def trackers(count):
    """A model 160 with so many modules at 1.1 A, 2.1 A and so on."""
    modules = {10 + 20 * number + 9: 11 + 10 * number for number in range(count)}
    return SunSpecModel(160, 8 + 20 * count, {2: -1, 3: 0, 4: 0, 5: 0, 8: count, **modules})


@pytest.fixture
def read_all(memory_transport, memory_unit, adapter_on, admitted):
    """Find the device with these models, read it once, and return it with all values."""

    async def read(*models, **reported):
        transport = memory_transport({1: memory_unit(tables=device(*models, **reported))})
        adapter = adapter_on(transport, units=1)
        found = await adapter.identify("1")
        child = admitted(found)
        groups = frozenset(adapter.poll_groups(child))
        transport.asked.clear()
        values = {one.metric.name: one.value async for block in adapter.read(child, groups) for one in block}
        return found, values, transport.asked, adapter.remarks(child)

    return read


async def test_a_meter_that_no_profile_fits_is_read_by_its_own_models(memory_transport, memory_unit, adapter_on, admitted):
    adapter = adapter_on(memory_transport({1: memory_unit(tables=device(meter(-1500)))}), units=1)
    (found,) = [step async for step in adapter.discover() if isinstance(step, Found)]
    assert (found.profile, found.family, found.sub_model) == ("sunspec-203", "power-meter", "Sun 9")
    assert (found.manufacturer, found.serial_number, found.firmware_version) == ("Acme", "SN-77", "1.2")
    assert found.confidence is Confidence.CERTAIN
    child = admitted(found)
    groups = frozenset(adapter.poll_groups(child))
    values = {one.metric.name: one.value async for block in adapter.read(child, groups) for one in block}
    assert values["current"] == pytest.approx(12.3)
    assert values["current_l1"] == pytest.approx(4.1)
    assert values["frequency"] == pytest.approx(50.01)
    assert values["active_power"] == -1500


async def test_a_child_is_read_after_a_restart_although_its_profile_is_in_no_file(
    memory_transport, memory_unit, adapter_on, admitted
):
    transport = memory_transport({1: memory_unit(tables=device(meter(-1500)))})
    child = admitted(await adapter_on(transport, units=1).identify("1"))
    restarted = adapter_on(transport, units=1)
    names = {one.metric.name async for block in restarted.read(child, frozenset({"fast"})) for one in block}
    assert "active_power" in names


def test_each_measuring_model_makes_a_profile():
    for model in MEASUREMENT_MODELS:
        profile = profile_for([model])
        assert profile is None or profile.name == f"sunspec-{model}"
    assert sum(profile_for([model]) is not None for model in MEASUREMENT_MODELS) >= 35
    assert profile_for([802]).family == "battery"
    assert profile_for([307]).family == "weather-station"


def test_models_that_set_or_control_make_none():
    assert profile_for([1, 120, 121, 123, 126]) is None
    assert profile_for([]) is None


@pytest.mark.parametrize("name", ["sunspec", "sunspec-", "sunspec-1", "sunspec-abc", "sunspec-203-102", "sunspec-99999", "abb"])
def test_a_name_that_no_profile_was_given_is_none(name):
    assert profile_named(name) is None


@given(st.sets(st.sampled_from(sorted(MEASUREMENT_MODELS)), min_size=1, max_size=6))
def test_a_profile_is_found_again_by_its_name(models):
    profile = profile_for(models)
    if profile is not None:
        assert profile_named(profile.name) == profile
        metrics = [point.metric for point in profile.points]
        assert len(metrics) == len(set(metrics))


def test_states_are_reported_by_name_and_at_once():
    state = next(point for point in profile_for([802]).points if point.values)
    assert state.urgent
    assert all(isinstance(meaning, str) for meaning in state.values.values())


async def test_each_repetition_of_a_group_is_read_with_its_number(read_all):
    found, values, _, _ = await read_all(SunSpecModel(302, 15, {2: 801, 7: 802, 12: 803}), trackers(2))
    assert found.profile == "sunspec-160-302"
    assert [values[f"dc_current_{number}"] for number in (1, 2)] == [1.1, 2.1]
    assert [values[f"ghi_{number}"] for number in (1, 2, 3)] == [801, 802, 803]
    assert not {"dc_current_3", "ghi_4", "dc_current", "ghi"} & values.keys()


@pytest.mark.parametrize("baudrate", [None, 9600])
async def test_scale_factors_that_are_far_away_are_asked_for_once(memory_transport, memory_unit, adapter_on, admitted, baudrate):
    strings = {18 + 8 * number + 5: 100 + number for number in range(24)}
    combiner = SunSpecModel(403, 16 + 24 * 8, {2: 0, 3: 0, 4: 0, 11: 77, 16: -2, 17: 0, **strings})
    transport = memory_transport({1: memory_unit(tables=device(combiner))})
    adapter = adapter_on(transport, units=1, hosts=[{"host": "127.0.0.1", **({"baudrate": baudrate} if baudrate else {})}])
    child = admitted(await adapter.identify("1"))
    transport.asked.clear()
    values = {one.metric.name: one.value async for block in adapter.read(child, frozenset({"fast"})) for one in block}
    assert [values[f"string_amps_{number + 1}"] for number in range(24)] == [(100 + number) / 100 for number in range(24)]
    assert values["amps"] == 77
    assert len(transport.asked) == len(set(transport.asked))


async def test_a_scale_factor_that_cannot_be_read_leaves_its_values_out(memory_transport, memory_unit, adapter_on, admitted):
    strings = {18 + 8 * number + 5: 100 + number for number in range(24)}
    tables = device(SunSpecModel(403, 16 + 24 * 8, {16: -2, **strings}))
    transport = memory_transport({1: memory_unit(tables=tables)})
    adapter = adapter_on(transport, units=1)
    child = admitted(await adapter.identify("1"))
    for place in (16, 17):
        del tables[Table.HOLDING][40070 + place]
    values = {one.metric.name: one.value async for block in adapter.read(child, frozenset({"fast"})) for one in block}
    assert values["string_amps_24"] is None
    assert values["amps"] == 0


async def test_two_meters_of_one_device_are_reported_apart(read_all):
    _, values, _, _ = await read_all(meter(-1500), SunSpecModel(1, 66), meter(230))
    assert (values["active_power"], values["active_power_2"]) == (-1500, 230)
    assert values["frequency_2"] == pytest.approx(50.01)


async def test_what_lies_behind_a_models_end_is_not_taken_for_its_own(read_all):
    _, values, _, _ = await read_all(SunSpecModel(203, 21, {2: 123, 6: -1, 16: 5001, 17: -2, 18: 5}), SunSpecModel(802, 62))
    assert values["active_power"] == 5
    assert "active_power_l3" in values, "the last one in front of the end"
    assert not {"apparent_power", "energy_import"} & values.keys()


async def test_a_battery_with_more_cells_than_anybody_looks_at_says_which_are_left_out(read_all):
    cells = {44 + 4 * number: 3300 + number for number in range(96)}
    _, values, _, remarks = await read_all(SunSpecModel(805, 42 + 4 * 96, {42: -3, 43: 0, **cells}))
    assert len(values) == MOST_POINTS
    assert values["cell_voltage_1"] == 3.3
    left_out = [remark for remark in remarks if "cell_" in remark]
    assert len(left_out) == 1
    assert "points, of which 200 are read" in left_out[0]
    assert "cell_voltage_96" not in values


async def test_an_inverter_with_a_profile_is_read_with_its_trackers_and_its_meter(read_all):
    found, values, _, _ = await read_all(INVERTER, trackers(2), meter(-1500), manufacturer="Nobody")
    assert (found.profile, found.family) == ("sunspec-inverter-and-160-203", "inverter")
    assert (values["ac_power"], values["ac_current"], values["operating_state"]) == (3650, 16.0, "mppt")
    assert (values["mppt_dc_current_1"], values["mppt_dc_current_2"]) == (1.1, 2.1)
    assert values["meter_active_power"] == -1500


async def test_what_was_added_to_a_profile_is_read_after_a_restart(memory_transport, memory_unit, adapter_on, admitted):
    transport = memory_transport({1: memory_unit(tables=device(INVERTER, trackers(2)))})
    child = admitted(await adapter_on(transport, units=1).identify("1"))
    restarted = adapter_on(transport, units=1)
    assert set(restarted.poll_groups(child)) == {"fast", "normal", "slow"}
    names = {one.metric.name async for block in restarted.read(child, frozenset({"fast"})) for one in block}
    assert {"ac_power", "mppt_dc_power_2"} <= names


async def test_a_device_without_a_serial_number_stays_the_same_when_it_gets_a_meter(read_all):
    before, _, _, _ = await read_all(INVERTER, serial_number="")
    after, _, _, _ = await read_all(INVERTER, meter(5), serial_number="")
    assert before.profile != after.profile
    assert before.identity == after.identity


async def test_where_a_device_keeps_its_models_is_known_after_a_restart(memory_transport, memory_unit, adapter_on, admitted):
    transport = memory_transport({1: memory_unit(tables=device(trackers(3)))})
    first = adapter_on(transport, units=1)
    child = admitted(await first.identify("1"))
    restarted = adapter_on(transport, units=1)
    restarted.memory = dict(first.memory)
    transport.asked.clear()
    names = {one.metric.name async for block in restarted.read(child, frozenset({"fast"})) for one in block}
    assert "dc_power_3" in names
    assert len(transport.asked) == 1, "it is not walked again"


def test_a_profile_that_names_the_same_thing_in_another_type_is_not_read_twice():
    inverter = LIBRARY["sunspec-inverter"]
    assert with_other_models(inverter, [1, 103, 113, 701, 120]) is inverter
    assert with_other_models(LIBRARY["abb-b23"], [203]) is LIBRARY["abb-b23"]


def test_units_are_written_as_our_other_profiles_write_them():
    units = {point.unit for model in MEASUREMENT_MODELS if (made := profile_for([model])) for point in made.points}
    assert {"°C", "%", "var", "W/m²"} <= units
    assert not {"C", "Pct", "Var", "W/m2", "Secs", "PF"} & units


placed_models = st.lists(st.tuples(st.sampled_from(sorted(MEASUREMENT_MODELS)), st.integers(0, 600)), min_size=1, max_size=6)


@given(placed_models, st.sampled_from([None, "sunspec-inverter", "solaredge-inverter", "fronius-inverter-float"]))
def test_no_two_points_of_a_device_have_one_name_and_none_goes_beyond_its_model(chain, base):
    models, address = [], 40070
    for model, length in chain:
        models.append(PlacedModel(model, address, length))
        address += 2 + length
    layout = SunSpecLayout(tuple(models))
    made = profile_for(layout.ids) if base is None else with_other_models(LIBRARY[base], layout.ids)
    if made is None:
        return
    points = list(made.place(frozenset(made.intervals), layout))
    names = [point.metric.name for point in points]
    assert len(names) == len(set(names))
    assert not set(names) & set(made.points_beyond_limit(layout))
    beside_models = {point.metric for point in made.points if point.address is not None}
    assert all(
        any(
            model.address + 2 <= point.address <= point.address + point.encoding.words <= model.address + model.words
            for model in models
        )
        for point in points
        if point.metric.name not in beside_models
    )
    assert profile_named(made.name, LIBRARY) == made
    assert own_name(made) == (base or made.name)


@given(placed_models)
def test_a_layout_is_read_back_as_it_was_noted(chain):
    layout = SunSpecLayout(tuple(PlacedModel(model, 40000 + number, length) for number, (model, length) in enumerate(chain)))
    assert SunSpecLayout.from_text(layout.as_text()) == layout


@pytest.mark.parametrize("text", ["", "nonsense", "103:40000", "103:x:4", "1:2:3:4"])
def test_a_layout_that_was_noted_in_another_way_is_none(text):
    assert not SunSpecLayout.from_text(text)


SENTINELS = {
    "int16": (0x8000,),
    "uint16": (0xFFFF,),
    "acc16": (0,),
    "enum16": (0xFFFF,),
    "bitfield16": (0xFFFF,),
    "int32": (0x8000, 0),
    "uint32": (0xFFFF, 0xFFFF),
    "acc32": (0, 0),
    "enum32": (0xFFFF, 0xFFFF),
    "bitfield32": (0xFFFF, 0xFFFF),
    "int64": (0x8000, 0, 0, 0),
    "uint64": (0xFFFF,) * 4,
    "acc64": (0,) * 4,
    "bitfield64": (0xFFFF,) * 4,
    "float32": (0x7FC0, 0),
    "float64": (0x7FF8, 0, 0, 0),
}
"""What a point that is not implemented holds (SunSpec Device Information Model Specification V1.1, section on data types)."""


@pytest.mark.parametrize("kind", SENTINELS)
def test_a_point_that_is_not_implemented_has_no_value_whatever_its_type(kind):
    definitions = [(model, _definition(model)) for model in sorted(MEASUREMENT_MODELS)]
    wanted = [model for model, definition in definitions if any(point["type"] == kind for point in definition["points"])]
    for model in wanted:
        at = 0
        words = {}
        for point in _definition(model)["points"]:
            if at >= 2 and point["type"] in SENTINELS:
                words |= dict(enumerate(SENTINELS[point["type"]], start=at))
            at += point["size"]
        profile = profile_for([model])
        layout = SunSpecLayout((PlacedModel(model, 0, at - 2),))
        for placed in (placed for point in profile.points for placed in point.placed(layout) if point.repeats is None):
            held = b"".join(
                (words.get(placed.address + register, 0) & 0xFFFF).to_bytes(2) for register in range(placed.encoding.words)
            )
            assert decode_one(placed.encoding, held) is None, (model, placed.metric.name)


@pytest.mark.parametrize("power", [-11, 11, 0x8000, 0x7FFF, 100])
async def test_a_scale_factor_out_of_its_range_leaves_the_values_out(read_all, power):
    inverter = SunSpecModel(103, 50, {2: 160, 6: power, 14: 3650, 15: 0, 38: 4})
    _, values, _, _ = await read_all(inverter)
    assert (values["ac_current"], values["ac_power"]) == (None, 3650)


@pytest.mark.parametrize("floats", [211, 212, 213, 214])
def test_a_meter_with_floats_has_the_metrics_of_one_with_whole_numbers(floats):
    whole, names = profile_for([floats - 10]), [point.metric for point in profile_for([floats]).points]
    assert names == [point.metric for point in whole.points]
    assert {"voltage_l1_l2", "voltage_l3_l1", "apparent_power_l2", "power_factor_l3", "energy_import_l1"} <= set(names)


def test_phases_have_the_same_names_in_every_model():
    phases = {f"{metric}_l{phase}" for metric in ("active_power", "current", "voltage", "reactive_power") for phase in (1, 2, 3)}
    for model in (203, 213, 701):
        assert phases <= {point.metric for point in profile_for([model]).points}
