"""Write the first case folder of a new serial profile: the answer to each query, and what the profile makes of it. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from adapters.serial.framing.notation import escaped_text
from adapters.serial.profile.grammar import Query
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol
from adapters.serial.profile.template import Template
from gateway.adapter import MADE_ORIGIN, Confidence, Value, toml_text, toml_value

FIRST_NUMBER = 21
"""The number in the first field; that in the next one is one larger."""


def new_case(profile: Profile) -> dict[str, str]:
    """Return the files of the case folder, name -> text; none where no answer to the first query could be made.

    Args:
        profile: of text, with delimited frames and without `match`. A query gets no answer where no value could be made for a
            field of it.
    """
    protocol, number = DeviceProtocol(profile), FIRST_NUMBER
    answers: dict[str, str] = {}
    readings: dict[str, Value] = {}
    for query in profile.queries:
        template = Template.parse(query.answer[0])
        try:
            payload = template.encode(_made(query, template, number))
        except ValueError:  # an expression, for example: a person has to write this answer
            continue
        number += len(template.fields)
        request = protocol.query_request(query.name)
        answer = request.read(payload)
        if answer is None or answer.refusal is not None:
            continue
        answers[escaped_text(request.raw)] = escaped_text(profile.framing.wrap(payload))
        told = protocol.readings_of(query.name, answer, "case", datetime.now(UTC))
        readings |= {reading.metric.name: reading.value for reading in told}
    if not answers or escaped_text(protocol.query_request(profile.queries[0].name).raw) not in answers:
        return {}  # a device that does not answer the first query is not found
    device = [
        f"origin = {toml_text(MADE_ORIGIN)}",
        "configured = true   # delete this when the profile has a `match`: then a scan has to find the device",
        "",
        "[answers]",
        *(f"{toml_text(asked)} = {toml_text(answered)}" for asked, answered in answers.items()),
    ]
    expected = [
        f'confidence = "{Confidence.LIKELY}"',
        "",
        *(["[facts]", f"manufacturer = {toml_text(profile.maker)}", ""] if profile.maker else []),
        "[readings]",
        *(f"{metric} = {toml_value(value)}" for metric, value in readings.items()),
    ]
    return {"device.toml": "\n".join(device) + "\n", "expected.toml": "\n".join(expected) + "\n"}


def _made(query: Query, template: Template, first: int) -> dict[str, Value]:
    """Return a value for each field: a number or a short text, or the first one that has a meaning."""
    meanings = {point.source: next(iter(point.values), "") for point in query.points}
    made: dict[str, Value] = {}
    for number, name in enumerate(template.fields, start=first):
        is_number = template.measures(name) or template.takes_whole_numbers(name)
        text = meanings.get(name) or (str(number) if is_number else f"X{number}")
        made[name] = int(text) if is_number and text.isdecimal() else text
    return made
