import asyncio
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.state.database.single_instance import is_in_use, refuse_other_name
from gateway.state.store import Store, read_store


def symlinked(path: Path) -> Path:
    link = path.parent / "link.sqlite3"
    link.symlink_to(path)
    return link


def in_symlinked_folder(path: Path) -> Path:
    folder = path.parent.parent / "other"
    folder.symlink_to(path.parent)
    return folder / path.name


def with_dots(path: Path) -> Path:
    return path.parent / ".." / path.parent.name / path.name


def relative(path: Path) -> Path:
    return Path(os.path.relpath(path))


def hard_link(path: Path) -> Path:
    link = path.parent / "hard.sqlite3"
    link.hardlink_to(path)
    return link


NAMES = [symlinked, in_symlinked_folder, with_dots, relative, hard_link]


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder / "store.sqlite3"


@pytest.mark.parametrize("other_name", NAMES)
async def test_a_second_gateway_is_refused_under_every_name_of_the_store(path, other_name):
    async with Store(path, exclusive=True):
        other = other_name(path)
        assert is_in_use(other)
        with pytest.raises(StoreError, match="in use by another gateway"):
            await Store(other, exclusive=True).__aenter__()
        assert is_in_use(path)
    assert not is_in_use(other)
    async with Store(other, exclusive=True):
        assert is_in_use(path)


async def test_the_lock_holds_also_when_the_file_beside_the_store_is_removed(path):
    async with Store(path, exclusive=True):
        path.with_name("store.sqlite3.lock").unlink()
        with pytest.raises(StoreError, match="in use by another gateway"):
            await Store(path, exclusive=True).__aenter__()


async def test_another_process_is_kept_out_while_the_store_is_written(path):
    # SQLite drops every lock of a process when that process closes the file: those of the gateway must not be among them
    async with Store(path, exclusive=True) as store:
        async with Store(path) as beside:
            await beside.transact(lambda db: db.execute("INSERT INTO notes VALUES ('a', 'b', 'c')"))
        await store.transact(lambda db: db.execute("INSERT INTO notes VALUES ('d', 'e', 'f')"))
        for name in (path, hard_link(path)):
            assert await asyncio.to_thread(in_use_for_another_process, name)


def in_use_for_another_process(path: Path) -> bool:
    module = "gateway.state.database.single_instance"
    look = f"import sys, pathlib; from {module} import is_in_use; print(is_in_use(pathlib.Path(sys.argv[1])))"
    seen = subprocess.run([sys.executable, "-c", look, path], capture_output=True, text=True, check=True)
    return seen.stdout == "True\n"


async def test_a_command_does_not_open_a_store_in_use_under_the_name_of_a_hard_link(path):
    async with Store(path, exclusive=True):
        link = hard_link(path)
        with pytest.raises(StoreError, match="hard link"):
            await Store(link).__aenter__()
        refuse_other_name(symlinked(path))


async def test_whoever_looks_through_a_symlink_sees_what_is_still_in_the_log(path):
    async with Store(path, exclusive=True) as store:
        await store.transact(lambda db: db.execute("INSERT INTO notes VALUES ('a', 'b', 'c')"))
        assert read_store(symlinked(path), lambda db: db.execute("SELECT said FROM notes").fetchall()) == [("c",)]


async def test_hard_links_of_a_store_are_told(path, caplog):
    async with Store(path, exclusive=True):
        pass
    hard_link(path)
    async with Store(path, exclusive=True):
        assert "has 2 names" in caplog.text


async def test_a_command_that_looks_whether_a_gateway_runs_keeps_none_from_starting(path):
    looking = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(looking, fcntl.LOCK_EX)
    threading.Timer(0.01, os.close, [looking]).start()
    async with Store(path, exclusive=True):
        pass
