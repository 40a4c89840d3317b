import os
import socket
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.state.recovery.backups import restore_backup, write_backup
from gateway.state.schema import NEWEST_VERSION
from gateway.state.store import Store, read_store


async def test_a_new_store_is_private_and_at_the_newest_schema(tmp_path, caplog):
    folder = tmp_path / "folder" / "that is not there yet"
    async with Store(folder / "store.sqlite3", exclusive=True) as store:
        version = await store.transact(lambda db: db.execute("PRAGMA user_version").fetchone()[0])
        assert version == NEWEST_VERSION
        files = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
        assert files.keys() >= {"store.sqlite3", "store.sqlite3-wal", "store.sqlite3.lock"}
        assert set(files.values()) == {0o600}
    assert caplog.text == "", "nothing was readable by others before"


async def test_a_store_that_others_can_read_is_made_private(tmp_path, caplog):
    path = tmp_path / "store.sqlite3"
    async with Store(path):
        pass
    path.chmod(0o644)
    async with Store(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "other users could read" in caplog.text


async def test_a_commit_is_on_the_disk_before_it_counts(tmp_path):
    """A kill of the gateway or a power cut must not cost an access key, which the cloud gives only once."""
    async with Store(tmp_path / "s.sqlite3") as store:
        pragmas = {
            name: await store.transact(lambda db, name=name: db.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("journal_mode", "synchronous")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}, "2 is FULL"


async def test_a_store_that_fails_to_open_lets_go_of_its_lock(tmp_path):
    path = tmp_path / "s.sqlite3"
    path.write_text("this is a shopping list, not a database, and it is long enough to be read as one" * 20)
    with pytest.raises(StoreError, match="backup"):
        await Store(path, exclusive=True).__aenter__()
    path.unlink()
    async with Store(path, exclusive=True):
        pass


async def test_the_problem_of_a_store_is_kept_until_something_is_written_again(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        assert store.problem is None
        with pytest.raises(StoreError, match="no such table"):
            await store.transact(lambda db: db.execute("INSERT INTO nowhere VALUES (1)"))
        assert "no such table" in store.problem
        await store.transact(lambda db: db.execute("SELECT * FROM names").fetchall())
        assert "no such table" in store.problem, "reading shows nothing about writing"
        await store.transact(lambda db: db.execute("INSERT INTO names (key, name) VALUES ('a', 'b')") and None)
        assert store.problem is None


async def test_a_store_that_cannot_be_written_fails_its_check(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        await store._run(lambda: store._connection.execute("PRAGMA query_only = ON"))
        with pytest.raises(StoreError, match="readonly"):
            await store.check_writable()
        assert "readonly" in store.problem


async def test_a_check_that_the_store_is_writable_clears_its_problem_and_changes_nothing(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        with pytest.raises(StoreError):
            await store.transact(lambda db: db.execute("INSERT INTO nowhere VALUES (1)"))
        assert store.problem is not None
        await store.check_writable()
        assert store.problem is None
        assert await store.transact(lambda db: db.execute("PRAGMA user_version").fetchone()[0]) == NEWEST_VERSION


async def test_a_transaction_that_raises_leaves_nothing_behind(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:

        def work(db):
            db.execute("INSERT INTO gateway (only_row, serial_number) VALUES (1, 'x')")
            raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011 - raised above
            await store.transact(work)
        assert await store.transact(lambda db: db.execute("SELECT COUNT(*) FROM gateway").fetchone()[0]) == 0


async def test_what_was_committed_is_there_after_reopening(tmp_path):
    path = tmp_path / "s.sqlite3"
    async with Store(path) as store:
        await store.transact(lambda db: db.execute("INSERT INTO gateway (only_row, serial_number) VALUES (1, 'x')") and None)
    async with Store(path) as store:
        assert await store.transact(lambda db: db.execute("SELECT serial_number FROM gateway").fetchone()[0]) == "x"


async def test_a_store_of_a_newer_gateway_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "s.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 999")
    with pytest.raises(StoreError, match="newer gateway"):
        await Store(path).__aenter__()


async def test_a_file_that_is_no_store_is_refused_with_a_way_out(tmp_path):
    path = tmp_path / "s.sqlite3"
    path.write_text("this is a shopping list, not a database, and it is long enough to be read as one" * 20)
    with pytest.raises(StoreError, match="backup"):
        await Store(path).__aenter__()


async def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file/s\.sqlite3"):
        await Store(tmp_path / "file" / "s.sqlite3").__aenter__()


async def test_two_gateways_cannot_share_a_store(tmp_path):
    path = tmp_path / "s.sqlite3"
    async with Store(path, exclusive=True):
        with pytest.raises(StoreError, match=f"in use by another gateway .pid {os.getpid()}"):
            await Store(path, exclusive=True).__aenter__()
        async with Store(path):  # a look from the command line is no second gateway
            pass
    async with Store(path, exclusive=True):
        pass


async def test_a_write_from_outside_is_noticed(tmp_path):
    path = tmp_path / "s.sqlite3"
    async with Store(path) as inside, Store(path) as outside:
        before = await inside.data_version()
        await inside.transact(lambda db: db.execute("INSERT INTO gateway (only_row, serial_number) VALUES (1, 'x')") and None)
        assert await inside.data_version() == before
        await outside.transact(lambda db: db.execute("UPDATE gateway SET serial_number = 'y'") and None)
        assert await inside.data_version() != before


async def test_a_full_disk_is_a_store_error(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        await store.transact(lambda db: db.execute("PRAGMA max_page_count = 20") and None)
        with pytest.raises(StoreError, match="full"):
            await store.transact(
                lambda db: (
                    db.executemany(
                        "INSERT INTO losses VALUES (?, 'w', 'a', 'b', 1)", [("x" * 500 + str(i),) for i in range(2000)]
                    )
                    and None
                )
            )
        assert await store.transact(lambda db: db.execute("SELECT COUNT(*) FROM losses").fetchone()[0]) == 0


async def test_a_look_at_a_store_that_fails_is_a_store_error(tmp_path):
    with pytest.raises(StoreError):
        await Store(tmp_path / "s.sqlite3").data_version()
    async with Store(tmp_path / "s.sqlite3") as store:
        store._connection.close()
        with pytest.raises(StoreError):
            await store.data_version()


async def test_who_only_looks_sees_what_a_gateway_that_runs_has_written_and_changes_nothing(tmp_path):
    path = tmp_path / "store.sqlite3"
    async with Store(path, exclusive=True) as store:
        await store.transact(lambda db: db.execute("INSERT INTO notes VALUES ('a', 'b', 'c')"))
        assert read_store(path, lambda db: db.execute("SELECT said FROM notes").fetchall()) == [("c",)]
        with pytest.raises(StoreError, match="readonly"):
            read_store(path, lambda db: db.execute("DELETE FROM notes"))
    before = sorted(file.name for file in tmp_path.iterdir())
    assert read_store(path, lambda db: db.execute("SELECT said FROM notes").fetchall()) == [("c",)]
    assert sorted(file.name for file in tmp_path.iterdir()) == before


def test_who_only_looks_makes_no_store(tmp_path):
    with pytest.raises(StoreError, match="unable to open"):
        read_store(tmp_path / "store.sqlite3", lambda db: None)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "other.sqlite3").write_bytes(b"no database at all" * 64)
    with pytest.raises(StoreError, match="not a database"):
        read_store(tmp_path / "other.sqlite3", lambda db: None)


async def test_a_full_disk_counts_as_working_only_after_it_has_taken_everything_for_a_while(tmp_path):
    """A full disk takes a small write now and then: the problem would come and go each second."""
    insert = "INSERT INTO notes VALUES (?, 'n', ?)"
    async with Store(tmp_path / "s.sqlite3") as store:
        await store._run(lambda: store._connection.execute("PRAGMA max_page_count = 150"))
        with pytest.raises(StoreError, match="full"):
            await store.transact(lambda db: db.execute(insert, ("a", "x" * 1_000_000)))
        await store.transact(lambda db: db.execute(insert, ("b", "x")))
        assert "full" in store.problem
        with pytest.raises(StoreError, match=r"full \(it takes small writes"):
            await store.check_writable()
        store.calm_seconds = 0
        with pytest.raises(StoreError, match="full"):
            await store.transact(lambda db: db.execute(insert, ("a", "x" * 1_000_000)))
        await store.transact(lambda db: db.execute(insert, ("c", "x")))
        assert store.problem is None


async def test_a_power_cut_may_cost_samples_alone_and_only_where_that_was_chosen(tmp_path):
    def synchronous(db):
        return db.execute("PRAGMA synchronous").fetchone()[0]

    for syncs_samples, of_samples in ((True, 2), (False, 1)):
        async with Store(tmp_path / f"{syncs_samples}.sqlite3", syncs_samples=syncs_samples) as store:
            assert await store.transact(synchronous, may_be_lost=True) == of_samples, "1 is NORMAL, 2 is FULL"
            assert await store.transact(synchronous) == 2, "an access key cannot be requested again"


async def test_after_a_checkpoint_the_file_alone_has_everything(tmp_path):
    path, copy = tmp_path / "s.sqlite3", tmp_path / "copy.sqlite3"
    async with Store(path, exclusive=True) as store:
        await store.transact(lambda db: db.execute("INSERT INTO names (key, name) VALUES ('a', 'b')") and None)
        await store.checkpoint()
        copy.write_bytes(path.read_bytes())
        assert read_store(copy, lambda db: db.execute("SELECT name FROM names").fetchall()) == [("b",)]
        with closing(sqlite3.connect(path)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM names").fetchall()
            await store.checkpoint()  # nobody has to wait for a reader


async def test_after_a_migration_the_file_alone_is_of_the_new_version(tmp_path):
    path, copy = tmp_path / "s.sqlite3", tmp_path / "copy.sqlite3"
    async with Store(path):
        copy.write_bytes(path.read_bytes())
        version = read_store(copy, lambda db: db.execute("PRAGMA user_version").fetchone()[0])
        assert version == NEWEST_VERSION


def _folder(path):
    path.mkdir(mode=0o755)


def _pipe(path):
    os.mkfifo(path, 0o644)


def _mode(path):
    return path.stat().st_mode


def _socket(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
    path.chmod(0o644)


@pytest.mark.parametrize("make", [_folder, _pipe, _socket])
async def test_what_is_no_file_is_refused_at_once_and_keeps_its_mode(tmp_path, monkeypatch, make):
    monkeypatch.chdir(tmp_path)  # the name of a socket must be short
    path = Path("it")
    make(path)
    mode = _mode(path)
    with pytest.raises(StoreError, match=r"it is (a folder|no file)\. Name a file"):
        await Store(path, exclusive=True).__aenter__()
    with pytest.raises(StoreError, match=r"is (a folder|no file)"):
        read_store(path, lambda db: None)
    for command in (lambda: write_backup(path, Path("b"), None), lambda: restore_backup(Path("b"), path, None)):
        with pytest.raises(StoreError, match=r"is (a folder|no file)"):
            command()
    assert _mode(path) == mode


@pytest.mark.parametrize("name", ["x" * 300, "file/store.sqlite3", "loop"])
async def test_a_path_that_cannot_be_is_a_store_error_for_whoever_uses_it(tmp_path, name):
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    path = tmp_path / name
    with pytest.raises(StoreError):
        await Store(path, exclusive=True).__aenter__()
    for command in (
        lambda: read_store(path, lambda db: None),
        lambda: write_backup(path, tmp_path / "b", None),
        lambda: restore_backup(tmp_path / "b", path, None),
    ):
        with pytest.raises(StoreError):
            command()


async def test_a_transaction_that_could_not_even_be_undone_does_not_stop_those_after_it(tmp_path):
    async with Store(tmp_path / "s.sqlite3") as store:
        execute = store._connection.execute

        def fail(statement, *values):
            if statement in ("COMMIT", "ROLLBACK"):
                raise sqlite3.OperationalError("disk I/O error")
            return execute(statement, *values)

        store._connection.execute = fail
        with pytest.raises(StoreError, match="disk I/O error"):
            await store.transact(lambda db: db.execute("INSERT INTO notes VALUES ('a', '1', 'c')"))
        store._connection.execute = execute
        await store.transact(lambda db: db.execute("INSERT INTO notes VALUES ('a', '2', 'c')"))
        assert await store.transact(lambda db: db.execute("SELECT name FROM notes").fetchall()) == [("2",)]
