"""The command queue: section 6 of the device API reference."""

from datetime import timedelta

import pytest

pytestmark = pytest.mark.enable_socket


async def update(xyte, device, command_id, status, **more):
    return await xyte.own(device, "POST", "/command", json={"id": command_id, "status": status, **more})


async def test_one_command_after_the_other_is_handed_out_until_it_ends(xyte, gateway):
    assert (await xyte.own(gateway, "GET", "/command")).body == {}
    first = xyte.emulator.cloud.queue_command(gateway.id, "set_input", {"input": "hdmi2"})
    second = xyte.emulator.cloud.queue_command(gateway.id, "reboot", None)
    told = {
        "id": first.id,
        "device_id": gateway.id,
        "status": "pending",
        "name": "set_input",
        "parameters": {"input": "hdmi2"},
    }
    assert (await xyte.own(gateway, "GET", "/command")).body == told
    heard = await update(xyte, gateway, first.id, "in_progress", message="switching")
    assert (heard.status, heard.body) == (200, {"success": True})
    assert (await xyte.own(gateway, "GET", "/command")).body == {**told, "status": "in_progress"}
    assert (await xyte.flags(gateway))["command"] is True
    assert (await update(xyte, gateway, first.id, "failed", message="no signal")).status == 200
    assert (first.status, first.message) == ("failed", "no signal")
    handed = (await xyte.own(gateway, "GET", "/command")).body
    assert (handed["id"], handed["parameters"]) == (second.id, None)
    assert (await update(xyte, gateway, second.id, "done")).status == 200
    assert (await xyte.own(gateway, "GET", "/command")).body == {}
    assert (await xyte.flags(gateway))["command"] is False


async def test_an_ended_or_unknown_command_is_no_command(xyte, gateway):
    assert (await update(xyte, gateway, "nothing", "done")).refusal == (404, "no command")
    first = xyte.emulator.cloud.queue_command(gateway.id, "reboot")
    second = xyte.emulator.cloud.queue_command(gateway.id, "reboot")
    assert (await update(xyte, gateway, second.id, "done")).refusal == (404, "no command")
    assert (await xyte.own(gateway, "POST", "/command", json={"status": "done"})).refusal == (404, "no command")
    await update(xyte, gateway, first.id, "done")
    assert (await update(xyte, gateway, first.id, "done")).refusal == (404, "no command")
    assert second.is_open


@pytest.mark.parametrize("word", ["in-progress", "pending", "error", None, 7])
async def test_other_status_words_are_refused(xyte, gateway, word):
    command = xyte.emulator.cloud.queue_command(gateway.id, "reboot")
    heard = await update(xyte, gateway, command.id, word)
    assert heard.refusal == (422, "invalid status: done/in-progress/failed")
    assert command.status == "pending"


async def test_a_childs_command_is_the_childs_and_shows_in_the_parents_overview(xyte, gateway, child):
    assert (await xyte.own(gateway, "GET", "/command/pending_commands")).body == []
    first = xyte.emulator.cloud.queue_command(child.id, "identify", {})
    xyte.emulator.cloud.queue_command(child.id, "reboot")
    own = xyte.emulator.cloud.queue_command(gateway.id, "dump")
    heard = await xyte.own(gateway, "GET", "/command/pending_commands")
    assert heard.status == 200
    assert [(one["id"], one["device_id"]) for one in heard.body] == [(own.id, gateway.id), (first.id, child.id)]
    assert (await update(xyte, gateway, first.id, "done")).refusal == (404, "no command")
    assert (await update(xyte, child, first.id, "done")).status == 200
    heard = await xyte.hub("GET", f"/{child.id}/command", key=gateway.key)
    assert heard.refusal == (401, "Not authorized")


async def test_the_server_gives_up_a_command_after_its_timeout(xyte, gateway, clock):
    command = xyte.emulator.cloud.queue_command(gateway.id, "reboot", timeout=timedelta(seconds=30))
    clock.forward(seconds=29)
    assert (await xyte.own(gateway, "GET", "/command")).body["id"] == command.id
    clock.forward(seconds=1)
    assert (await xyte.own(gateway, "GET", "/command")).body == {}
    assert (await update(xyte, gateway, command.id, "done")).refusal == (404, "no command")
    assert (command.status, command.message) == ("failed", "timed out")


async def test_an_outcome_outlasts_the_timeout(xyte, gateway, clock):
    command = xyte.emulator.cloud.queue_command(gateway.id, "reboot", timeout=timedelta(seconds=30))
    await update(xyte, gateway, command.id, "done", message="rebooted")
    clock.forward(seconds=31)
    (told,) = (await xyte.control("GET", f"devices/{gateway.id}/commands")).body
    assert (told["status"], told["message"]) == ("done", "rebooted")


