"""Every open point of the device API reference, section 17, and every fact of section 18: client and emulator, each switch.

The client and the emulator are two readings of one reference. Here the first one calls the second one over sockets, with each
switch in each position. What an item asks of the whole gateway, such as when a deletion is believed, is in the test that is named
in its case.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from gateway.cloud.client import CloudAccess, HttpHub
from gateway.cloud.protocol.messages import telemetry_body
from gateway.emulator import Emulator
from gateway.errors import HubBusy, HubRejected, HubUnauthorised
from gateway.hub import (
    ChildRegistration,
    Credentials,
    DeviceUpdate,
    GatewayRegistration,
    RejectedEntry,
    TelemetryMessage,
    TelemetryResponse,
)
from gateway.hub_records import LicenseAction
from gateway.models import Status

pytestmark = pytest.mark.enable_socket

GATEWAY = GatewayRegistration(
    hardware_key=SecretStr("0f0e0d0c-1111-4222-8333-444455556666"),
    serial_number="GW-1",
    cloud_id="ZzQ7k3V9mT2xB8nL5pR1sW",
    mac="02:00:5e:10:00:01",
    firmware_version="1.0.0",
)
CHILD = ChildRegistration(
    model_id="c2d1e0ff-0a0b-4c0d-8e0f-112233445566", firmware_version="1.7.2", serial_number="SENSOR-0042", sub_model="CS-2"
)
ONLINE = TelemetryMessage(status=Status.ONLINE, values={"temp": 21.5})
CASES = {}


@dataclass(frozen=True)
class World:
    """A client, the emulator that it calls, and a gateway with a child that it registered there."""

    hub: HttpHub
    emulator: Emulator
    parent: Credentials
    child: Credentials

    @property
    def cloud(self):
        return self.emulator.cloud

    def quirk(self, **changes):
        self.cloud.quirks = self.cloud.quirks.changed(changes)

    def device(self, credentials):
        return self.cloud.device(credentials.device_id)

    async def register(self, number):
        return await self.hub.register_device(
            replace(GATEWAY, serial_number=f"GW-{number}", cloud_id=f"ZzQ7k3V9mT2xB8nL5p{number:04}")
        )

    def last_call(self):
        return self.emulator.journal.entries()[-1]


@pytest.fixture
async def world():
    async with (
        Emulator() as emulator,
        HttpHub(CloudAccess(entry_url=emulator.entry_url, allow_plain_http=True, timeout_seconds=5)) as hub,
    ):
        parent = await hub.register_device(GATEWAY)
        yield World(hub, emulator, parent, await hub.register_child(parent, CHILD))


def case(name):
    """Name the item of section 17 or the row of section 18 that a function shows."""

    def keep(function):
        CASES[name] = function
        return function

    return keep


def test_all_items_of_section_17_and_rows_of_section_18_have_a_case():
    numbers = [name.split()[0] for name in CASES if name.startswith("17.")]
    assert numbers == [f"17.{number}" for number in range(1, 31)]
    assert [name.removeprefix("18 ") for name in CASES if name.startswith("18 ")] == [
        "Re-parenting", "Command states seen by customers", "Commands and claiming", "Offline threshold", "Minimum commands",
        "Slow configuration", "Get / Set Config at 1.0.5", "Get Device Info", "Licences", "Open Incident", "Events",
        "Rate limits", "Child without a serial number", "Deleted on purpose", "MQTT",
    ]  # fmt: skip


async def refused(call, status, error=None):
    with pytest.raises(HubRejected) as caught:
        await call
    assert caught.value.status == status
    if error is not None:
        assert caught.value.error == error


async def unauthorised(call):
    with pytest.raises(HubUnauthorised):
        await call


# section 17 -----------------------------------------------------------------------------------------------------------


@case("17.1 status of success")
async def status_of_success(w):
    w.cloud.claim(w.parent.device_id)
    for status in (200, 201):
        w.quirk(registration_status=status, telemetry_status=status, dump_status=status, space_status=status)
        parent = await w.register(status)
        await w.hub.register_child(parent, CHILD)
        assert isinstance(await w.hub.send_telemetry(w.child, ONLINE), TelemetryResponse)
        answers = await w.hub.send_child_telemetries(w.parent, {w.child.device_id: ONLINE})
        assert isinstance(answers[w.child.device_id], TelemetryResponse)
        assert (await w.hub.get_space_info(w.child)).name
        assert (await w.hub.send_dump(w.parent, "text/plain", "a.log", b"x")).id


@case("17.2 sub_model in Register Child Device")
async def sub_model(w):
    """The single retry is in `test_gateway_and_cloud::test_a_hub_without_sub_models_at_registration_gets_them_afterwards`."""
    assert w.device(w.child).sub_model == "CS-2"
    w.quirk(strict_child_fields=True)
    await refused(w.hub.register_child(w.parent, CHILD), 400, "Unknown field: sub_model")
    child = await w.hub.register_child(w.parent, replace(CHILD, sub_model=None))
    await w.hub.update_device(child, DeviceUpdate(sub_model="CS-2"))
    assert w.device(child).sub_model == "CS-2"


@case("17.3 hub_url in the child answer")
async def hub_url_of_child(w):
    assert w.child.hub_url == w.parent.hub_url
    w.quirk(child_hub_url=True)
    elsewhere = replace(w.parent, hub_url="https://hub.invalid")
    assert (await w.hub.register_child(elsewhere, CHILD)).hub_url == w.emulator.hub_url


@case("17.4 parent's key on a child's paths")
async def parents_key(w):
    with_parents_key = replace(w.child, access_key=w.parent.access_key)
    await unauthorised(w.hub.send_telemetry(with_parents_key, ONLINE))
    await w.hub.send_telemetry(w.child, ONLINE)
    w.quirk(parent_key_opens_children=True)
    await w.hub.send_telemetry(with_parents_key, ONLINE)


@case("17.5 Register Child Device without auth")
async def child_registration_key(w):
    stranger = replace(w.parent, access_key=SecretStr("0" * 32))
    await unauthorised(w.hub.register_child(stranger, CHILD))
    w.quirk(child_registration_needs_key=False)
    assert (await w.hub.register_child(stranger, CHILD)).device_id


@case("17.6 a deleted device answering Not found")
async def deleted_device(w):
    """When it is believed is in `test_gateway_and_cloud::test_a_deleted_child_comes_back_however_the_hub_says_so`."""
    w.cloud.delete(w.child.device_id)
    await unauthorised(w.hub.send_telemetry(w.child, ONLINE))
    w.quirk(deleted_answer="not-found")
    await refused(w.hub.send_telemetry(w.child, ONLINE), 404, "Not found")
    w.quirk(deleted_answer="error-in-2xx")
    await refused(w.hub.send_telemetry(w.child, ONLINE), 200, "Not found")


@case("17.7 a deleted child in children/telemetries")
async def deleted_child_in_bulk(w):
    other = await w.hub.register_child(w.parent, CHILD)
    w.cloud.delete(w.child.device_id)
    for quirk, entry in (
        ("not-found", RejectedEntry("Not found")), ("not-authorized", RejectedEntry("Not authorized")), ("omitted", None),
    ):  # fmt: skip
        w.quirk(foreign_child=quirk)
        answers = await w.hub.send_child_telemetries(w.parent, {w.child.device_id: ONLINE, other.device_id: ONLINE})
        assert answers.get(w.child.device_id) == entry
        assert isinstance(answers[other.device_id], TelemetryResponse)


@case("17.8 Set Config body")
async def set_config_body(w):
    for quirk in ("either", "bare"):
        w.quirk(set_config_body=quirk)
        await w.hub.set_config(w.child, {"interval": 30, "quirk": quirk})
        assert w.device(w.child).config.values == {"interval": 30, "quirk": quirk}
    w.quirk(set_config_body="wrapped")
    await refused(w.hub.set_config(w.child, {"interval": 30}), 422)


@case("17.9 Set Config without a change")
async def set_config_without_change(w):
    assert [await w.hub.set_config(w.child, {"a": 1}) for _ in range(2)] == [1, 1]
    assert w.device(w.child).config.applied_version == 1
    w.quirk(set_config_bumps="always")
    assert await w.hub.set_config(w.child, {"a": 1}) == 2


@case("17.10 config_version as number or string")
async def config_version_type(w):
    for quirk in ("either", "string"):
        w.quirk(config_version_type=quirk)
        await w.hub.update_device(w.child, DeviceUpdate(config_version=3, space_version=2))
        assert (w.device(w.child).config.applied_version, w.device(w.child).applied_space_version) == (3, 2)
    w.quirk(config_version_type="number")
    await refused(w.hub.update_device(w.child, DeviceUpdate(config_version=4)), 422)


@case("17.11 command flag while in progress")
async def command_flag(w):
    command = w.cloud.queue_command(w.child.device_id, "reboot")
    await w.hub.update_command(w.child, command.id, "in_progress", None)
    assert (await w.hub.send_telemetry(w.child, ONLINE)).command
    assert (await w.hub.get_command(w.child)).in_progress
    w.quirk(command_flag="while-pending")
    assert not (await w.hub.send_telemetry(w.child, ONLINE)).command


@case("17.12 command id type")
async def command_id(w):
    for quirk, kind in (("uuid", str), ("integer", int)):
        w.quirk(command_id=quirk)
        command = w.cloud.queue_command(w.child.device_id, "reboot")
        told = await w.hub.get_command(w.child)
        assert isinstance(told.id, kind)
        await w.hub.update_command(w.child, told.id, "done", None)
        assert w.last_call().body["id"] == command.id
        assert command.status == "done"


@case("17.13 bulk register")
async def bulk_register(w):
    new = replace(GATEWAY, serial_number="GW-2", cloud_id="ZzQ7k3V9mT2xB8nL5p0002")
    refusal, credentials = await w.hub.bulk_register_devices([GATEWAY, new])
    assert refusal == RejectedEntry("Cloud id has already been taken")
    assert w.device(credentials).sn == "GW-2"
    w.quirk(bulk_register="missing")
    await refused(w.hub.bulk_register_devices([new]), 404)


@case("17.14 Add Event host")
async def event_host(w):
    for on_entry in (False, True):
        w.quirk(events_on_entry=on_entry)
        await w.hub.add_event(w.child, "door_opened", "access")
        assert (w.last_call().server, w.last_call().status) == ("hub", 200)


@case("17.15 children of a deleted parent")
async def children_of_deleted_parent(w):
    """The whole gateway is in `test_gateway_and_cloud`."""
    other = await w.register(2)
    child = await w.hub.register_child(other, CHILD)
    await w.hub.delete_device(w.parent)
    await unauthorised(w.hub.send_telemetry(w.child, ONLINE))
    w.quirk(parent_deletion="orphans-children")
    await w.hub.delete_device(other)
    await w.hub.send_telemetry(child, ONLINE)
    adopter = await w.register(3)
    await w.hub.update_device(child, DeviceUpdate(parent_id=adopter.device_id))
    assert [one.device_id for one in await w.hub.get_children(adopter)] == [child.device_id]


@case("17.16 repeating Register Child Device")
async def repeated_child(w):
    assert (await w.hub.register_child(w.parent, CHILD)).device_id != w.child.device_id
    w.quirk(repeated_child="same")
    assert await w.hub.register_child(w.parent, CHILD) == w.child


@case("17.17 children of an unclaimed parent")
async def children_of_unclaimed_parent(w):
    w.cloud.claim(w.parent.device_id)
    w.cloud.unclaim(w.parent.device_id)
    await w.hub.send_telemetry(w.child, ONLINE)
    w.quirk(parent_unclaiming="deletes-children")
    w.cloud.unclaim(w.parent.device_id)
    await unauthorised(w.hub.send_telemetry(w.child, ONLINE))


@case("17.18 a child before the claim")
async def child_before_claim(w):
    """How the gateway waits is in `test_children_that_are_refused_until_their_parent_is_claimed_follow_the_claim`."""
    w.quirk(child_before_claim="refused")
    await refused(w.hub.register_child(w.parent, CHILD), 422)
    w.cloud.claim(w.parent.device_id)
    assert (await w.hub.register_child(w.parent, CHILD)).device_id


@case("17.19 children per parent")
async def children_per_parent(w):
    await w.hub.register_child(w.parent, CHILD)
    w.quirk(children_per_parent=2)
    await refused(w.hub.register_child(w.parent, CHILD), 422)


@case("17.20 a transient 401")
async def transient_401(w):
    """That one alone ends nothing is in `test_gateway_and_cloud::test_a_spurious_401_makes_nobody_register_anew`."""
    w.quirk(spurious_401=1)
    await unauthorised(w.hub.send_telemetry(w.child, ONLINE))
    await w.hub.send_telemetry(w.child, ONLINE)


@case("17.21 rate limit and Retry-After")
async def rate_limit(w):
    w.quirk(rate_limit=1)
    await w.hub.send_telemetry(w.child, ONLINE)
    for retry_after in (False, True):
        w.quirk(retry_after=retry_after)
        with pytest.raises(HubBusy) as caught:
            await w.hub.send_telemetry(w.child, ONLINE)
        assert (caught.value.retry_after_seconds is not None) is retry_after


@case("17.22 info_version")
async def info_version(w):
    await w.hub.update_device(w.child, DeviceUpdate(name="Renamed"))
    assert (await w.hub.send_telemetry(w.child, ONLINE)).info_version == 0
    w.quirk(info_version="counts")
    assert (await w.hub.send_telemetry(w.child, ONLINE)).info_version == 1
    assert (await w.hub.get_device_info(w.child)).name == "Renamed"


@case("17.23 dump body")
async def dump_body(w):
    for quirk in ("either", "raw"):
        w.quirk(dump_body=quirk)
        dump = await w.hub.send_dump(w.parent, "text/plain", "a.log", b"first\n")
        assert await w.hub.append_dump(w.parent, dump.id, "text/plain", b"second\n") == 13
        assert w.cloud.dumps[dump.id].content == b"first\nsecond\n"
    w.quirk(dump_body="multipart")
    await refused(w.hub.send_dump(w.parent, "text/plain", "a.log", b"x"), 422, "Data can't be blank")


@case("17.24 Delete Device")
async def delete_device(w):
    await w.hub.delete_device(w.child)
    await w.hub.delete_device(w.child)  # 401: it is gone already
    w.quirk(deleted_answer="not-found")
    await w.hub.delete_device(w.child)
    w.quirk(delete_status=204)
    await w.hub.delete_device(w.parent)
    assert w.cloud.devices == {}


@case("17.25 MQTT topic names")
async def mqtt_topics(w):
    """Neither side has MQTT: the address is stored, and nothing connects to it."""
    assert w.parent.mqtt_hub_url.startswith("mqtts://")
    assert {entry.server for entry in w.emulator.journal.entries()} <= {"entry", "hub"}


@case("17.26 pending commands without owner")
async def pending_commands(w):
    """That the gateway then asks each device is in `tests/cloud/commands`."""
    w.cloud.queue_command(w.child.device_id, "reboot")
    for changes, owner in (
        ({}, w.child.device_id), ({"pending_commands_device_id": False}, None),
        ({"pending_commands_device_id": True, "model_api_version": "1.0.6"}, None),
    ):  # fmt: skip
        w.quirk(**changes)
        (command,) = await w.hub.get_commands_with_children(w.parent)
        assert command.device_id == owner


@case("17.27 last_seen of the parent in the bulk call")
async def last_seen_of_parent(w):
    for refreshes in (True, False):
        w.quirk(bulk_refreshes_parent=refreshes)
        before = w.device(w.parent).last_seen
        await w.hub.send_child_telemetries(w.parent, {w.child.device_id: ONLINE})
        assert (w.device(w.parent).last_seen != before) is refreshes


@case("17.28 details in Update Device")
async def details(w):
    for quirk in ("replace", "merge"):
        w.quirk(details_update=quirk)
        await w.hub.update_device(w.child, DeviceUpdate(details={"port": quirk, "slot": 1}))
        assert w.device(w.child).details == {"port": quirk, "slot": 1}, "the client sends the full object"


@case("17.29 message in telemetry")
async def message_in_telemetry(w):
    w.quirk(telemetry_message="refused")
    await w.hub.send_telemetry(w.child, replace(ONLINE, status=Status.ERROR))
    assert "message" not in telemetry_body(ONLINE)


@case("17.30 trust anchors")
async def trust_anchors(w):
    """Both hubs with certificates of two authorities are in `test_static_certificate`; `hub_url` is the default."""
    await w.hub.send_telemetry(w.parent, ONLINE)
    assert w.last_call().server == "hub"
    assert w.parent.hub_url_static_cert not in (None, w.parent.hub_url)


# section 18 -----------------------------------------------------------------------------------------------------------


@case("18 Re-parenting")
async def reparenting(w):
    same_customer = "Parent must be claimed by the same customer"
    other = await w.register(2)
    move = DeviceUpdate(parent_id=other.device_id)
    w.cloud.claim(w.parent.device_id)
    await refused(w.hub.update_device(w.child, move), 422, same_customer)
    w.cloud.claim(other.device_id, "Somebody Else")
    await refused(w.hub.update_device(w.child, move), 422, same_customer)
    w.cloud.claim(other.device_id)
    await w.hub.update_device(w.child, move)
    w.cloud.unclaim(other.device_id)
    w.cloud.unclaim(w.parent.device_id)
    await w.hub.update_device(w.child, DeviceUpdate(parent_id=w.parent.device_id))
    assert [one.device_id for one in await w.hub.get_children(w.parent)] == [w.child.device_id]


@case("18 Command states seen by customers")
async def command_states(w):
    scheduled = w.cloud.queue_command(w.child.device_id, "reboot", starts_in=timedelta(hours=1))
    first, second = (w.cloud.queue_command(w.child.device_id, "reboot") for _ in range(2))
    assert [command.status for command in (scheduled, first)] == ["scheduled", "pending"]
    await w.hub.update_command(w.child, first.id, "in_progress", "rebooting")
    assert first.status == "in_progress"
    w.cloud.cancel_command(w.child.device_id, str(first.id))
    assert first.status == "aborted"
    await refused(w.hub.update_command(w.child, first.id, "done", None), 404, "no command")
    assert (await w.hub.get_command(w.child)).id == second.id
    await w.hub.update_command(w.child, second.id, "failed", "no power")
    assert (second.status, second.message) == ("failed", "no power")
    assert await w.hub.get_command(w.child) is None


@case("18 Commands and claiming")
async def commands_and_claiming(w):
    w.cloud.queue_command(w.child.device_id, "reboot")
    w.quirk(commands_need_claim=True)
    with pytest.raises(Exception, match="the device is not claimed"):
        w.cloud.queue_command(w.child.device_id, "reboot")
    w.cloud.claim(w.parent.device_id)
    assert w.cloud.queue_command(w.child.device_id, "reboot").status == "pending"


@case("18 Offline threshold")
async def offline_threshold(w):
    """The threshold itself is in `tests/emulator/test_offline`."""
    w.cloud.claim(w.parent.device_id)
    await w.hub.send_telemetry(w.child, ONLINE)
    incident = w.cloud.open_incident(w.device(w.child), "Device is offline", issue="device_offline", origin="rule")
    w.device(w.child).is_offline = True
    assert await w.hub.get_incidents(w.child) == [], "any call is a sign of life"
    assert not incident.is_open


@case("18 Minimum commands")
async def minimum_commands(w):
    """The gateway's own are in the tests of its commands; here the file of an update comes with link, checksum and signature."""
    file = w.cloud.add_file(w.device(w.child).model_id, name="fw", version="2.0.0", content=b"firmware")
    w.cloud.queue_command(w.child.device_id, "update_firmware", {"wait": None}, file_id=file.id)
    parameters = (await w.hub.get_command(w.child)).parameters
    assert parameters["checksum"] == hashlib.sha256(b"firmware").hexdigest()
    assert (parameters["version"], parameters["signature"], parameters["wait"]) == ("2.0.0", file.signature, None)
    assert parameters["url"].startswith(w.emulator.files_url)
    listed = await w.hub.get_file(w.child, file.id)
    assert (listed.url, listed.checksum, listed.signature) == (parameters["url"], file.checksum, file.signature)
    assert await w.hub.get_files(w.child) == [listed]
    await refused(w.hub.get_file(w.child, "nothing"), 400, "File not found")


