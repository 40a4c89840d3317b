"""Every switch of section 17 both ways."""

import aiohttp
import pytest

from gateway.emulator import Quirks
from gateway.emulator.quirks import BadQuirk

pytestmark = pytest.mark.enable_socket

MODEL_ID = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"
MESSAGE = {"status": "online", "telemetries": {}}
LOG = "/dumps/text%2Fplain/agent.log"


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["retry_after=true"], ("retry_after", True)),
        (["rate_limit=5"], ("rate_limit", 5)),
        (["model_api_version=1.0.5"], ("model_api_version", "1.0.5")),
        (["telemetry_status = 200"], ("telemetry_status", 200)),
    ],
)
def test_quirks_are_read_from_words(words, value):
    name, wanted = value
    assert getattr(Quirks.parse(words), name) == wanted


@pytest.mark.parametrize("word", ["retry_after", "retry_afer=true", "rate_limit=-1", "telemetry_status=204", "command_id=7"])
def test_a_wrong_word_is_refused_by_its_name(word):
    with pytest.raises(BadQuirk, match=word.partition("=")[0]):
        Quirks.parse([word])


def test_every_quirk_says_which_section_it_comes_from():
    assert all(str(quirk["about"])[0].isdigit() for quirk in Quirks().describe())


async def test_statuses_of_success(xyte, gateway, child):
    xyte.quirk(registration_status=200, telemetry_status=200, dump_status=200, space_status=201)
    assert (await xyte.entry("POST", "", json=xyte.form())).status == 200
    assert (await xyte.entry("POST", "/bulk_create", json=[xyte.form()])).status == 200
    form = {"model_id": MODEL_ID, "firmware_version": "1.0.0"}
    assert (await xyte.entry("POST", f"/{gateway.id}/children", key=gateway.key, json=form)).status == 200
    assert (await xyte.say(gateway)).status == 200
    assert (await xyte.own(gateway, "POST", "/children/telemetries", json={child.id: MESSAGE})).status == 200
    assert (await xyte.hub("POST", "/telemetries", json={child.id: {**MESSAGE, "access_token": child.key}})).status == 200
    assert (await xyte.own(gateway, "POST", LOG, data=b"x")).status == 200
    xyte.emulator.cloud.claim(gateway.id)
    assert (await xyte.own(gateway, "GET", "/space")).status == 201


async def test_strict_child_fields_name_what_they_refuse(xyte, gateway):
    form = {"model_id": MODEL_ID, "firmware_version": "1.0.0", "sub_model": "CS-2", "colour": "red"}
    heard = await xyte.entry("POST", f"/{gateway.id}/children", key=gateway.key, json=form)
    assert heard.status == 201
    xyte.quirk(strict_child_fields=True)
    heard = await xyte.entry("POST", f"/{gateway.id}/children", key=gateway.key, json=form)
    assert heard.refusal == (400, "Unknown field: colour, sub_model")


async def test_a_childs_answer_may_tell_the_hub(xyte, gateway):
    xyte.quirk(child_hub_url=True)
    form = {"model_id": MODEL_ID, "firmware_version": "1.0.0"}
    heard = await xyte.entry("POST", f"/{gateway.id}/children", key=gateway.key, json=form)
    assert heard.body["hub_url"] == xyte.emulator.hub_url


async def test_a_parents_key_may_open_its_childrens_paths(xyte, gateway, child):
    assert (await xyte.hub("GET", f"/{child.id}/command", key=gateway.key)).status == 401
    xyte.quirk(parent_key_opens_children=True)
    assert (await xyte.hub("GET", f"/{child.id}/command", key=gateway.key)).status == 200
    assert (await xyte.hub("GET", f"/{gateway.id}/command", key=child.key)).status == 401


