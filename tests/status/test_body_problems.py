"""A body that is not as its operation describes it is answered with which field is wrong, and what it has to be."""

import json

import pytest
from pydantic import ValidationError

from gateway.models import NAME_LENGTH
from gateway.status.openapi import OPERATIONS
from gateway.status.operations.body_problems import body_problems
from gateway.status.operations.commands import CommandRequest
from gateway.status.operations.operation import MULTIPART
from gateway.status.operations.waiting import RenameRequest

pytestmark = pytest.mark.enable_socket

OF_THE_LIBRARY = (
    "input should",
    "field required",
    "extra inputs",
    "validation",
    "pydantic",
    "json_invalid",
    "value error",
    "type=",
)
JUNK = (
    "",
    "no JSON",
    "[]",
    "null",
    "7",
    '{"x": 1}',
    "{}",
    '{"name": 7',
    '{"name": {"deep": [1, 2]}}',
    "\ud800",
    '{"\\ud800": 1}',
)
WITH_BODY = [one for one in OPERATIONS if one.body is not None and one.body_type != MULTIPART]


def problems_of(text, model):
    try:
        model.model_validate_json(text.encode("utf-8", "surrogatepass"), strict=True)
    except ValidationError as error:
        return body_problems(error, model)
    return None


NAME = f"(1 to {NAME_LENGTH} readable characters; null for the name that it was found under)"
NAMED = {
    "{": "the body is not JSON, from line 1, column 1 on",
    "[]": "the body has to be an object",
    "{}": f"name is missing {NAME}",
    '{"name": 7}': f"name has to be a text {NAME}",
    '{"name": "x", "nmae": 1}': 'no field is called "nmae"; there is name',
}
OF_COMMANDS = {
    '{"confirmed": "yes"}': "confirmed has to be true or false",
    '{"wait_seconds": 31}': "wait_seconds has to be 30 or less",
    '{"wait_seconds": "x"}': "wait_seconds has to be a number",
    '{"parameters": []}': "parameters has to be an object",
    '{"request_id": "a b"}': "request_id has to be a text of the form ^[A-Za-z0-9_-]{8,64}$",
}


@pytest.mark.parametrize("text", OF_COMMANDS)
def test_what_a_field_of_a_command_has_to_be_is_said_with_what_it_is_for(text):
    words = problems_of(text, CommandRequest)
    name = words.partition(" ")[0]
    assert words == f"{OF_COMMANDS[text]} ({CommandRequest.model_fields[name].description})"


@pytest.mark.parametrize(("text", "words"), NAMED.items())
def test_the_field_and_what_it_has_to_be_are_named(text, words):
    assert problems_of(text, RenameRequest) == words


def test_all_that_is_wrong_is_told_at_once_and_in_bounds():
    assert problems_of('{"confirmed": 1, "wait_seconds": "x"}', CommandRequest).count("has to be") == 2
    many = problems_of(json.dumps({f"field {number}": 1 for number in range(50)}), RenameRequest)
    assert many.endswith("; and 46 more")
    assert len(problems_of(json.dumps({"\x1b[31m" + "x" * 9999: 1, "name": None}), RenameRequest)) < 200


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda one: one.name)
async def test_no_operation_answers_in_the_words_of_a_library(page, operation):
    path = operation.path.replace("{id}", "c246eA").replace("{name}", "set_limit").replace("{number}", "1")
    for junk in JUNK:
        content = junk.encode("utf-8", "surrogatepass")
        async with page.http.request(operation.method, path, data=content, headers=page.bearer) as answer:
            text = await answer.text()
        assert answer.status < 500, (junk, text)
        assert not any(words in text.lower() for words in OF_THE_LIBRARY), (junk, text)
