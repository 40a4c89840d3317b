"""`xyte-gateway dump`, beside a gateway and without one."""

import io
import json
import tarfile
from dataclasses import replace

import pytest
from pydantic import SecretStr

from gateway.models import Found, Identity, IdentityKind
from gateway.state.registry import Registry
from gateway.state.store import Store

KEY = "s3cr3t-hardware-key"
ACCESS_KEY = "s3cr3t-access-key"


@pytest.fixture
def config(tmp_path):
    (tmp_path / "key").write_text(f"{KEY}\n")
    (tmp_path / "gateway.toml").write_text(
        f"""[cloud]
entry_url = "http://127.0.0.1:1"
allow_plain_http = true
hardware_key_file = "{tmp_path}/key"
[gateway]
details = {{ note = "{KEY}" }}
[store]
path = "{tmp_path}/gateway.sqlite3"
"""
    )


def contents(file):
    with tarfile.open(fileobj=io.BytesIO(file.read_bytes())) as archive:
        return {member.name.split("/")[1]: archive.extractfile(member).read().decode() for member in archive.getmembers()}


async def stored(path):
    found = Found(
        address="a1", identity=Identity(IdentityKind.SERIAL_NUMBER, "synthetic/1"), name=f"Meter {ACCESS_KEY}", family="meter"
    )
    async with Store(path) as store:
        registry = Registry(store)
        await registry.load()
        record = await registry.admit(found.as_child(adapter="plant", bus="bus", model_id="m"))
        await registry.save_child(replace(record, device_id="d", access_key=SecretStr(ACCESS_KEY)))


async def test_a_dump_is_written_without_secrets_for_its_owner_alone(type_in, config, tmp_path):
    await stored(tmp_path / "gateway.sqlite3")
    code, out, err = await type_in("dump", "--out", "dump.tar.gz")
    assert (code, err) == (0, "")
    assert out.startswith("dump.tar.gz: ")
    file = tmp_path / "dump.tar.gz"
    assert file.stat().st_mode & 0o077 == 0
    texts = contents(file)
    assert texts.keys() == {"configuration.json", "versions.json", "doctor.json", "children.json", "commands.json"}
    (child,) = json.loads(texts["children.json"])["children"]
    assert child["key"] == "sn:synthetic/1"
    assert "s3cr3t" not in "".join(texts.values())


async def test_a_dump_needs_no_store_and_names_itself(type_in, config, tmp_path):
    code, out, _err = await type_in("dump", "--json")
    assert code == 0
    written = json.loads(out)
    assert contents(tmp_path / written["file"]).keys() == {"configuration.json", "versions.json", "doctor.json"}
    assert not (tmp_path / "gateway.sqlite3").exists()


async def test_a_file_that_exists_is_not_overwritten(type_in, config, tmp_path):
    (tmp_path / "dump.tar.gz").write_text("precious")
    code, _out, err = await type_in("dump", "--out", "dump.tar.gz")
    assert code == 1
    assert "exists already" in err
    assert (tmp_path / "dump.tar.gz").read_text() == "precious"


async def test_a_folder_that_is_missing_is_told(type_in, config):
    code, _out, err = await type_in("dump", "--out", "nowhere/dump.tar.gz")
    assert (code, "cannot be written: No such file or directory" in err) == (1, True)
