"""`xyte-gateway backup` and `xyte-gateway restore`."""

import json

import pytest

from gateway.state.parts import StateParts
from gateway.state.records import GatewayRecord
from gateway.state.store import Store


@pytest.fixture
async def config(tmp_path):
    (tmp_path / "gateway.toml").write_text(f'[store]\npath = "{tmp_path}/gateway.sqlite3"\n')
    async with Store(tmp_path / "gateway.sqlite3") as store:
        state = StateParts.on(store, most_samples=1_000)
        await state.load()
        await state.registry.save_gateway(GatewayRecord(serial_number="XG-1", mac=None, cloud_id=None))
    return tmp_path


async def test_a_backup_is_restored_with_the_passphrase_of_a_file(type_in, config):
    (config / "phrase").write_text("a long passphrase\n")
    code, out, err = await type_in("backup", "b.bin", "--passphrase-file", "phrase", "--json")
    assert (code, err) == (0, "")
    assert {"serial_number": "XG-1", "children": 0, "is_encrypted": True}.items() <= json.loads(out).items()
    code, out, err = await type_in("restore", "b.bin")
    assert (code, out) == (2, "")
    assert "a passphrase is needed" in err
    code, out, err = await type_in("restore", "b.bin", XYTE_GATEWAY_BACKUP_PASSPHRASE="a wrong passphrase")
    assert (code, out) == (1, "")
    assert "passphrase is wrong" in err
    code, out, err = await type_in("restore", "b.bin", "--json", XYTE_GATEWAY_BACKUP_PASSPHRASE="a long passphrase")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    assert answer["serial_number"] == "XG-1"
    assert "gateway.sqlite3.replaced-" in answer["replaced"]


async def test_a_backup_says_whether_it_is_encrypted_and_is_not_replaced_by_accident(type_in, config):
    code, out, err = await type_in("backup", "b.bin")
    assert (code, err) == (0, "")
    assert "XG-1 with 0 children" in out
    assert "not encrypted" in out
    code, out, err = await type_in("backup", "b.bin", "--json")
    assert code == 1
    assert "exists already" in json.loads(out)["error"]
    assert (await type_in("backup", "b.bin", "--replace"))[0] == 0


async def test_a_restore_beside_a_running_gateway_is_refused(type_in, config):
    await type_in("backup", "b.bin")
    async with Store(config / "gateway.sqlite3", exclusive=True):
        code, _, err = await type_in("restore", "b.bin")
    assert code == 1
    assert "Stop it first" in err


async def test_a_missing_store_and_a_missing_backup_are_told(type_in, config):
    code, _, err = await type_in("restore", "none.bin")
    assert code == 1
    assert "none.bin cannot be read" in err
    (config / "gateway.sqlite3").unlink()
    code, _, err = await type_in("backup", "b.bin")
    assert code == 1
    assert "there is no store" in err
