"""Lists in answers, tables that stand for several, and questions about the effect of a command."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from adapters.serial.framing.framer import framer_for
from adapters.serial.profile.commands import prepare_command
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.protocol import DeviceProtocol
from adapters.serial.profile.repeated_tables import MAX_COPIES, written_out
from adapters.serial.profile.template import Template
from gateway.adapter import Command, CommandRejected

MATRIX = r"""
name = "test"
title = "Store matrix"
family = "switcher"
source = { document = "data", edition = "1", section = "s" }
framing = { kind = "delimiter", end = "\r\n" }
[[match]]
ask = "ties"
[[refusals]]
answer = "E{code:d}"
[[queries]]
name = "ties"
ask = "TIES"
answer = 'T {routed_input_#:/\d+/d by " "}'
unasked = '{routed_input_#:/Out(\d+) In(\d+)/d by "-"}'
[[queries.points]]
each = [1, 4]
metric = "routed_input_{#}"
[[queries]]
each = [1, 2]
name = "gain_{#}"
ask = "G{#-1}"
answer = "{volume:d}"
points = [{ metric = "volume_{#}", field = "volume", unit = "dB" }]
[[commands]]
name = "tie"
ask = "{input:d}*{output:d}!"
parameters = { input = { between = [1, 8] }, output = { between = [1, 4], offset = 1 } }
read_back = "routed_input_{output}"
[[commands]]
name = "mute"
ask = "{output:d}*{mute:d}Z"
answer = "OK"
parameters = { output = { between = [1, 4] }, mute = { values = { off = 0, on = 1 } } }
[commands.effect]
ask = "M"
answer = "{m_#:/[0-3]/d}"
point = { metric = "m_{output}", field = "m_{output}", bit = 1, values = { 0 = "off", 1 = "on" } }
"""


def parsed(text: str):
    return PROFILE_FILES.parse(text, Path("test.toml"))


@pytest.fixture
def matrix():
    return parsed(MATRIX)


def readings(protocol, query, payload):
    answer = protocol.query_request(query).read(payload)
    return {one.metric.name: one.value for one in protocol.readings_of(query, answer, "child", None)}


@pytest.mark.parametrize(
    ("template", "payload", "values"),
    [
        ("Mut{m_#:/[0-3]/}", b"Mut021", {"m_1": "0", "m_2": "2", "m_3": "1"}),
        (r'{m_#:/[\d.]+/f by ","}', b"1.5,20", {"m_1": 1.5, "m_2": 20.0}),
        ('{m_#:/[01]/d by "*"}', b"1*0", {"m_1": 1, "m_2": 0}),
        (r'{m_#:/\d\d/d by " " from 17}{_:/(?: --)*/} Vid', b"01 22 -- -- Vid", {"m_17": 1, "m_18": 22}),
        ('{m_#:/I?(\\d+)/d by ";"}', b"I4;0", {"m_1": 4, "m_2": 0}),
        (r'R:\n{m_#:/(\d+) (\w+)/ by "\n" from 1}', b"R:\n0 U\n7 L", {"m_1": "U", "m_8": "L"}),
        (r'R:\n{m_#:/(\d+) (\w+)/ by "\n"}', b"R:\n0 U", {"m_0": "U"}),
    ],
)
def test_a_list_has_a_value_for_each_item_that_is_there(template, payload, values):
    assert Template.parse(template).match(payload) == values


@pytest.mark.parametrize("payload", [b"Mut", b"Mut04", b"Mut0 1", b"0"])
def test_what_is_no_list_does_not_match(payload):
    assert Template.parse("Mut{m_#:/[0-3]/}").match(payload) is None


def test_a_whole_number_of_too_many_digits_is_no_item():
    template = Template.parse(r'{m_#:/\d+/d by ","}')
    assert template.match(b"1," + b"9" * 19) == {"m_1": 1, "m_2": 10**19 - 1}
    assert template.match(b"1," + b"9" * 20) is None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{m_#:d}", "is not written as"),
        ("{m_#:/[/}", "is not a regular expression"),
        ("{m_#:/(a)(b)(c)/}", "with at most two groups"),
        ("{m_#:/a*/}", "to match one item"),
    ],
)
def test_a_list_with_a_mistake_is_told(written, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        Template.parse(written)


def test_digits_decide_which_number_it_is():
    template = Template.parse(r"{cell:/\d\.\d\d/f} {rest}")
    assert template.match(b"2.25 C") == {"cell": 2.25, "rest": "C"}
    assert template.match(b"27.5 C") is None


def test_outputs_that_a_device_does_not_have_give_no_reading(matrix):
    assert readings(DeviceProtocol(matrix), "ties", b"T 3 1") == {"routed_input_1": 3, "routed_input_2": 1}


def test_a_change_of_one_output_gives_one_reading(matrix):
    protocol = DeviceProtocol(matrix)
    heard = protocol.read_message(b"Out02 In07")
    assert {one.metric.name: one.value for one in protocol.readings_of("ties", heard, "child", None)} == {"routed_input_2": 7}


def test_a_table_with_each_stands_for_several(matrix):
    gains = [(query.name, query.ask, query.points[0].metric) for query in matrix.queries if query.name.startswith("gain")]
    assert gains == [("gain_1", "G0", "volume_1"), ("gain_2", "G1", "volume_2")]


@pytest.mark.parametrize("each", [[2, 1], [1, MAX_COPIES + 1], [1], "1-4", [1, 2.5]])
def test_an_each_that_is_no_range_is_told(each):
    with pytest.raises(ValueError, match="`each` is"):
        written_out({"points": [{"each": each, "metric": "m_{#}"}]})


def test_the_metric_that_shows_an_effect_is_chosen_by_a_parameter(matrix):
    prepared = prepare_command(matrix, Command(1, "child", "tie", {"input": 7, "output": 3}))
    assert prepared.request.raw == b"7*2!\r\n"
    assert prepared.check.point.metric == "routed_input_3"
    assert prepared.check.mismatch_in({"routed_input_3": 7}) is None
    assert "was to be 7" in prepared.check.mismatch_in({"routed_input_3": 2, "routed_input_1": 7})


def test_an_effect_is_read_by_a_question_of_the_command(matrix):
    prepared = prepare_command(matrix, Command(1, "child", "mute", {"output": 2, "mute": "on"}))
    assert prepared.check.request.raw == b"M\r\n"
    assert prepared.check.mismatch_in(prepared.check.request.read(b"0230").values) is None
    assert "m_2" in prepared.check.mismatch_in(prepared.check.request.read(b"2120").values)


def test_a_command_declares_all_metrics_that_can_show_it(matrix):
    (tie, _) = matrix.command_specs
    assert tie.metrics == tuple(f"routed_input_{output}" for output in range(1, 5))
    with pytest.raises(CommandRejected):
        prepare_command(matrix, Command(1, "child", "tie", {"input": 7, "output": 5}))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (
            "output = { between = [1, 4], offset = 1 }",
            "output = { between = [1, 5], offset = 1 }",
            "no query has a point `routed_input_5`",
        ),
        ('_{output}"\n[[commands]]', '_{plug}"\n[[commands]]', "there is no parameter 'plug'"),
        ('ask = "M"', 'ask = "M{plug}"', "it has no parameter 'plug' to ask for"),
        ("[commands.effect]", 'read_back = "volume_1"\n[commands.effect]', "either `read_back` or `effect`"),
    ],
)
def test_what_does_not_fit_together_is_told(before, after, told):
    assert before in MATRIX
    with pytest.raises(ValueError, match=re.escape(told)):
        parsed(MATRIX.replace(before, after))


def test_a_block_ends_with_an_empty_line():
    framer = framer_for(parsed(MATRIX.replace('kind = "delimiter", end = "\\r\\n"', 'kind = "block"')).framing)
    assert [frame.payload for frame in framer.feed(b"A:\n0 1\n1 2")] == []
    assert [frame.payload for frame in framer.feed(b"\n\nACK\n\n\nB:\n0")] == [b"A:\n0 1\n1 2", b"ACK"]
    assert [frame.payload for frame in framer.feed(b" 1\n\n")] == [b"B:\n0 1"]
