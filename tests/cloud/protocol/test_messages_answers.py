"""Every tolerance that the device API reference asks for when an answer is read, and nothing beyond usable sense."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.cloud.protocol import messages
from gateway.cloud.protocol.device_records import Configuration, License, LicenseAction, Space
from gateway.cloud.protocol.response_parser import NOT_JSON, NotUnderstood
from gateway.hub import Credentials, ListedChild, Refusal, TelemetryAnswer, WaitingCommand

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KNOWN = st.sampled_from([
    "id", "access_key", "hub_url", "error", "success", "command", "length", "config", "version", "name", "status", "partner",
    "parameters", "device_id", "action", "add", "location", "data", "incident_id", "sn", "config_version", "details",
])  # fmt: skip
ANSWER = st.dictionaries(KNOWN, JSON, max_size=5)
READERS = [
    messages.nothing,
    messages.read_command,
    messages.read_commands,
    messages.read_config_version,
    messages.read_configuration,
    messages.read_credentials,
    messages.read_dump_length,
    messages.read_incident_id,
    messages.read_license,
    messages.read_licenses,
    messages.read_telemetry_answer,
    lambda body: messages.read_registrations(body, secrets=()),
    lambda body: messages.read_telemetry_answers(body, asked=["a"], secrets=()),
    messages.LISTED_CHILD.read_list,
    messages.DEVICE_INFO.read,
    messages.SPACE.read,
    messages.INCIDENT.read_list,
    messages.MODEL_FILE.read_list,
    messages.DUMP_RECEIPT.read,
]


@settings(deadline=None, max_examples=60)
@given(JSON | ANSWER | st.lists(ANSWER, max_size=3) | st.just(NOT_JSON), st.sampled_from(READERS))
def test_any_answer_is_either_understood_or_not_and_nothing_else_happens(body, read):
    try:
        read(body)
    except NotUnderstood as error:
        assert str(error)  # noqa: PT017  # any other exception fails the test


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": "d"},
        {"access_key": "k"},
        {"id": "null", "access_key": "k"},
        {"id": "d", "access_key": "NULL"},
        {"id": None, "access_key": "k"},
        {"id": "", "access_key": "k"},
        {"id": " ", "access_key": "k"},
        {"id": True, "access_key": "k"},
        {"id": ["d"], "access_key": "k"},
        {"id": "..", "access_key": "k"},
        {"id": "d", "access_key": "two\r\nlines"},
        {"id": "d", "access_key": "schlüssel"},
        [],
        None,
        "d",
        NOT_JSON,
    ],
)
def test_a_registration_without_usable_id_and_key_is_none(body):
    with pytest.raises(NotUnderstood) as caught:
        messages.read_credentials(body)
    assert "two" not in str(caught.value)


@pytest.mark.parametrize(
    ("told", "hub_url"),
    [
        ("https://us-1.endpoints.xyte.io", "https://us-1.endpoints.xyte.io"),
        ("https://us-1.endpoints.xyte.io/", "https://us-1.endpoints.xyte.io"),
        ("us-1.endpoints.xyte.io", "https://us-1.endpoints.xyte.io"),
        (" us-1.endpoints.xyte.io:8443/ ", "https://us-1.endpoints.xyte.io:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("", ""),
        (None, ""),
        ("null", ""),
    ],
)
def test_a_hub_address_is_made_whole_and_a_key_without_one_is_kept(told, hub_url):
    assert messages.read_credentials({"id": 7, "access_key": "k", "hub_url": told}) == Credentials(
        device_id="7", access_key=SecretStr("k"), hub_url=hub_url
    )


def test_a_child_has_from_its_parent_what_its_answer_leaves_out():
    parent = Credentials(
        device_id="p", access_key=SecretStr("pk"), hub_url="https://h", hub_url_static_cert="https://s", mqtt_hub_url="mqtts://m"
    )
    answer = {"id": "c", "access_key": "ck", "hub_url": "", "hub_url_static_cert": None}
    assert messages.read_credentials(answer, parent=parent) == Credentials(
        device_id="c", access_key=SecretStr("ck"), hub_url="https://h", hub_url_static_cert="https://s", mqtt_hub_url="mqtts://m"
    )


@pytest.mark.parametrize(
    ("body", "flags"),
    [
        ({}, TelemetryAnswer()),
        (None, TelemetryAnswer()),
        (dict.fromkeys(["config_version", "command", "new_licenses", "info_version", "space_data_version"]), TelemetryAnswer()),
        ({"command": "what", "config_version": "soon", "space_data_version": 2}, TelemetryAnswer(space_data_version=2)),
        ({"config_version": "3", "later": {"field": 1}}, TelemetryAnswer(config_version=3)),
        (
            {"latest_fw_version": 2.5, "latest_fw_file_id": 7},
            TelemetryAnswer(latest_firmware_version="2.5", latest_firmware_file_id="7"),
        ),
    ],
)
def test_flags_that_are_missing_null_or_nonsense_are_not_set(body, flags):
    assert messages.read_telemetry_answer(body) == flags


@pytest.mark.parametrize("body", [[], "ok", 7, True, NOT_JSON])
def test_an_answer_to_telemetry_that_is_no_object_is_none(body):
    with pytest.raises(NotUnderstood):
        messages.read_telemetry_answer(body)


def test_only_the_children_that_were_asked_about_are_answered_for():
    body = {"a": {"error": "Not found"}, "b": {"command": True}, "c": "odd", "stranger": {"command": True}}
    assert messages.read_telemetry_answers(body, asked=["a", "b", "c", "d"], secrets=()) == {
        "a": Refusal("Not found"),
        "b": TelemetryAnswer(command=True),
    }


@pytest.mark.parametrize("body", [{}, None])
def test_nothing_in_the_answer_is_no_command(body):
    assert messages.read_command(body) is None


def test_a_command_without_parameters_status_and_owner_is_one():
    body = {"id": 50, "name": "reboot", "parameters": None, "tunnel": {"id": 1}}
    assert messages.read_command(body) == WaitingCommand(id=50, name="reboot", parameters={}, in_progress=False, device_id=None)


@pytest.mark.parametrize("body", [{"name": "reboot"}, {"id": None, "name": "reboot"}, {"id": True}, {"id": ""}, {"id": [1]}])
def test_a_command_that_cannot_be_answered_is_none(body):
    with pytest.raises(NotUnderstood, match="no usable id"):
        messages.read_command(body)


def test_commands_of_children_are_an_array_without_the_empty_ones():
    assert [command.id for command in messages.read_commands([{"id": "a"}, {}, {"id": "b"}])] == ["a", "b"]
    assert messages.read_commands({}) == []


@pytest.mark.parametrize(
    ("body", "configuration"),
    [
        ({"version": 4, "config": {"interval": 60}}, Configuration(version=4, values={"interval": 60})),
        ({"version": 4, "config": None, "etag": "x"}, Configuration(version=4)),
        (
            {"version": 4, "name": "n", "interval": 60, "mode": "eco"},
            Configuration(version=4, name="n", values={"interval": 60, "mode": "eco"}),
        ),
        ({}, Configuration()),
    ],
)
def test_a_configuration_is_nested_or_in_the_older_form_beside_the_servers_fields(body, configuration):
    assert messages.read_configuration(body) == configuration


@pytest.mark.parametrize(
    ("body", "licence"),
    [
        ({}, None),
        ([], None),
        (None, None),
        ({"id": "l", "action": "remove"}, License(id="l", action=LicenseAction.REMOVE)),
        ([{"id": "l", "add": False, "remove": True}], License(id="l", action=LicenseAction.REMOVE)),
        ({"id": 7, "update": True, "expired_at": "2026"}, License(id=7, action=LicenseAction.UPDATE, expires_at="2026")),
        ({"id": "l", "action": "renew"}, License(id="l")),
    ],
)
def test_a_licence_is_an_object_or_an_array_with_a_word_or_booleans_and_either_date(body, licence):
    assert messages.read_license(body) == licence


@pytest.mark.parametrize("name", ["lng", "long"])
def test_a_longitude_has_two_names(name):
    assert messages.SPACE.read({"location": {"coordinates": {"lat": 48.2, name: 16.37}}}) == Space(latitude=48.2, longitude=16.37)


def test_a_space_may_have_no_location():
    assert messages.SPACE.read({"name": "Room 12", "location": None, "maintenance": True}) == Space(
        name="Room 12", maintenance=True
    )


def test_a_listed_child_may_have_nothing_but_its_id():
    assert messages.LISTED_CHILD.read_list([{"id": "c", "sn": None, "details": None}]) == [
        ListedChild(device_id="c", serial_number=None, name=None, details={})
    ]
    with pytest.raises(NotUnderstood, match="no usable id"):
        messages.LISTED_CHILD.read_list([{"sn": "S"}])


def test_the_version_after_set_config_may_be_left_unsaid():
    assert messages.read_config_version({"success": True}) is None
    assert messages.read_config_version(None) is None
    assert messages.read_config_version({"version": "5"}) == 5
