"""Commands: writes, read-backs and refusals; nothing but a command writes."""

from __future__ import annotations

import math
import re
import struct
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.modbus.client.pdu import ReadRequest, Table, WriteRequest
from adapters.modbus.profile.commands import PlannedWrite, planned_write
from adapters.modbus.profile.library import PROFILE_FILES
from adapters.modbus.profile.points import FLOATS, NUMBER_FORMATS, UNSIGNED, Encoding, PlacedPoint, ValueType, number_words
from adapters.modbus.profile.values import decode_one, encode_one
from gateway.adapter import Command, CommandRejected, Metric

PROFILE = PROFILE_FILES.parse(
    """
    name = "oven"
    maker = "Maker"
    title = "Oven"
    family = "oven"
    [source]
    document = "this test"
    edition = "1"
    section = "1"
    [[points]]
    metric = "set_point"
    address = 10
    type = "int16"
    scale = 0.1
    [[points]]
    metric = "mode"
    address = 11
    values = { 0 = "off", 1 = "heat" }
    [[points]]
    metric = "fan"
    table = "coil"
    type = "bool"
    address = 3
    [[commands]]
    name = "set_temperature"
    metric = "set_point"
    parameter = "celsius"
    between = [0, 250]
    [[commands]]
    name = "set_mode"
    metric = "mode"
    parameter = "mode"
    [[commands]]
    name = "blow"
    metric = "fan"
    value = true
    """,
    Path("oven.toml"),
)


def command(name, **parameters):
    return Command(1, "child", name, parameters)


def test_a_command_is_a_write_of_what_the_point_holds():
    assert planned_write(PROFILE, command("set_temperature", celsius=21.5)).write == WriteRequest(Table.HOLDING, 10, (215,))
    assert planned_write(PROFILE, command("set_mode", mode="heat")).write == WriteRequest(Table.HOLDING, 11, (1,))
    assert planned_write(PROFILE, command("blow")).write == WriteRequest(Table.COIL, 3, (1,))


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (command("explode"), "Oven has no command 'explode'; it has set_temperature, set_mode, blow"),
        (command("set_temperature"), "takes the parameter 'celsius', and got none"),
        (command("set_temperature", kelvin=3), "takes the parameter 'celsius', and got kelvin"),
        (command("set_temperature", celsius=251), "has to be a number from 0 to 250, not 251"),
        (command("set_temperature", celsius="hot"), "has to be a number from 0 to 250, not 'hot'"),
        (command("set_temperature", celsius=True), "has to be a number from 0 to 250, not True"),
        (command("set_temperature", celsius=math.nan), "has to be a number from 0 to 250, not nan"),
        (command("set_temperature", celsius=[1]), "celsius has to be a number from 0 to 250, not [1]"),
        (command("set_mode", mode="grill"), "mode has to be one of off, heat, not 'grill'"),
        (command("blow", hard=1), "takes no parameters, and got hard"),
    ],
)
def test_what_a_command_does_not_take_is_refused_with_what_it_takes(asked, why):
    with pytest.raises(CommandRejected, match=re.escape(why)):
        planned_write(PROFILE, asked)


@pytest.mark.parametrize(
    ("kind", "scale", "written", "shown", "is_confirmed"),
    [
        (ValueType.INT16, 0.1, 21.57, 21.6, True),
        (ValueType.INT16, 0.1, 21.57, 21.5, False),
        (ValueType.UINT32, 1, 4_000_000_000, 4_000_000_000, True),
        (ValueType.UINT32, 1, 4_000_000_000, 4_000_000_001, False),
        (ValueType.FLOAT32, 1, 21.4, struct.unpack("f", struct.pack("f", 21.4))[0], True),
        (ValueType.FLOAT32, 1, 21.4, 21.0, False),
        (ValueType.FLOAT32, 1, 0.0, 0.0, True),
    ],
)
def test_what_reads_back_is_what_was_written_as_far_as_the_registers_can_hold_it(kind, scale, written, shown, is_confirmed):
    encoding = Encoding(type=kind, words=number_words(kind), scale=scale)
    point = PlacedPoint(metric=Metric("set_point"), table=Table.HOLDING, address=0, encoding=encoding)
    words = encode_one(encoding, written)
    planned = PlannedWrite(
        "set", WriteRequest(Table.HOLDING, 0, words), ReadRequest(Table.HOLDING, 0, encoding.words), point, written
    )
    assert planned.is_confirmed_by(shown) is is_confirmed


def test_a_button_is_pressed_and_not_read_back():
    rule = PROFILE.commands[2].model_copy(update={"read_back": False})
    pressed = PROFILE.model_copy(update={"commands": (rule,)})
    assert planned_write(pressed, command("blow")).read_back is None
    assert planned_write(PROFILE, command("blow")).read_back is not None


def test_no_profile_of_ours_has_a_command_that_cannot_be_given():
    for profile in PROFILE_FILES.load().values():
        for rule in profile.commands:
            given = {} if rule.value is not None else {rule.parameter: rule.between[0] if rule.between else True}
            assert planned_write(profile, command(rule.name, **given)).write.values


def test_nothing_but_a_command_or_a_setting_makes_a_write():
    made = re.compile(r"(?<!class )(?<!case )\bWriteRequest\(")
    sources = Path(PROFILE_FILES.folder).parent.rglob("*.py")
    makers = sorted(file.name for file in sources if made.search(file.read_text(encoding="utf-8")))
    assert makers == ["commands.py", "setting_writes.py"]


