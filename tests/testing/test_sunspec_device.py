"""A simulated SunSpec device is what its models say, as far as a stranger's eye can see."""

import pytest

from gateway.testing.modbus import SimulatedUnit, SunSpecModel, Table, sunspec_registers


def test_models_follow_each_other_from_the_marker_to_the_end():
    registers = sunspec_registers([SunSpecModel(160, 28, {2: -1, 29: 7}), SunSpecModel(203, 105)], base=50000)
    words = registers[Table.HOLDING_REGISTERS]
    assert bytes.fromhex("".join(f"{words[50000 + at]:04x}" for at in range(2))) == b"SunS"
    chain, address = [], 50002
    while words[address] != 0xFFFF:
        chain.append((words[address], words[address + 1]))
        address += 2 + words[address + 1]
    assert chain == [(1, 66), (160, 28), (203, 105)]
    assert words[address + 1] == 0
    assert max(words) == address + 1
    assert (words[50070 + 2], words[50070 + 29]) == (0xFFFF, 7)


def test_its_common_model_holds_the_texts_where_they_belong():
    unit = SimulatedUnit(1, registers=sunspec_registers([], manufacturer="Acme", serial_number="SN-1", version="3.4"))

    def text(at, words):
        read = unit.read(Table.HOLDING_REGISTERS, 40002 + at, words)
        return b"".join(word.to_bytes(2) for word in read).rstrip(b"\0").decode()

    assert (text(2, 16), text(42, 8), text(50, 16)) == ("Acme", "3.4", "SN-1")


@pytest.mark.parametrize("register", [0, 1, 30, -1])
def test_what_would_stand_outside_its_model_is_a_mistake(register):
    with pytest.raises(ValueError, match="model 160 has the registers 2 to 29"):
        SunSpecModel(160, 28, {register: 1})


def test_its_texts_are_filled_up_as_the_device_does_it():
    words = sunspec_registers([], manufacturer="Acme", model=b"\xfc9", padding=b"\xff")[Table.HOLDING_REGISTERS]
    texts = b"".join(words[40004 + at].to_bytes(2) for at in range(32))
    assert texts == b"Acme".ljust(32, b"\xff") + b"\xfc9".ljust(32, b"\xff")


def test_a_model_can_tell_a_wrong_length_and_stays_as_long_as_it_is():
    words = sunspec_registers([SunSpecModel(103, 50, told_length=52), SunSpecModel(120, 26)])[Table.HOLDING_REGISTERS]
    assert (words[40070], words[40071]) == (103, 52)
    assert (words[40122], words[40123]) == (120, 26)


def test_a_chain_can_end_without_the_end_model():
    words = sunspec_registers([SunSpecModel(103, 50)], end=[0])[Table.HOLDING_REGISTERS]
    assert (max(words), words[40122]) == (40122, 0)
