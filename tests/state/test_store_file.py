"""A store whose file is removed, replaced or cut while it is open loses nothing."""

import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from gateway.errors import StoreDamaged, StoreError
from gateway.state import store as module
from gateway.state.database import store_file
from gateway.state.database.single_instance import is_in_use
from gateway.state.store import Store, read_store


async def add(store, number):
    await store.transact(lambda db: db.execute("INSERT INTO notes VALUES ('a', ?, 'c')", (f"{number}",)))


def rows(path):
    return read_store(path, lambda db: [int(name) for (name,) in db.execute("SELECT name FROM notes ORDER BY rowid")])


def other_store(path):
    other = path.with_name("other.sqlite3")
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE notes (entry, name, said)")
        db.execute("INSERT INTO notes VALUES ('x', '99', 'z')")
        db.commit()
    return other


def remove(path):
    path.unlink()


def remove_all(path):
    for end in ("", "-wal", "-shm", ".lock"):
        path.with_name(path.name + end).unlink()


def remove_folder(path):
    shutil.rmtree(path.parent)


def move_another_over_it(path):
    other_store(path).replace(path)


def move_away(path):
    path.rename(path.with_name("moved.sqlite3"))


def remove_log(path):
    path.with_name(path.name + "-wal").unlink()


def remove_index(path):
    path.with_name(path.name + "-shm").unlink()


def replace_log(path):
    log = path.with_name(path.name + "-wal")
    log.unlink()
    log.write_bytes(b"")


def link_another_in_its_place(path):
    other = other_store(path)
    path.unlink()
    path.symlink_to(other)


WAYS = [
    remove, remove_all, remove_folder, move_another_over_it, move_away, remove_log, remove_index, replace_log,
    link_another_in_its_place,
]  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "store.sqlite3"


