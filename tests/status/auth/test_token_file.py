import os
import stat
import subprocess
import sys

import pytest

from gateway.errors import StoreError
from gateway.status.auth import token_file as module
from gateway.status.auth.access_control import AccessRequest, TokenAuth
from gateway.status.auth.token_file import load_or_create_token, make_token, read_tokens, withdraw_token
from gateway.status.auth.tokens import MOST_TOKENS, Role, digest_of, find_token, new_token
from gateway.status.rights import Rights


def digest_in(file):
    tokens = read_tokens(file)
    return tokens[0].digest if tokens else None


@pytest.fixture
def file(tmp_path):
    return tmp_path / "status-token"


def test_a_token_is_made_once_and_only_its_hash_is_kept(file):
    first = load_or_create_token(file)
    assert len(first.created) >= 43
    assert first.created not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    again = load_or_create_token(file)
    assert (again.tokens(), again.created) == (first.tokens(), None)
    assert find_token(again.tokens(), first.created)
    assert not find_token(again.tokens(), first.created[:-1])
    assert [one.name for one in file.parent.iterdir()] == ["status-token"]


def test_two_tokens_are_never_the_same():
    assert len({new_token() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\xff\xfe",
        b"e3b0c44298fc",
        b"0" * 65,
        b"\0" * 64,
        b"G" * 64,
        b"{",
        b"{}",
        b'{"tokens": [{}]}',
        b"[1]",
        b"[" * 9000,
    ],
)
def test_an_empty_or_damaged_file_counts_as_missing(file, content, caplog):
    file.write_bytes(content)
    token = load_or_create_token(file)
    assert token.created in caplog.text
    assert digest_in(file) == token.tokens()[0].digest == digest_of(token.created)


def test_a_token_is_shown_when_it_is_on_the_disk_and_before_it_is_valid(file, caplog, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module,
        "_log_stored",
        lambda token, path: seen.append((token, digest_in(path), [one.name for one in path.parent.iterdir()])),
    )
    token = load_or_create_token(file)
    assert seen == [(token.created, None, ["status-token.new"])]


