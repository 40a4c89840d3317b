"""Request PDUs and their answers, with the example frames of the Modbus Application Protocol V1.1b3 where it has one."""

from __future__ import annotations

import struct

import pytest

from gateway.testing.modbus import (
    ALL_FUNCTIONS,
    HEALTHY,
    Encoding,
    ExceptionCode,
    Faults,
    Firmware,
    ServedValue,
    Signal,
    SimulatedUnit,
    StepWave,
    Table,
)


def bits(first: int, packed: str, count: int) -> dict[int, int]:
    number = int.from_bytes(bytes.fromhex(packed), "little")
    return {first + position: number >> position & 1 for position in range(count)}


@pytest.fixture
def example_unit() -> SimulatedUnit:
    """The device that the specification's examples speak to."""
    registers = {
        Table.COILS: bits(0x13, "cd6b05", 19) | {0xAC: 0},
        Table.DISCRETE_INPUTS: bits(0xC4, "acdb35", 22),
        Table.HOLDING_REGISTERS: {0x6B: 0x022B, 0x6C: 0, 0x6D: 0x64, 1: 0, 2: 0},
        Table.INPUT_REGISTERS: {8: 0x0A},
    }
    return SimulatedUnit(1, registers=registers)


@pytest.mark.parametrize(
    ("request_pdu", "answer"),
    [
        pytest.param("01 0013 0013", "01 03 cd6b05", id="section 6.1"),
        pytest.param("02 00c4 0016", "02 03 acdb35", id="section 6.2"),
        pytest.param("03 006b 0003", "03 06 022b 0000 0064", id="section 6.3"),
        pytest.param("04 0008 0001", "04 02 000a", id="section 6.4"),
        pytest.param("05 00ac ff00", "05 00ac ff00", id="section 6.5"),
        pytest.param("06 0001 0003", "06 0001 0003", id="section 6.6"),
        pytest.param("0f 0013 000a 02 cd01", "0f 0013 000a", id="section 6.11"),
        pytest.param("10 0001 0002 04 000a 0102", "10 0001 0002", id="section 6.12"),
    ],
)
def test_the_examples_of_the_specification(example_unit, request_pdu, answer):
    assert example_unit.answer(bytes.fromhex(request_pdu)) == bytes.fromhex(answer)


@pytest.mark.parametrize(
    ("write", "read", "answer"),
    [
        ("05 00ac ff00", "01 00ac 0001", "01 01 01"),
        ("06 0001 0003", "03 0001 0001", "03 02 0003"),
        ("0f 0013 000a 02 3202", "01 0013 000a", "01 02 3202"),
        ("10 0001 0002 04 000a 0102", "03 0001 0002", "03 04 000a 0102"),
    ],
)
def test_what_was_written_is_read_back(example_unit, write, read, answer):
    example_unit.answer(bytes.fromhex(write))
    assert example_unit.answer(bytes.fromhex(read)) == bytes.fromhex(answer)


@pytest.mark.parametrize(
    ("request_pdu", "code"),
    [
        ("07", 1),
        ("63 0000", 1),
        ("2b 0d 01 00", 1),
        ("03 0000 0001", 2),
        ("03 006d 0002", 2),
        ("04 ffff 0002", 2),
        ("06 0008 0001", 2),
        ("10 0002 0002 04 0001 0001", 2),
        ("01 0013 0000", 3),
        ("01 0013 07d1", 3),
        ("03 006b 0000", 3),
        ("03 006b 007e", 3),
        ("03 006b", 3),
        ("05 00ac 0001", 3),
        ("0f 0013 000a 01 cd", 3),
        ("0f 0013 000a 02 cd", 3),
        ("10 0001 0000 00", 3),
        ("10 0001 0002 04 000a", 3),
        ("10 0001", 3),
    ],
)
def test_a_bad_request_is_refused_with_its_exception(make_meter, example_unit, request_pdu, code):
    asked = bytes.fromhex(request_pdu)
    unit = make_meter() if asked[0] == 0x2B else example_unit
    assert unit.answer(asked) == bytes([asked[0] | 0x80, code])


