"""What can be read of a damaged store goes on in a new one, and the damaged file is kept."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.errors import StoreError
from gateway.models import Sample, Status
from gateway.state.database.file_exchange import MOST_KEPT
from gateway.state.outbox import Outbox
from gateway.state.outbox.losses import LossReason
from gateway.state.recovery.salvage import replace_damaged
from gateway.state.registry import Registry
from gateway.state.store import Store
from tests.state.damage import damage, everything, fill

PAGE = 4096
STORES = Path(__file__).parent / "stores"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store with rows in every table, 2,000 samples waiting, and nothing in its log."""
    path = tmp_path_factory.mktemp("whole") / "store.sqlite3"
    asyncio.run(fill(path))

    async def add_samples():
        async with Store(path) as store:
            registry, outbox = Registry(store), Outbox(store, most_samples=10_000)
            await registry.load()
            at = registry.children["g"].since
            for first in range(0, 2_000, 500):
                await outbox.put([Sample("g", at, Status.ONLINE, {"power": first + n, "why": "x" * 40}) for n in range(500)])

    asyncio.run(add_samples())
    return path


@pytest.fixture
def copy(whole, tmp_path):
    path = tmp_path / "store.sqlite3"
    shutil.copyfile(whole, path)
    return path


def overwrite(path, offset, content):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def counts(path):
    with closing(sqlite3.connect(path)) as db:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: db.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0] for name in names if not name.startswith("sqlite_")
        }


def root_page(path, name):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]


def test_what_a_whole_file_has_is_copied_without_loss(copy):
    before = counts(copy)
    salvage = replace_damaged(copy, needs_identity=True)
    assert counts(copy) == before == salvage.rows
    assert salvage.kept.exists()
    assert salvage.lost_samples == 0
    assert "2002 waiting samples were copied" in str(salvage)