async def test_a_child_may_be_registered_without_a_key(xyte, gateway):
    form = {"model_id": MODEL_ID, "firmware_version": "1.0.0"}
    xyte.quirk(child_registration_needs_key=False)
    assert (await xyte.entry("POST", f"/{gateway.id}/children", json=form)).status == 201
    assert (await xyte.entry("POST", "/nobody/children", json=form)).status == 401


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ("unauthorised", (401, "Not authorized")),
        ("not-found", (404, "Not found")),
        ("error-in-2xx", (200, "Not found")),
    ],
)
async def test_what_a_deleted_device_hears(xyte, gateway, child, answer, refusal):
    xyte.quirk(deleted_answer=answer)
    xyte.emulator.cloud.delete(child.id)
    assert (await xyte.say(child)).refusal == refusal
    assert (await xyte.hub("GET", f"/{gateway.id}/command", key=child.key)).refusal == (401, "Not authorized")
    assert (await xyte.hub("GET", "/nobody/command", key=child.key)).refusal == (401, "Not authorized")


@pytest.mark.parametrize(
    ("quirk", "status", "entry"),
    [("not-found", 422, {"error": "Not found"}), ("not-authorized", 422, {"error": "Not authorized"}), ("omitted", 201, None)],
)
async def test_a_deleted_child_in_the_bulk_call(xyte, gateway, child, quirk, status, entry):
    xyte.quirk(foreign_child=quirk)
    gone = await xyte.register_child(gateway)
    xyte.emulator.cloud.delete(gone.id)
    heard = await xyte.own(gateway, "POST", "/children/telemetries", json={gone.id: MESSAGE, child.id: MESSAGE})
    assert heard.status == status
    assert heard.body.get(gone.id) == entry
    assert heard.body[child.id]["success"] is True


async def test_set_config_may_take_one_form_only(xyte, gateway):
    values = xyte.emulator.cloud.devices[gateway.id].config
    xyte.quirk(set_config_body="wrapped")
    assert (await xyte.own(gateway, "POST", "/config", json={"a": 1})).refusal == (422, "Config can't be blank")
    assert (await xyte.own(gateway, "POST", "/config", json={"config": {"a": 1}})).status == 200
    assert values.values == {"a": 1}
    xyte.quirk(set_config_body="bare")
    assert (await xyte.own(gateway, "POST", "/config", json={"config": {"a": 1}})).status == 200
    assert values.values == {"config": {"a": 1}}


@pytest.mark.parametrize(("quirk", "versions"), [("always", [1, 2, 3]), ("on-change", [1, 1, 2])])
async def test_when_set_config_raises_the_version(xyte, gateway, quirk, versions):
    xyte.quirk(set_config_bumps=quirk)
    told = [(await xyte.own(gateway, "POST", "/config", json={"a": a})).body["version"] for a in (1, 1, 2)]
    assert told == versions
    config = xyte.emulator.cloud.device(gateway.id).config
    assert config.applied_version == config.version, "what a device sends, it has"


async def test_below_1_0_5_the_fields_of_the_server_are_no_part_of_an_echoed_configuration(xyte, gateway):
    xyte.quirk(model_api_version="1.0.4")
    xyte.emulator.cloud.set_config(gateway.id, {"interval": 30})
    echo = (await xyte.own(gateway, "GET", "/config")).body
    assert {"version", "last_updated", "name", "interval"} <= echo.keys()
    assert (await xyte.own(gateway, "POST", "/config", json=echo)).body["version"] == 1
    assert xyte.emulator.cloud.device(gateway.id).config.values == {"interval": 30}


@pytest.mark.parametrize(("quirk", "text", "number"), [("either", 200, 200), ("string", 200, 422), ("number", 422, 200)])
async def test_what_update_device_takes_as_a_version(xyte, gateway, quirk, text, number):
    xyte.quirk(config_version_type=quirk)
    assert (await xyte.own(gateway, "PUT", json={"config_version": "4"})).status == text
    assert (await xyte.own(gateway, "PUT", json={"config_version": 4})).status == number


@pytest.mark.parametrize(("quirk", "while_running"), [("until-terminal", True), ("while-pending", False)])
async def test_how_long_the_command_flag_lasts(xyte, gateway, quirk, while_running):
    xyte.quirk(command_flag=quirk)
    command = xyte.emulator.cloud.queue_command(gateway.id, "reboot")
    assert (await xyte.flags(gateway))["command"] is True
    await xyte.own(gateway, "POST", "/command", json={"id": command.id, "status": "in_progress"})
    assert (await xyte.flags(gateway))["command"] is while_running