def test_a_full_disk_leaves_a_token_for_this_run_and_a_new_one_for_the_next(file, caplog, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        token = load_or_create_token(file)
    assert digest_in(file) is None
    assert find_token(token.tokens(), token.created)
    assert f"valid until the gateway stops: {token.created}" in caplog.text
    assert "No space left" in caplog.text
    assert load_or_create_token(file).created is not None


def test_a_folder_that_cannot_be_made_leaves_a_token_for_this_run(tmp_path, caplog):
    (tmp_path / "nowhere").write_text("a file")
    token = load_or_create_token(tmp_path / "nowhere" / "token")
    assert find_token(token.tokens(), token.created)
    assert "cannot be stored" in caplog.text


def test_a_new_token_takes_effect_at_once_and_signs_everybody_out(file):
    running = load_or_create_token(file)
    auth = TokenAuth(running.tokens, host="0.0.0.0")
    cookie = AccessRequest(host="x", cookie=auth.new_cookie(running.tokens()[0]))
    assert auth.visitor_of(cookie).rights is Rights.ADMINISTER
    made = make_token(file, lambda token: None)
    assert auth.find_token(made)
    assert not auth.find_token(running.created)
    assert auth.visitor_of(cookie).rights is Rights.NONE


@pytest.mark.parametrize("change", ["remove", "empty", "damage"])
def test_a_file_that_is_lost_while_the_gateway_runs_changes_nothing(file, change):
    running = load_or_create_token(file)
    auth = TokenAuth(running.tokens, host="0.0.0.0")
    file.unlink() if change == "remove" else file.write_bytes(b"" if change == "empty" else b"\xff")
    assert auth.find_token(running.created)


def test_a_token_that_cannot_be_stored_leaves_the_former_one(file, monkeypatch):
    running = load_or_create_token(file)
    monkeypatch.setattr(type(file), "replace", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    with pytest.raises(StoreError, match="Read-only file system"):
        make_token(file, lambda token: None)
    assert find_token(running.tokens(), running.created)
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
    kept = module.read_tokens(file)
    print("kept" if kept else "none", kept[0].digest if kept else "", file=sys.stderr)
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
    assert digest_in(file) == token.tokens()[0].digest == digest_of(token.created)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "stay the same" in caplog.text
    make_token(file, lambda token: None)
    changed = digest_in(file)
    token.put_back()
    assert digest_in(file) == changed, "a token that another process has made is left"


def test_a_token_that_cannot_be_put_back_stays_valid_and_says_so(file, caplog):
    token = load_or_create_token(file)
    before = token.tokens()
    file.unlink()
    file.with_name("status-token.new").mkdir()
    token.put_back()
    assert "cannot be written" in caplog.text
    assert token.tokens() == before


OLD = "5e" * 32


def test_the_file_of_an_earlier_version_is_the_token_of_an_administrator_and_others_come_beside_it(file):
    file.write_text(f"{OLD}\n")
    (old,) = load_or_create_token(file).tokens()
    assert (old.name, old.role, old.digest, old.made) == ("administrator", Role.ADMINISTER, OLD, None)
    made = make_token(file, lambda token: None, role=Role.LOOK, name="grafana")
    assert {one.name: one.role for one in read_tokens(file)} == {"administrator": Role.ADMINISTER, "grafana": Role.LOOK}
    assert find_token(read_tokens(file), made).name == "grafana"
    assert made not in file.read_text()


def test_a_running_page_takes_what_another_process_made_and_withdrew_and_says_so(file, caplog):
    running = load_or_create_token(file)
    told = []
    running.on_change = told.append
    made = make_token(file, lambda token: None, role=Role.OPERATE, name="anna")
    assert find_token(running.tokens(), made).rights is Rights.OPERATE
    assert withdraw_token(file, "anna").name == "anna"
    assert find_token(running.tokens(), made) is None
    assert find_token(running.tokens(), running.created) is not None
    assert told == [
        "the status page has a new token: anna, which may operate",
        "the token anna of the status page is not valid any more; who signed in with it is signed out",
    ]
    assert all(text in caplog.text for text in told)


def test_a_name_that_is_taken_or_unknown_changes_nothing(file):
    load_or_create_token(file)
    before = file.read_bytes()
    with pytest.raises(StoreError, match="a token administrator already; --replace"):
        make_token(file, lambda token: None, name="administrator", may_replace=False)
    with pytest.raises(StoreError, match="no token anna; there are: administrator"):
        withdraw_token(file, "anna")
    assert file.read_bytes() == before


def test_the_number_of_tokens_is_bounded(file, monkeypatch):
    monkeypatch.setattr(module, "MOST_TOKENS", 2)
    for number in range(2):
        make_token(file, lambda token: None, name=f"n{number}")
    with pytest.raises(StoreError, match="2 tokens already"):
        make_token(file, lambda token: None, name="n3")
    make_token(file, lambda token: None, name="n1")
    assert MOST_TOKENS >= 50


def test_the_day_of_use_is_written_once_a_day(file, monkeypatch):
    running = load_or_create_token(file)
    writes = []
    really = module._replace
    monkeypatch.setattr(module, "_replace", lambda *given, **named: (writes.append(1), really(*given, **named)))
    for _ in range(3):
        running.note_use(running.tokens()[0])
        running.store_uses()
    (token,) = running.tokens()
    assert (len(writes), token.used == token.made, token.used is not None) == (1, True, True)


def test_a_disk_that_is_full_costs_the_day_of_use_and_nothing_else(file, monkeypatch):
    running = load_or_create_token(file)
    running.note_use(running.tokens()[0])
    with monkeypatch.context() as patch:
        patch.setattr(module, "_replace", lambda *given, **named: (_ for _ in ()).throw(OSError(28, "No space left")))
        running.store_uses()
    assert running.tokens()[0].used is None
    running.store_uses()
    assert running.tokens()[0].used is not None


KILLED_CHANGES = """
import os, signal, sys
from pathlib import Path
import gateway.status.auth.token_file as module
from gateway.status.auth.tokens import Role

file = Path(sys.argv[1])
for step in range(1, 1000):
    if (pid := os.fork()) == 0:
        calls = 0
        def kill_at(frame, event, argument):
            global calls
            if frame.f_code.co_filename == module.__file__:
                calls += event == "line"
                if calls >= step:
                    os.kill(os.getpid(), signal.SIGKILL)
            return kill_at
        sys.settrace(kill_at)
        module.make_token(file, lambda token: os.write(1, f"{token}\\n".encode()), role=Role.LOOK, name="anna")
        sys.settrace(None)
        os._exit(0)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    tokens = module.read_tokens(file)
    print(*(f"{one.name}={one.digest}" for one in tokens), file=sys.stderr, flush=True)
    if ended == 0:
        break
"""


def test_a_change_that_is_killed_anywhere_leaves_the_tokens_before_or_after_it_and_each_was_shown(file):
    first = digest_of(load_or_create_token(file).created)
    ran = subprocess.run(
        [sys.executable, "-c", KILLED_CHANGES, str(file)], capture_output=True, text=True, timeout=60, check=True
    )
    shown = {digest_of(token) for token in ran.stdout.split()}
    states = [dict(word.split("=") for word in line.split()) for line in ran.stderr.splitlines()]
    assert len(states) > 20
    assert all(state["administrator"] == first for state in states), "the others stay"
    assert {state["anna"] for state in states if "anna" in state} <= shown
    assert any("anna" not in state for state in states)
