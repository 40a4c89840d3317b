import io
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.errors import StoreError
from gateway.hub import Credentials
from gateway.models import ChildDevice
from gateway.state.child_states import ChildState
from gateway.state.command_ledger import RECORDS_LOST
from gateway.state.history.opening import opened_history
from gateway.state.history.timeline import EventKind, TimelineFilter
from gateway.state.opening import opened_state
from gateway.state.parts import StateParts
from gateway.state.records import GatewayRecord
from gateway.state.recovery import backup_encryption, backups
from gateway.state.recovery.backup_encryption import decrypt, encrypt
from gateway.state.recovery.backups import restore_backup, write_backup
from gateway.state.recovery.recoveries import RecoveryKind
from gateway.state.schema import NEWEST_VERSION
from gateway.state.store import Store

STORES = Path(__file__).parent / "stores"
PASSPHRASE = "a long passphrase"
KEYS = Credentials(
    device_id="gw-1", access_key=SecretStr("parent-key"), hub_url="https://h.example", hub_url_static_cert=None, mqtt_hub_url=None
)


async def made(store):
    state = StateParts.on(store, most_samples=1_000)
    await state.load()
    return state


async def register(state, number):
    record = await state.registry.admit(
        ChildDevice(
            key=f"sn:x/{number}", adapter="a", bus="b", address=str(number), profile=None, family=None, model_id="m",
            sub_model=None, firmware_version=None, name=f"device {number}", serial_number=str(number),
        )
    )  # fmt: skip
    registered = replace(record, state=ChildState.REGISTERED, device_id=f"d-{number}", access_key=SecretStr(f"key-{number}"))
    await state.registry.save_child(registered)


@pytest.fixture
async def path(tmp_path):
    """The store of a registered gateway with one child, and one sample that waits."""
    path = tmp_path / "state" / "store.sqlite3"
    async with opened_state(path, made) as state:
        await state.registry.save_gateway(GatewayRecord(serial_number="XG-1", mac=None, cloud_id=None, credentials=KEYS))
        await register(state, 1)
        await state.mirror.update()
        await state.store.transact(
            lambda db: db.execute(
                "INSERT INTO outbox (child, at, status, payload) VALUES ('sn:x/1', '2026-11-29T12:00:00+00:00', 'online', '{}')"
            )
        )
    return path


@pytest.mark.parametrize("passphrase", [None, PASSPHRASE])
async def test_a_backup_of_a_running_gateway_begins_it_anew_on_another_disk(path, tmp_path, passphrase):
    file, other = tmp_path / "backup", tmp_path / "other" / "store.sqlite3"
    async with opened_state(path, made) as state:
        await register(state, 2)  # still in the log of SQLite
        content = write_backup(path, file, passphrase)
    assert (content.serial_number, content.device_id, content.children, content.samples) == ("XG-1", "gw-1", 2, 1)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (b"key-2" in file.read_bytes()) is (passphrase is None)
    restored = restore_backup(file, other, passphrase)
    assert restored.content == replace(content, is_encrypted=passphrase is not None)
    async with opened_state(other, made) as state:
        assert state.registry.gateway is not None
        assert state.registry.gateway.credentials == KEYS
        assert state.registry.children["sn:x/2"].access_key == SecretStr("key-2")
        assert state.outbox.depth == 1
        assert await state.ledger.last_contact() == RECORDS_LOST, "a command may have been begun since"
        assert state.recoveries.all[-1].kind is RecoveryKind.RESTORED
        assert state.recoveries.may_lack_children
    assert sorted(one.name for one in tmp_path.iterdir()) == ["backup", "other", "state"]


async def test_the_timeline_tells_once_that_a_backup_was_restored(path, tmp_path):
    write_backup(path, tmp_path / "backup", None)
    restore_backup(tmp_path / "backup", path, None)
    for _ in range(2):
        async with opened_state(path, made) as state, opened_history(state):
            (told,) = await state.timeline.events(TimelineFilter(kinds=frozenset({EventKind.BACKUP_RESTORED})), most=10)
            assert "XG-1 with 1 children" in told.text
            assert told.at == state.recoveries.all[-1].at


async def test_an_old_backup_goes_on_with_the_children_that_were_registered_since(path, tmp_path):
    write_backup(path, tmp_path / "backup", None)
    async with opened_state(path, made) as state:
        await register(state, 2)
        await state.mirror.update()
    restored = restore_backup(tmp_path / "backup", path, None)
    assert restored.replaced is not None
    assert restored.replaced.exists()
    async with opened_state(path, made) as state:
        assert state.registry.children["sn:x/2"].device_id == "d-2"


async def test_a_backup_of_another_gateway_is_not_mixed_with_the_copy_of_the_identities_here(path, tmp_path):
    other = tmp_path / "other.sqlite3"
    async with opened_state(other, made) as state:
        await state.registry.save_gateway(GatewayRecord(serial_number="XG-2", mac=None, cloud_id=None))
        await state.mirror.update()
    write_backup(path, tmp_path / "backup", None)
    restored = restore_backup(tmp_path / "backup", other, None)
    assert restored.replaced_mirror is not None
    async with opened_state(other, made) as state:
        assert state.registry.gateway is not None
        assert state.registry.gateway.serial_number == "XG-1"


async def test_a_store_in_use_is_not_replaced(path, tmp_path):
    write_backup(path, tmp_path / "backup", None)
    async with Store(path, exclusive=True):
        with pytest.raises(StoreError, match="a gateway uses"):
            restore_backup(tmp_path / "backup", path, None)


def newer(file):
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"PRAGMA user_version = {NEWEST_VERSION + 1}")