async def test_command_ids_may_be_integers(xyte, gateway):
    assert isinstance(xyte.emulator.cloud.queue_command(gateway.id, "reboot").id, str)
    xyte.quirk(command_id="integer")
    command = xyte.emulator.cloud.queue_command(gateway.id, "reboot")
    assert isinstance(command.id, int)
    xyte.emulator.cloud.devices[gateway.id].commands[:] = [command]
    told = (await xyte.own(gateway, "GET", "/command")).body
    assert (await xyte.own(gateway, "POST", "/command", json={"id": told["id"], "status": "done"})).status == 200


async def test_events_may_be_served_on_the_entry_server(xyte, gateway):
    form = {"name": "booted", "category": "life"}
    assert (await xyte.entry("POST", f"/{gateway.id}/events", key=gateway.key, json=form)).refusal == (404, "Not found")
    xyte.quirk(events_on_entry=True)
    assert (await xyte.entry("POST", f"/{gateway.id}/events", key=gateway.key, json=form)).status == 200
    assert (await xyte.entry("POST", f"/{gateway.id}/events", key="0" * 32, json=form)).status == 401


async def test_children_are_deleted_with_their_parent_or_orphaned(xyte, gateway, child):
    xyte.emulator.cloud.delete(gateway.id)
    assert (await xyte.say(child)).status == 401
    parent = await xyte.register()
    orphan = await xyte.register_child(parent)
    xyte.quirk(parent_deletion="orphans-children")
    await xyte.own(parent, "DELETE")
    assert (await xyte.say(orphan)).status == 201
    assert xyte.emulator.cloud.devices[orphan.id].parent_id is None
    adopter = await xyte.register()
    assert (await xyte.own(orphan, "PUT", json={"parent_id": adopter.id})).status == 200
    assert [one["id"] for one in (await xyte.own(adopter, "GET", "/children")).body] == [orphan.id]


async def test_a_repeated_child_may_be_the_same_one(xyte, gateway, child):
    xyte.quirk(repeated_child="same")
    assert await xyte.register_child(gateway) == child
    assert await xyte.register_child(gateway, sn="SENSOR-0043") != child
    assert (await xyte.register_child(gateway, sn=None)).id != (await xyte.register_child(gateway, sn=None)).id


async def test_unclaiming_keeps_or_deletes_the_children(xyte, gateway, child):
    xyte.emulator.cloud.claim(gateway.id)
    xyte.emulator.cloud.unclaim(gateway.id)
    assert (await xyte.say(child)).status == 201
    xyte.quirk(parent_unclaiming="deletes-children")
    xyte.emulator.cloud.unclaim(gateway.id)
    assert (await xyte.say(child)).status == 401
    assert (await xyte.say(gateway)).status == 201


async def test_children_before_the_claim_may_be_refused(xyte, gateway):
    xyte.quirk(child_before_claim="refused")
    form = {"model_id": MODEL_ID, "firmware_version": "1.0.0"}
    heard = await xyte.entry("POST", f"/{gateway.id}/children", key=gateway.key, json=form)
    assert heard.refusal == (422, "Parent must be claimed")
    xyte.emulator.cloud.claim(gateway.id)
    await xyte.register_child(gateway)


async def test_a_parent_may_have_a_limit_of_children(xyte, gateway, child):
    xyte.quirk(children_per_parent=1)
    form = {"model_id": MODEL_ID, "firmware_version": "1.0.0"}
    heard = await xyte.entry("POST", f"/{gateway.id}/children", key=gateway.key, json=form)
    assert heard.refusal == (422, "Parent can't have more than 1 children")


async def test_spurious_401s_come_once_for_each_device(xyte, gateway, child):
    xyte.quirk(spurious_401=1)
    for device in (gateway, child):
        assert (await xyte.say(device)).refusal == (401, "Not authorized")
        assert (await xyte.say(device)).status == 201


