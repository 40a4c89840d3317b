"""A backup that was uploaded is checked first, restored once, and whenever the process is killed, there is a whole store."""

import importlib.util
import shutil
import stat
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.state.opening import opened_state
from gateway.state.recovery import backups, uploaded_backups
from gateway.state.recovery.backups import write_backup
from gateway.state.recovery.uploaded_backups import (
    check_upload,
    confirm_upload,
    create_upload,
    discard_upload,
    restore_confirmed,
    uploaded_file,
)

_spec = importlib.util.spec_from_file_location("backups_tests", Path(__file__).with_name("test_backups.py"))
known = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(known)
path, made, register, PASSPHRASE = known.path, known.made, known.register, known.PASSPHRASE


def upload(store, content):
    with create_upload(store) as file:
        file.write(content)


@pytest.fixture
async def content(path, tmp_path):
    """An encrypted backup of the store with one child, which has a second one by now."""
    write_backup(path, tmp_path / "backup", PASSPHRASE)
    async with opened_state(path, made) as state:
        await register(state, 2)
        await state.mirror.update()
    return (tmp_path / "backup").read_bytes()


def left(path):
    return sorted(one.name for one in path.parent.iterdir() if "upload" in one.name)


def samples_in(path):
    return backups._content_of(path, is_encrypted=False).samples


async def test_an_upload_is_checked_confirmed_and_restored_at_the_next_start_alone(path, content):
    upload(path, content)
    assert stat.S_IMODE(uploaded_file(path).stat().st_mode) == 0o600
    checked = check_upload(path, PASSPHRASE)
    assert (checked.content.serial_number, checked.content.children, set(checked.children)) == ("XG-1", 1, {"sn:x/1"})
    (name,) = left(path)
    assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600
    async with opened_state(path, made) as state:
        restore_confirmed(path)  # of another process, while this one runs
        assert len(state.registry.children) == 2
    assert left(path) == [name], "its files belong to the gateway that runs"
    confirm_upload(path)
    restore_confirmed(path)
    assert left(path) == []
    async with opened_state(path, made) as state:
        assert any("uploaded on the page" in one.text for one in state.recoveries.all)
        assert state.registry.children["sn:x/2"].device_id == "d-2", "of the copy of the identities"
    restored_at = path.stat().st_mtime_ns
    restore_confirmed(path)
    assert path.stat().st_mtime_ns == restored_at


@pytest.mark.parametrize("case", ["wrong passphrase", "no passphrase", "cut off", "damaged", "another file", "empty"])
async def test_a_file_that_cannot_be_restored_is_refused_and_nothing_is_left_of_it(path, content, case):
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 1
    sent, passphrase = {
        "wrong passphrase": (content, "another passphrase"),
        "no passphrase": (content, ""),
        "cut off": (content[:-100], PASSPHRASE),
        "damaged": (bytes(damaged), PASSPHRASE),
        "another file": (b"PK\3\4" * 1000, PASSPHRASE),
        "empty": (b"", PASSPHRASE),
    }[case]
    upload(path, sent)
    with pytest.raises(StoreError) as refused:
        check_upload(path, passphrase)
    assert str(path.parent) not in str(refused.value)
    assert PASSPHRASE not in str(refused.value)
    discard_upload(path)
    with pytest.raises(StoreError):
        confirm_upload(path)
    assert left(path) == []
    restore_confirmed(path)
    assert samples_in(path) == 1


class Killed(BaseException):
    """Ends the work as a kill does: nothing after it runs but what releases the locks."""


@pytest.mark.parametrize(
    "killed_in", ["unpack_backup", "_prepare", "_keep_former_store", "_keep_foreign_mirror", "remove_oldest"]
)
async def test_a_kill_while_it_is_restored_leaves_a_whole_store_and_the_next_start_restores_it(
    path, content, monkeypatch, killed_in
):
    upload(path, content)
    check_upload(path, PASSPHRASE)
    confirm_upload(path)

    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(backups, killed_in, kill)
        with pytest.raises(Killed):
            restore_confirmed(path)
    assert len(left(path)) == 1
    restore_confirmed(path)
    assert left(path) == []
    async with opened_state(path, made) as state:
        assert any("uploaded on the page" in one.text for one in state.recoveries.all)
        assert state.outbox.depth == 1


async def test_a_kill_before_the_confirmation_leaves_the_store_as_it_was(path, content):
    upload(path, content)
    restore_confirmed(path)
    assert left(path) == []
    upload(path, content)
    check_upload(path, PASSPHRASE)
    restore_confirmed(path)
    assert left(path) == []
    async with opened_state(path, made) as state:
        assert not state.recoveries.all


async def test_a_confirmed_file_that_cannot_be_restored_any_more_costs_no_start(path, content, caplog):
    upload(path, content)
    check_upload(path, PASSPHRASE)
    confirm_upload(path)
    (name,) = left(path)
    shutil.copyfile(__file__, path.parent / name)
    restore_confirmed(path)
    assert "is not restored" in caplog.text
    assert left(path) == []
    async with opened_state(path, made) as state:
        assert len(state.registry.children) == 2
    assert uploaded_backups.NAME not in caplog.text
