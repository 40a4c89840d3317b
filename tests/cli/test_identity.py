"""`xyte-gateway identity`."""

import json

import pytest

from gateway.state.parts import StateParts
from gateway.state.records import GatewayRecord
from gateway.state.recovery.hardware import Hardware
from gateway.state.recovery.hardware_question import IdentityDecision
from gateway.state.store import Store


async def loaded(store):
    state = StateParts.on(store, most_samples=1_000)
    await state.load()
    return state


@pytest.fixture
async def config(tmp_path):
    (tmp_path / "gateway.toml").write_text(f'[store]\npath = "{tmp_path}/gateway.sqlite3"\n')
    async with Store(tmp_path / "gateway.sqlite3") as store:
        state = await loaded(store)
        await state.registry.save_gateway(GatewayRecord(serial_number="XG-1", mac=None, cloud_id=None))
        await state.hardware.look(Hardware(given="one"))
    return tmp_path


async def move(config):
    async with Store(config / "gateway.sqlite3") as store:
        await (await loaded(store)).hardware.look(Hardware(given="two"))


async def test_without_a_question_nothing_is_decided(type_in, config):
    code, out, err = await type_in("identity")
    assert (code, out, err) == (0, "gateway XG-1: not registered\n", "")
    code, _, err = await type_in("identity", "keep")
    assert code == 1
    assert "nothing is to be decided" in err


@pytest.mark.parametrize("decision", IdentityDecision)
async def test_a_decision_is_stored_for_the_gateway(type_in, config, decision):
    await move(config)
    code, out, _ = await type_in("identity")
    assert code == 0
    assert "gateway.hardware_id is two, and was one" in out
    code, out, err = await type_in("identity", decision.value, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {"decision": decision.value, "outcome": "the gateway does it when it starts"}
    code, out, _ = await type_in("identity", "--json")
    assert json.loads(out)["decision"] == decision.value


async def test_a_configured_serial_number_cannot_be_that_of_two_gateways(type_in, config):
    await move(config)
    with (config / "gateway.toml").open("a") as file:
        file.write('[gateway]\nserial_number = "XG-1"\n')
    code, _, err = await type_in("identity", "new")
    assert code == 1
    assert "remove gateway.serial_number" in err
