"""SunSpec devices that keep less closely to the specification: padded texts, wrong lengths, odd ends, sentinels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import ExceptionResponse, ReadRequest, Table
from adapters.modbus.discovery.model_chain import MODELS_BOUND, follow_chain
from adapters.modbus.discovery.sunspec import find_models
from adapters.modbus.profile.sunspec_models import length_fits
from gateway.testing import modbus as simulated
from gateway.testing.modbus import SunSpecModel, sunspec_registers

INVERTER = SunSpecModel(103, 50, {2: 160, 6: -1, 14: 3650, 15: 0, 24: 0, 25: 0, 26: 0, 38: 4})
NAMEPLATE = SunSpecModel(120, 26, {2: 4, 3: 5000})
METER = SunSpecModel(203, 105, {2: 123, 3: 41, 6: -1, 8: 2301, 15: -1, 16: 5001, 17: -2, 18: 900, 22: 0})


def cells(*models, **given_):
    return sunspec_registers(models, **given_)[simulated.Table.HOLDING_REGISTERS]


def answered(steps, held):
    """Answer the requests of these steps from registers; what is not there is refused. Return the result and the requests."""
    asked = []
    try:
        read = next(steps)
        while True:
            asked.append(read)
            wanted = range(read.address, read.address + read.count)
            is_there = all(address in held for address in wanted)
            answer = b"".join(held[address].to_bytes(2) for address in wanted) if is_there else ExceptionResponse(2)
            read = steps.send(answer)
    except StopIteration as end:
        return end.value, asked


def found(*models, **given_):
    return answered(find_models(), cells(*models, **given_))[0]


def ids(device):
    return [model.id for model in device.models.models]


@pytest.mark.parametrize("wrong_by", [2, -2, 1, -1, 4, -4])
@pytest.mark.parametrize("which", ["the first", "the middle one", "the last"])
def test_a_model_whose_length_is_told_wrong_loses_no_other_model(wrong_by, which):
    models = [INVERTER, NAMEPLATE, METER]
    at = ["the first", "the middle one", "the last"].index(which)
    right = models[at]
    models[at] = SunSpecModel(right.id, right.length, right.words, told_length=right.length + wrong_by)
    device = found(*models)
    assert ids(device) == [1, 103, 120, 203]
    assert [model.length for model in device.models.models] == [66, 50, 26, 105]
    assert f"model {right.id} at" in device.problem
    assert f"tells {right.length + wrong_by} registers" in device.problem


def test_a_length_that_is_far_off_is_put_right_by_the_definition_of_the_model():
    device = found(SunSpecModel(103, 50, told_length=5), METER)
    assert ids(device) == [1, 103, 203]


def test_a_chain_that_cannot_be_found_again_says_where_it_breaks_and_keeps_what_is_known():
    filler = dict.fromkeys(range(2, 42), 4711)
    device = found(INVERTER, SunSpecModel(64100, 40, filler, told_length=20), METER)
    assert ids(device) == [1, 103, 64100]
    assert device.problem == (
        "the chain of models breaks after model 64100 at 40122, which tells 20 registers: at 40144 is 4711, which is no model"
    )


def test_two_places_where_the_next_model_may_be_are_one_too_many():
    ambiguous = dict(zip(range(4, 8), [120, 26, 123, 24], strict=True))
    device = found(INVERTER, SunSpecModel(64020, 30, ambiguous, told_length=6), METER)
    assert ids(device) == [1, 103, 64020]
    assert device.problem == "no model is at 40130 after model 64020 at 40122, which tells 6 registers"


def test_a_chain_as_specified_has_no_problem_and_costs_one_request_for_each_model():
    chain, asked = answered(follow_chain(40002), cells(INVERTER, NAMEPLATE, METER))
    assert chain.problem is None
    assert len(asked) == 5
    assert {read.count for read in asked} == {2}


@pytest.mark.parametrize("end", [[0], [0, 0], [], [0xFFFF, 0xFFFF], [0xFFFF, 0]], ids=str)
def test_a_device_with_measurements_may_end_its_chain_in_another_way(end):
    device = found(INVERTER, METER, end=end)
    assert (ids(device), device.problem) == ([1, 103, 203], None)


def test_a_common_model_without_its_padding_register_is_as_specified():
    held = cells(INVERTER)
    short = {address if address < 40069 else address - 1: word for address, word in held.items() if address != 40069}
    short[40003] = 65
    device, _ = answered(find_models(), short)
    assert (ids(device), device.problem) == ([1, 103], None)


def test_models_of_makers_and_models_of_later_editions_are_passed():
    device = found(SunSpecModel(64200, 33), SunSpecModel(899, 12), INVERTER)
    assert ids(device) == [1, 64200, 899, 103]


def test_a_battery_as_published_whose_common_model_is_its_own_says_where_the_chain_breaks():
    """matfroh/sax_battery_ha issue 128: registers from 40002 on; model 1 tells 15 registers, and model 103 is at 40015."""
    published = bytes.fromhex("0001000F534158504F574552484F4D452D20001700383BBF69200067002000E100E100000000FFFE0FD1")
    words = [0x5375, 0x6E53, *(int.from_bytes(published[at : at + 2]) for at in range(0, len(published), 2))]
    device, _ = answered(find_models(), dict(enumerate(words, start=40000)))
    assert ids(device) == [1]
    assert device.problem == "no model is at 40019 after model 1 at 40002, which tells 15 registers"


def test_an_inverter_whose_last_model_changes_its_length_by_night_keeps_the_others():
    """sunspec/pysunspec2 issue 89: model 714 of a Tripower X tells 93 registers by day."""
    day, night = SunSpecModel(714, 93), SunSpecModel(714, 18)
    for model in (day, night):
        assert ids(found(SunSpecModel(701, 153), model)) == [1, 701, 714]


def test_a_battery_model_with_a_length_that_fits_no_number_of_strings_keeps_the_others():
    """CJNE/ha-sunspec issue 62: model 803 with 6 registers of strings where each takes 32."""
    assert length_fits(803, 6) is False
    assert 103 in ids(found(SunSpecModel(803, 30), INVERTER))


@given(st.dictionaries(st.integers(40000, 40080), st.integers(0, 0xFFFF)), st.integers(0, 0xFFFF))
def test_a_chain_of_nonsense_comes_to_an_end(held, other):
    answers = dict.fromkeys(range(65536), other) | held
    chain, asked = answered(follow_chain(40002), answers)
    assert len(asked) <= 4 * MODELS_BOUND
    assert all(isinstance(read, ReadRequest) and read.table is Table.HOLDING for read in asked)
    assert all(read.address + read.count <= 65536 for read in asked)
    assert len(chain.models.models) <= MODELS_BOUND


PADDED = {
    "NUL": (b"Acme", b"\0"),
    "FF": (b"Acme", b"\xff"),
    "blanks": (b"Acme", b" "),
    "FF behind a NUL": (b"Acme\0", b"\xff"),
    "NUL behind an FF": (b"Acme\xff", b"\0"),
    "blanks and a NUL": (b"  Acme \0", b" "),
    "erased memory behind": (b"Acme\0\x17\xc3garbage", b"\0"),
    "a control character": (b"Ac\x07me", b"\0"),
}


@pytest.mark.parametrize(("content", "padding"), PADDED.values(), ids=PADDED)
def test_a_text_ends_where_its_padding_begins(content, padding):
    device = found(INVERTER, manufacturer=content, padding=padding)
    assert device.manufacturer == "Acme"


@pytest.mark.parametrize(
    ("content", "text"),
    [("Müller".encode(), "Müller"), ("Müller".encode("latin-1"), "Müller"), (b"\xff" * 32, None), (b"\0", None), (b"  ", None)],
    ids=["UTF-8", "Latin-1", "FFs only", "NULs only", "blanks only"],
)
def test_a_text_has_no_replacement_characters(content, text):
    assert found(INVERTER, manufacturer=content).manufacturer == text


async def test_a_device_with_padded_texts_has_a_clean_name_and_its_makers_profile(memory_transport, memory_unit, adapter_on):
    registers = cells(INVERTER, manufacturer="SolarEdge", model="SE9K", serial_number="7E1A2B3C", padding=b"\xff")
    adapter = adapter_on(memory_transport({1: memory_unit(tables={Table.HOLDING: registers})}), units=1)
    device = await adapter.identify("1")
    assert (device.profile, device.serial_number, device.sub_model) == ("solaredge-inverter", "7E1A2B3C", "SE9K")
    assert "\ufffd" not in device.name


@pytest.mark.parametrize("manufacturer", ["SolarEdge", "SMA", "Fronius", "Nobody"])
async def test_an_accumulator_of_zero_is_not_implemented(memory_transport, memory_unit, adapter_on, admitted, manufacturer):
    registers = cells(INVERTER, SunSpecModel(203, 105, METER.words | {54: 0}), manufacturer=manufacturer)
    adapter = adapter_on(memory_transport({1: memory_unit(tables={Table.HOLDING: registers})}), units=1)
    child = admitted(await adapter.identify("1"))
    values = {one.metric.name: one.value async for block in adapter.read(child, frozenset({"slow"})) for one in block}
    assert set(values) >= {"energy_total"}
    energies = {name: value for name, value in values.items() if "energy" in name or "hours" in name}
    assert len(energies) > 20
    assert set(energies.values()) == {None}


async def test_where_a_chain_broke_is_told_in_a_scan_and_of_the_child(memory_transport, memory_unit, adapter_on, admitted):
    wrong = SunSpecModel(103, 50, INVERTER.words, told_length=52)
    registers = cells(wrong, METER)
    adapter = adapter_on(memory_transport({1: memory_unit(tables={Table.HOLDING: registers})}), units=1)
    device = await adapter.identify("1")
    told = "its SunSpec models are not as specified: model 103 at 40070 tells 52 registers, and the next model is at 40122"
    assert device.evidence["problem"].startswith(told)
    assert adapter.bus_remarks()[0].startswith(f"unit 1: {told}")
    assert adapter.remarks(admitted(device))[0].startswith(told)
