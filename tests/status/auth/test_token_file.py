import os
import stat
import subprocess
import sys

import pytest

from gateway.errors import StoreError
from gateway.status.auth import token_file as module
from gateway.status.auth.access_control import AccessRequest, TokenAuth
from gateway.status.auth.token_file import digest_of, load_or_create_token, make_token, new_token, read_digest
from gateway.status.rights import Rights


@pytest.fixture
def file(tmp_path):
    return tmp_path / "status-token"


def test_a_token_is_made_once_and_only_its_hash_is_kept(file):
    first = load_or_create_token(file)
    assert len(first.created) >= 43
    assert first.created not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = load_or_create_token(file)
    assert (again.digest(), again.created) == (first.digest(), None)
    assert TokenAuth(again.digest, host="0.0.0.0").is_token(first.created)
    assert not TokenAuth(again.digest, host="0.0.0.0").is_token(first.created[:-1])
    assert [one.name for one in file.parent.iterdir()] == ["status-token"]


def test_two_tokens_are_never_the_same():
    assert len({new_token() for _ in range(100)}) == 100


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"e3b0c44298fc", b"0" * 65, b"\0" * 64, b"G" * 64])
def test_an_empty_or_damaged_file_counts_as_missing(file, content, caplog):
    file.write_bytes(content)
    token = load_or_create_token(file)
    assert token.created in caplog.text
    assert read_digest(file) == token.digest() == digest_of(token.created)


def test_a_token_is_shown_when_it_is_on_the_disk_and_before_it_is_valid(file, caplog, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module,
        "_log_stored",
        lambda token, path: seen.append((token, read_digest(path), [one.name for one in path.parent.iterdir()])),
    )
    token = load_or_create_token(file)
    assert seen == [(token.created, None, ["status-token.new"])]


def test_a_full_disk_leaves_a_token_for_this_run_and_a_new_one_for_the_next(file, caplog, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        token = load_or_create_token(file)
    assert read_digest(file) is None
    assert TokenAuth(token.digest, host="0.0.0.0").is_token(token.created)
    assert f"valid until the gateway stops: {token.created}" in caplog.text
    assert "No space left" in caplog.text
    assert load_or_create_token(file).created is not None


def test_a_folder_that_cannot_be_made_leaves_a_token_for_this_run(tmp_path, caplog):
    (tmp_path / "nowhere").write_text("a file")
    token = load_or_create_token(tmp_path / "nowhere" / "token")
    assert TokenAuth(token.digest, host="0.0.0.0").is_token(token.created)
    assert "cannot be stored" in caplog.text


def test_a_new_token_takes_effect_at_once_and_signs_everybody_out(file):
    running = load_or_create_token(file)
    auth = TokenAuth(running.digest, host="0.0.0.0")
    cookie = AccessRequest(host="x", cookie=auth.new_cookie())
    assert auth.rights_of(cookie) is Rights.ADMINISTER
    made = make_token(file, lambda token: None)
    assert auth.is_token(made)
    assert not auth.is_token(running.created)
    assert auth.rights_of(cookie) is Rights.NONE


@pytest.mark.parametrize("change", ["remove", "empty", "damage"])
def test_a_file_that_is_lost_while_the_gateway_runs_changes_nothing(file, change):
    running = load_or_create_token(file)
    auth = TokenAuth(running.digest, host="0.0.0.0")
    file.unlink() if change == "remove" else file.write_bytes(b"" if change == "empty" else b"\xff")
    assert auth.is_token(running.created)


def test_a_token_that_cannot_be_stored_leaves_the_former_one(file, monkeypatch):
    running = load_or_create_token(file)
    monkeypatch.setattr(type(file), "replace", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    with pytest.raises(StoreError, match="Read-only file system"):
        make_token(file, lambda token: None)
    assert TokenAuth(running.digest, host="0.0.0.0").is_token(running.created)
    assert [one.name for one in file.parent.iterdir()] == [file.name], "nothing is left of the new one"


KILLED_STARTS = """
import ctypes, logging, os, signal, sys
from pathlib import Path
import gateway.status.auth.token_file as module

logging.basicConfig(stream=sys.stderr, format="%(message)s")
file = Path(sys.argv[1])
for step in range(1, 1000):
    if (pid := os.fork()) == 0:
        calls = 0
        def kill_at(frame, event, argument):  # SIGKILL before the n-th line of the module
            global calls
            if frame.f_code.co_filename == module.__file__:
                calls += event == "line"
                if calls >= step:
                    os.kill(os.getpid(), signal.SIGKILL)
            return kill_at
        sys.settrace(kill_at)
        token = module.load_or_create_token(file)
        sys.settrace(None)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
        print(step)
        break
    print("kept" if module.read_digest(file) else "none", module.read_digest(file), file=sys.stderr)
    file.unlink(missing_ok=True)
"""


def test_a_first_start_that_is_killed_anywhere_never_leaves_a_token_that_was_not_shown(file):
    ran = subprocess.run([sys.executable, "-c", KILLED_STARTS, str(file)], capture_output=True, text=True, timeout=60, check=True)
    assert int(ran.stdout) > 20, "it was killed at each line"
    shown = []
    kept = 0
    for line in ran.stderr.splitlines():
        if line.startswith("status page token"):
            shown.append(digest_of(line.split()[7]))
        elif line.startswith("kept"):
            kept += 1
            assert line.split()[1] == shown[-1]
    assert kept > 0


def test_a_token_whose_folder_was_removed_is_put_back_as_it_was(file, caplog):
    token = load_or_create_token(file)
    file.unlink()
    token.put_back()
    assert read_digest(file) == token.digest() == digest_of(token.created)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "stays the same" in caplog.text
    make_token(file, lambda token: None)
    changed = read_digest(file)
    token.put_back()
    assert read_digest(file) == changed, "a token that another process has made is left"


def test_a_token_that_cannot_be_put_back_stays_valid_and_says_so(file, caplog):
    token = load_or_create_token(file)
    before = token.digest()
    file.unlink()
    file.with_name("status-token.new").mkdir()
    token.put_back()
    assert "cannot be written" in caplog.text
    assert token.digest() == before