@pytest.mark.parametrize("is_moved_to_file", [True, False])
@pytest.mark.parametrize("lose", WAYS)
async def test_what_was_stored_before_and_after_is_in_the_file_that_is_put_back(path, lose, is_moved_to_file, caplog):
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        if is_moved_to_file:
            await store._run(lambda: store._connected().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        await add(store, 2)
        lose(path)
        await add(store, 3)
        assert rows(path) == [1, 2, 3]
        assert "while the gateway runs" in caplog.text
        assert "was put back with all its content" in store.put_backs[0]
        assert store.unsettled is not None
        assert is_in_use(path)
        await add(store, 4)
        assert len(store.put_backs) == 1
    assert rows(path) == [1, 2, 3, 4]
    async with Store(path, exclusive=True) as store:
        assert store.unsettled is None


async def test_a_look_is_enough_to_put_the_file_back(path):
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        remove_all(path)
        await store.check_file()
        shutil.copyfile(path, path.with_name("copy.sqlite3"))
        assert rows(path.with_name("copy.sqlite3")) == [1]


async def test_a_file_that_is_removed_again_and_again_is_put_back_each_time(path):
    async with Store(path, exclusive=True) as store:
        for number in range(5):
            await add(store, number)
            remove(path)
        await store.check_file()
        assert rows(path) == [0, 1, 2, 3, 4]
        assert len(store.put_backs) == 5


async def test_the_file_that_was_moved_over_the_store_is_kept(path):
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        move_another_over_it(path)
        await store.check_file()
        (kept,) = path.parent.glob("*.replaced-*")
        assert kept.name in store.put_backs[0]
        with closing(sqlite3.connect(kept)) as db:
            assert db.execute("SELECT name FROM notes").fetchall() == [("99",)]


@pytest.mark.parametrize("size", [0, 100, 5000])
async def test_a_file_that_was_cut_is_put_back_while_its_content_is_known(path, size):
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        await store._run(lambda: store._connected().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        await add(store, 2)
        os.truncate(path, size)
        await store.check_file()
        assert rows(path) == [1, 2]


@pytest.mark.parametrize("damage", [lambda path: os.truncate(path, 8192), lambda path: path.write_bytes(b"x" * 8_000_000)])
async def test_a_large_file_that_was_cut_or_overwritten_is_damaged_since_nobody_has_its_content(path, damage):
    async with Store(path, exclusive=True) as store:
        await store.transact(
            lambda db: db.executemany("INSERT INTO notes VALUES ('b', ?, ?)", ((f"{n}", "x" * 1000) for n in range(6000)))
        )
        await store._run(lambda: store._connected().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        damage(path)
        with pytest.raises(StoreDamaged, match=r"(cut|overwritten).*cannot be put back"):
            await add(store, 1)
        assert store.problem


async def test_a_copy_over_the_store_is_noticed(path):
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        await store._run(lambda: store._connected().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
        with path.open("r+b") as file:
            file.write(b"x" * path.stat().st_size)
        await store.check_file()
        assert rows(path) == [1]


async def test_what_another_process_moves_from_the_log_to_the_file_is_no_loss(path):
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
        await store.check_file()
        assert store.put_backs == []


async def test_a_file_that_cannot_be_put_back_is_an_error_until_it_can(path, monkeypatch, caplog):
    monkeypatch.setattr(module, "PUT_BACK_EVERY_SECONDS", 0.0)
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        remove_folder(path)
        path.parent.write_text("in the way")
        for _ in range(2):
            with pytest.raises(StoreError, match="cannot be put back"):
                await add(store, 2)
        assert "cannot be put back" in store.problem
        assert caplog.text.count("it is put back") == 1
        path.parent.unlink()
        await add(store, 3)
        assert store.problem is None
    assert rows(path) == [1, 3]


@pytest.mark.parametrize("syncs_samples", [True, False])
async def test_a_file_that_was_put_back_and_cannot_be_opened_at_once_is_opened_later(path, monkeypatch, syncs_samples):
    monkeypatch.setattr(module, "PUT_BACK_EVERY_SECONDS", 0.0)
    async with Store(path, exclusive=True, syncs_samples=syncs_samples) as store:
        await add(store, 1)
        path.unlink()
        with monkeypatch.context() as failing:
            failing.setattr(module, "connect_store", _raise)
            for _ in range(2):
                with pytest.raises(StoreError, match="cannot be put back"):
                    await add(store, 2)
        await store.transact(lambda db: db.execute("INSERT INTO notes VALUES ('a', '3', 'c')"), may_be_lost=True)
        assert store.problem is None
    assert rows(path) == [1, 3]


async def test_a_file_that_is_lost_again_while_it_cannot_be_opened_is_damaged_since_nobody_has_its_content(path, monkeypatch):
    monkeypatch.setattr(module, "PUT_BACK_EVERY_SECONDS", 0.0)
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        path.unlink()
        with monkeypatch.context() as failing:
            failing.setattr(module, "connect_store", _raise)
            with pytest.raises(StoreError, match="cannot be put back"):
                await add(store, 2)
        path.unlink()
        with pytest.raises(StoreDamaged, match="not known any more"):
            await add(store, 3)


def _raise(*_):
    raise sqlite3.OperationalError("disk I/O error")


async def test_what_the_gateway_itself_moves_from_the_log_to_the_file_is_no_reason_to_read_all_of_it(path, monkeypatch):
    read = []
    monkeypatch.setattr(store_file, "_damage", read.append)
    async with Store(path, exclusive=True) as store:
        before = path.stat().st_mtime_ns
        for number in range(30):
            await store.transact(
                lambda db, number=number: db.execute("INSERT INTO notes VALUES ('a', ?, ?)", (f"{number}", "x" * 500_000))
            )
        assert path.stat().st_mtime_ns != before
    assert read == []


async def test_a_store_whose_place_another_gateway_has_taken_is_not_put_over_it(path):
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        remove_all(path)
        async with Store(path, exclusive=True) as other:
            await add(other, 7)
            with pytest.raises(StoreError, match="in use by another gateway"):
                await add(store, 2)
        assert rows(path) == [7]


async def test_a_file_on_a_volume_that_is_not_mounted_any_more_is_not_put_into_the_empty_folder(path, monkeypatch):
    async with Store(path, exclusive=True) as store:
        await add(store, 1)
        remove_all(path)
        monkeypatch.setattr(store._file, "_folder_device", -1)
        with pytest.raises(StoreError, match="is not mounted any more"):
            await add(store, 2)
        assert not path.exists()


async def test_nothing_is_put_back_by_a_command_that_only_looks(path):
    async with Store(path) as store:
        await add(store, 1)
        remove(path)
        await store.check_file()
        assert not path.exists()