@case("18 Slow configuration")
async def slow_configuration(w):
    """When the gateway fetches it is in the tests of its configuration; it can be fetched right after the registration."""
    configuration = await w.hub.get_config(w.child)
    assert (configuration.version, configuration.values) == (0, {})


@case("18 Get / Set Config at 1.0.5")
async def configuration_versions(w):
    w.cloud.set_config(w.child.device_id, {"interval": 60, "mode": "eco"})
    for version in ("1.0.0", "1.0.4", "1.0.5", "1.0.7"):
        w.quirk(model_api_version=version)
        told = await w.hub.get_config(w.child)
        assert (told.version, told.values) == (1, {"interval": 60, "mode": "eco"})
        assert await w.hub.set_config(w.child, told.values) == 1
        assert w.device(w.child).config.values == told.values


@case("18 Get Device Info")
async def device_info(w):
    for version in ("1.0.4", "1.0.7"):
        w.quirk(model_api_version=version)
        w.cloud.set_config(w.child.device_id, {"interval": 60})
        assert (await w.hub.get_device_info(w.child)).config_version == w.device(w.child).config.version
    await refused(w.hub.get_device_info(replace(w.child, access_key=w.parent.access_key)), 400, "Not authorized")
    w.cloud.delete(w.child.device_id)
    await unauthorised(w.hub.get_device_info(w.child))
    w.quirk(device_info_refusal="always-400")
    await refused(w.hub.get_device_info(w.child), 400, "Not authorized")


