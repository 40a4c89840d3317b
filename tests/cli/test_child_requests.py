"""`children retire` and `children replace` act while the gateway runs, while it does not, and while the cloud is away."""

import json
from dataclasses import replace

import pytest
from pydantic import SecretStr

from gateway.cloud.client import HttpHub
from gateway.config.settings import CloudSection
from gateway.emulator import Emulator
from gateway.hub import ChildRegistration, GatewayRegistration
from gateway.models import ChildDevice
from gateway.runtime.cloud_access import cloud_access
from gateway.state.child_states import ChildState
from gateway.state.records import GatewayRecord
from gateway.state.registry import Registry
from gateway.state.store import Store

pytestmark = pytest.mark.enable_socket

MODEL = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"


def device(number, **rest):
    facts = {
        "key": f"sn:{number}", "adapter": "a", "bus": "b", "address": "1", "profile": None, "family": None, "model_id": MODEL,
        "sub_model": None, "firmware_version": "1.0.0", "name": f"Meter {number}", "serial_number": f"{number}",
    }  # fmt: skip
    return ChildDevice(**{**facts, **rest})


@pytest.fixture
async def emulator():
    async with Emulator() as running:
        yield running


@pytest.fixture
async def stopped(emulator, tmp_path):
    """The store of a gateway that does not run, with the child `sn:1` in the cloud and the device `sn:2` at its address."""
    config = f'[cloud]\nentry_url = "{emulator.entry_url}"\nallow_plain_http = true\n[store]\npath = "gateway.sqlite3"\n'
    (tmp_path / "gateway.toml").write_text(config, encoding="utf-8")
    async with (
        Store(tmp_path / "gateway.sqlite3") as store,
        HttpHub(cloud_access(CloudSection(entry_url=emulator.entry_url, allow_plain_http=True))) as hub,
    ):
        registry = Registry(store)
        await registry.load()
        key = SecretStr("0f0e0d0c-1111-4222-8333-444455556666")
        gateway = GatewayRegistration(hardware_key=key, serial_number="S", firmware_version="1.0.0", mac="02:00:5e:10:00:01")
        parent = await hub.register_device(gateway)
        await registry.save_gateway(GatewayRecord(serial_number="S", mac=None, cloud_id=None, credentials=parent))
        child = await hub.register_child(parent, ChildRegistration(model_id=MODEL, firmware_version="1.0.0", serial_number="1"))
        record = await registry.admit(device(1))
        await registry.save_child(
            replace(
                record, state=ChildState.REGISTERED, device_id=child.device_id, access_key=child.access_key,
                parent_id=parent.device_id,
            )
        )  # fmt: skip
        await registry.admit(device(2), displaced=device(1))
    return tmp_path / "gateway.sqlite3"


async def listed(type_in):
    code, out, _ = await type_in("children", "--json")
    assert code == 0
    return json.loads(out)


async def test_without_a_running_gateway_a_retired_child_is_deleted_in_the_cloud_at_once(emulator, stopped, type_in):
    code, out, _ = await type_in("children", "retire", "sn:1")
    assert (code, out) == (0, "sn:1: done\n")
    assert [one.sn for one in emulator.cloud.devices.values()] == ["S"]
    listing = await listed(type_in)
    assert [child["key"] for child in listing["children"]] == ["sn:2"]
    assert [(one["key"], one["decision"]) for one in listing["waiting"]] == [("sn:1", "ignore")]


async def test_a_child_that_is_kept_in_the_cloud_is_offline_there(emulator, stopped, type_in):
    code, _, _ = await type_in("children", "retire", "sn:1", "--keep-in-cloud")
    assert code == 0
    child = next(one for one in emulator.cloud.devices.values() if one.sn == "1")
    assert child.state["status"] == "offline"
    assert [child["key"] for child in (await listed(type_in))["children"]] == ["sn:2"]


async def test_while_the_cloud_is_away_the_deletion_is_kept_for_the_gateway(emulator, stopped, type_in):
    await emulator.__aexit__(None, None, None)
    code, out, _ = await type_in("children", "retire", "sn:1")
    assert code == 0
    assert "it is done when the gateway runs and reaches the cloud" in out
    listing = await listed(type_in)
    assert [(one["key"], one["has_key"]) for one in listing["unused"]] == [("sn:1", True)]
    await emulator.__aenter__()
    assert "It is deleted when the cloud answers" in (await type_in("children"))[1]


async def test_while_a_gateway_runs_the_request_is_left_to_it(stopped, type_in):
    async with Store(stopped, exclusive=True) as store:
        code, out, _ = await type_in("children", "replace", "sn:1", "sn:2")
        assert (code, "the running gateway does it within seconds" in out) == (0, True)
        registry = Registry(store)
        await registry.load()
        assert [(one.request, one.new_key) for one in registry.requests.values()] == [("replace", "sn:2")]


async def test_a_replacement_keeps_the_cloud_id_and_is_listed_until_then(stopped, type_in):
    before = await listed(type_in)
    _, text, _ = await type_in("children")
    assert "xyte-gateway children replace sn:1 sn:2" in text
    assert [child["state"] for child in before["children"]] == ["registered", "held"]
    code, out, _ = await type_in("children", "replace", "sn:1", "sn:2")
    assert (code, out) == (0, "sn:1: done\n")
    (child,) = (await listed(type_in))["children"]
    assert (child["key"], child["id"], child["has_key"]) == ("sn:2", before["children"][0]["id"], True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("retire", "sn:nobody"), "no child has 'sn:nobody' as its key"),
        (("replace", "sn:1", "sn:nobody"), "no device has 'sn:nobody' as its key"),
        (("replace", "sn:2", "sn:1"), "is not registered itself"),
        (("replace", "sn:1", "sn:1"), "cannot replace itself"),
    ],
)
async def test_a_request_that_cannot_be_carried_out_is_refused_at_once(stopped, type_in, arguments, text):
    code, _, err = await type_in("children", *arguments)
    assert (code, text in err) == (1, True)


async def test_on_a_narrow_terminal_key_state_and_serial_number_are_shown_whole(tmp_path, type_in):
    """Seen: "regist…" as the state of each child."""
    (tmp_path / "gateway.toml").write_text('[store]\npath = "gateway.sqlite3"\n', encoding="utf-8")
    name, key = "Schneider Electric iEM3000 energy meter 21340217", "sn:schneider-electric/21340217"
    async with Store(tmp_path / "gateway.sqlite3") as store:
        registry = Registry(store)
        await registry.load()
        await registry.admit(device(1, key=key, name=name, adapter="plant", bus="hall", sub_model="iEM3255"))
    code, out, _ = await type_in("children", COLUMNS="80")
    assert code == 0
    assert {key, "admitted", "21340217", "iEM3255"} <= set(out.split())