async def test_the_rate_limit_counts_all_calls_of_a_device_within_30_seconds(xyte, gateway, child, clock):
    xyte.quirk(rate_limit=2)
    assert (await xyte.say(gateway)).status == 201
    clock.forward(seconds=10)
    assert (await xyte.own(gateway, "GET", "/command")).status == 200
    heard = await xyte.say(gateway, {"t": 1})
    assert heard.refusal == (429, "Too many requests")
    assert "Retry-After" not in heard.headers
    assert xyte.emulator.cloud.devices[gateway.id].state == {"status": "online"}
    assert (await xyte.say(child)).status == 201
    xyte.quirk(retry_after=True)
    assert (await xyte.say(gateway)).headers["Retry-After"] == "20"
    clock.forward(seconds=20)
    assert (await xyte.say(gateway)).status == 201


async def test_info_version_stays_0_or_counts(xyte, gateway):
    await xyte.own(gateway, "PUT", json={"name": "Renamed"})
    assert (await xyte.flags(gateway))["info_version"] == 0
    xyte.quirk(info_version="counts")
    before = (await xyte.flags(gateway))["info_version"]
    await xyte.own(gateway, "PUT", json={"name": "Renamed again"})
    assert (await xyte.flags(gateway))["info_version"] == before + 1


async def test_dumps_may_be_taken_in_one_form_only(xyte, gateway):
    xyte.quirk(dump_body="multipart")
    assert (await xyte.own(gateway, "POST", LOG, data=b"x")).refusal == (422, "Data can't be blank")
    form = aiohttp.FormData({"data": "x"}, default_to_multipart=True)
    assert (await xyte.own(gateway, "POST", LOG, data=form)).status == 201
    xyte.quirk(dump_body="raw")
    form = aiohttp.FormData({"data": "x"}, default_to_multipart=True)
    heard = await xyte.own(gateway, "POST", LOG, data=form)
    assert b"form-data" in xyte.emulator.cloud.dumps[heard.body["id"]].content


async def test_a_deletion_may_be_answered_without_a_body(xyte, gateway):
    xyte.quirk(delete_status=204)
    heard = await xyte.own(gateway, "DELETE")
    assert (heard.status, heard.text) == (204, "")
    assert (await xyte.say(gateway)).status == 401


async def test_pending_commands_may_lack_their_owner(xyte, gateway, child):
    xyte.emulator.cloud.queue_command(child.id, "reboot")
    xyte.quirk(pending_commands_device_id=False)
    (told,) = (await xyte.own(gateway, "GET", "/command/pending_commands")).body
    assert "device_id" not in told
    assert (await xyte.own(child, "GET", "/command")).body["device_id"] == child.id


@pytest.mark.parametrize("refreshes", [True, False])
async def test_whether_the_bulk_call_is_a_sign_of_life_of_the_parent(xyte, gateway, child, clock, refreshes):
    xyte.quirk(bulk_refreshes_parent=refreshes)
    clock.forward(minutes=1)
    await xyte.own(gateway, "POST", "/children/telemetries", json={child.id: MESSAGE})
    devices = xyte.emulator.cloud.devices
    assert (devices[gateway.id].last_seen == clock.now) is refreshes
    assert devices[child.id].last_seen == clock.now


@pytest.mark.parametrize(("quirk", "details"), [("replace", {"b": 2}), ("merge", {"a": 1, "b": 2})])
async def test_what_update_device_does_with_details(xyte, quirk, details):
    device = await xyte.register(details={"a": 1})
    xyte.quirk(details_update=quirk)
    assert (await xyte.own(device, "PUT", json={"details": {"b": 2}})).body["details"] == details


async def test_a_telemetry_message_is_ignored_or_refused(xyte, gateway):
    assert (await xyte.say(gateway, message="fan stopped", status="error")).status == 201
    xyte.quirk(telemetry_message="refused")
    assert (await xyte.say(gateway, message="fan stopped", status="error")).refusal == (422, "Unknown field: message")


@pytest.mark.parametrize(("quirk", "start", "end"), [("url", "http://", ""), ("bare", "127.", ""), ("slash", "http://", "/")])
async def test_the_forms_of_a_hub_url(xyte, quirk, start, end):
    xyte.quirk(hub_url_form=quirk)
    told = (await xyte.entry("POST", "", json=xyte.form())).body["hub_url"]
    assert told.startswith(start)
    assert told.endswith(xyte.emulator.hub_url.rpartition(":")[2] + end)


