"""Drafts: a profile that loads, made from the readable registers of any device."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.tools.drafts import draft
from adapters.modbus.tools.workbench import ModbusWorkbench
from gateway.adapter import DeviceUnreachable, Draft, Dump, Found, Identity, IdentityKind

CASES = Path(__file__).parents[1] / "cases"


def unknown(**known):
    identity = Identity(IdentityKind.PLACE, "plant/bus/unit-5")
    return Found(**{"address": "5", "identity": identity, "name": "Modbus device", "evidence": {"asked": "answered"}, **known})


def parsed(made):
    return PROFILE_FILES.parse(made.text, Path(made.file_name))


def test_a_draft_loads_and_shows_how_else_its_registers_may_be_read():
    high, low = struct.unpack(">2H", struct.pack(">f", 230.1))
    made = draft(unknown(), Dump(cells={"input": {0: high, 1: low, 2: 0xFFF6, 3: 0}}))
    profile = parsed(made)
    assert [(point.metric, point.type) for point in profile.points] == [("input_0", "float32"), ("input_2", "uint16")]
    assert "float32 230.1" in made.text
    assert "int16 -10" in made.text
    assert "asked: answered" in made.text


def test_what_the_device_says_of_itself_becomes_its_match():
    made = draft(unknown(manufacturer='A"C.ME', model="Meter (9)"), Dump(cells={"holding": {0: 1}}))
    (match,) = parsed(made).match
    assert match.identification.vendor.replace("\\", "") == 'A"C.ME'
    assert made.file_name == "draft-a-c-me-meter-9.toml"


def test_a_text_in_the_registers_is_pointed_out():
    words = struct.unpack(">5H", b"SN12345678")
    made = draft(unknown(), Dump(cells={"holding": dict(enumerate(words, start=100))}))
    assert 'holding 100 holds a text: "SN12345678"' in made.text
    assert '# serial_number = { table = "holding", address = 100, type = "string", length = 5 }' in made.text


cells = st.dictionaries(st.integers(0, 65535), st.integers(0, 65535), min_size=1, max_size=80)


@given(
    st.dictionaries(st.sampled_from(["input", "holding"]), cells, min_size=1),
    st.none() | st.text(max_size=20),
    st.none() | st.text(max_size=20),
    st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=3),
)
def test_whatever_a_device_holds_its_draft_loads(tables, maker, model, evidence):
    made = draft(unknown(manufacturer=maker, model=model, evidence=evidence), Dump(cells=tables))
    assert parsed(made).points


@pytest.mark.parametrize("case", ["eastron-sdm630/three-phases", "abb-b23/current-of-l3-not-measured"])
async def test_real_devices_can_be_drafted(case, read_case, memory_transport, settings):
    device = read_case(CASES / case).device
    made = settings()
    bench = ModbusWorkbench(made, made.all_buses[0], memory_transport({5: device}))
    steps = [step async for step in bench.draft(unknown())]
    assert isinstance(steps[-1], Draft)
    assert parsed(steps[-1]).points


async def test_a_device_that_lets_nothing_be_read_has_no_draft(memory_transport, memory_unit, settings):
    made = settings()
    bench = ModbusWorkbench(made, made.all_buses[0], memory_transport({5: memory_unit()}))
    with pytest.raises(DeviceUnreachable, match="nothing to draft"):
        [step async for step in bench.draft(unknown())]