def test_the_largest_reads_and_writes_are_served():
    unit = SimulatedUnit(
        1, registers={Table.COILS: dict.fromkeys(range(2000), 1), Table.HOLDING_REGISTERS: dict.fromkeys(range(125), 7)}
    )
    assert unit.answer(struct.pack(">BHH", 1, 0, 2000)) == bytes([1, 250]) + b"\xff" * 250
    assert unit.answer(struct.pack(">BHH", 3, 0, 125)) == bytes([3, 250]) + b"\x00\x07" * 125
    assert unit.answer(struct.pack(">BHHB", 15, 0, 1968, 246) + bytes(246)) == struct.pack(">BHH", 15, 0, 1968)
    assert unit.answer(struct.pack(">BHHB", 16, 0, 123, 246) + bytes(246)) == struct.pack(">BHH", 16, 0, 123)


@pytest.mark.parametrize(("function", "count", "size"), [(15, 1969, 247), (16, 124, 248)])
def test_a_write_of_more_than_the_specification_allows_is_refused(function, count, size):
    unit = SimulatedUnit(1, registers={table: dict.fromkeys(range(2000), 0) for table in (Table.COILS, Table.HOLDING_REGISTERS)})
    assert unit.answer(struct.pack(">BHHB", function, 0, count, size) + bytes(size)) == bytes([function | 0x80, 3])


def test_a_device_may_give_fewer_registers_than_the_specification_allows(make_meter):
    meter = make_meter(firmware=Firmware(registers_per_answer=5))
    assert meter.answer(bytes.fromhex("03 0064 0005")) == bytes.fromhex("03 0a 0000 0001 0002 0003 0004")
    assert meter.answer(bytes.fromhex("03 0064 0006")) == bytes.fromhex("83 03")


def test_a_refused_write_changes_nothing(example_unit):
    example_unit.answer(bytes.fromhex("10 0002 0002 04 00ff 00ff"))
    assert example_unit.answer(bytes.fromhex("03 0002 0001")) == bytes.fromhex("03 02 0000")


def test_a_function_that_the_device_lacks_is_illegal(make_meter):
    reader = make_meter(firmware=Firmware(functions=ALL_FUNCTIONS - {6}))
    assert reader.answer(bytes.fromhex("06 0064 0001")) == bytes.fromhex("86 01")


@pytest.mark.parametrize("request_pdu", ["2b 0e 01 00", "11"])
def test_a_device_without_identification_does_not_know_the_function(make_meter, request_pdu):
    asked = bytes.fromhex(request_pdu)
    assert make_meter(firmware=Firmware()).answer(asked) == bytes([asked[0] | 0x80, 1])


def test_values_are_live(meter, clock):
    before = meter.answer(bytes.fromhex("04 0000 0002"))
    clock.advance(15)
    assert before == b"\x04\x04" + struct.pack(">f", 230)
    assert meter.answer(bytes.fromhex("04 0000 0002")) == b"\x04\x04" + struct.pack(">f", 232)


def test_a_live_value_cannot_be_written_and_a_setpoint_keeps_what_was(clock):
    live = Signal(metric="a", table=Table.HOLDING_REGISTERS, address=0, encoding=Encoding.UINT16, wave=StepWave((1, 2), 1))
    setpoint = Signal(
        metric="b", table=Table.HOLDING_REGISTERS, address=1, encoding=Encoding.UINT16, wave=StepWave((1, 2), 1), writable=True
    )
    unit = SimulatedUnit(1, [live, setpoint], clock=clock)
    assert unit.answer(bytes.fromhex("06 0000 0009")) == bytes.fromhex("86 02")
    assert unit.answer(bytes.fromhex("06 0001 0009")) == bytes.fromhex("06 0001 0009")
    clock.advance(1)
    assert unit.answer(bytes.fromhex("03 0000 0002")) == bytes.fromhex("03 04 0002 0009")
    assert list(unit.history) == [ServedValue("a", 2, clock.seconds), ServedValue("b", 9, clock.seconds)]


