"""Licences, dumps, files, incidents and events: sections 9 to 11 of the device API reference."""

import base64

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.emulator.api_types import Request
from gateway.emulator.files import _multipart_field

pytestmark = pytest.mark.enable_socket

LOG = "/dumps/text%2Fplain/agent.log"


async def test_licences_are_handed_out_one_by_one_until_none_is_left(xyte, gateway):
    assert (await xyte.own(gateway, "GET", "/license")).body == {}
    assert (await xyte.own(gateway, "GET", "/licenses")).body == []
    cloud = xyte.emulator.cloud
    first = cloud.offer_licence(gateway.id, "feature=pro", signature="bWFkZS11cA==", expires_at="2026-01-31T23:59:59Z")
    second = cloud.offer_licence(gateway.id, "feature=max", "update")
    heard = await xyte.own(gateway, "GET", "/license")
    assert heard.status == 200
    assert heard.body == {
        "id": first.id,
        "device_id": gateway.id,
        "data": "feature=pro",
        "signature": "bWFkZS11cA==",
        "action": "add",
        "expires_at": "2026-01-31T23:59:59Z",
        "current_time": "2025-02-03T04:05:06.000Z",
    }
    all_of_them = (await xyte.own(gateway, "GET", "/licenses")).body
    assert [one["expires_at"] for one in all_of_them] == ["2026-01-31T23:59:59Z", None]
    assert [(one["id"], one["add"], one["remove"], one["update"]) for one in all_of_them] == [
        (first.id, True, False, False),
        (second.id, False, False, True),
    ]
    heard = await xyte.own(gateway, "POST", "/licenses", json={"id": first.id, "state": "inuse"})
    assert (heard.status, set(heard.body)) == (200, {"id", "data", "signature", "expires_at"})
    assert (await xyte.own(gateway, "GET", "/license")).body["id"] == second.id
    await xyte.own(gateway, "POST", "/licenses", json={"id": second.id, "state": "error", "error": "no such feature"})
    assert (await xyte.own(gateway, "GET", "/license")).body == {}
    assert (await xyte.flags(gateway))["new_licenses"] is False
    assert second.error == "no such feature"


async def test_a_licence_goes_through_assignment_renewal_expiry_and_removal(xyte, gateway, clock):
    async def reports(state):
        return (await xyte.own(gateway, "POST", "/licenses", json={"id": licence_id, "state": state})).status

    async def offered(form):
        await xyte.control("POST", f"devices/{gateway.id}/license", json=form)
        assert (await xyte.flags(gateway))["new_licenses"] is True
        return (await xyte.own(gateway, "GET", "/license")).body

    told = await offered({"data": "feature=pro", "expires_at": "2025-02-10T00:00:00Z"})
    licence_id = told["id"]
    assert (told["action"], await reports("inuse")) == ("add", 200)
    told = await offered({"id": licence_id, "action": "update", "expires_at": "2025-03-10T00:00:00Z"})
    assert (told["id"], told["action"], told["data"]) == (licence_id, "update", "feature=pro")
    assert (told["expires_at"], await reports("inuse")) == ("2025-03-10T00:00:00Z", 200)
    clock.forward(days=30)
    shown = (await xyte.control("GET", f"devices/{gateway.id}")).body
    assert shown["expired_licences"] == []
    clock.forward(days=30)
    shown = (await xyte.control("GET", f"devices/{gateway.id}")).body
    assert shown["expired_licences"] == [licence_id]
    assert (await xyte.flags(gateway))["new_licenses"] is False, "expiry is no change that the device is told of"
    told = await offered({"id": licence_id, "action": "remove"})
    assert (told["action"], told["data"], await reports("removed")) == ("remove", "feature=pro", 200)
    shown = (await xyte.control("GET", f"devices/{gateway.id}")).body
    assert [licence["state"] for licence in shown["licences"]] == ["removed"]


@pytest.mark.parametrize(("quirk", "nothing"), [("object", {}), ("array", [])])
async def test_no_licence_is_an_empty_object_or_array(xyte, gateway, quirk, nothing):
    xyte.quirk(no_license=quirk)
    assert (await xyte.own(gateway, "GET", "/license")).body == nothing
    assert (await xyte.own(gateway, "GET", "/licenses")).body == []


@pytest.mark.parametrize("text", ["noon", "", "2025-02-03"])
async def test_an_expiry_that_is_no_time_is_passed_on_and_breaks_nothing(xyte, gateway, text):
    xyte.emulator.cloud.offer_licence(gateway.id, "x", expires_at=text)
    assert (await xyte.own(gateway, "GET", "/license")).body["expires_at"] == text
    assert (await xyte.control("GET", f"devices/{gateway.id}")).status == 200