@case("18 Licences")
async def licences(w):
    expires = "2026-01-31T23:59:59Z"
    for nothing in ("object", "array"):
        w.quirk(no_license=nothing)
        assert await w.hub.get_license(w.child) is None
        assert await w.hub.get_licenses(w.child) == []
    licence = w.cloud.offer_licence(w.child.device_id, "feature=pro", expires_at=expires)
    for form in ("object", "array", "booleans", "all"):
        w.quirk(license_form=form)
        told = await w.hub.get_license(w.child)
        assert (told.id, told.action, told.payload, told.expires_at) == (licence.id, LicenseAction.ADD, "feature=pro", expires)
    (told,) = await w.hub.get_licenses(w.child)
    assert (told.action, told.expires_at, told.signature) == (LicenseAction.ADD, expires, licence.signature)
    await w.hub.update_license(w.child, licence.id, "inuse")
    await refused(w.hub.update_license(w.child, licence.id, "error", "x"), 422, "State can't switch to error from inuse")
    await refused(w.hub.update_license(w.child, "nothing", "inuse"), 404, "Couldn't find License")
    await refused(w.hub.update_license(w.child, licence.id, "pending"), 403, "Only allowed to set: inuse/removed/error")
    for action in ("update", "remove"):
        w.cloud.offer_licence(w.child.device_id, action=action, licence_id=licence.id, expires_at=expires)
        assert (await w.hub.get_license(w.child)).action == action
    await w.hub.update_license(w.child, licence.id, "removed")
    assert not (await w.hub.send_telemetry(w.child, ONLINE)).new_licenses


