"""Register Device, Bulk Register, Register and Get Child Devices: sections 3 and 4 of the device API reference."""

import re

import pytest

from gateway.emulator import Emulator
from gateway.emulator.device_registry import NEVER

pytestmark = pytest.mark.enable_socket

MODEL_ID = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


async def test_a_device_gets_five_fields_and_a_hub_that_is_not_the_entry_server(xyte):
    heard = await xyte.entry("POST", "", json=xyte.form(sub_model="GW-8", details={"slots": 8}))
    assert (heard.status, heard.content_type) == (201, "application/json")
    assert set(heard.body) == {"id", "access_key", "hub_url", "hub_url_static_cert", "mqtt_hub_url"}
    assert GUID.fullmatch(heard.body["id"])
    assert re.fullmatch("[0-9a-f]{32}", heard.body["access_key"])
    assert heard.body["hub_url"] == xyte.emulator.hub_url != xyte.emulator.entry_url
    device = xyte.emulator.cloud.devices[heard.body["id"]]
    assert (device.sub_model, device.details, device.parent_id, device.claimed) == ("GW-8", {"slots": 8}, None, None)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"hardware_key": ...}, (400, "Hardware key is invalid")),
        ({"hardware_key": "secret"}, (400, "Hardware key is invalid")),
        ({"hardware_key": NEVER.upper()}, (400, "Hardware key is invalid")),
        ({"hardware_key": 7}, (400, "Hardware key is invalid")),
        ({"firmware_version": ...}, (422, "Firmware version can't be blank")),
        ({"firmware_version": " "}, (422, "Firmware version can't be blank")),
        ({"firmware_version": "1.0"}, (422, "Firmware version must be a semantic version")),
        ({"firmware_version": "v1.0.0"}, (422, "Firmware version must be a semantic version")),
        ({"firmware_version": f"{'1' * 5000}.0.0"}, (422, "Firmware version must be a semantic version")),
        ({"firmware_version": "1.01.0"}, (422, "Firmware version must be a semantic version")),
        ({"sn": ...}, (422, "Sn can't be blank")),
        ({"cloud_id": ..., "mac": ...}, (422, "Cloud id can't be blank")),
        ({"cloud_id": "short"}, (422, "Cloud id is invalid")),
        ({"cloud_id": "ZzQ7k3V9mT2xB8nL5pR1 W"}, (422, "Cloud id is invalid")),
        ({"details": []}, (422, "Details is invalid")),
        ({"name": 7}, (422, "Name is invalid")),
        ({"parent_id": "5b7e0c1a-2f7d-4d0e-9a61-0c9f6f2b7701"}, (422, "Parent must exist")),
    ],
)
async def test_a_wrong_registration_is_refused_with_the_documented_words(xyte, changes, refusal):
    heard = await xyte.entry("POST", "", json=xyte.form(**changes))
    assert heard.refusal == refusal
    assert not xyte.emulator.cloud.devices


@pytest.mark.parametrize("version", ["1.0.0", "1.2.3-rc.1", "1.2.3-rc.1+build.7", "10.20.30"])
async def test_semantic_versions_are_taken(xyte, version):
    await xyte.register(firmware_version=version)


async def test_before_1_0_4_any_firmware_version_is_taken(xyte):
    xyte.quirk(model_api_version="1.0.3")
    await xyte.register(firmware_version="build 7")


async def test_before_1_0_2_a_cloud_id_needs_no_serial_number_but_a_mac_does(xyte):
    xyte.quirk(model_api_version="1.0.1")
    await xyte.register(sn=...)
    heard = await xyte.entry("POST", "", json=xyte.form(sn=..., cloud_id=...))
    assert heard.refusal == (422, "Sn can't be blank")


@pytest.mark.parametrize("proof", [{"mac": ...}, {"cloud_id": ...}])
async def test_a_cloud_id_or_a_mac_is_enough(xyte, proof):
    await xyte.register(**proof)