async def test_a_licence_is_signed_with_the_key_that_is_shown(xyte, gateway):
    licence = xyte.emulator.cloud.offer_licence(gateway.id, "feature=pro")
    key = base64.b64decode((await xyte.control("GET", "models/signing_key")).body["public_key_base64"])
    told = (await xyte.own(gateway, "GET", "/license")).body
    Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(told["signature"]), licence.data.encode())


async def test_a_licence_can_be_taken_away_again(xyte, gateway):
    cloud = xyte.emulator.cloud
    licence = cloud.offer_licence(gateway.id, "feature=pro")
    await xyte.own(gateway, "POST", "/licenses", json={"id": licence.id, "state": "inuse"})
    cloud.offer_licence(gateway.id, "feature=pro", "remove", licence_id=licence.id)
    heard = await xyte.own(gateway, "GET", "/license")
    assert (heard.body["id"], heard.body["action"]) == (licence.id, "remove")
    await xyte.own(gateway, "POST", "/licenses", json={"id": licence.id, "state": "removed"})
    assert [known.state for known in cloud.devices[gateway.id].licences] == ["removed"]


async def test_wrong_licence_reports_are_refused_with_the_documented_words(xyte, gateway):
    licence = xyte.emulator.cloud.offer_licence(gateway.id, "feature=pro")

    async def report(**form):
        return (await xyte.own(gateway, "POST", "/licenses", json=form)).refusal

    for state in ("pending", "used", None):
        assert await report(id=licence.id, state=state) == (403, "Only allowed to set: inuse/removed/error")
    assert await report(id="unknown", state="inuse") == (404, "Couldn't find License")
    await xyte.own(gateway, "POST", "/licenses", json={"id": licence.id, "state": "inuse"})
    assert await report(id=licence.id, state="error") == (422, "State can't switch to error from inuse")


async def test_a_raw_dump_is_stored_and_appended_to(xyte, gateway):
    heard = await xyte.own(gateway, "POST", LOG, data=b"first\n", headers={"Content-Type": "text/plain"})
    assert heard.status == 201
    dump = xyte.emulator.cloud.dumps[heard.body["id"]]
    assert (dump.mime_type, dump.filename, dump.content) == ("text/plain", "agent.log", b"first\n")
    appended = await xyte.own(gateway, "PUT", f"/dumps/{heard.body['id']}", data=b"second\n")
    assert (appended.status, appended.body) == (200, {"length": 13})
    assert dump.content == b"first\nsecond\n"


async def test_a_multipart_dump_is_taken_apart(xyte, gateway):
    content = bytes(range(256)) + b"\r\n--\r\n\r\r\n"
    form = aiohttp.FormData()
    form.add_field("note", "not this")
    form.add_field("data", content, filename="agent.log", content_type="application/octet-stream")
    heard = await xyte.own(gateway, "POST", LOG, data=form)
    assert heard.status == 201
    assert xyte.emulator.cloud.dumps[heard.body["id"]].content == content


@settings(max_examples=50, deadline=None)
@given(content=st.binary())
def test_multipart_content_comes_out_byte_for_byte(content):
    body = b'--b\r\nContent-Disposition: form-data; name="data"; filename="x"\r\n\r\n' + content + b"\r\n--b--\r\n"
    if b"--b" not in content:
        assert (_multipart_field(Request(content_type="multipart/form-data; boundary=b", body=body)) or b"") == content


@settings(max_examples=100, deadline=None)
@given(
    content_type=st.text(st.characters(exclude_categories=["Cc"])),
    body=st.lists(
        st.sampled_from([b"--b", b"--b--", b"\r\n", b"\n", b"Content-Disposition: form-data; name*=", b'"data', b";"])
        | st.binary()
    ),
)
def test_broken_multipart_has_no_content_or_some_but_never_fails(content_type, body):
    request = Request(content_type=f"multipart/form-data; boundary=b{content_type}", body=b"".join(body))
    assert isinstance(_multipart_field(request), bytes | None)


async def test_an_empty_dump_is_refused(xyte, gateway):
    assert (await xyte.own(gateway, "POST", LOG)).refusal == (422, "Data can't be blank")
    other_field = aiohttp.FormData({"other": "x"}, default_to_multipart=True)
    assert (await xyte.own(gateway, "POST", LOG, data=other_field)).refusal == (422, "Data can't be blank")


async def test_a_dump_belongs_to_its_device(xyte, gateway, child):
    dump_id = (await xyte.own(gateway, "POST", LOG, data=b"x")).body["id"]
    assert (await xyte.own(child, "PUT", f"/dumps/{dump_id}", data=b"y")).status == 404
    assert (await xyte.hub("POST", f"/{child.id}{LOG}", key=gateway.key, data=b"x")).refusal == (401, "Not authorized")


