"""Configuration, info, updates, deletion, settings and spaces: sections 7 and 8 of the device API reference."""

import pytest

from gateway.emulator.device import Space

pytestmark = pytest.mark.enable_socket

VIENNA = Space(name="Room 12", location_name="Vienna", latitude=48.2, longitude=16.37, utc_offset_minutes=60)


async def test_a_configuration_carries_a_counter(xyte, gateway):
    heard = await xyte.own(gateway, "GET", "/config")
    assert heard.status == 200
    assert heard.body == {
        "name": "Gateway, room 12",
        "version": 0,
        "last_updated": "2025-02-03T04:05:06.000+00:00",
        "config": {},
        "device_id": gateway.id,
    }
    xyte.emulator.cloud.set_config(gateway.id, {"interval": 60})
    heard = await xyte.own(gateway, "GET", "/config")
    assert (heard.body["version"], heard.body["config"]) == (1, {"interval": 60})


async def test_the_device_may_set_its_configuration_bare_or_wrapped(xyte, gateway):
    config = xyte.emulator.cloud.devices[gateway.id].config
    heard = await xyte.own(gateway, "POST", "/config", json={"interval": 30, "mode": "eco"})
    assert (heard.status, heard.body) == (200, {"success": True, "version": 1})
    assert config.values == {"interval": 30, "mode": "eco"}
    heard = await xyte.own(gateway, "POST", "/config", json={"version": 1, "config": {"interval": 31}})
    assert heard.body["version"] == 2
    assert config.values == {"interval": 31}
    echo = (await xyte.own(gateway, "GET", "/config")).body
    assert (await xyte.own(gateway, "POST", "/config", json=echo)).body["version"] == 2, "an echo changes nothing"
    assert config.values == {"interval": 31}
    await xyte.own(gateway, "POST", "/config", json={"config": {"a": 1}, "mode": "eco"})
    assert config.values == {"config": {"a": 1}, "mode": "eco"}


@pytest.mark.parametrize("body", [{"version": 1, "config": {}}, {"version": 1, "interval": 5}])
async def test_an_old_version_is_refused_with_the_latest(xyte, gateway, body):
    for interval in (1, 2):
        xyte.emulator.cloud.set_config(gateway.id, {"interval": interval})
    heard = await xyte.own(gateway, "POST", "/config", json=body)
    assert heard.refusal == (422, "Error setting config with old version, latest is 2")
    assert xyte.emulator.cloud.devices[gateway.id].config.values == {"interval": 2}


async def test_before_1_0_5_the_configuration_is_mixed_with_the_servers_fields(xyte, gateway):
    xyte.quirk(model_api_version="1.0.4")
    xyte.emulator.cloud.set_config(gateway.id, {"interval": 60})
    body = (await xyte.own(gateway, "GET", "/config")).body
    assert (body["interval"], body["version"]) == (60, 1)
    assert "config" not in body


async def test_device_info_has_the_documented_shape(xyte, gateway):
    await xyte.say(gateway, {"temp": 41.5})
    heard = await xyte.own(gateway, "GET")
    assert heard.status == 200
    assert set(heard.body) == {
        "id", "partner", "config", "state", "last_seen", "custom", "name", "firmware_version", "claimed", "details",
    }  # fmt: skip
    assert set(heard.body["partner"]) == {"sn", "mac", "vendor", "model"}
    assert heard.body["state"] == {"temp": 41.5, "status": "online"}
    assert heard.body["custom"] == {"prompt": None}


async def test_device_info_alone_says_400_to_a_wrong_key(xyte, gateway):
    assert (await xyte.hub("GET", f"/{gateway.id}", key="0" * 32)).refusal == (400, "Not authorized")
    assert (await xyte.hub("GET", "/nobody", key=gateway.key)).refusal == (400, "Not authorized")
    assert (await xyte.hub("PUT", f"/{gateway.id}", key="0" * 32, json={})).refusal == (401, "Not authorized")


