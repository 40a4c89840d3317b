"""Telemetry, single, for children and in mass: section 5 of the device API reference."""

from datetime import UTC, datetime

import pytest

pytestmark = pytest.mark.enable_socket

FLAGS = {
    "config_version", "command", "info_version", "new_licenses", "latest_fw_version", "latest_fw_file_id",
    "space_data_version", "success",
}  # fmt: skip
FRESH = {
    "config_version": 0,
    "command": False,
    "info_version": 0,
    "new_licenses": False,
    "latest_fw_version": None,
    "latest_fw_file_id": None,
    "space_data_version": 0,
    "success": True,
}


async def test_a_fresh_device_hears_all_eight_fields(xyte, gateway):
    heard = await xyte.say(gateway, {"temp": 41.5, "input": "hdmi1", "muted": False, "err": None})
    assert heard.status == 201
    assert heard.body == FRESH
    device = xyte.emulator.cloud.devices[gateway.id]
    assert device.state == {"temp": 41.5, "input": "hdmi1", "muted": False, "status": "online"}


async def test_messages_merge_null_deletes_and_override_starts_afresh(xyte, gateway):
    device = xyte.emulator.cloud.devices[gateway.id]
    await xyte.say(gateway, {"a": 1, "b": 2})
    await xyte.say(gateway, {"b": None, "c": 3}, status="error")
    assert device.state == {"a": 1, "c": 3, "status": "error"}
    await xyte.say(gateway, {"d": 4}, override=True)
    assert device.state == {"d": 4, "status": "online"}


async def test_the_status_word_wins_over_a_telemetry_of_that_name(xyte, gateway):
    await xyte.say(gateway, {"status": "fine"})
    assert xyte.emulator.cloud.devices[gateway.id].state == {"status": "online"}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"status": "online"}, "Missing 'telemetries' object"),
        ({"status": "online", "telemetries": None}, "Missing 'telemetries' object"),
        ({"status": "online", "telemetries": []}, "Missing 'telemetries' object"),
        ({"telemetries": {}}, "Status can't be blank"),
        ({"status": "fine", "telemetries": {}}, "Status must be online, offline or error"),
        ({"status": 1, "telemetries": {}}, "Status is invalid"),
        ({"status": "online", "telemetries": {"t": {}}}, "Common telemetries.t must be string, number or boolean"),
        ({"status": "online", "telemetries": {"t": [1]}}, "Common telemetries.t must be string, number or boolean"),
        ({"status": "online", "telemetries": {}, "timestamp": "noon"}, "Timestamp must be an ISO-8601 time"),
        ({"status": "online", "telemetries": {}, "timestamp": 1738555506}, "Timestamp is invalid"),
        ({"status": "online", "telemetries": {}, "override": "yes"}, "Override must be a boolean"),
        ({"status": "online", "telemetries": {"t": "x" * 131_072}}, "Message is too large"),
    ],
)
async def test_a_wrong_message_changes_nothing(xyte, gateway, body, error):
    await xyte.say(gateway, {"kept": 1})
    heard = await xyte.own(gateway, "POST", "/telemetry", json=body)
    assert heard.refusal == (422, error)
    assert xyte.emulator.cloud.devices[gateway.id].state == {"kept": 1, "status": "online"}
    assert len(xyte.emulator.journal.telemetry(gateway.id)) == 1


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 3.5e38, "ü" * 501])
async def test_ranges_hold_only_when_strict(xyte, gateway, value):
    assert (await xyte.say(gateway, {"t": value})).status == 201
    xyte.quirk(strict_values=True)
    heard = await xyte.say(gateway, {"t": value})
    assert heard.status == 422
    assert heard.error.startswith("Common telemetries.t ")
    assert (await xyte.say(gateway, {"a": 2**31 - 1, "b": -(2**31), "c": 3.4e38, "d": "ü" * 500, "e": True})).status == 201


async def test_the_journal_keeps_accepted_messages_with_their_own_time(xyte, gateway, clock):
    await xyte.say(gateway, {"t": 1}, timestamp="2025-02-03T05:00:00.5+01:00")
    await xyte.say(gateway, {"t": None}, override=True)
    backdated, present = xyte.emulator.journal.telemetry(gateway.id)
    assert backdated.at == datetime(2025, 2, 3, 4, 0, 0, 500_000, tzinfo=UTC)
    assert (backdated.values, backdated.received_at) == ({"t": 1}, clock.now)
    assert (present.at, present.values, present.override) == (clock.now, {"t": None}, True)


async def test_any_call_with_the_key_is_a_sign_of_life(xyte, gateway, clock):
    device = xyte.emulator.cloud.devices[gateway.id]
    assert device.last_seen is None
    await xyte.own(gateway, "GET", "/command")
    assert device.last_seen == clock.now
    clock.forward(minutes=1)
    await xyte.hub("GET", f"/{gateway.id}/command", key="0" * 32)
    assert device.last_seen < clock.now


async def test_children_send_in_one_call_with_the_parents_key(xyte, gateway, child, clock):
    other = await xyte.register_child(gateway)
    clock.forward(seconds=1)
    body = {
        child.id: {"status": "online", "telemetries": {"temp": 21.5}},
        other.id: {"status": "offline", "telemetries": {}},
    }
    heard = await xyte.own(gateway, "POST", "/children/telemetries", json=body)
    assert heard.status == 201
    assert heard.body == {child.id: FRESH, other.id: FRESH}
    devices = xyte.emulator.cloud.devices
    assert devices[child.id].state == {"temp": 21.5, "status": "online"}
    assert devices[other.id].state == {"status": "offline"}
    assert devices[child.id].last_seen == devices[gateway.id].last_seen == clock.now
    assert devices[gateway.id].state == {}