async def test_a_tunnel_command_has_its_credentials_beside_the_parameters(xyte, gateway):
    xyte.emulator.cloud.queue_command(gateway.id, "tunnel", None, tunnel={"id": "t1", "port": 22})
    heard = await xyte.own(gateway, "GET", "/command")
    assert (heard.body["parameters"], heard.body["tunnel"]) == (None, {"id": "t1", "port": 22})


async def test_an_echoed_command_object_is_taken(xyte, gateway):
    command = xyte.emulator.cloud.queue_command(gateway.id, "reboot", {"a": None})
    echoed = (await xyte.own(gateway, "GET", "/command")).body
    assert (await xyte.own(gateway, "POST", "/command", json={**echoed, "status": "done"})).status == 200
    assert command.status == "done"


async def test_before_1_0_1_the_head_of_the_queue_is_meant(xyte, gateway):
    xyte.quirk(model_api_version="1.0.0")
    command = xyte.emulator.cloud.queue_command(gateway.id, "reboot")
    assert (await xyte.own(gateway, "POST", "/command", json={"status": "done"})).status == 200
    assert command.status == "done"


async def test_a_cancelled_command_is_not_offered_and_takes_no_outcome(xyte, gateway):
    first = xyte.emulator.cloud.queue_command(gateway.id, "open_valve")
    second = xyte.emulator.cloud.queue_command(gateway.id, "close_valve")
    assert (await xyte.control("DELETE", f"devices/{gateway.id}/commands/{first.id}")).status == 200
    assert first.status == "aborted"
    assert (await xyte.own(gateway, "GET", "/command")).body["id"] == second.id
    assert (await update(xyte, gateway, first.id, "done")).refusal == (404, "no command")
    assert (await xyte.control("DELETE", f"devices/{gateway.id}/commands/{first.id}")).status == 422
    assert (await xyte.control("DELETE", f"devices/{gateway.id}/commands/unknown")).status == 404


async def test_an_unclaimed_device_takes_no_commands_where_that_is_set(xyte, gateway):
    xyte.quirk(commands_need_claim=True)
    refused = await xyte.control("POST", f"devices/{gateway.id}/command", json={"name": "reboot"})
    assert refused.status == 422
    await xyte.control("POST", f"devices/{gateway.id}/claim", json={})
    assert (await xyte.control("POST", f"devices/{gateway.id}/command", json={"name": "reboot"})).status == 201


async def test_a_scheduled_command_is_seen_by_customers_and_not_by_the_device_until_its_time(xyte, gateway, clock):
    form = {"name": "reboot", "starts_in_seconds": 60, "timeout_seconds": 30}
    await xyte.control("POST", f"devices/{gateway.id}/command", json=form)
    now = xyte.emulator.cloud.queue_command(gateway.id, "identify")

    async def states():
        return [one["status"] for one in (await xyte.control("GET", f"devices/{gateway.id}/commands")).body]

    assert await states() == ["scheduled", "pending"]
    assert (await xyte.own(gateway, "GET", "/command")).body["id"] == now.id
    await update(xyte, gateway, now.id, "in_progress")
    assert await states() == ["scheduled", "in_progress"]
    await update(xyte, gateway, now.id, "done")
    assert (await xyte.flags(gateway))["command"] is False
    clock.forward(seconds=61)
    assert await states() == ["pending", "done"]
    assert (await xyte.flags(gateway))["command"] is True
    clock.forward(seconds=30)
    assert await states() == ["failed", "done"]
    later = await xyte.control("POST", f"devices/{gateway.id}/command", json={**form, "timeout_seconds": None})
    await xyte.control("DELETE", f"devices/{gateway.id}/commands/{later.body['id']}")
    clock.forward(minutes=5)
    assert await states() == ["failed", "done", "aborted"]


async def test_a_command_behind_another_one_fails_at_its_own_timeout(xyte, gateway, clock):
    first = xyte.emulator.cloud.queue_command(gateway.id, "long")
    second = xyte.emulator.cloud.queue_command(gateway.id, "short", timeout=timedelta(seconds=30))
    clock.forward(seconds=31)
    assert (await xyte.own(gateway, "GET", "/command")).body["id"] == first.id
    assert second.status == "failed"
    assert (await xyte.control("DELETE", f"devices/{gateway.id}/commands/{second.id}")).status == 422
