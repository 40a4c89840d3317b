"""The parts of a dump, each by itself."""

import io
import json
import logging
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from gateway.config.settings import Configuration, Settings
from gateway.runtime.diagnostics.archive import archive_name, pack
from gateway.runtime.diagnostics.recent_log import LONGEST_LINE, RecentLog, recording_log
from gateway.runtime.diagnostics.secrets import masked_settings, masked_text, secrets_of_configuration

AT = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize("serial", ["GW-1", "../../etc/passwd", "a b\n;rm -rf /", "ä", "", None, "x" * 500])
def test_the_name_of_an_archive_is_a_plain_one_whatever_the_serial_number(serial):
    name = archive_name(serial, AT)
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.")
    assert ".." not in name
    assert name.endswith("-20261129T120000Z.tar.gz")
    assert len(name) < 150


def test_an_archive_has_its_files_in_one_folder_for_their_owner_alone():
    packed = pack({"log.txt": "one\ud800two", "a.json": "{}"}, "dump.tar.gz", AT)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["dump/log.txt", "dump/a.json"]
        assert {member.mode for member in archive.getmembers()} == {0o600}
        assert archive.extractfile("dump/log.txt").read() == rb"one\ud800two"


@pytest.mark.parametrize("secret", ["s3cr3t", 'with "quotes"', "back\\slash", "ümlaut-ñ", "a b&c=d", "new\nline"])
def test_a_secret_is_masked_in_every_notation(secret):
    from urllib.parse import quote

    forms = [secret, json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret), quote(secret, safe="")]
    masked = masked_text(" | ".join(forms), [secret])
    for form in forms:
        assert form.strip("\"'") not in masked


def test_what_opens_a_url_is_masked_without_being_known():
    text = "GET https://user:pass@files.example.com/a/b.bin?sig=abc&x=1#f and rfc2217://rack:4001/?logging=debug"
    masked = masked_text(text, [])
    assert "pass" not in masked
    assert "sig=abc" not in masked
    assert "files.example.com/a/b.bin?" in masked
    assert "rack:4001" in masked


def test_a_short_secret_does_not_wreck_the_text():
    assert masked_text("a plain text", ["a"]) == "a plain text"


class Login(BaseModel):
    user: str
    password: str
    pins: dict[str, int]
    key_file: Path


def test_settings_are_shown_without_what_is_secret_by_type_or_name(tmp_path):
    file = tmp_path / "key"
    file.write_text("from-a-file\n")
    login = Login(user="operator", password="pass-word", pins={"pin": 123456}, key_file=file)
    shown = json.dumps(masked_settings([login, {"bind_key": SecretStr("typed")}, None, True, 1.5]))
    assert "operator" in shown
    for secret in ("pass-word", "123456", "typed"):
        assert secret not in shown
    configuration = Configuration(None, Settings(adapter=({"type": "x", "login": login.model_dump(mode="json")},)), ())
    assert secrets_of_configuration(configuration) >= {"pass-word", "123456", "from-a-file"}


async def test_the_log_is_kept_bounded_and_only_while_it_is_recorded():
    log = logging.getLogger("gateway.test")
    async with recording_log() as recent:
        log.warning("%s", "x" * (2 * LONGEST_LINE))
        log.warning("second")
    log.warning("third")
    assert len(recent.lines) == 2
    assert len(recent.records[0].text) == LONGEST_LINE + len("...")
    assert recent.lines[1].endswith("WARNING gateway.test: second")


def test_a_line_that_cannot_be_written_ends_nobody(monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    recent = RecentLog(most_lines=2)
    recent.emit(logging.LogRecord("gateway", logging.INFO, "", 0, "%d", ("no number",), None))
    assert recent.lines == []
