"""Each of the 29 calls: what goes out, where to, under whose key, and what its sample answer becomes (device API reference)."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from gateway.cloud.client import HttpHub
from gateway.cloud.protocol.messages import DeviceRegistration
from gateway.errors import HubRejected
from gateway.hub import (
    ChildRegistration,
    Credentials,
    DeviceUpdate,
    GatewayRegistration,
    ListedChild,
    RejectedEntry,
    TelemetryMessage,
    TelemetryResponse,
    WaitingCommand,
)
from gateway.hub_records import (
    DeviceConfiguration,
    DeviceInfo,
    DumpReceipt,
    Incident,
    License,
    LicenseAction,
    ModelFile,
    Space,
)
from gateway.models import Status

pytestmark = pytest.mark.enable_socket

PARENT = "5b7e0c1a-2f7d-4d0e-9a61-0c9f6f2b7701"
CHILD = "a1f0c3d2-6a55-4b1e-8a3e-2f7788990011"
PARENT_KEY = "9f2c4e6a8b0d1f3355779911bbddff02"
CHILD_KEY = "13579bdf02468ace13579bdf02468ace"

GATEWAY = GatewayRegistration(
    hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"),
    cloud_id="ZzQ7k3V9mT2xB8nL5pR1sW",
    serial_number="GW-000123",
    mac="02:00:5e:10:00:01",
    firmware_version="2.4.0",
    name="Gateway, room 12",
    sub_model="GW-8",
    details={"slots": 8},
)
SENSOR = ChildRegistration(
    model_id="c2d1e0ff-0a0b-4c0d-8e0f-112233445566",
    firmware_version="1.7.2",
    serial_number="SENSOR-0042",
    mac="02:00:5e:20:00:2a",
    name="Ceiling sensor 3",
    sub_model="CS-2",
    details={"port": 3},
)
AT = datetime(2025, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)
TELEMETRY = TelemetryMessage(status=Status.ONLINE, at=AT, values={"temp": 41.5, "input": "hdmi1", "muted": False, "err": None})
FLAGS = json.loads("""{"config_version":3,"command":true,"info_version":0,"new_licenses":false,"latest_fw_version":"2.5.0",
 "latest_fw_file_id":"77c1d2e3-0102-4304-8506-0708090a0b0c","space_data_version":2,"success":true}""")
FLAGS_READ = TelemetryResponse(
    config_version=3,
    command=True,
    latest_firmware_version="2.5.0",
    latest_firmware_file_id="77c1d2e3-0102-4304-8506-0708090a0b0c",
    space_data_version=2,
)


async def test_register_device_tells_everything_at_the_entry_server_and_shows_no_key(hub, entry, hub_server):
    entry.answers(
        {
            "id": PARENT,
            "access_key": PARENT_KEY,
            "hub_url": "https://us-1.endpoints.xyte.io/",
            "hub_url_static_cert": "us-1.cssl.endpoints.xyte.io",
            "mqtt_hub_url": "mqtts://mqtt-us-1.endpoints.xyte.io:8883",
        },
        status=201,
    )
    credentials = await hub.register_device(GATEWAY)
    assert entry.only.line == "POST /v1/devices"
    assert entry.only.headers["Content-Type"] == "application/json"
    assert "Authorization" not in entry.only.headers
    assert entry.only.json == json.loads(
        """{"hardware_key":"0f0e0d0c-1111-4222-8333-444455556666","cloud_id":"ZzQ7k3V9mT2xB8nL5pR1sW","sn":"GW-000123",
 "mac":"02:00:5e:10:00:01","firmware_version":"2.4.0","name":"Gateway, room 12","sub_model":"GW-8","details":{"slots":8}}"""
    )
    assert credentials == Credentials(
        device_id=PARENT,
        access_key=SecretStr(PARENT_KEY),
        hub_url="https://us-1.endpoints.xyte.io",
        hub_url_static_cert="https://us-1.cssl.endpoints.xyte.io",
        mqtt_hub_url="mqtts://mqtt-us-1.endpoints.xyte.io:8883",
    )
    assert hub_server.arrived == []


async def test_register_device_leaves_out_what_is_not_known(hub, entry):
    entry.answers({"id": PARENT, "access_key": PARENT_KEY, "hub_url": "https://h.example"}, status=201)
    await hub.register_device(GatewayRegistration(hardware_key=SecretStr("hk-1"), serial_number="S", firmware_version="V1.2"))
    assert entry.only.json == {"hardware_key": "hk-1", "sn": "S", "firmware_version": "1.2.0"}


async def test_bulk_registration_is_an_array_and_says_how_each_device_fared(hub, entry):
    entry.answers(
        [{"id": "u1", "access_key": "k-of-u1", "hub_url": "https://h.example"}, {"error": "Sn has already been taken (hk-0002)"}],
        status=422,
    )
    first = DeviceRegistration(
        hardware_key=SecretStr("hk-0001"),
        serial_number="U-1",
        firmware_version="1.0.0",
        parent_id=PARENT,
        host_address="10.0.0.9",
    )
    second = GatewayRegistration(hardware_key=SecretStr("hk-0002"), serial_number="U-2", firmware_version="1.0.0")
    fared = await hub.bulk_register_devices([first, second])
    assert entry.only.line == "POST /v1/devices/bulk_create"
    assert entry.only.json == [
        {"hardware_key": "hk-0001", "sn": "U-1", "firmware_version": "1.0.0", "parent_id": PARENT, "host_address": "10.0.0.9"},
        {"hardware_key": "hk-0002", "sn": "U-2", "firmware_version": "1.0.0"},
    ]
    assert fared == [
        Credentials(device_id="u1", access_key=SecretStr("k-of-u1"), hub_url="https://h.example"),
        RejectedEntry("Sn has already been taken (***)"),
    ]


async def test_a_child_is_registered_at_the_entry_server_with_its_parents_key_and_has_its_parents_hub(
    hub, entry, hub_server, parent
):
    entry.answers({"id": CHILD, "access_key": CHILD_KEY}, status=201)
    credentials = await hub.register_child(parent, SENSOR)
    assert entry.only.line == f"POST /v1/devices/{PARENT}/children"
    assert entry.only.headers["Authorization"] == PARENT_KEY
    assert entry.only.json == json.loads(
        """{"model_id":"c2d1e0ff-0a0b-4c0d-8e0f-112233445566","firmware_version":"1.7.2","sn":"SENSOR-0042",
 "mac":"02:00:5e:20:00:2a","name":"Ceiling sensor 3","sub_model":"CS-2","details":{"port":3}}"""
    )
    assert credentials == Credentials(device_id=CHILD, access_key=SecretStr(CHILD_KEY), hub_url=hub_server.url)


async def test_a_child_answer_with_a_hub_of_its_own_is_believed(hub, entry, parent):
    entry.answers({"id": CHILD, "access_key": CHILD_KEY, "hub_url": "eu-1.endpoints.xyte.io"}, status=201)
    assert (await hub.register_child(parent, SENSOR)).hub_url == "https://eu-1.endpoints.xyte.io"


async def test_children_are_listed_without_keys(hub, hub_server, parent):
    hub_server.answers(
        json.loads("""[{"id":"a1f0c3d2-6a55-4b1e-8a3e-2f7788990011","sn":"SENSOR-0042","mac":null,"state":{"status":"online"},
  "last_seen":"2025-02-03T04:05:06.000Z","name":"Ceiling sensor 3","firmware_version":"1.7.2",
  "vendor":"Acme","model":"Sensor","claimed":"Example Ltd","details":{}}]""")
    )
    assert await hub.get_children(parent) == [
        ListedChild(device_id=CHILD, serial_number="SENSOR-0042", name="Ceiling sensor 3", details={})
    ]


async def test_telemetry_goes_out_as_the_sample_and_its_flags_come_back(hub, hub_server, child):
    hub_server.answers(FLAGS, status=201)
    assert await hub.send_telemetry(child, TELEMETRY) == FLAGS_READ
    assert hub_server.only.json == json.loads(
        """{"status":"online","timestamp":"2025-02-03T04:05:06.789Z",
        "telemetries":{"temp":41.5,"input":"hdmi1","muted":false,"err":null}}"""
    )


async def test_the_first_telemetry_may_override_and_an_empty_one_still_has_its_object(hub, hub_server, child):
    hub_server.answers({}, status=200)
    answer = await hub.send_telemetry(child, TelemetryMessage(status=Status.OFFLINE, values={}, override=True))
    assert hub_server.only.json == {"status": "offline", "telemetries": {}, "override": True}
    assert answer == TelemetryResponse()


@pytest.mark.parametrize("status", [201, 422])
async def test_child_telemetries_are_one_map_there_and_back_on_201_and_on_422(hub, hub_server, parent, status):
    other, refused, unknown = "b2e1d4c3-7b66-4c2f-9b4f-3a8899aa1122", "c3", "d4"
    words = "Common telemetries.temp must be string, number or boolean"
    hub_server.answers({CHILD: {"error": words}, other: FLAGS, refused: {"success": False}, "stranger": FLAGS}, status=status)
    message = TelemetryMessage(status=Status.ONLINE, values={"temp": 21.5})
    answers = await hub.send_child_telemetries(parent, dict.fromkeys((CHILD, other, refused, unknown), message))
    assert hub_server.only.json[CHILD] == {"status": "online", "telemetries": {"temp": 21.5}}
    assert answers == {
        CHILD: RejectedEntry(words),
        other: FLAGS_READ,
        refused: RejectedEntry("not accepted, and no reason given"),
    }


async def test_mass_telemetry_carries_the_keys_in_the_body_only(hub, hub_server, parent, child):
    hub_server.answers({PARENT: FLAGS, CHILD: {"error": f"Invalid access token {CHILD_KEY}"}}, status=422)
    message = TelemetryMessage(status=Status.ONLINE, values={"a": 1})
    answers = await hub.send_mass_telemetry([(parent, message), (child, message)])
    assert hub_server.only.line == "POST /v1/devices/telemetries"
    assert "Authorization" not in hub_server.only.headers
    assert hub_server.only.json[CHILD] == {"access_token": CHILD_KEY, "status": "online", "telemetries": {"a": 1}}
    assert answers == {PARENT: FLAGS_READ, CHILD: RejectedEntry("Invalid access token ***")}


COMMAND = {"id": "e0d1", "device_id": CHILD, "status": "in_progress", "name": "set_input", "parameters": {"input": "hdmi2"}}
COMMAND_READ = WaitingCommand(id="e0d1", name="set_input", parameters={"input": "hdmi2"}, in_progress=True, device_id=CHILD)
LICENSE = {"id": "0a", "data": "feature=pro", "signature": "bWFk", "action": "add", "expires_at": "2026-01-31T23:59:59Z"}
LICENSE_READ = License(
    id="0a", payload="feature=pro", signature="bWFk", action=LicenseAction.ADD, expires_at="2026-01-31T23:59:59Z"
)
SPACE = json.loads("""{"location":{"coordinates":{"lat":48.2,"lng":16.37},"utc_offset":60,"name":"Vienna"},
 "temperature_units":"celsius","maintenance":false,"name":"Room 12","local_time":"2025-02-03T05:05:06+01:00"}""")
SPACE_READ = Space(
    name="Room 12",
    location_name="Vienna",
    latitude=48.2,
    longitude=16.37,
    utc_offset_minutes=60,
    temperature_units="celsius",
    local_time="2025-02-03T05:05:06+01:00",
)
FILE = {"id": "77c1", "name": "gw firmware", "url": "https://files.example.com/gw.bin", "desc": "spring", "version": "2.5.0"}
FILE_READ = ModelFile(
    id="77c1", name="gw firmware", url="https://files.example.com/gw.bin", description="spring", version="2.5.0"
)
INFO = json.loads("""{"id":"a1f0","partner":{"sn":"GW-000123","mac":"02:00:5e:10:00:01","vendor":"Acme","model":"Gateway"},
 "config":{"version":3,"last_updated":"2025-02-03T04:05:06.000Z"},"state":{"status":"online","temp":41.5},
 "last_seen":"2025-02-03T04:06:00.000Z","custom":{"prompt":null},"name":"Gateway, room 12","firmware_version":"2.4.0",
 "claimed":"Example Ltd","details":{"slots":8}}""")
INFO_READ = DeviceInfo(
    device_id="a1f0",
    name="Gateway, room 12",
    serial_number="GW-000123",
    mac="02:00:5e:10:00:01",
    vendor="Acme",
    model="Gateway",
    firmware_version="2.4.0",
    config_version=3,
    state={"status": "online", "temp": 41.5},
    details={"slots": 8},
    last_seen="2025-02-03T04:06:00.000Z",
    claimed_by="Example Ltd",
)
CONFIG = {"name": "Ceiling", "version": 4, "last_updated": "2025-02-03", "config": {"interval": 60}, "device_id": CHILD}
CONFIG_READ = DeviceConfiguration(version=4, values={"interval": 60}, last_updated="2025-02-03", name="Ceiling", device_id=CHILD)
INCIDENT = {"id": "i1", "status": "active", "priority": "high", "title": "Fan stopped", "issue": "fan_2_stopped"}
INCIDENT_READ = Incident(id="i1", status="active", priority="high", title="Fan stopped", issue="fan_2_stopped")
OK = {"success": True}

# name -> (how to call it, method and path below the device, body, sample answer, what it becomes)
CALLS_OF_A_DEVICE = {
    "Get Child Devices": (lambda hub, own: hub.get_children(own), "GET /children", None, [], []),
    "Send Telemetry": (
        lambda hub, own: hub.send_telemetry(own, TelemetryMessage(status=Status.ERROR, values={})),
        "POST /telemetry", {"status": "error", "telemetries": {}}, FLAGS, FLAGS_READ,
    ),
    "Send Child Telemetries": (lambda hub, own: hub.send_child_telemetries(own, {}), "POST /children/telemetries", {}, {}, {}),
    "Get Command": (lambda hub, own: hub.get_command(own), "GET /command", None, COMMAND, COMMAND_READ),
    "Get Commands with Children": (
        lambda hub, own: hub.get_commands_with_children(own), "GET /command/pending_commands", None, [COMMAND], [COMMAND_READ],
    ),
    "Update Command": (
        lambda hub, own: hub.update_command(own, "e0d1", "failed", "input hdmi2 has no signal"),
        "POST /command", {"id": "e0d1", "status": "failed", "message": "input hdmi2 has no signal"}, OK, None,
    ),
    "Get Config": (lambda hub, own: hub.get_config(own), "GET /config", None, CONFIG, CONFIG_READ),
    "Set Config": (
        lambda hub, own: hub.set_config(own, {"interval": 30, "mode": "eco"}),
        "POST /config", {"interval": 30, "mode": "eco"}, {"success": True, "version": 5}, 5,
    ),
    "Get Device Info": (lambda hub, own: hub.get_device_info(own), "GET ", None, INFO, INFO_READ),
    "Update Device": (
        lambda hub, own: hub.update_device(own, DeviceUpdate(firmware_version="2.5.0", config_version=4, space_version=2)),
        "PUT ", {"firmware_version": "2.5.0", "config_version": "4", "space_version": "2"}, INFO, None,
    ),
    "Delete Device": (lambda hub, own: hub.delete_device(own), "DELETE ", None, OK, None),
    "Set Cloud Settings": (
        lambda hub, own: hub.set_cloud_settings(own, "incidents.suspend_creation", True),
        "PUT /cloud_settings", {"property": "incidents.suspend_creation", "value": True}, OK, None,
    ),
    "Get Space Info": (lambda hub, own: hub.get_space_info(own), "GET /space", None, SPACE, SPACE_READ),
    "Space Move": (
        lambda hub, own: hub.space_move(own, "follow_parent"), "PUT /space/move", {"target": "follow_parent"}, SPACE, SPACE_READ,
    ),
    "Get License": (lambda hub, own: hub.get_license(own), "GET /license", None, LICENSE, LICENSE_READ),
    "Get Licenses": (lambda hub, own: hub.get_licenses(own), "GET /licenses", None, [LICENSE], [LICENSE_READ]),
    "Update License": (
        lambda hub, own: hub.update_license(own, "0a", "error", "no such feature"),
        "POST /licenses", {"id": "0a", "state": "error", "error": "no such feature"}, LICENSE, None,
    ),
    "Get Files": (lambda hub, own: hub.get_files(own), "GET /files", None, [FILE], [FILE_READ]),
    "Get File": (lambda hub, own: hub.get_file(own, "77c1"), "GET /files/77c1", None, FILE, FILE_READ),
    "Open Incident": (
        lambda hub, own: hub.open_incident(own, "Fan stopped", description="0 rpm", priority=2, issue="fan_2_stopped"),
        "POST /incidents", {"title": "Fan stopped", "description": "0 rpm", "priority": 2, "issue": "fan_2_stopped"},
        {"incident_id": "i1"}, "i1",
    ),
    "Get Incidents": (lambda hub, own: hub.get_incidents(own), "GET /incidents", None, [INCIDENT], [INCIDENT_READ]),
    "Close Incident": (lambda hub, own: hub.close_incident(own, "i1"), "DELETE /incidents/i1", None, OK, None),
    "Close Incidents": (lambda hub, own: hub.close_incidents(own), "DELETE /incidents", None, OK, None),
    "Add Event": (
        lambda hub, own: hub.add_event(own, "door_opened", "access", integers=(1,), strings=("front", "left"), at=AT),
        "POST /events",
        {"name": "door_opened", "category": "access", "int_key_1": 1, "string_key_1": "front", "string_key_2": "left",
         "timestamp": "2025-02-03T04:05:06.789Z"},
        {"status": True}, None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS_OF_A_DEVICE)
async def test_a_device_calls_its_hub_below_its_own_id_with_its_own_bare_key(name, access, entry, hub_server, child):
    call, line, body, answer, becomes = CALLS_OF_A_DEVICE[name]
    hub_server.answers(answer)
    counted = []
    async with HttpHub(access, on_call=lambda *told: counted.append(told)) as hub:
        assert await call(hub, child) == becomes
    method, _, below = line.partition(" ")
    assert hub_server.only.line == f"{method} /v1/devices/{CHILD}{below}"
    assert hub_server.only.headers["Authorization"] == CHILD_KEY
    assert (hub_server.only.json if hub_server.only.body else None) == body
    assert hub_server.only.headers.get("Content-Type") == (None if body is None else "application/json")
    assert entry.arrived == []
    assert [(told, status) for told, status, _ in counted] == [(name, 200)]
    assert 0 < counted[0][2] < access.timeout_seconds


async def test_a_dump_goes_out_raw_under_its_encoded_type(hub, hub_server, parent):
    hub_server.answers({"id": "d00d"}, status=201)
    assert await hub.send_dump(parent, "text/plain", "agent 1%.log", b"\x00log\xff") == DumpReceipt("d00d")
    assert hub_server.only.line == f"POST /v1/devices/{PARENT}/dumps/text%2Fplain/agent%201%25.log"
    assert hub_server.only.headers["Content-Type"] == "text/plain"
    assert hub_server.only.body == b"\x00log\xff"


async def test_more_of_a_dump_is_appended_raw(hub, hub_server, parent):
    hub_server.answers({"length": 1000})
    assert await hub.append_dump(parent, "d00d", "application/gzip", b"more") == 1000
    assert hub_server.only.line == f"PUT /v1/devices/{PARENT}/dumps/d00d"
    assert (hub_server.only.headers["Content-Type"], hub_server.only.body) == ("application/gzip", b"more")


async def test_an_id_with_odd_characters_arrives_as_one_segment(hub, hub_server, parent):
    hub_server.answers(FILE)
    await hub.get_file(parent, "a/b?c#d%2F é@:~")
    assert hub_server.only.raw_path == f"/v1/devices/{PARENT}/files/a%2Fb%3Fc%23d%252F%20%C3%A9%40%3A~"


async def test_an_update_of_nothing_is_not_sent(hub, hub_server, parent):
    await hub.update_device(parent, DeviceUpdate())
    assert hub_server.arrived == []


@pytest.mark.parametrize("status", [401, 404])
async def test_what_is_already_gone_counts_as_deleted(hub, hub_server, child, status):
    hub_server.answers({"error": "Not authorized"}, status=status)
    await hub.delete_device(child)
    assert hub_server.only.method == "DELETE"


async def test_a_deletion_that_is_refused_is_none(hub, hub_server, child):
    hub_server.answers({"error": "not now"}, status=422)
    with pytest.raises(HubRejected, match="not now"):
        await hub.delete_device(child)


async def test_a_command_id_that_is_a_number_goes_back_as_a_number(hub, hub_server, child):
    hub_server.answers({"id": 50, "status": "pending", "name": "reboot", "parameters": None})
    hub_server.answers(OK)
    command = await hub.get_command(child)
    await hub.update_command(child, command.id, "done", None)
    assert hub_server.arrived[1].body == b'{"id":50,"status":"done"}'


async def test_more_devices_than_one_call_takes_are_refused_before_anything_is_sent(hub, entry, hub_server, parent):
    message = TelemetryMessage(status=Status.ONLINE, values={})
    with pytest.raises(ValueError, match="101 in one call"):
        await hub.send_child_telemetries(parent, {str(number): message for number in range(101)})
    with pytest.raises(ValueError, match="101 in one call"):
        await hub.send_mass_telemetry([(parent, message)] * 101)
    with pytest.raises(ValueError, match="26 in one call"):
        await hub.bulk_register_devices([GATEWAY] * 26)
    assert entry.arrived == hub_server.arrived == []


async def test_a_hundred_children_fit_in_one_call(hub, hub_server, parent):
    hub_server.answers({}, status=201)
    message = TelemetryMessage(status=Status.ONLINE, values={})
    assert await hub.send_child_telemetries(parent, {str(number): message for number in range(100)}) == {}
    assert len(hub_server.only.json) == 100


async def test_mass_telemetry_goes_to_one_hub(hub, parent):
    message = TelemetryMessage(status=Status.ONLINE, values={})
    elsewhere = Credentials(device_id="x", access_key=SecretStr("kx"), hub_url="https://elsewhere.example")
    with pytest.raises(ValueError, match="share one hub"):
        await hub.send_mass_telemetry([(parent, message), (elsewhere, message)])
    with pytest.raises(ValueError, match="share one hub"):
        await hub.send_mass_telemetry([])