async def test_the_files_of_the_model_are_listed(xyte, gateway, child):
    cloud = xyte.emulator.cloud
    model_id = cloud.devices[gateway.id].model_id
    file = cloud.add_file(model_id, name="gw firmware", url="https://files.example.com/gw-2.5.0.bin", version="2.5.0")
    cloud.add_file(model_id, name="manual", url="https://files.example.com/gw.pdf", version="one", file_type="document")
    heard = await xyte.own(gateway, "GET", "/files")
    assert [one["name"] for one in heard.body] == ["gw firmware", "manual"]
    heard = await xyte.own(gateway, "GET", f"/files/{file.id}")
    assert heard.body == {
        "id": file.id,
        "name": "gw firmware",
        "url": "https://files.example.com/gw-2.5.0.bin",
        "desc": None,
        "file_type": "firmware",
        "version": "2.5.0",
        "created_at": "2025-02-03T04:05:06.000Z",
        "public_notes": None,
        "checksum": None,
        "signature": None,
    }
    assert (await xyte.own(child, "GET", "/files")).body == []
    assert (await xyte.own(child, "GET", f"/files/{file.id}")).refusal == (400, "File not found")


@pytest.mark.parametrize(
    ("running", "offered", "is_told"),
    [
        ("2.5.0", "2.5.0", False),
        ("2.5.0-rc.1", "2.5.0", True),
        ("2.5.0", "2.5.1-rc.1", True),
        ("2.5.1-rc.2", "2.5.1-rc.10", True),
        ("2.5.1-rc.a", "2.5.1-rc.1", False),
        ("2.5.1-rc", "2.5.1-rc.1", True),
        ("2.10.0", "2.9.9", False),
    ],
)
async def test_only_newer_firmware_is_offered(xyte, running, offered, is_told):
    device = await xyte.register(firmware_version=running)
    cloud = xyte.emulator.cloud
    cloud.add_file(cloud.devices[device.id].model_id, name="fw", url="https://files.example.com/fw", version=offered)
    assert (await xyte.flags(device))["latest_fw_version"] == (offered if is_told else None)


async def test_incidents_are_opened_once_for_an_issue_listed_and_closed(xyte, gateway):
    xyte.emulator.cloud.claim(gateway.id)
    form = {"title": "Fan stopped", "description": "Fan 2 reads 0 rpm", "priority": 2, "issue": "fan_2_stopped"}
    heard = await xyte.own(gateway, "POST", "/incidents", json=form)
    assert (heard.status, set(heard.body)) == (200, {"incident_id"})
    again = await xyte.own(gateway, "POST", "/incidents", json=form)
    assert again.body == heard.body
    (told,) = (await xyte.own(gateway, "GET", "/incidents")).body
    assert told == {
        "id": heard.body["incident_id"],
        "device_id": gateway.id,
        "status": "active",
        "priority": "high",
        "title": "Fan stopped",
        "description": "Fan 2 reads 0 rpm",
        "issue": "fan_2_stopped",
        "created_at": "2025-02-03T04:05:06.000Z",
        "updated_at": "2025-02-03T04:05:06.000Z",
    }
    closed = await xyte.own(gateway, "DELETE", f"/incidents/{told['id']}")
    assert (closed.status, closed.body) == (200, {"success": True})
    assert (await xyte.own(gateway, "GET", "/incidents")).body == []
    assert (await xyte.own(gateway, "DELETE", f"/incidents/{told['id']}")).refusal == (404, "Incident not found")
    reopened = await xyte.own(gateway, "POST", "/incidents", json=form)
    assert reopened.body != heard.body


@pytest.mark.parametrize("priority", [1, "1", 5, "5"])
async def test_a_priority_is_an_integer_or_a_string_and_a_word_in_the_list(xyte, gateway, priority):
    xyte.emulator.cloud.claim(gateway.id)
    heard = await xyte.own(gateway, "POST", "/incidents", json={"title": "Fan stopped", "priority": priority})
    assert heard.status == 200
    (told,) = (await xyte.own(gateway, "GET", "/incidents")).body
    assert told["priority"] == {1: "critical", 5: "planning"}[int(priority)]


async def test_two_incidents_without_an_issue_are_two(xyte, gateway):
    xyte.emulator.cloud.claim(gateway.id)
    for _ in range(2):
        await xyte.own(gateway, "POST", "/incidents", json={"title": "Fan stopped"})
    listed = (await xyte.own(gateway, "GET", "/incidents")).body
    assert [one["priority"] for one in listed] == ["moderate", "moderate"]


