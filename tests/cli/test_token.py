"""`xyte-gateway token`, as an operator and a program call it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.status.auth.access_control import TokenAuth
from gateway.status.auth.token_file import load_or_create_token

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
    assert TokenAuth(running.digest, host="0.0.0.0").is_token(made.stdout.strip())
    as_json = ask("--json")
    document = json.loads(as_json.stdout)
    assert document["file"] == str(tmp_path / "state" / "status-token")
    assert as_json.stderr == ""
    auth = TokenAuth(running.digest, host="0.0.0.0")
    assert auth.is_token(document["token"])
    assert not auth.is_token(made.stdout.strip())


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