async def test_ids_are_taken_once_within_a_model(xyte):
    first = xyte.form()
    assert (await xyte.entry("POST", "", json=first)).status == 201
    assert (await xyte.entry("POST", "", json=first)).refusal == (422, "Cloud id has already been taken")
    other_id = {**first, "cloud_id": "AnotherCloudIdEntirely00"}
    assert (await xyte.entry("POST", "", json=other_id)).refusal == (422, "Sn has already been taken")
    other_model = {**first, "hardware_key": "0f0e0d0c-1111-4222-8333-444455550000"}
    assert (await xyte.entry("POST", "", json=other_model)).status == 201


async def test_only_listed_hardware_keys_and_models_exist(connect):
    known = "0F0E0D0C-1111-4222-8333-444455556666"
    async with Emulator(hardware_keys=[known], models=[MODEL_ID]) as emulator:
        xyte = connect(emulator)
        parent = await xyte.register(hardware_key=known.lower())
        await xyte.register_child(parent)
        unknown_device_error = xyte.form(hardware_key=known.replace("0F", "1F"))
        assert (await xyte.entry("POST", "", json=unknown_device_error)).refusal == (400, "Hardware key is invalid")
        form = {"model_id": MODEL_ID.replace("c2", "d2"), "firmware_version": "1.0.0"}
        heard = await xyte.entry("POST", f"/{parent.id}/children", key=parent.key, json=form)
        assert heard.refusal == (404, "Model not found")


async def test_a_device_with_a_parent_id_is_a_smart_child_with_a_voice_of_its_own(xyte, gateway):
    child = await xyte.register(parent_id=gateway.id)
    assert xyte.emulator.cloud.devices[child.id].parent_id == gateway.id
    assert (await xyte.say(child)).status == 201


async def test_bulk_registration_answers_in_request_order(xyte):
    good, bad = xyte.form(), xyte.form(hardware_key="nonsense")
    heard = await xyte.entry("POST", "/bulk_create", json=[good, bad, 7])
    assert heard.status == 422
    assert set(heard.body[0]) == {"id", "access_key", "hub_url", "hub_url_static_cert", "mqtt_hub_url"}
    assert heard.body[1] == {"error": "Hardware key is invalid"}
    assert heard.body[2] == {"error": "Body must be a JSON object"}
    assert (await xyte.entry("POST", "/bulk_create", json=[xyte.form()])).status == 201


async def test_bulk_registration_takes_25_devices_and_not_26(xyte):
    assert (await xyte.entry("POST", "/bulk_create", json=[xyte.form() for _ in range(25)])).status == 201
    heard = await xyte.entry("POST", "/bulk_create", json=[xyte.form() for _ in range(26)])
    assert heard.status == 422
    assert len(xyte.emulator.cloud.devices) == 25
    assert (await xyte.entry("POST", "/bulk_create", json={})).refusal == (400, "Body must be a JSON array")


async def test_bulk_registration_may_be_missing(xyte):
    xyte.quirk(bulk_register="missing")
    assert (await xyte.entry("POST", "/bulk_create", json=[xyte.form()])).status == 404


async def test_a_child_gets_an_id_and_a_key_of_its_own_and_no_hub(xyte, gateway):
    form = {
        "model_id": MODEL_ID,
        "firmware_version": "1.7.2",
        "sn": "SENSOR-0042",
        "mac": "02:00:5e:20:00:2a",
        "name": "Ceiling sensor 3",
        "sub_model": "CS-2",
        "details": {"port": 3},
    }
    heard = await xyte.entry("POST", f"/{gateway.id}/children", key=gateway.key, json=form)
    assert heard.status == 201
    assert set(heard.body) == {"id", "access_key"}
    assert heard.body["access_key"] != gateway.key
    child = xyte.emulator.cloud.devices[heard.body["id"]]
    assert (child.parent_id, child.sub_model, child.model_id, child.details) == (gateway.id, "CS-2", MODEL_ID, {"port": 3})


async def test_registering_a_child_again_makes_another_one(xyte, gateway):
    first, second = await xyte.register_child(gateway), await xyte.register_child(gateway)
    assert first.id != second.id


