"""The commands take the words that people have, and print what fits where it goes."""

import asyncio
import logging
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.buses import address_first
from gateway.cli.common import CommandFailed, PlainConsole
from gateway.cli.completion import complete_entries, complete_keys, complete_profiles
from gateway.cli.device_keys import key_of
from gateway.models import ChildDevice, Reach
from gateway.plain_log import PlainFormatter
from gateway.state.history.history_file import HistoryFile
from gateway.state.history.observed_children import ObservedState, write_state
from gateway.state.history.saved_states import saved_states
from gateway.state.registry import Registry
from gateway.state.store import Store

COMMAND = Path(sys.executable).with_name("xyte-gateway")

CONFIG = """\
[store]
path = "{folder}/gateway.sqlite3"
[[adapter]]
type = "modbus"
name = "plant"
hosts = ["127.0.0.1:1"]
"""


def child(key, name, address):
    plain = {"profile": None, "model_id": "m", "family": None, "sub_model": None, "firmware_version": None}
    return ChildDevice(key=key, adapter="plant", bus="b", address=address, name=name, **plain)


CHILDREN = [child("mac:a1", "Oven 1", "5"), child("mac:a2", "Oven 2", "6"), child("sn:meter/77", "Main meter", "17")]


@pytest.fixture
def config(tmp_path):
    async def fill():
        async with Store(tmp_path / "gateway.sqlite3") as store:
            registry = Registry(store)
            await registry.load()
            for one in CHILDREN:
                await registry.admit(one)
        async with HistoryFile(tmp_path / "gateway.sqlite3", most_bytes=10**7) as file:
            state = ObservedState(reach=Reach.SILENT, since=datetime(2026, 11, 29, 8, 9, tzinfo=UTC), why="no answer")
            await file.transact(lambda db: write_state(db, "mac:a2", state))

    asyncio.run(fill())
    file = tmp_path / "gateway.toml"
    file.write_text(CONFIG.format(folder=tmp_path), encoding="utf-8")
    return file


def registry_of(config):
    async def load():
        async with Store(config.with_name("gateway.sqlite3")) as store:
            registry = Registry(store)
            await registry.load()
            return registry

    return asyncio.run(load())


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("mac:a2", "mac:a2"),
        ("oven 2", "mac:a2"),
        ("6", "mac:a2"),
        ("17", "sn:meter/77"),
        ("main", "sn:meter/77"),
        ("/77", "sn:meter/77"),
    ],
)
def test_a_device_is_meant_by_its_key_its_name_its_address_or_a_part_of_them(config, written, key):
    assert key_of(registry_of(config), written) == key


def test_what_can_be_any_of_several_devices_is_none_of_them(config):
    with pytest.raises(CommandFailed, match=r"Oven 1 \(mac:a1\), Oven 2 \(mac:a2\)"):
        key_of(registry_of(config), "oven")
    with pytest.raises(CommandFailed, match="no device has 'nobody' as its key, name or address"):
        key_of(registry_of(config), "nobody")


def test_a_child_that_was_silent_is_shown_as_silent(config, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert saved_states(config.with_name("gateway.sqlite3"))["mac:a2"].reach is Reach.SILENT
    shown = subprocess.run([COMMAND, "children", "-c", config], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Oven 2 .*silent since 2026-11-29", shown)
    assert "Oven 2: silent: no answer" in shown
    assert re.search(r"Oven 1 .* - *$", shown, re.MULTILINE)


def test_address_and_entry_may_be_typed_either_way_round(config):
    assert address_first("5", "plant", None, config) == ("5", "plant")
    assert address_first("plant", "5", None, config) == ("5", "plant")
    assert address_first("modbus", "5", ["hosts=['h']"], config) == ("5", "modbus")
    assert address_first("5", None, None, config) == ("5", None)


def test_entries_keys_and_profiles_are_completed_and_a_wrong_config_completes_nothing(config):
    def completed(complete, begun, file=config):
        return [word for word, _ in complete(_Context(file), begun)]

    assert completed(complete_entries, "pl") == ["plant"]
    assert completed(complete_keys, "mac:") == ["mac:a1", "mac:a2"]
    assert "omron-e5cc" in completed(complete_profiles, "omron")
    assert completed(complete_keys, "", config.with_name("none.toml")) == []


class _Context:
    def __init__(self, file):
        self.params = {"config": file}


def test_a_line_of_the_log_names_the_zone_of_its_time():
    record = logging.LogRecord("x", logging.INFO, "f", 1, "text", None, None)
    record.created = 1_800_000_000.25
    written = PlainFormatter("%(asctime)s").format(record)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.250[+-]\d\d:\d\d", written)
    assert datetime.fromisoformat(written) == datetime.fromtimestamp(1_800_000_000.25, UTC)


def test_nothing_is_wrapped_where_there_is_no_terminal(tmp_path, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    with (tmp_path / "out").open("w") as file:
        PlainConsole(file=file, highlight=False).print("word " * 100)
    assert len((tmp_path / "out").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"), [(["help"], "Commands:"), (["help", "read"], "Identify one device"), (["-V"], "xyte-gateway")]
)
def test_help_and_version_are_had_by_any_of_their_usual_words(arguments, said):
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert (done.returncode, said in done.stdout) == (0, True), done.stderr
    assert "<str>" not in done.stdout


def test_a_full_disk_is_a_sentence_and_no_traceback():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([COMMAND, "adapters"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: the output cannot be written: the disk is full\n")