async def test_update_device_changes_what_it_names(xyte, gateway, child):
    change = {
        "firmware_version": "2.5.0",
        "name": "Renamed",
        "sub_model": "CS-3",
        "details": {"port": 4},
        "space_version": "2",
        "config_version": "4",
        "host_address": "10.0.0.7",
    }
    heard = await xyte.own(child, "PUT", json=change)
    assert heard.status == 200
    assert (heard.body["name"], heard.body["firmware_version"], heard.body["details"]) == ("Renamed", "2.5.0", {"port": 4})
    device = xyte.emulator.cloud.devices[child.id]
    assert (device.sub_model, device.host_address, device.applied_space_version) == ("CS-3", "10.0.0.7", 2)
    assert device.config.applied_version == 4
    await xyte.own(child, "PUT", json={"config_version": 5})
    assert device.config.applied_version == 5
    assert device.name == "Renamed"


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"mac": "02:00:5e:10:00:01"}, (400, "Unknown field: mac")),
        ({"name": "x", "sn": "1", "model_id": "2"}, (400, "Unknown field: model_id, sn")),
        ({"firmware_version": "2.5"}, (422, "Firmware version must be a semantic version")),
        ({"firmware_version": ""}, (422, "Firmware version can't be blank")),
        ({"config_version": "four"}, (422, "Config version is invalid")),
        ({"config_version": True}, (422, "Config version is invalid")),
        ({"space_version": 1.5}, (422, "Space version is invalid")),
        ({"details": "x"}, (422, "Details is invalid")),
        ({"parent_id": "nobody"}, (422, "Parent must exist")),
    ],
)
async def test_update_device_does_all_or_nothing(xyte, gateway, change, refusal):
    heard = await xyte.own(gateway, "PUT", json={"name": "Renamed", **change})
    assert heard.refusal == refusal
    assert xyte.emulator.cloud.devices[gateway.id].name == "Gateway, room 12"


async def test_before_1_0_6_unknown_fields_are_ignored(xyte, gateway):
    xyte.quirk(model_api_version="1.0.5")
    assert (await xyte.own(gateway, "PUT", json={"mac": "x", "name": "Renamed"})).status == 200
    assert xyte.emulator.cloud.devices[gateway.id].name == "Renamed"


async def test_update_device_is_done_ten_times_an_hour_for_each_device(xyte, gateway, child, clock):
    for number in range(10):
        clock.forward(minutes=1)
        assert (await xyte.own(gateway, "PUT", json={"name": f"{number}"})).status == 200
    heard = await xyte.own(gateway, "PUT", json={"name": "eleventh"})
    assert heard.refusal == (429, "Too many requests")
    assert xyte.emulator.cloud.devices[gateway.id].name == "9"
    assert (await xyte.own(child, "PUT", json={"name": "free"})).status == 200
    clock.forward(minutes=51)
    assert (await xyte.own(gateway, "PUT", json={"name": "twelfth"})).status == 200


async def test_a_child_moves_under_another_parent_of_the_same_customer(xyte, gateway, child):
    other = await xyte.register()
    move = {"parent_id": other.id}
    xyte.emulator.cloud.claim(gateway.id, "Example Ltd")
    heard = await xyte.own(child, "PUT", json=move)
    assert heard.refusal == (422, "Parent must be claimed by the same customer")
    xyte.emulator.cloud.claim(other.id, "Somebody Else")
    assert (await xyte.own(child, "PUT", json=move)).status == 422
    xyte.emulator.cloud.claim(other.id, "Example Ltd")
    assert (await xyte.own(child, "PUT", json=move)).status == 200
    assert xyte.emulator.cloud.devices[child.id].parent_id == other.id
    assert (await xyte.own(gateway, "GET", "/children")).body == []


async def test_nobody_is_his_own_ancestor_and_nobody_lives_under_a_controlled_child(xyte, gateway, child):
    smart = await xyte.register(parent_id=gateway.id)
    for parent in (gateway, smart, child):
        heard = await xyte.own(gateway, "PUT", json={"parent_id": parent.id})
        assert heard.refusal == (422, "Parent is invalid")


async def test_a_device_may_delete_itself(xyte, gateway, child):
    heard = await xyte.own(child, "DELETE")
    assert (heard.status, heard.body) == (200, {"success": True})
    assert (await xyte.say(child)).refusal == (401, "Not authorized")
    assert (await xyte.say(gateway)).status == 201