@case("18 Open Incident")
async def open_incident(w):
    w.cloud.claim(w.parent.device_id)
    incident_id = await w.hub.open_incident(w.child, "Fan stopped", priority=2, issue="fan")
    assert [(one.id, one.priority) for one in await w.hub.get_incidents(w.child)] == [(incident_id, "high")]
    await refused(w.hub.open_incident(w.child, "Fan stopped", priority=6), 422, "Priority must be between 1 and 5")
    await w.hub.close_incident(w.child, incident_id)
    await refused(w.hub.close_incident(w.child, incident_id), 404, "Incident not found")
    await w.hub.open_incident(w.child, "Fan stopped")
    await w.hub.close_incidents(w.child)
    await w.hub.set_cloud_settings(w.child, "incidents.suspend_creation", value=True)
    assert await w.hub.open_incident(w.child, "Fan stopped")
    assert await w.hub.get_incidents(w.child) == []


@case("18 Events")
async def events(w):
    for _ in range(2):
        await w.hub.add_event(w.child, "door_opened", "access", integers=(1,), strings=("front",))
        w.cloud.claim(w.parent.device_id)
    (event,) = w.device(w.child).events
    assert event.keys == {"int_key_1": 1, "string_key_1": "front"}
    for _ in range(98):
        await w.hub.add_event(w.child, "door_opened", "access")
    with pytest.raises(HubBusy):
        await w.hub.add_event(w.child, "door_opened", "access")
    w.quirk(events_over_limit="dropped")
    await w.hub.add_event(w.child, "door_opened", "access")
    assert len(w.device(w.child).events) == 99


