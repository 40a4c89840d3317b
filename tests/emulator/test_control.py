"""The control surface: what portal, customers and weather do over HTTP."""

import pytest

from gateway.emulator import control

pytestmark = pytest.mark.enable_socket


async def test_the_list_of_actions_is_the_table_of_the_docstring(xyte):
    listed = {(one["method"], one["path"]) for one in (await xyte.control("GET", "")).body}
    rows = [row.split("|") for row in control.__doc__.splitlines() if row.startswith(("| GET", "| POST", "| DELETE", "| PATCH"))]
    paths = {(row[1].strip(), "/_emulator/" + row[2].strip(" `").replace("(nothing)", "")) for row in rows}
    assert paths == {(method, path.replace("{device_id}", "{id}")) for method, path in listed}


async def test_devices_are_shown_without_keys_unless_asked_for(xyte, gateway, child):
    await xyte.say(child, {"t": 1})
    listed = (await xyte.control("GET", "devices")).body
    assert [one["id"] for one in listed] == [gateway.id, child.id]
    assert listed[0]["children"] == [child.id]
    heard = await xyte.control("GET", f"devices/{child.id}")
    assert (heard.body["parent_id"], heard.body["state"]) == (gateway.id, {"t": 1, "status": "online"})
    for text in (heard.text, (await xyte.control("GET", "devices")).text):
        assert child.key not in text
        assert gateway.key not in text
    assert (await xyte.control("GET", f"devices/{child.id}?keys=1")).body["access_key"] == child.key
    (message,) = (await xyte.control("GET", f"devices/{child.id}/telemetry")).body
    assert message["values"] == {"t": 1}


async def test_a_command_is_queued_and_its_history_read(xyte, gateway, clock):
    form = {"name": "set_input", "parameters": {"input": "hdmi2"}, "timeout_seconds": 30}
    heard = await xyte.control("POST", f"devices/{gateway.id}/command", json=form)
    assert heard.status == 201
    told = (await xyte.own(gateway, "GET", "/command")).body
    assert (told["id"], told["parameters"]) == (heard.body["id"], {"input": "hdmi2"})
    await xyte.own(gateway, "POST", "/command", json={"id": told["id"], "status": "failed", "message": "no signal"})
    await xyte.control("POST", f"devices/{gateway.id}/command", json={**form, "parameters": None})
    clock.forward(seconds=31)
    first, second = (await xyte.control("GET", f"devices/{gateway.id}/commands")).body
    assert (first["status"], first["message"]) == ("failed", "no signal")
    assert (second["status"], second["message"], second["parameters"]) == ("failed", "timed out", None)


async def test_portal_actions_show_on_the_devices_side(xyte, gateway, child):
    heard = await xyte.control("POST", f"devices/{gateway.id}/config", json={"interval": 60})
    assert heard.body == {"version": 1}
    await xyte.control("POST", f"devices/{gateway.id}/claim", json={"customer": "Acme", "space": {"name": "Hall"}})
    assert (await xyte.own(child, "GET", "/space")).body["name"] == "Hall"
    await xyte.control("POST", f"devices/{gateway.id}/license", json={"data": "feature=pro"})
    opened = await xyte.control("POST", f"devices/{gateway.id}/incident", json={"title": "Too hot", "origin": "rule"})
    flags = await xyte.flags(gateway)
    assert (flags["config_version"], flags["new_licenses"], flags["space_data_version"]) == (1, True, 1)
    assert [one["id"] for one in (await xyte.own(gateway, "GET", "/incidents")).body] == [opened.body["id"]]
    await xyte.control("POST", f"devices/{gateway.id}/unclaim")
    assert (await xyte.flags(child))["space_data_version"] == 0
    await xyte.control("POST", f"devices/{child.id}/replace")
    assert (await xyte.register_child(gateway)).id == child.id
    assert (await xyte.control("DELETE", f"devices/{gateway.id}")).body == {"success": True}
    assert (await xyte.say(gateway)).status == 401


async def test_a_file_is_published_for_a_model(xyte, gateway):
    model_id = (await xyte.control("GET", f"devices/{gateway.id}")).body["model_id"]
    form = {"model_id": model_id, "name": "fw", "url": "https://files.example.com/fw", "version": "9.0.0"}
    heard = await xyte.control("POST", "models/files", json=form)
    assert (await xyte.flags(gateway))["latest_fw_file_id"] == heard.body["id"]
    heard = await xyte.control("POST", "models/files", json={**form, "version": "nine"})
    assert heard.refusal == (422, "Version must be a semantic version")


async def test_journal_and_counts_are_read_and_forgotten(xyte, gateway):
    await xyte.say(gateway, {"t": 1})
    registered, said = (await xyte.control("GET", "journal")).body
    assert registered["body"]["hardware_key"] == "***"
    assert (said["call"], said["status"], said["body"]["telemetries"]) == ("Send Telemetry", 201, {"t": 1})
    assert (await xyte.control("GET", f"journal?since={registered['number']}")).body == [said]
    assert (await xyte.control("GET", "calls")).body == {"Register Device": 1, "Send Telemetry": 1}
    await xyte.control("DELETE", "journal")
    assert (await xyte.control("GET", "journal")).body == []
    assert (await xyte.control("GET", "calls")).body == {}


async def test_faults_are_added_listed_and_cleared(xyte, gateway):
    heard = await xyte.control("POST", "faults", json={"kind": "429", "call": "Send Telemetry", "times": None, "retry_after": 3})
    assert heard.status == 201
    refused = await xyte.say(gateway)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "3")
    (waiting,) = (await xyte.control("GET", "faults")).body["waiting"]
    assert (waiting["kind"], waiting["times"]) == ("429", None)
    await xyte.control("DELETE", "faults")
    assert (await xyte.say(gateway)).status == 201


async def test_quirks_are_read_and_set(xyte, gateway):
    told = {one["name"]: one for one in (await xyte.control("GET", "quirks")).body}
    assert told["telemetry_status"]["value"] == 201
    assert (await xyte.control("PATCH", "quirks", json={"telemetry_status": 200})).body["telemetry_status"] == 200
    assert (await xyte.say(gateway)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "devices/nobody", None, 404),
        ("DELETE", "devices/nobody", None, 404),
        ("GET", "devices/nobody/commands", None, 404),
        ("POST", "devices/nobody/claim", {}, 404),
        ("POST", "devices/{id}/command", {}, 400),
        ("POST", "devices/{id}/command", {"name": "x", "timeout_seconds": 0}, 400),
        ("POST", "devices/{id}/command", [], 400),
        ("POST", "devices/{id}/claim", {"custmer": "x"}, 400),
        ("POST", "devices/{id}/license", {"action": "burn"}, 400),
        ("POST", "models/files", {"name": "x"}, 400),
        ("POST", "devices/{id}/command", {"name": "x", "starts_in_seconds": -1}, 400),
        ("POST", "models/x/offline_threshold", {"minutes": -1}, 400),
        ("POST", "models/x/offline_threshold", {}, 400),
        ("POST", "faults", {"kind": "418"}, 400),
        ("POST", "faults", {"kind": "401", "call": "Send Postcard"}, 400),
        ("POST", "faults", {"kind": "401", "times": 0}, 400),
        ("PATCH", "quirks", {"nonsense": 1}, 400),
        ("PATCH", "quirks", {"telemetry_status": 204}, 400),
        ("GET", "journal?since=yesterday", None, 400),
    ],
)
async def test_a_wrong_action_says_what_is_wrong(xyte, gateway, method, path, body, status):
    heard = await xyte.control(method, path.format(id=gateway.id), json=body)
    assert heard.status == status
    assert heard.error
