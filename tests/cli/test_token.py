"""`xyte-gateway token`, as an operator and a program call it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.status.auth.token_file import load_or_create_token, read_tokens
from gateway.status.auth.tokens import Role, find_token

COMMAND = Path(sys.executable).with_name("xyte-gateway")


@pytest.fixture
def ask(tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "gateway.toml").write_text(f'[store]\npath = "{tmp_path}/state/gateway.sqlite3"\n')

    def run(*arguments, config="gateway.toml"):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("XYTE_")}
        return subprocess.run(
            [COMMAND, "token", "--config", config, *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    return run


def test_a_new_token_is_printed_alone_and_a_running_page_takes_it(ask, tmp_path):
    running = load_or_create_token(tmp_path / "state" / "status-token")
    made = ask()
    assert made.returncode == 0, made.stderr
    assert find_token(running.tokens(), made.stdout.strip()).role is Role.ADMINISTER
    assert find_token(running.tokens(), running.created) is None, "it replaces the one of the first start"
    as_json = ask("--json")
    document = json.loads(as_json.stdout)
    assert document["file"] == str(tmp_path / "state" / "status-token")
    assert as_json.stderr == ""
    assert find_token(running.tokens(), document["token"]) is not None
    assert find_token(running.tokens(), made.stdout.strip()) is None


def test_tokens_with_names_and_roles_are_made_listed_and_withdrawn(ask, tmp_path):
    file = tmp_path / "state" / "status-token"
    first = load_or_create_token(file)
    made = ask("--role", "look", "--name", "[red] grafana")
    assert (made.returncode, "[red] grafana of the status page, which may look" in made.stderr) == (0, True)
    listed = ask("--list")
    assert "[red] grafana" in listed.stdout
    assert "not known" in listed.stdout
    rows = json.loads(ask("--list", "--json").stdout)["tokens"]
    assert [(row["name"], row["role"], row["used"]) for row in rows] == [
        ("[red] grafana", "look", None),
        ("administrator", "administer", None),
    ]
    assert "hash" not in rows[0]
    withdrawn = ask("--withdraw", "[red] grafana")
    assert (withdrawn.returncode, "not valid any more" in withdrawn.stderr) == (0, True)
    assert find_token(first.tokens(), made.stdout.strip()) is None
    assert find_token(first.tokens(), first.created) is not None
    last = ask("--withdraw", "administrator")
    assert "No token may administer now" in last.stderr
    assert load_or_create_token(file).created is None, "nobody gets a token that was not asked for"


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--role", "rule"], 2, "'rule'"),
        (["--name", ""], 2, "1 to"),
        (["--name", "a\tb\x1b"], 2, "cannot be seen"),
        (["--name", "administrator"], 1, "--replace"),
        (["--withdraw", "nobody"], 1, "there are: administrator"),
        (["--withdraw", "administrator", "--name", "x"], 2, "goes with no other option"),
        (["--list", "--withdraw", "administrator"], 2, "goes with no other option"),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_says_why(ask, tmp_path, arguments, code, text):
    file = tmp_path / "state" / "status-token"
    load_or_create_token(file)
    before = read_tokens(file)
    refused = ask(*arguments)
    assert (refused.returncode, refused.stdout, text in refused.stderr) == (code, "", True), refused.stderr
    assert "Traceback" not in refused.stderr
    assert read_tokens(file) == before


def test_a_store_that_nobody_has_used_is_told_and_gets_no_token(ask, tmp_path):
    (tmp_path / "gateway.toml").write_text(f'[store]\npath = "{tmp_path}/elsewhere/gateway.sqlite3"\n')
    refused = ask("--json")
    assert refused.returncode == 1
    assert "no gateway has run with this store" in json.loads(refused.stdout)["error"]
    assert not (tmp_path / "elsewhere").exists()


def test_a_token_that_cannot_be_stored_is_an_error_that_names_the_file(ask, tmp_path):
    (tmp_path / "state" / "status-token.new").mkdir()  # root may write in any folder, so the mode cannot forbid it
    refused = ask()
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "status-token cannot be written" in refused.stderr.replace("\n", "")
    assert "Traceback" not in refused.stderr