@case("18 Rate limits")
async def every_request_counts(w):
    w.cloud.claim(w.parent.device_id)
    w.quirk(rate_limit=2, rate_limit_counts="customer")
    await w.hub.send_child_telemetries(w.parent, {w.child.device_id: ONLINE})
    await w.hub.get_command(w.child)
    with pytest.raises(HubBusy):
        await w.hub.send_telemetry(w.parent, ONLINE)


@case("18 Child without a serial number")
async def child_without_serial_number(w):
    child = await w.hub.register_child(w.parent, replace(CHILD, serial_number=None, mac="00:90:e8:00:00:01"))
    assert (w.device(child).sn, w.device(child).mac) == (None, "00:90:e8:00:00:01")
    listed = {one.device_id: one for one in await w.hub.get_children(w.parent)}
    assert listed[child.device_id].serial_number is None


@case("18 Deleted on purpose")
async def deleted_on_purpose(w):
    """The setting is in `test_gateway_and_cloud::test_a_child_deleted_on_purpose_stays_away_when_so_set`."""
    w.cloud.delete(w.child.device_id)
    await unauthorised(w.hub.send_telemetry(w.child, ONLINE))
    again = await w.hub.register_child(w.parent, CHILD)
    assert again.device_id != w.child.device_id
    await w.hub.send_telemetry(again, ONLINE)


@case("18 MQTT")
async def mqtt(w):
    """Neither side has MQTT: everything that it wakes a device for is in the flags of telemetry."""
    w.cloud.queue_command(w.child.device_id, "reboot")
    w.cloud.offer_licence(w.child.device_id)
    w.cloud.set_config(w.child.device_id, {"a": 1})
    answer = await w.hub.send_telemetry(w.child, ONLINE)
    assert (answer.command, answer.new_licenses, answer.config_version) == (True, True, 1)


@pytest.mark.parametrize("name", CASES)
async def test_client_and_emulator_read_the_reference_alike(world, name):
    await CASES[name](world)