async def test_the_forms_of_a_licence(xyte, gateway):
    licence = xyte.emulator.cloud.offer_licence(gateway.id, "x", "remove", expires_at="2026-01-31T23:59:59Z")
    xyte.quirk(license_form="array")
    assert [one["id"] for one in (await xyte.own(gateway, "GET", "/license")).body] == [licence.id]
    xyte.quirk(license_form="booleans")
    told = (await xyte.own(gateway, "GET", "/license")).body
    assert (told["add"], told["remove"], told["update"]) == (False, True, False)
    assert told["expired_at"] == "2026-01-31T23:59:59Z"
    assert "action" not in told
    second = xyte.emulator.cloud.offer_licence(gateway.id, "y")
    xyte.quirk(license_form="all")
    told = (await xyte.own(gateway, "GET", "/license")).body
    assert [(one["id"], one.get("add"), one.get("remove")) for one in told] == [(licence.id, None, True), (second.id, True, None)]


@pytest.mark.parametrize(
    ("quirk", "wrong_key", "deleted"), [("deleted-401", 400, 401), ("always-401", 401, 401), ("always-400", 400, 400)]
)
async def test_what_get_device_info_answers_without_the_right_key(xyte, gateway, child, quirk, wrong_key, deleted):
    xyte.quirk(device_info_refusal=quirk)
    assert (await xyte.hub("GET", f"/{child.id}", key=gateway.key)).refusal == (wrong_key, "Not authorized")
    assert (await xyte.hub("GET", "/nobody", key=gateway.key)).refusal == (wrong_key, "Not authorized")
    xyte.emulator.cloud.delete(child.id)
    assert (await xyte.own(child, "GET")).refusal == (deleted, "Not authorized")
    assert (await xyte.own(child, "GET", "/command")).refusal == (401, "Not authorized")


@pytest.mark.parametrize("version", ["1.0.4", "1.0.5", "1.0.7"])
async def test_the_configuration_is_flat_in_the_device_info_at_each_version(xyte, gateway, version):
    xyte.quirk(model_api_version=version)
    xyte.emulator.cloud.set_config(gateway.id, {"interval": 60, "version": "of the operator"})
    told = (await xyte.own(gateway, "GET")).body["config"]
    assert told == {"interval": 60, "version": 1, "last_updated": told["last_updated"]}
    assert (await xyte.own(gateway, "PUT", json={"name": "x"})).body["config"] == told
    config = (await xyte.own(gateway, "GET", "/config")).body
    assert ("config" in config) is (version >= "1.0.5")


async def test_the_rate_limit_may_count_the_requests_of_a_customer(xyte, gateway, child):
    xyte.emulator.cloud.claim(gateway.id)
    xyte.quirk(rate_limit=2, rate_limit_counts="customer")
    assert (await xyte.say(gateway)).status == 201
    assert (await xyte.own(gateway, "POST", "/children/telemetries", json={child.id: MESSAGE})).status == 201, "one request"
    assert (await xyte.say(child)).refusal == (429, "Too many requests")
    other = await xyte.register()
    assert (await xyte.say(other)).status == 201


async def test_a_mass_call_is_one_request_and_is_refused_as_a_whole(xyte, gateway, child):
    xyte.emulator.cloud.claim(gateway.id)
    xyte.quirk(rate_limit=1, rate_limit_counts="customer")
    body = {device.id: {**MESSAGE, "access_token": device.key} for device in (gateway, child)}
    assert (await xyte.hub("POST", "/telemetries", json=body)).status == 201
    assert (await xyte.hub("POST", "/telemetries", json=body)).refusal == (429, "Too many requests")


async def test_a_value_of_another_json_type_is_a_change(xyte, gateway):
    told = [(await xyte.own(gateway, "POST", "/config", json={"a": a})).body["version"] for a in (1, True, True, 1.0, "1")]
    assert told == [1, 2, 2, 3, 4]