def damaged(file):
    with file.open("r+b") as content:
        content.seek(5000)
        content.write(os.urandom(20_000))


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def foreign(file):
    file.unlink()
    with closing(sqlite3.connect(file)) as db:
        db.execute("CREATE TABLE songs (name)")


def text(file):
    file.write_text("hello")


def empty(file):
    file.write_bytes(b"")


def without_gateway(file):
    with closing(sqlite3.connect(file)) as db:
        db.execute("DELETE FROM gateway")
        db.commit()


REFUSED = {
    newer: "newer gateway", damaged: "damaged", cut: "damaged", foreign: "something else", text: "no backup", empty: "no backup",
    without_gateway: "never started",
}  # fmt: skip


@pytest.mark.parametrize("spoil", REFUSED)
async def test_a_file_that_is_no_usable_backup_is_refused_and_the_store_stays(path, tmp_path, spoil):
    file = tmp_path / "backup"
    write_backup(path, file, None)
    spoil(file)
    before, names = path.read_bytes(), sorted(one.name for one in path.parent.iterdir())
    with pytest.raises(StoreError, match=REFUSED[spoil]):
        restore_backup(file, path, None)
    assert path.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == names


@pytest.mark.parametrize("passphrase", ["another passphrase", "", None])
async def test_a_wrong_passphrase_is_told(path, tmp_path, passphrase):
    write_backup(path, tmp_path / "backup", PASSPHRASE)
    with pytest.raises(StoreError, match="passphrase is wrong"):
        restore_backup(tmp_path / "backup", path, passphrase)


async def test_a_short_passphrase_is_refused_and_leaves_no_file(path, tmp_path):
    with pytest.raises(StoreError, match="at least 8"):
        write_backup(path, tmp_path / "backup", "short")
    assert [one.name for one in tmp_path.iterdir()] == ["state"]
    assert not list(path.parent.glob("*.backup"))


async def test_a_backup_replaces_a_file_only_when_asked(path, tmp_path):
    file = tmp_path / "backup"
    file.write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        write_backup(path, file, None)
    assert file.read_text() == "precious"
    write_backup(path, file, None, may_replace=True)
    assert file.read_bytes().startswith(b"SQLite")


@pytest.mark.parametrize("version", [1, 4, 5])
async def test_a_backup_of_an_older_version_is_brought_to_the_newest(tmp_path, version):
    file = tmp_path / "backup"
    with closing(sqlite3.connect(file)) as db:
        db.executescript((STORES / f"version_{version}.sql").read_text())
    restore_backup(file, tmp_path / "store.sqlite3", None)
    async with opened_state(tmp_path / "store.sqlite3", made) as state:
        assert state.registry.gateway is not None


def encrypted(content):
    out = io.BytesIO()
    encrypt(io.BytesIO(content), out, PASSPHRASE)
    return out.getvalue()


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 200, 250])
def test_what_is_encrypted_in_pieces_comes_back(size, monkeypatch):
    monkeypatch.setattr(backup_encryption, "PIECE_BYTES", 100)
    content, out = os.urandom(size), io.BytesIO()
    decrypt(io.BytesIO(encrypted(content)), out, PASSPHRASE)
    assert out.getvalue() == content


SPOILT = {
    "the last piece is missing": lambda content: content[:-116],
    "the last byte is missing": lambda content: content[:-1],
    "the first piece is missing": lambda content: content[:45] + content[161:],
    "a byte differs": lambda content: content[:60] + bytes([content[60] ^ 1]) + content[61:],
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_piece_that_is_missing_exchanged_or_changed_is_noticed(spoil, monkeypatch):
    monkeypatch.setattr(backup_encryption, "PIECE_BYTES", 100)
    with pytest.raises(StoreError, match="damaged"):
        decrypt(io.BytesIO(spoil(encrypted(os.urandom(300)))), io.BytesIO(), PASSPHRASE)


async def test_a_kill_between_both_files_of_a_restore_costs_the_former_store_nothing(path, tmp_path, monkeypatch):
    backup = tmp_path / "b"
    write_backup(path, backup, None)
    _leave_in_log(path)
    with monkeypatch.context() as killed:
        killed.setattr(backups, "_keep_foreign_mirror", _kill)
        with pytest.raises(SystemExit):
            restore_backup(backup, path, None)
    assert not path.with_name(f"{path.name}-wal").exists(), "its log has its other name by then"
    async with opened_state(path, made) as state:
        assert state.outbox.depth == 2
    assert [file.name for file in path.parent.glob("*.replaced-*")] == []


def _leave_in_log(path):
    """Leave a sample in the log of the store, as a gateway that was killed."""
    copy = {}
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO outbox (child, at, status, payload) SELECT child, at, status, payload FROM outbox")
        for file in (path, path.with_name(f"{path.name}-wal")):
            copy[file] = file.read_bytes()
    for file, content in copy.items():
        file.write_bytes(content)


def _kill(*_):
    raise SystemExit


async def test_a_store_that_was_kept_with_its_log_is_restored_with_what_is_only_in_the_log(path, tmp_path):
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("UPDATE names SET name = name")  # makes the log
        db.execute("INSERT INTO outbox (child, at, status, payload) SELECT child, at, status, payload FROM outbox LIMIT 1")
        db.commit()
        kept = tmp_path / "kept.sqlite3"
        for end in ("", "-wal"):
            kept.with_name(f"{kept.name}{end}").write_bytes(path.with_name(f"{path.name}{end}").read_bytes())
    assert restore_backup(kept, path, None).content.samples == 2


async def test_the_last_three_stores_that_were_replaced_are_kept(path, tmp_path):
    backup = tmp_path / "backup"
    write_backup(path, backup, None)
    replaced = [restore_backup(backup, path, None).replaced for _ in range(5)]
    assert sorted(path.parent.glob(f"{path.name}.replaced-*")) == replaced[-3:]