def test_history_tells_what_was_served_as_it_stood_on_the_wire(meter, clock):
    clock.advance(3)
    meter.answer(bytes.fromhex("04 0002 0001"))
    meter.answer(bytes.fromhex("02 0007 0001"))
    temperature, door = meter.history
    assert temperature == ServedValue("temperature", -4.2, clock.seconds)
    assert door == ServedValue("door", True, clock.seconds)


@pytest.mark.parametrize(("block", "whole"), [("04 0001 0002", ["temperature"]), ("04 0000 0001", []), ("04 000b 0001", [])])
def test_half_a_value_is_not_history(meter, block, whole):
    meter.answer(bytes.fromhex(block))
    assert [served.metric for served in meter.history] == whole


def test_a_refused_read_is_not_history(meter):
    meter.answer(bytes.fromhex("04 0000 0004"))
    assert not meter.history


def test_history_is_bounded_and_forgets_the_oldest(make_meter):
    meter = make_meter(history_length=2)
    for _ in range(2):
        meter.answer(bytes.fromhex("04 0000 0003"))
    assert [served.metric for served in meter.history] == ["voltage", "temperature"]


@pytest.mark.parametrize("spoilt", [Faults(truncated=True), Faults(wrong_crc=True), Faults(answers_as=9)])
def test_a_value_in_a_spoilt_answer_is_not_history(meter, spoilt):
    meter.faults = spoilt
    meter.answer(bytes.fromhex("04 0000 0002"))
    assert not meter.history
    meter.faults = HEALTHY
    meter.answer(bytes.fromhex("04 0000 0002"))
    assert [served.metric for served in meter.history] == ["voltage"]


def test_a_silent_unit_neither_answers_nor_obeys(meter):
    meter.faults = Faults(silent=True)
    assert meter.answer(bytes.fromhex("06 0064 00ff")) is None
    meter.faults = HEALTHY
    assert meter.answer(bytes.fromhex("03 0064 0001")) == bytes.fromhex("03 02 0000")


def test_a_unit_can_refuse_everything(meter):
    meter.faults = Faults(exception=ExceptionCode.SERVER_DEVICE_BUSY)
    assert meter.answer(bytes.fromhex("04 0000 0002")) == bytes.fromhex("84 06")
    assert meter.answer(bytes.fromhex("2b 0e 01 00")) == bytes.fromhex("ab 06")
    assert not meter.history


def test_two_things_at_one_address_are_refused():
    signals = [
        Signal(metric=name, table=Table.INPUT_REGISTERS, address=at, encoding=Encoding.UINT32, wave=StepWave((1,), 1))
        for name, at in [("a", 0), ("b", 1)]
    ]
    with pytest.raises(ValueError, match="b: input_registers 1 is already used"):
        SimulatedUnit(1, signals)
    with pytest.raises(ValueError, match="a: input_registers 1 is already used"):
        SimulatedUnit(1, signals[:1], registers={Table.INPUT_REGISTERS: {1: 5}})


def test_bits_share_a_register_and_one_bit_is_taken_once(clock):
    flags = [
        Signal(
            metric=f"bit{bit}",
            table=Table.INPUT_REGISTERS,
            address=0,
            encoding=Encoding.BOOL,
            bit=bit,
            wave=StepWave((False, True), every),
        )
        for bit, every in [(0, 1), (3, 2)]
    ]
    unit = SimulatedUnit(1, flags, clock=clock)
    seen = []
    for _ in range(4):
        seen.append(unit.answer(bytes.fromhex("04 0000 0001"))[-1])
        clock.advance(1)
    assert seen == [0b0000, 0b0001, 0b1000, 0b1001]
    with pytest.raises(ValueError, match="bit3: input_registers 0 is already used"):
        SimulatedUnit(1, [*flags, flags[1]])


@pytest.mark.parametrize("unit_id", [-1, 256])
def test_a_unit_id_is_one_byte(unit_id):
    with pytest.raises(ValueError, match="one byte"):
        SimulatedUnit(unit_id)
