"""The store is copied before an update of its schema, and an older gateway goes back to that copy with what was added since."""

import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreError, StoreNewer
from gateway.state.database.snapshots import MOST_KEPT, keep_snapshot
from gateway.state.database.sqlite import connect
from gateway.state.opening import opened_state
from gateway.state.outbox import Outbox
from gateway.state.parts import StateParts
from gateway.state.recovery.going_back import go_back
from gateway.state.recovery.recoveries import RecoveryKind
from gateway.state.schema import NEWEST_VERSION
from gateway.state.store import Store, read_store
from tests.state.damage import fill

STORES = Path(__file__).parent / "stores"
NEXT = NEWEST_VERSION + 1
AT = "2026-01-02T12:00:00+00:00"


async def made(store):
    state = StateParts.on(store, most_samples=1_000)
    await state.load()
    return state


@pytest.fixture
async def path(tmp_path):
    path = tmp_path / "store.sqlite3"
    await fill(path)
    return path


def counts(path):
    with closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        own = [name for name in names if not name.startswith("sqlite_") and name not in {"recoveries", "command_contact"}]
        return {name: db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in own}


def update(path, script=""):
    """Bring the store to the next version, as the next gateway will: a column, a table, and another form of one."""
    with closing(connect(path)) as db:
        keep_snapshot(db, path, NEXT)
        db.executescript(
            f"""BEGIN;
            ALTER TABLE children ADD COLUMN colour TEXT;
            CREATE TABLE futures (key TEXT PRIMARY KEY) STRICT;
            INSERT INTO futures VALUES ('x');
            DROP TABLE point_maps;
            CREATE TABLE point_maps (child TEXT PRIMARY KEY, map BLOB NOT NULL) STRICT;
            INSERT INTO point_maps VALUES ('g', x'00');
            {script}
            PRAGMA user_version = {NEXT};
            COMMIT;"""
        )


async def test_a_store_is_copied_before_its_schema_is_updated(tmp_path):
    path = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((STORES / "version_5.sql").read_text(encoding="utf-8"))
    before = counts(path)
    async with Store(path):
        pass
    snapshot = tmp_path / f"store.sqlite3.before-{NEWEST_VERSION}"
    assert counts(snapshot) == before
    assert read_store(snapshot, lambda db: db.execute("PRAGMA user_version").fetchone()[0]) == 5
    assert stat.S_IMODE(snapshot.stat().st_mode) == 0o600
    written = snapshot.stat().st_mtime_ns
    async with Store(path):
        pass
    assert snapshot.stat().st_mtime_ns == written, "there was no update"


async def test_a_new_store_has_no_copy(path):
    assert [file.name for file in path.parent.iterdir() if "before" in file.name] == []


def test_the_copies_of_the_latest_updates_are_kept(path):
    with closing(connect(path)) as db:
        for version in range(8, 8 + MOST_KEPT + 2):
            keep_snapshot(db, path, version)
    kept = sorted(file.name for file in path.parent.glob("*.before-*"))
    assert kept == ["store.sqlite3.before-10", "store.sqlite3.before-11"]


def test_without_room_for_a_copy_the_update_is_made_all_the_same(path, monkeypatch, caplog):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 10))
    with closing(connect(path)) as db:
        keep_snapshot(db, path, NEXT)
    assert "no snapshot is made before the update" in caplog.text
    assert list(path.parent.glob("*.before-*")) == []


async def test_an_older_gateway_goes_on_with_what_was_added_since_and_up_down_up_keeps_all(path, caplog):
    before = counts(path)
    update(
        path,
        f"""INSERT INTO outbox (child, at, status, payload) VALUES ('g', '{AT}', 'online', '{{}}');
        INSERT INTO outbox (child, at, status, payload) VALUES ('g', '{AT}', 'online', '{{}}');
        DELETE FROM outbox WHERE child = 'b';
        UPDATE outbox_accounts SET delivered = delivered + 1 WHERE child = 'b';
        INSERT INTO names (key, name) VALUES ('new', 'Attic');""",
    )
    with pytest.raises(StoreNewer):
        async with Store(path):
            pass
    async with opened_state(path, made) as state:
        registry = state.registry
        assert set(registry.children) == {"b", "g"}
        assert registry.children["g"].access_key is not None
        assert state.outbox.depth == before["outbox"] + 2 - 1
        assert all(account.is_balanced for account in await state.outbox.accounts() if account.child != "b")
        (recovery,) = [one for one in state.recoveries.all if one.kind is RecoveryKind.WENT_BACK]
        assert f"newer gateway (schema {NEXT})" in recovery.text
        assert "point_maps are as they were before the update" in recovery.text
        assert recovery.text in caplog.text
        assert state.point_maps.of("b") is not None
    (kept,) = path.parent.glob(f"*.schema-{NEXT}-*")
    with closing(sqlite3.connect(kept)) as db:
        assert db.execute("SELECT COUNT(*) FROM futures").fetchone() == (1,), "nothing of the newer store is lost"

    down = counts(path)
    assert {name: down[name] for name in before} == before | {
        "outbox": before["outbox"] + 1, "names": before["names"] + 1, "identity_mirror": down["identity_mirror"]
    }  # fmt: skip
    for _ in range(2):
        update(path)
        async with opened_state(path, made):
            pass
        assert counts(path) == down


async def test_of_the_stores_of_a_newer_gateway_the_last_three_are_kept(path):
    async with opened_state(path, made):
        pass
    foreign = path.with_name(f"{path.name}.schema-of-the-cellar")
    foreign.touch()
    returned = []
    for _ in range(5):
        update(path)
        returned.append(go_back(path).kept)
        returned[-1].with_name(f"{returned[-1].name}-wal").touch()
    kept = [*returned[-3:], *(file.with_name(f"{file.name}-wal") for file in returned[-3:])]
    assert set(path.parent.glob("*.schema-*")) == {foreign, *kept}


async def test_without_a_snapshot_a_newer_store_is_refused_and_left(path):
    update(path)
    path.with_name(f"{path.name}.before-{NEXT}").unlink()
    content = path.read_bytes()
    with pytest.raises(StoreError, match=rf"there is no snapshot store\.sqlite3\.before-{NEXT}.*Update the gateway"):
        async with opened_state(path, made):
            pass
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"no database" * 500])
async def test_a_damaged_snapshot_leaves_the_newer_store_as_it_is(path, content):
    update(path)
    path.with_name(f"{path.name}.before-{NEXT}").write_bytes(content)
    with pytest.raises(StoreError, match="newer gateway"):
        async with opened_state(path, made):
            pass
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (NEXT,)


async def test_a_row_that_only_the_newer_schema_takes_is_set_aside(path):
    update(
        path,
        f"""DROP TABLE losses;
        CREATE TABLE losses (seq INTEGER PRIMARY KEY, child TEXT, why TEXT, first_at TEXT, last_at TEXT, samples ANY);
        INSERT INTO losses (child, why, first_at, last_at, samples) VALUES ('g', 'w', '{AT}', '{AT}', 'many');""",
    )
    async with opened_state(path, made) as state:
        assert state.store.rows_set_aside == 1
        await Outbox(state.store, most_samples=10).losses()
