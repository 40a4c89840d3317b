"""Every tolerance that the device API reference asks for when an answer is read, and nothing beyond usable sense."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from gateway.cloud.protocol import messages
from gateway.cloud.protocol.response_parser import NOT_JSON, UnexpectedResponse
from gateway.hub import Credentials, ListedChild, RejectedEntry, TelemetryResponse, WaitingCommand
from gateway.hub_records import DeviceConfiguration, DeviceInfo, Incident, License, LicenseAction, ModelFile, Space

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
    messages.ignore_body,
    messages.parse_command,
    messages.parse_commands,
    messages.parse_config_version,
    messages.parse_configuration,
    messages.parse_credentials,
    messages.parse_dump_length,
    messages.parse_incident_id,
    messages.parse_license,
    messages.parse_licenses,
    messages.parse_telemetry_response,
    lambda body: messages.parse_registrations(body, secrets=()),
    lambda body: messages.parse_telemetry_responses(body, requested=["a"], secrets=()),
    messages.LISTED_CHILD.parse_list,
    messages.DEVICE_INFO.parse,
    messages.SPACE.parse,
    messages.INCIDENT.parse_list,
    messages.MODEL_FILE.parse_list,
    messages.DUMP_RECEIPT.parse,
]


@settings(deadline=None, max_examples=60)
@given(JSON | ANSWER | st.lists(ANSWER, max_size=3) | st.just(NOT_JSON), st.sampled_from(READERS))
def test_any_answer_is_either_understood_or_not_and_nothing_else_happens(body, read):
    try:
        read(body)
    except UnexpectedResponse as error:
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
    with pytest.raises(UnexpectedResponse) as caught:
        messages.parse_credentials(body)
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
def test_a_hub_url_gets_its_scheme_and_a_key_without_one_is_kept(told, hub_url):
    assert messages.parse_credentials({"id": 7, "access_key": "k", "hub_url": told}) == Credentials(
        device_id="7", access_key=SecretStr("k"), hub_url=hub_url
    )


def test_a_child_has_from_its_parent_what_its_answer_leaves_out():
    parent = Credentials(
        device_id="p", access_key=SecretStr("pk"), hub_url="https://h", hub_url_static_cert="https://s", mqtt_hub_url="mqtts://m"
    )
    answer = {"id": "c", "access_key": "ck", "hub_url": "", "hub_url_static_cert": None}
    assert messages.parse_credentials(answer, parent=parent) == Credentials(
        device_id="c", access_key=SecretStr("ck"), hub_url="https://h", hub_url_static_cert="https://s", mqtt_hub_url="mqtts://m"
    )


@pytest.mark.parametrize(
    ("body", "flags"),
    [
        ({}, TelemetryResponse()),
        (None, TelemetryResponse()),
        (dict.fromkeys(["config_version", "command", "new_licenses", "info_version", "space_data_version"]), TelemetryResponse()),
        ({"command": "what", "config_version": "soon", "space_data_version": 2}, TelemetryResponse(space_data_version=2)),
        ({"config_version": "3", "later": {"field": 1}}, TelemetryResponse(config_version=3)),
        (
            {"latest_fw_version": 2.5, "latest_fw_file_id": 7},
            TelemetryResponse(latest_firmware_version="2.5", latest_firmware_file_id="7"),
        ),
    ],
)
def test_flags_that_are_missing_null_or_nonsense_are_not_set(body, flags):
    assert messages.parse_telemetry_response(body) == flags


@pytest.mark.parametrize("body", [[], "ok", 7, True, NOT_JSON])
def test_an_answer_to_telemetry_that_is_no_object_is_none(body):
    with pytest.raises(UnexpectedResponse):
        messages.parse_telemetry_response(body)


def test_only_the_children_that_were_asked_about_are_answered_for():
    body = {"a": {"error": "Not found"}, "b": {"command": True}, "c": "odd", "stranger": {"command": True}}
    assert messages.parse_telemetry_responses(body, requested=["a", "b", "c", "d"], secrets=()) == {
        "a": RejectedEntry("Not found"),
        "b": TelemetryResponse(command=True),
    }


@pytest.mark.parametrize("body", [{}, None])
def test_nothing_in_the_answer_is_no_command(body):
    assert messages.parse_command(body) is None


def test_a_command_without_parameters_status_and_owner_is_one():
    body = {"id": 50, "name": "reboot", "parameters": None}
    assert messages.parse_command(body) == WaitingCommand(id=50, name="reboot", parameters={}, in_progress=False, device_id=None)


def test_a_command_with_a_tunnel_is_known_as_one_and_its_credentials_are_left_out():
    body = {"id": 50, "name": "open", "parameters": None, "tunnel": {"id": 1, "password": "p-1"}}
    command = messages.parse_command(body)
    assert command.opens_tunnel
    assert "p-1" not in repr(command)
    assert not messages.parse_command({**body, "tunnel": None}).opens_tunnel


def test_a_file_of_a_command_is_in_its_parameters():
    parameters = {"url": "https://files.example.com/fw", "version": "2.5.0", "checksum": "c", "signature": None}
    assert messages.parse_command({"id": 1, "name": "update_firmware", "parameters": parameters}).parameters == parameters


@pytest.mark.parametrize("body", [{"name": "reboot"}, {"id": None, "name": "reboot"}, {"id": True}, {"id": ""}, {"id": [1]}])
def test_a_command_that_cannot_be_answered_is_none(body):
    with pytest.raises(UnexpectedResponse, match="no usable id"):
        messages.parse_command(body)


def test_commands_of_children_are_an_array_without_the_empty_ones():
    assert [command.id for command in messages.parse_commands([{"id": "a"}, {}, {"id": "b"}])] == ["a", "b"]
    assert messages.parse_commands({}) == []


def test_a_command_that_cannot_be_answered_does_not_hide_those_of_other_devices():
    body = [{"id": True}, {"name": "reboot"}, {"id": "a", "name": "reboot"}, {"id": "b", "name": ["reboot"]}, 5]
    assert [command.id for command in messages.parse_commands(body)] == ["a"]


@pytest.mark.parametrize(
    ("body", "configuration"),
    [
        ({"version": 4, "config": {"interval": 60}}, DeviceConfiguration(version=4, values={"interval": 60})),
        ({"version": 4, "config": None, "etag": "x"}, DeviceConfiguration(version=4)),
        (
            {"version": 4, "name": "n", "interval": 60, "mode": "eco"},
            DeviceConfiguration(version=4, name="n", values={"interval": 60, "mode": "eco"}),
        ),
        ({}, DeviceConfiguration()),
    ],
)
def test_a_configuration_is_nested_or_in_the_older_form_beside_the_servers_fields(body, configuration):
    assert messages.parse_configuration(body) == configuration


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
        (
            [{"id": "l", "add": True, "expires_at": "2026", "data": "x", "signature": "s"}],
            License(id="l", action=LicenseAction.ADD, expires_at="2026", payload="x", signature="s"),
        ),
        ([{"id": "l", "update": True}, {"id": "m", "remove": True}], License(id="l", action=LicenseAction.UPDATE)),
    ],
)
def test_a_licence_is_an_object_or_an_array_with_a_word_or_booleans_and_either_date(body, licence):
    assert messages.parse_license(body) == licence


@pytest.mark.parametrize("name", ["lng", "long"])
def test_a_longitude_has_two_names(name):
    assert messages.SPACE.parse({"location": {"coordinates": {"lat": 48.2, name: 16.37}}}) == Space(
        latitude=48.2, longitude=16.37
    )


def test_a_space_may_have_no_location():
    assert messages.SPACE.parse({"name": "Room 12", "location": None, "maintenance": True}) == Space(
        name="Room 12", maintenance=True
    )


@pytest.mark.parametrize("configuration", [{"interval": 60}, {"config": {"interval": 60}}, {}])
def test_the_configuration_in_the_device_info_is_flat_or_not_and_has_its_version(configuration):
    body = {"id": "d", "config": {"version": 3, "last_updated": "2025-02-03T04:05:06.000Z", **configuration}, "claimed": None}
    assert messages.DEVICE_INFO.parse(body) == DeviceInfo(device_id="d", config_version=3)


@pytest.mark.parametrize(("told", "priority"), [("high", "high"), (2, "2"), ("2", "2"), (None, None), ([], None)])
def test_the_priority_of_an_incident_is_a_word_or_a_number(told, priority):
    assert messages.INCIDENT.parse({"id": "i", "priority": told}) == Incident(id="i", priority=priority)


def test_a_file_may_lack_checksum_and_signature():
    body = {"id": 7, "url": "https://files.example.com/fw", "checksum": None, "version": "2.5.0", "desc": "spring release"}
    assert messages.MODEL_FILE.parse(body) == ModelFile(
        id="7", url="https://files.example.com/fw", version="2.5.0", description="spring release"
    )


def test_a_listed_child_may_have_nothing_but_its_id():
    assert messages.LISTED_CHILD.parse_list([{"id": "c", "sn": None, "details": None}]) == [
        ListedChild(device_id="c", serial_number=None, name=None, details={})
    ]
    with pytest.raises(UnexpectedResponse, match="no usable id"):
        messages.LISTED_CHILD.parse_list([{"sn": "S"}])


def test_the_version_after_set_config_may_be_left_unsaid():
    assert messages.parse_config_version({"success": True}) is None
    assert messages.parse_config_version(None) is None
    assert messages.parse_config_version({"version": "5"}) == 5


@pytest.mark.parametrize("bad", [{"data": "x"}, "text", 7, [], {"id": None}, {"id": ""}, {"id": True}, {"id": {}}])
def test_a_licence_that_cannot_be_answered_keeps_no_other_one_from_its_device(bad):
    good = {"id": 7, "data": "pro", "action": "add"}
    assert [licence.id for licence in messages.parse_licenses([bad, good, bad])] == [7]
    with pytest.raises(UnexpectedResponse):
        messages.parse_licenses([bad])


def test_a_licence_of_which_nothing_is_to_be_changed_is_no_change():
    """Section 9.2: the older call has all licences, with booleans."""
    rest = {"id": 7, "data": "pro", "add": False, "remove": False, "update": False}
    assert messages.parse_license([rest, {"id": 8, "add": False, "remove": True, "update": False}]).id == 8
    assert messages.parse_license([rest]) is None


@pytest.mark.parametrize("parser", [messages.MODEL_FILE, messages.INCIDENT])
@pytest.mark.parametrize("bad", [{"name": "x"}, "text", 7, {"id": None}])
def test_a_file_or_an_incident_without_an_id_hides_no_other_one(parser, bad):
    assert [one.id for one in parser.parse_usable([bad, {"id": "f"}, bad])] == ["f"]
    assert parser.parse_usable([]) == parser.parse_usable({}) == []
    with pytest.raises(UnexpectedResponse):
        parser.parse_usable([bad])