@pytest.mark.parametrize("model_id", [None, "nope", 7, NEVER])
async def test_the_error_for_a_bad_model_is_json_that_calls_itself_text(xyte, gateway, model_id):
    form = {"model_id": model_id, "firmware_version": "1.0.0"}
    heard = await xyte.entry("POST", f"/{gateway.id}/children", key=gateway.key, json=form)
    assert heard.refusal == (404, "Model not found")
    assert heard.content_type == "text/plain"


@pytest.mark.parametrize("version", [None, "", "1.7"])
async def test_a_child_needs_a_semantic_firmware_version(xyte, gateway, version):
    form = {"model_id": MODEL_ID, "firmware_version": version}
    heard = await xyte.entry("POST", f"/{gateway.id}/children", key=gateway.key, json=form)
    assert heard.status == 422
    assert heard.error.startswith("Firmware version ")


async def test_registering_a_child_needs_the_parents_own_bare_key(xyte, gateway, child):
    form = {"model_id": MODEL_ID, "firmware_version": "1.0.0"}
    for key in (None, "", "0" * 32, child.key, f"Bearer {gateway.key}", "clé"):
        heard = await xyte.entry("POST", f"/{gateway.id}/children", key=key, json=form)
        assert heard.refusal == (401, "Not authorized")
    heard = await xyte.entry("POST", f"/{MODEL_ID}/children", key=gateway.key, json=form)
    assert heard.refusal == (401, "Not authorized")


async def test_a_controlled_child_has_no_children_of_its_own(xyte, child):
    form = {"model_id": MODEL_ID, "firmware_version": "1.0.0"}
    heard = await xyte.entry("POST", f"/{child.id}/children", key=child.key, json=form)
    assert heard.refusal == (422, "Parent must be a physical device")


async def test_children_are_listed_without_their_keys(xyte, gateway, child):
    heard = await xyte.own(gateway, "GET", "/children")
    assert heard.status == 200
    (listed,) = heard.body
    assert set(listed) == {
        "id", "sn", "mac", "state", "last_seen", "name", "firmware_version", "vendor", "model", "claimed", "details",
    }  # fmt: skip
    assert (listed["id"], listed["sn"], listed["mac"], listed["state"]) == (child.id, "SENSOR-0042", None, None)
    await xyte.say(child, {"temp": 20})
    xyte.emulator.cloud.claim(gateway.id, "Example Ltd")
    (listed,) = (await xyte.own(gateway, "GET", "/children")).body
    assert listed["state"] == {"temp": 20, "status": "online"}
    assert listed["claimed"] == "Example Ltd"
    assert listed["last_seen"] == "2025-02-03T04:05:06.000Z"
    assert (await xyte.own(child, "GET", "/children")).body == []


async def test_a_deleted_device_is_refused_everywhere_and_may_register_again(xyte):
    form = xyte.form()
    first = (await xyte.entry("POST", "", json=form)).body
    xyte.emulator.cloud.delete(first["id"])
    heard = await xyte.hub("GET", f"/{first['id']}/config", key=first["access_key"])
    assert heard.refusal == (401, "Not authorized")
    second = (await xyte.entry("POST", "", json=form)).body
    assert second["id"] != first["id"]
    assert second["access_key"] != first["access_key"]


async def test_a_replaced_device_keeps_its_history_and_loses_its_old_key(xyte):
    form = xyte.form()
    first = (await xyte.entry("POST", "", json=form)).body
    xyte.emulator.cloud.set_config(first["id"], {"interval": 60})
    xyte.emulator.cloud.replace(first["id"])
    second = (await xyte.entry("POST", "", json={**form, "firmware_version": "3.0.0"})).body
    assert second["id"] == first["id"]
    assert (await xyte.hub("GET", f"/{first['id']}/config", key=first["access_key"])).status == 401
    heard = await xyte.hub("GET", f"/{first['id']}/config", key=second["access_key"])
    assert heard.body["config"] == {"interval": 60}
    assert (await xyte.entry("POST", "", json=form)).status == 422


async def test_a_replaced_child_is_taken_over_by_the_next_of_the_same_serial_number(xyte, gateway, child):
    xyte.emulator.cloud.replace(child.id)
    again = await xyte.register_child(gateway)
    assert again.id == child.id
    assert (await xyte.say(child)).status == 401
    assert (await xyte.say(again)).status == 201