numbers = st.sampled_from(sorted(NUMBER_FORMATS))
orders = st.booleans()


@given(numbers, orders, orders, st.data())
def test_what_is_encoded_decodes_to_itself_for_each_type_and_order(kind, low_word_first, low_byte_first, data):
    encoding = Encoding(type=kind, words=number_words(kind), low_word_first=low_word_first, low_byte_first=low_byte_first)
    if kind in FLOATS:
        value = data.draw(st.floats(allow_nan=False, allow_infinity=False, width=32 if kind is ValueType.FLOAT32 else 64))
    else:
        bits = 16 * number_words(kind)
        low, high = (0, 2**bits - 1) if kind in UNSIGNED else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        value = data.draw(st.integers(low, high))
    words = encode_one(encoding, value)
    assert decode_one(encoding, b"".join(word.to_bytes(2) for word in words)) == value


@given(numbers, orders, orders, st.data())
def test_what_is_decoded_encodes_to_the_same_registers(kind, low_word_first, low_byte_first, data):
    encoding = Encoding(type=kind, words=number_words(kind), low_word_first=low_word_first, low_byte_first=low_byte_first)
    payload = data.draw(st.binary(min_size=2 * encoding.words, max_size=2 * encoding.words))
    value = decode_one(encoding, payload)
    if value is not None:  # a float that is none has no value to encode
        assert b"".join(word.to_bytes(2) for word in encode_one(encoding, value)) == payload


@given(st.sampled_from([0.1, 0.01, 0.001, 10, 1000]), st.integers(-1000, 1000), st.integers(-3000, 3000))
def test_a_scaled_number_survives_the_round_trip(scale, offset, raw):
    encoding = Encoding(type=ValueType.INT16, scale=scale, offset=float(offset))
    value = decode_one(encoding, raw.to_bytes(2, signed=True))
    assert encode_one(encoding, value) == (raw & 0xFFFF,)


@pytest.mark.parametrize("value", [70000, -1, math.inf, math.nan, "1", None, True])
def test_a_number_that_does_not_fit_is_refused(value):
    with pytest.raises(ValueError, match=re.escape(repr(value))):
        encode_one(Encoding(type=ValueType.UINT16), value)


BROKEN = """
name = "oven"
maker = "Maker"
title = "Oven"
family = "oven"
[source]
document = "this test"
edition = "1"
section = "1"
[[points]]
metric = "set_point"
address = 10
[[points]]
metric = "reported"
table = "input"
address = 10
"""


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('name = "set"\nmetric = "nothing"', "command `set`: there is no point `nothing`"),
        ('name = "set"\nmetric = "reported"', "only coils and holding registers"),
        ('name = "set"\nmetric = "set_point"', "set `between`"),
        (
            'name = "set"\nmetric = "set_point"\nbetween = [0, 9]\nsecret = true',
            "a secret is not read back: set `read_back = false`",
        ),
        (
            'name = "set"\nmetric = "set_point"\nbetween = [0, 9]\ndefault = 10',
            "the parameter value does not accept its own default",
        ),
        (
            'name = "set"\nmetric = "set_point"\nbetween = [0, 9]\nexpires_after = 0',
            "command `set`.expires_after: has to be more than 0",
        ),
    ],
)
def test_a_profile_with_a_command_that_cannot_work_is_refused(lines, why):
    with pytest.raises(ValueError, match=re.escape(why)):
        PROFILE_FILES.parse(f"{BROKEN}[[commands]]\n{lines}\n", Path("oven.toml"))


def with_rule(at: int, **keys: object):
    rules = list(PROFILE.commands)
    rules[at] = type(rules[at]).model_validate({**rules[at].model_dump(exclude_unset=True), **keys})
    return type(PROFILE).model_validate({**PROFILE.model_dump(exclude_unset=True), "commands": rules})


def test_choices_are_the_only_values_that_are_accepted():
    oven = with_rule(0, choices=[50, 120.5])
    assert planned_write(oven, command("set_temperature", celsius=120.5)).write.values == (1205,)
    with pytest.raises(CommandRejected, match=r"celsius has to be one of 50, 120.5, not 51"):
        planned_write(oven, command("set_temperature", celsius=51))
    heater = with_rule(1, choices=["heat"])
    with pytest.raises(CommandRejected, match="mode has to be one of heat, not 'off'"):
        planned_write(heater, command("set_mode", mode="off"))
    with pytest.raises(ValueError, match="it has no value 'grill'; there are off, heat"):
        with_rule(1, choices=["grill"])


def test_a_default_is_written_when_the_parameter_is_left_out():
    oven = with_rule(0, default=20)
    assert planned_write(oven, command("set_temperature")).write.values == (200,)
    assert planned_write(oven, command("set_temperature", celsius=None)).write.values == (200,)
    assert planned_write(oven, command("set_temperature", celsius=30)).write.values == (300,)


def test_the_declaration_has_the_texts_of_the_profile():
    oven = with_rule(0, title="Heat up", description="slowly", expires_after=30, harmless_late=True, restarts_device=True)
    spec = oven.command_specs[0]
    assert (spec.title, spec.description, spec.expires_after) == ("Heat up", "slowly", timedelta(seconds=30))
    assert (spec.harmless_late, spec.restarts_device, spec.is_proven) == (True, True, True)
    assert [spec.title for spec in PROFILE.command_specs] == ["Set temperature", "Set mode", "Blow"]