async def test_closing_all_closes_the_devices_own(xyte, gateway):
    cloud = xyte.emulator.cloud
    cloud.claim(gateway.id)
    device = cloud.devices[gateway.id]
    ruled = cloud.open_incident(device, "Too hot", origin="rule")
    asked = cloud.open_incident(device, "Please look", origin="customer")
    await xyte.own(gateway, "POST", "/incidents", json={"title": "Fan stopped"})
    heard = await xyte.own(gateway, "DELETE", "/incidents")
    assert (heard.status, heard.body) == (200, {"success": True})
    assert {one["id"] for one in (await xyte.own(gateway, "GET", "/incidents")).body} == {ruled.id, asked.id}
    assert (await xyte.own(gateway, "DELETE", f"/incidents/{asked.id}")).status == 200
    assert (await xyte.own(gateway, "DELETE", f"/incidents/{ruled.id}")).status == 404


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({}, "Title can't be blank"),
        ({"title": "x", "priority": 0}, "Priority must be between 1 and 5"),
        ({"title": "x", "priority": 6}, "Priority must be between 1 and 5"),
        ({"title": "x", "priority": "high"}, "Priority must be between 1 and 5"),
        ({"title": "x", "priority": "6"}, "Priority must be between 1 and 5"),
        ({"title": "x", "priority": "01"}, "Priority must be between 1 and 5"),
        ({"title": "x", "priority": 2.0}, "Priority must be between 1 and 5"),
        ({"title": "x", "priority": True}, "Priority must be between 1 and 5"),
        ({"title": "x", "issue": []}, "Issue is invalid"),
    ],
)
async def test_a_wrong_incident_is_refused(xyte, gateway, form, error):
    assert (await xyte.own(gateway, "POST", "/incidents", json=form)).refusal == (422, error)


async def test_an_unclaimed_devices_incidents_and_events_are_answered_and_dropped(xyte, gateway):
    heard = await xyte.own(gateway, "POST", "/incidents", json={"title": "Fan stopped"})
    assert (heard.status, set(heard.body)) == (200, {"incident_id"})
    assert (await xyte.own(gateway, "GET", "/incidents")).body == []
    heard = await xyte.own(gateway, "POST", "/events", json={"name": "door_opened", "category": "access"})
    assert (heard.status, heard.body) == (200, {"status": True})
    assert xyte.emulator.cloud.devices[gateway.id].events == []


async def test_an_event_is_kept_with_its_keys(xyte, gateway):
    xyte.emulator.cloud.claim(gateway.id)
    form = {"name": "door_opened", "category": "access", "int_key_1": 1, "string_key_1": "front"}
    heard = await xyte.own(gateway, "POST", "/events", json=form)
    assert (heard.status, heard.body) == (200, {"status": True})
    (event,) = xyte.emulator.cloud.devices[gateway.id].events
    assert (event.name, event.category, event.keys) == ("door_opened", "access", {"int_key_1": 1, "string_key_1": "front"})


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"name": ""}, "Name can't be blank"),
        ({"category": None}, "Category can't be blank"),
        ({"int_key_2": 2**31}, "Int key 2 must be a 32-bit integer"),
        ({"int_key_1": "1"}, "Int key 1 must be a 32-bit integer"),
        ({"string_key_1": "x" * 256}, "String key 1 is too long (maximum is 255 characters)"),
        ({"timestamp": "noon"}, "Timestamp must be an ISO-8601 time"),
    ],
)
async def test_a_wrong_event_is_refused(xyte, gateway, changes, error):
    form = {"name": "door_opened", "category": "access", **changes}
    assert (await xyte.own(gateway, "POST", "/events", json=form)).refusal == (422, error)


async def test_a_device_has_a_hundred_events_a_day(xyte, gateway, clock):
    form = {"name": "door_opened", "category": "access"}
    for _ in range(100):
        assert (await xyte.own(gateway, "POST", "/events", json=form)).status == 200
    assert (await xyte.own(gateway, "POST", "/events", json=form)).refusal == (429, "Too many requests")
    clock.forward(days=1)
    assert (await xyte.own(gateway, "POST", "/events", json=form)).status == 200


async def test_events_beyond_the_limit_may_be_dropped_silently_and_refused_ones_do_not_count(xyte, gateway, child):
    xyte.quirk(events_over_limit="dropped")
    xyte.emulator.cloud.claim(gateway.id)
    form = {"name": "door_opened", "category": "access"}
    await xyte.own(gateway, "POST", "/events", json={"name": "no category"})
    for _ in range(101):
        assert (await xyte.own(gateway, "POST", "/events", json=form)).status == 200
    assert len(xyte.emulator.cloud.devices[gateway.id].events) == 100
    assert (await xyte.own(child, "POST", "/events", json=form)).status == 200
    assert len(xyte.emulator.cloud.devices[child.id].events) == 1
