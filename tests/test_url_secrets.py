"""What opens a URL is in no text that leaves the gateway: mistakes, the log, the commands."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.serial.port.selection import PortSelector
from gateway.cli.logs import start_logging
from gateway.config.settings import LogSection
from gateway.errors import SettingsError, SettingsProblem
from gateway.runtime.diagnostics.recent_log import RecentLog
from gateway.url_secrets import passwords_of, without_bare_url_user, without_url_secrets, without_url_user

PASSWORD = "planted-password"
URLS = [
    f"https://joe:{PASSWORD}@entry.example.com",
    f"https://joe:{PASSWORD}@entry.example.com/v1?x=1",
    f"http://joe:@{PASSWORD}/with#all@of@it?@entry.example.com:8080",
    f"https://{PASSWORD}@entry.example.com",
    f"https://:{PASSWORD}@[2001:db8::1]:443/",
    f"socket://joe:{PASSWORD}@192.0.2.1:4001",
    f"rfc2217://joe:{PASSWORD}@192.0.2.1:4001",
    f"HTTPS://joe:{PASSWORD}@H",
]


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "around", ["{}", "cannot reach {}, it says", "'{}'", '{{"url": "{}"}}', "a http://fine.example/x and {} and b"]
)
def test_user_name_and_password_of_a_url_are_masked_and_nothing_else(url, around):
    masked = without_url_user(around.format(url))
    assert PASSWORD not in masked
    assert "joe" not in masked
    assert "********@" in masked
    assert around.partition("{}")[0].replace("{{", "{") in masked


@pytest.mark.parametrize("text", ["https://host/path", "joe@example.com", "a@b://c", "no url", "https://host/x?y=1"])
def test_other_texts_stay_as_they_are(text):
    assert without_url_user(text) == text


def test_a_signature_in_the_query_is_masked_where_the_whole_link_is_a_secret():
    assert without_url_secrets("from https://u:p@h/f?sig=abc: no") == "from https://********@h/f?******** no"


def test_an_address_without_its_scheme_is_masked_where_it_is_a_mistake():
    assert without_bare_url_user(f"(it says 'joe:{PASSWORD}@entry.example.com')") == "(it says '********@entry.example.com')"
    assert without_bare_url_user("write to ops@example.com: now") == "write to ops@example.com: now"


def test_the_passwords_of_urls_are_found_for_masking_them_elsewhere():
    assert passwords_of("socket://joe:secret@h:1 https://h/") == ["secret"]


def test_a_mistake_in_the_configuration_does_not_quote_a_password():
    problem = SettingsProblem("cloud.entry_url", f"it says {URLS[0]!r}", f"Write {URLS[1]} differently", 4)
    assert PASSWORD not in f"{problem} {SettingsError(None, [problem])}"


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_line_of_the_log_has_a_password_of_a_url(log_format, monkeypatch):
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    recent = RecentLog()
    try:
        start_logging(LogSection(format=log_format))
        root.addHandler(recent)
        log = logging.getLogger("gateway.test")
        log.warning("cannot reach %s", URLS[0])
        try:
            int(URLS[5])
        except ValueError:
            log.exception("a fault with %s", URLS[4])
    finally:
        for handler in root.handlers:
            root.removeHandler(handler)
        root.handlers, root.level = before[0], before[1]
    written = stream.getvalue()
    assert "a fault with" in written
    assert "Traceback" in written
    assert PASSWORD not in written + "\n".join(recent.lines)
    if log_format == "json":
        assert all(json.loads(line) for line in written.splitlines())


@pytest.mark.parametrize("port", [f"socket://joe:{PASSWORD}@192.0.2.1:4001", f"rfc2217://joe:{PASSWORD}@192.0.2.1:4001"])
def test_a_device_server_takes_no_password_and_the_mistake_does_not_quote_it(port):
    with pytest.raises(ValueError, match="takes no user and no password") as caught:
        PortSelector.parse(port)
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    ("command", "entry_url"),
    [("check", URLS[0]), ("check --json", f"joe:{PASSWORD}@entry.example.com"), ("doctor", URLS[0]), ("run", URLS[0])],
)
def test_no_command_quotes_a_password_in_a_url(tmp_path, command, entry_url):
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'[cloud]\nentry_url = "{entry_url}"\n[store]\npath = "{tmp_path}/s.sqlite3"\n[status]\nport = 0\n'
        f'[[adapter]]\ntype = "serial"\nports = [{{ port = "{URLS[5]}" }}]\n'
        f'[[adapter]]\ntype = "modbus_tcp"\nhosts = ["joe:{PASSWORD}@192.0.2.1"]\n'
    )
    waits = ["--no-wait"] if command == "run" else []
    ended = subprocess.run(
        [Path(sys.executable).with_name("xyte-gateway"), *command.split(), *waits, "--config", str(file)],
        capture_output=True, text=True, timeout=100, check=False, env={**os.environ, "COLUMNS": "500", "NO_COLOR": "1"},
    )  # fmt: skip
    assert ended.returncode != 0
    assert "cloud.entry_url" in ended.stdout + ended.stderr
    assert PASSWORD not in ended.stdout + ended.stderr
