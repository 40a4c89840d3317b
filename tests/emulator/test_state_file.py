"""The world on disk: what a restarted emulator still knows."""

import json
import stat
import traceback

import pytest

from gateway.emulator import Emulator
from gateway.emulator.device import Space
from gateway.errors import StoreError

pytestmark = pytest.mark.enable_socket


async def test_a_restart_keeps_devices_keys_queues_and_versions(tmp_path, connect):
    store = tmp_path / "world.json"
    async with Emulator(store=store) as emulator:
        xyte = connect(emulator)
        gateway = await xyte.register(details={"slots": [1, {"a": None}]})
        child = await xyte.register_child(gateway)
        gone = await xyte.register_child(gateway)
        await xyte.own(gone, "DELETE")
        cloud = emulator.cloud
        cloud.claim(gateway.id, "Acme", Space(name="Hall", utc_offset_minutes=60))
        cloud.set_config(child.id, {"interval": 60})
        command = cloud.queue_command(child.id, "identify", {"times": 3})
        licence = cloud.offer_licence(child.id, "feature=pro")
        cloud.add_file(cloud.devices[child.id].model_id, name="fw", url="https://files.example.com/fw", version="9.0.0")
        await xyte.own(child, "POST", "/command", json={"id": command.id, "status": "in_progress"})
        await xyte.own(gateway, "POST", "/incidents", json={"title": "Fan stopped"})
        await xyte.own(gateway, "POST", "/events", json={"name": "booted", "category": "life", "int_key_1": 3})
        await xyte.say(child, {"temp": 21.5, "on": True, "count": 3, "mode": "eco"})
        before = dict(cloud.devices)
    async with Emulator(store=store, quirks=emulator.cloud.quirks.changed({"deleted_answer": "not-found"})) as emulator:
        xyte = connect(emulator)
        assert dict(emulator.cloud.devices) == before
        assert (await xyte.own(child, "GET", "/command")).body["id"] == command.id
        assert (await xyte.own(child, "GET", "/license")).body["id"] == licence.id
        flags = await xyte.flags(child)
        assert (flags["config_version"], flags["space_data_version"], flags["latest_fw_version"]) == (1, 1, "9.0.0")
        assert emulator.cloud.devices[child.id].state == {"temp": 21.5, "on": True, "count": 3, "mode": "eco", "status": "online"}
        assert (await xyte.say(gone)).refusal == (404, "Not found")


async def test_what_lasts_is_on_disk_before_it_is_answered(tmp_path, connect):
    store = tmp_path / "world.json"
    async with Emulator(store=store) as emulator:
        xyte = connect(emulator)
        device = await xyte.register()
        assert device.key in store.read_text()
        await xyte.control("POST", f"devices/{device.id}/command", json={"name": "reboot"})
        assert "reboot" in store.read_text()
        assert stat.S_IMODE(store.stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == ["world.json"]


async def test_integer_command_ids_go_on_counting_after_a_restart(tmp_path, connect):
    store = tmp_path / "world.json"
    quirks = Emulator().cloud.quirks.changed({"command_id": "integer"})
    ids = []
    for _ in range(2):
        async with Emulator(store=store, quirks=quirks) as emulator:
            device = next(iter(emulator.cloud.devices), None) or (await connect(emulator).register()).id
            ids.append(emulator.cloud.queue_command(device, "reboot").id)
    assert ids == [1, 2]
    assert [command.id for command in emulator.cloud.devices[device].commands] == [1, 2]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not a store"),
        ('{"format": 1, "holdings": {"devices": {"x": {"access_key": "top secret"}}}}', "is not a store"),
        (json.dumps({"format": 2, "holdings": {}}), "has format 2"),
    ],
)
def test_a_file_that_is_no_store_is_refused_without_quoting_it(tmp_path, content, complaint):
    store = tmp_path / "world.json"
    store.write_text(content)
    with pytest.raises(StoreError, match=complaint) as refused:
        Emulator(store=store)
    assert "secret" not in "".join(traceback.format_exception(refused.value))
    assert store.read_text() == content


async def test_a_store_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        async with Emulator(store=tmp_path / "missing" / "world.json"):
            pass


async def test_a_disk_that_fails_later_is_logged_once_and_fails_no_call(tmp_path, connect, caplog):
    folder = tmp_path / "folder"
    folder.mkdir()
    async with Emulator(store=folder / "world.json") as emulator:
        (folder / "world.json").unlink()
        folder.rmdir()
        await connect(emulator).register()
        await connect(emulator).register(sn="another", cloud_id="AnotherCloudIdEntirely00")
        (record,) = caplog.records
        assert "world.json: cannot be written" in record.getMessage()
        folder.mkdir()
