"""Requests and answers that are JSON objects."""

from __future__ import annotations

import pytest

from adapters.serial.profile.json_template import JsonTemplate

STATUS = JsonTemplate.parse_json(
    '{"id": 1, "result": {"State": "{state:s}", "Controls": [{"Value": "{value}"}], "Code": "{code:d}"}}'
)


def test_the_values_are_taken_out_of_an_object_with_more_in_another_order():
    result = b'{"Code":3,"Controls":[{"Name":"a","Value":-1.5},{"Value":2}],"State":"Active","more":[]}'
    payload = b'{"result":' + result + b',"id":1,"jsonrpc":"2.0"}'
    assert STATUS.match(payload) == {"state": "Active", "value": -1.5, "code": 3}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"id":2,"result":{"State":"Active","Controls":[{"Value":1}],"Code":3}}',
        b'{"id":true,"result":{"State":"Active","Controls":[{"Value":1}],"Code":3}}',
        b'{"id":1,"result":{"State":7,"Controls":[{"Value":1}],"Code":3}}',
        b'{"id":1,"result":{"State":"Active","Controls":[],"Code":3}}',
        b'{"id":1,"result":{"State":"Active","Controls":[{"Value":{}}],"Code":3}}',
        b'{"id":1,"result":{"State":"Active","Controls":[{"Value":1}],"Code":true}}',
        b'{"id":1,"result":null}',
    ],
)
def test_what_differs_from_the_template_does_not_match(payload):
    assert STATUS.match(payload) is None


@pytest.mark.parametrize("written", ["NaN", "Infinity", "1e999", "null"])
def test_a_number_that_is_none_is_no_value(written):
    assert JsonTemplate.parse_json('{"v": "{v}"}').match(f'{{"v":{written}}}'.encode()) == {"v": None}


@pytest.mark.parametrize(("digits", "value"), [("9" * 18, 10**18 - 1), ("1" + "0" * 30, 1e30), ("9" * 4000, None)])
def test_a_number_that_is_too_large_becomes_a_fraction_or_none(digits, value):
    assert JsonTemplate.parse_json('{"v": "{v}"}').match(f'{{"v":{digits}}}'.encode()) == {"v": value}


def test_a_request_has_the_values_as_json():
    ask = JsonTemplate.parse_json('{"method": "Set", "params": ["{name}", "{value}", "{count:d}"]}')
    assert ask.encode({"name": 'Hall "A"', "value": -1.5, "count": 2}) == b'{"method":"Set","params":["Hall \\"A\\"",-1.5,2]}'
    assert ask.fields == ("name", "value", "count")
    assert ask.takes_whole_numbers("count")
    assert not ask.takes_whole_numbers("value")
    with pytest.raises(ValueError, match="value: is missing"):
        ask.encode({"name": "x"})
    with pytest.raises(ValueError, match="without a name"):
        JsonTemplate.parse_json('{"a": "{_}"}').encode({})


@pytest.mark.parametrize(
    ("written", "told"), [("{", "is no JSON"), ("[1]", "is no JSON object"), ('{"a": "{b:f}"}', "there is no format 'f'")]
)
def test_a_template_with_a_mistake_is_told(written, told):
    with pytest.raises(ValueError, match=told):
        JsonTemplate.parse_json(written)


def test_a_field_that_occurs_twice_has_one_value():
    template = JsonTemplate.parse_json('{"a": "{x}", "b": "{x}"}')
    assert template.match(b'{"a":1,"b":1}') == {"x": 1}
    assert template.match(b'{"a":1,"b":2}') is None