async def test_a_bad_entry_is_an_error_and_the_others_are_accepted(xyte, gateway, child):
    unknown_device_error = await xyte.register()
    message = {"status": "online", "telemetries": {"t": 1}}
    body = {
        unknown_device_error.id: message,
        "nonsense": message,
        gateway.id: message,
        child.id: message,
    }
    heard = await xyte.own(gateway, "POST", "/children/telemetries", json=body)
    assert heard.status == 422
    assert heard.body == {
        unknown_device_error.id: {"error": "Not found"},
        "nonsense": {"error": "Not found"},
        gateway.id: {"error": "Not found"},
        child.id: FRESH,
    }
    assert xyte.emulator.cloud.devices[unknown_device_error.id].state == {}
    heard = await xyte.own(
        gateway, "POST", "/children/telemetries", json={child.id: {"status": "online", "telemetries": {"t": []}}}
    )
    assert heard.status == 422
    assert heard.body == {child.id: {"error": "Common telemetries.t must be string, number or boolean"}}


async def test_in_the_bulk_call_alone_a_child_may_have_no_telemetries(xyte, gateway, child):
    await xyte.say(child, {"temp": 21.5})
    heard = await xyte.own(gateway, "POST", "/children/telemetries", json={child.id: {"status": "offline"}})
    assert (heard.status, heard.body) == (201, {child.id: FRESH})
    assert xyte.emulator.cloud.devices[child.id].state == {"temp": 21.5, "status": "offline"}
    missing = "Missing 'telemetries' object"
    assert (await xyte.own(child, "POST", "/telemetry", json={"status": "offline"})).refusal == (422, missing)
    heard = await xyte.hub("POST", "/telemetries", json={child.id: {"status": "offline", "access_token": child.key}})
    assert (heard.status, heard.body) == (422, {child.id: {"error": missing}})
    heard = await xyte.own(gateway, "POST", "/children/telemetries", json={child.id: {"status": "offline", "telemetries": None}})
    assert (heard.status, heard.body) == (422, {child.id: {"error": missing}})


async def test_a_message_is_measured_in_bytes_of_utf_8(xyte, gateway, child):
    message = {"status": "online", "telemetries": {f"t{number}": "ü" * 500 for number in range(60)}}
    assert (await xyte.own(gateway, "POST", "/children/telemetries", json={child.id: message})).status == 201
    message["telemetries"] |= {f"u{number}": "ü" * 500 for number in range(100)}
    heard = await xyte.own(gateway, "POST", "/children/telemetries", json={child.id: message})
    assert heard.body == {child.id: {"error": "Message is too large"}}


async def test_the_bulk_call_is_the_parents_and_takes_100(xyte, gateway, child):
    message = {"status": "online", "telemetries": {}}
    for key in (child.key, None):
        heard = await xyte.hub("POST", f"/{gateway.id}/children/telemetries", key=key, json={child.id: message})
        assert heard.refusal == (401, "Not authorized")
    assert (await xyte.own(gateway, "POST", "/children/telemetries", json={})).body == {}
    full = {f"{number}": message for number in range(100)}
    assert len((await xyte.own(gateway, "POST", "/children/telemetries", json=full)).body) == 100
    heard = await xyte.own(gateway, "POST", "/children/telemetries", json={**full, child.id: message})
    assert heard.refusal == (422, "At most 100 devices in one call")
    assert xyte.emulator.cloud.devices[child.id].state == {}
    assert (await xyte.own(gateway, "POST", "/children/telemetries", json=[])).status == 400


async def test_flags_go_to_the_device_that_they_are_about(xyte, gateway, child):
    cloud = xyte.emulator.cloud
    cloud.queue_command(child.id, "identify")
    cloud.offer_licence(child.id, "feature=pro")
    assert cloud.set_config(child.id, {"interval": 60}) == 1
    file = cloud.add_file(cloud.devices[child.id].model_id, name="fw", url="https://files.example.com/fw", version="1.10.0")
    cloud.add_file(cloud.devices[child.id].model_id, name="old", url="https://files.example.com/old", version="1.9.0")
    assert await xyte.flags(gateway) == FRESH
    assert await xyte.flags(child) == {
        **FRESH,
        "command": True,
        "new_licenses": True,
        "config_version": 1,
        "latest_fw_version": "1.10.0",
        "latest_fw_file_id": file.id,
    }
    heard = await xyte.own(gateway, "POST", "/children/telemetries", json={child.id: {"status": "online", "telemetries": {}}})
    assert heard.body[child.id]["command"] is True
    await xyte.own(child, "PUT", json={"firmware_version": "1.10.0"})
    assert (await xyte.flags(child))["latest_fw_version"] is None


async def test_mass_telemetry_carries_each_devices_key_in_the_body(xyte, gateway, child):
    message = {"status": "online", "telemetries": {"a": 1}}
    body = {
        gateway.id: {**message, "access_token": gateway.key},
        child.id: {**message, "access_token": gateway.key},
        "nobody": message,
    }
    heard = await xyte.hub("POST", "/telemetries", json=body)
    assert heard.status == 422
    assert set(heard.body[gateway.id]) == FLAGS
    assert heard.body[child.id] == heard.body["nobody"] == {"error": "Invalid access token"}
    assert xyte.emulator.cloud.devices[gateway.id].state == {"a": 1, "status": "online"}
    assert xyte.emulator.cloud.devices[child.id].state == {}
    heard = await xyte.hub("POST", "/telemetries", json={child.id: {**message, "access_token": child.key}})
    assert heard.status == 201
    heard = await xyte.hub("POST", "/telemetries", json={str(number): message for number in range(101)})
    assert heard.refusal == (422, "At most 100 devices in one call")