@pytest.mark.parametrize("value", [True, "true"])
async def test_suspended_incidents_are_not_stored(xyte, gateway, value):
    xyte.emulator.cloud.claim(gateway.id)
    heard = await xyte.own(gateway, "PUT", "/cloud_settings", json={"property": "incidents.suspend_creation", "value": value})
    assert (heard.status, heard.body) == (200, {"success": True})
    assert (await xyte.own(gateway, "POST", "/incidents", json={"title": "Fan stopped"})).status == 200
    assert (await xyte.own(gateway, "GET", "/incidents")).body == []
    await xyte.own(gateway, "PUT", "/cloud_settings", json={"property": "incidents.suspend_creation", "value": False})
    await xyte.own(gateway, "POST", "/incidents", json={"title": "Fan stopped"})
    assert len((await xyte.own(gateway, "GET", "/incidents")).body) == 1


@pytest.mark.parametrize("body", [{"value": True}, {"property": "x"}, {"property": "x", "value": []}])
async def test_a_setting_has_a_name_and_a_value(xyte, gateway, body):
    assert (await xyte.own(gateway, "PUT", "/cloud_settings", json=body)).status == 422


async def test_an_unclaimed_device_is_in_no_space(xyte, gateway):
    assert (await xyte.own(gateway, "GET", "/space")).refusal == (422, "Device not in space")
    heard = await xyte.own(gateway, "PUT", "/space/move", json={"target": "unsorted"})
    assert heard.refusal == (422, "Device not in space")


async def test_claiming_reaches_the_children_and_shows_in_the_space_version(xyte, gateway, child):
    xyte.emulator.cloud.claim(gateway.id, "Example Ltd", VIENNA)
    assert (await xyte.flags(gateway))["space_data_version"] == 1
    assert (await xyte.flags(child))["space_data_version"] == 1
    heard = await xyte.own(child, "GET", "/space")
    assert heard.status == 200
    assert heard.body == {
        "location": {"coordinates": {"lat": 48.2, "lng": 16.37}, "utc_offset": 60, "name": "Vienna"},
        "temperature_units": "celsius",
        "maintenance": False,
        "name": "Room 12",
        "local_time": "2025-02-03T05:05:06+01:00",
        "device_id": child.id,
    }
    late = await xyte.register_child(gateway)
    assert xyte.emulator.cloud.devices[late.id].claimed == "Example Ltd"
    xyte.emulator.cloud.unclaim(gateway.id)
    assert (await xyte.flags(child))["space_data_version"] == 0
    assert (await xyte.own(child, "GET", "/space")).status == 422
    xyte.emulator.cloud.claim(gateway.id, "Example Ltd")
    assert (await xyte.flags(child))["space_data_version"] == 2


async def test_a_child_may_leave_its_parents_space_and_come_back(xyte, gateway, child):
    xyte.emulator.cloud.claim(gateway.id, "Example Ltd", VIENNA)
    heard = await xyte.own(child, "PUT", "/space/move", json={"target": "unsorted"})
    assert heard.status == 200
    assert (heard.body["name"], heard.body["location"]) == ("Unsorted", None)
    assert (await xyte.flags(child))["space_data_version"] == 2
    heard = await xyte.own(child, "PUT", "/space/move", json={"target": "follow_parent"})
    assert heard.body["name"] == "Room 12"
    heard = await xyte.own(gateway, "PUT", "/space/move", json={"target": "follow_parent"})
    assert heard.refusal == (422, "Device has no parent")
    heard = await xyte.own(child, "PUT", "/space/move", json={"target": "wrong_host_endpoint"})
    assert heard.refusal == (422, "Target must be follow_parent or unsorted")


async def test_before_1_0_7_no_answer_tells_the_device_id(xyte, gateway):
    xyte.quirk(model_api_version="1.0.6")
    cloud = xyte.emulator.cloud
    cloud.claim(gateway.id)
    cloud.queue_command(gateway.id, "reboot")
    cloud.offer_licence(gateway.id)
    await xyte.own(gateway, "POST", "/incidents", json={"title": "Fan stopped"})
    for path in ("/config", "/space", "/command", "/command/pending_commands", "/license", "/licenses", "/incidents"):
        assert "device_id" not in (await xyte.own(gateway, "GET", path)).text
    xyte.quirk(model_api_version="1.0.7")
    for path in ("/config", "/space", "/command", "/command/pending_commands", "/license", "/licenses", "/incidents"):
        assert "device_id" in (await xyte.own(gateway, "GET", path)).text