async def test_a_page_of_samples_that_is_lost_costs_its_samples_and_they_are_counted(copy):
    before = counts(copy)
    kept_bytes = bytearray(copy.read_bytes())
    # a page in the middle of the samples: those whose page has the text of one of them
    page = next(n for n in range(len(kept_bytes) // PAGE) if b'"power":1000' in kept_bytes[n * PAGE : (n + 1) * PAGE])
    overwrite(copy, page * PAGE, bytes(PAGE))
    salvage = replace_damaged(copy, needs_identity=True)
    after = counts(copy)
    assert 0 < before["outbox"] - after["outbox"] < 60
    assert salvage.lost_samples == before["outbox"] - after["outbox"]
    assert {table: rows for table, rows in after.items() if table not in {"outbox", "losses"}} == {
        table: rows for table, rows in before.items() if table not in {"outbox", "losses"}
    }
    async with Store(copy) as store:
        outbox = Outbox(store, most_samples=10_000)
        await outbox.load()
        (loss,) = [one for one in await outbox.losses() if one.why is LossReason.UNREADABLE]
        assert (loss.child, loss.samples) == ("g", salvage.lost_samples)
        await outbox.put([Sample("g", loss.last_at, Status.ONLINE, {"power": 1})])
        newest = await store.transact(lambda db: db.execute("SELECT MAX(seq) FROM outbox").fetchone()[0])
        assert all(account.is_balanced for account in await outbox.accounts())
        assert newest == 2_003, "no number is used twice"


def test_a_damaged_index_costs_nothing(copy):
    before = counts(copy)
    overwrite(copy, (root_page(copy, "outbox_by_child") - 1) * PAGE, bytes(PAGE))
    assert replace_damaged(copy, needs_identity=True).rows == before


def test_a_table_whose_definition_is_damaged_costs_its_own_rows(copy):
    before = counts(copy)
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = 'CREATE TABLE names (key' WHERE name = 'names'")
        db.commit()
    assert replace_damaged(copy, needs_identity=True).rows == {table: n for table, n in before.items() if table != "names"}
    assert counts(copy) == before | {"names": 0}


async def test_a_text_that_is_no_utf8_is_left_to_who_reads_the_row(copy):
    damage(copy, "children", "problem", b"\xff")
    replace_damaged(copy, needs_identity=True)
    async with Store(copy) as store:
        registry = Registry(store)
        await registry.load()
        assert registry.children["b"].device_id == "d-b"
        assert store.rows_set_aside == 1


async def test_a_value_that_its_column_cannot_have_is_set_aside(copy):
    damage(copy, "losses", "samples", "many")
    assert replace_damaged(copy, needs_identity=True).rows["losses"] == 1
    async with Store(copy) as store:
        assert store.rows_set_aside == 1


@pytest.mark.parametrize("version", [1, 3, 5])
async def test_a_damaged_store_of_an_earlier_version_is_brought_to_the_newest(version, tmp_path):
    path = tmp_path / "store.sqlite3"
    with closing(sqlite3.connect(path)) as db:
        db.executescript((STORES / f"version_{version}.sql").read_text(encoding="utf-8"))
        db.execute("PRAGMA user_version = 0")
    assert replace_damaged(path, needs_identity=True).rows["outbox"] == 2
    async with Store(path) as store:
        registry = Registry(store)
        await registry.load()
        assert registry.gateway.serial_number == "S"


@pytest.mark.parametrize("content", [b"", b"a shopping list " * 600, bytes(3 * PAGE)])
def test_a_file_of_which_nothing_can_be_read_is_kept_or_left(tmp_path, content):
    path = tmp_path / "store.sqlite3"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="Restore a backup"):
        replace_damaged(path, needs_identity=True)
    assert path.read_bytes() == content
    salvage = replace_damaged(path, needs_identity=False)
    assert (salvage.rows, path.exists(), salvage.kept.read_bytes()) == ({}, False, content)
    assert {file.name for file in tmp_path.iterdir()} == {salvage.kept.name, "store.sqlite3.lock"}


def test_a_disk_is_not_filled_with_damaged_stores_and_damage_ends_no_gateway(copy):
    kept = [replace_damaged(copy, needs_identity=True).kept for _ in range(MOST_KEPT + 2)]
    assert sorted(copy.parent.glob(f"{copy.name}.damaged-*")) == kept[-MOST_KEPT:]
    assert copy.exists()


def test_without_room_for_a_copy_the_damaged_store_stays(copy, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(StoreError, match="no room"):
        replace_damaged(copy, needs_identity=False)
    assert {file.name for file in copy.parent.iterdir()} == {copy.name, f"{copy.name}.lock"}


async def read_after(path):
    """Open a store and read everything; if that fails, as the gateway does it: with a new file in its place."""
    try:
        async with Store(path) as store:
            return await everything(store)
    except StoreError as error:
        if "newer gateway" in str(error):
            return None
    replace_damaged(path, needs_identity=False)
    async with Store(path) as store:
        return await everything(store)


OFFSETS = st.one_of(st.integers(0, 200), st.integers(0, 40 * PAGE))
DAMAGES = st.one_of(
    st.tuples(st.just("bytes"), OFFSETS, st.binary(min_size=1, max_size=16)),
    st.tuples(st.just("page"), st.integers(0, 40), st.sampled_from([bytes(PAGE), b"\xff" * PAGE, b"x" * PAGE])),
    st.tuples(st.just("end"), st.integers(0, 40 * PAGE), st.none()),
    st.tuples(st.just("log"), st.none(), st.binary(max_size=2_000)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(damages=st.lists(DAMAGES, min_size=1, max_size=3))
def test_a_start_with_a_damaged_file_raises_nothing_but_a_store_error(whole, tmp_path_factory, damages):
    path = tmp_path_factory.mktemp("damaged") / "store.sqlite3"
    shutil.copyfile(whole, path)
    for kind, where, content in damages:
        match kind:
            case "bytes":
                overwrite(path, where, content)
            case "page":
                overwrite(path, where * PAGE, content)
            case "end":
                with path.open("r+b") as file:
                    file.truncate(where)
            case "log":
                path.with_name("store.sqlite3-wal").write_bytes(content)
    asyncio.run(read_after(path))
