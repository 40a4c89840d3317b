import json

import pytest

from adapters.modbus import ModbusAdapter
from gateway.config.loading import load
from gateway.doctor.known_config import known_config_of, read_known_config

ADAPTERS = {"modbus": ModbusAdapter}
GOOD = """\
[cloud]
hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"
entry_url = "https://entry.acme.example"
[store]
path = "/tmp/acme.sqlite3"
[[adapter]]
type = "modbus"
name = "plant"
hosts = ["192.0.2.1"]
"""


@pytest.fixture
def taken(tmp_path):
    def take(text):
        file = tmp_path / "gateway.toml"
        file.write_text(text)
        return read_known_config(file, ADAPTERS)

    return take


def test_of_a_right_config_everything_is_known(taken):
    known = taken(GOOD)
    assert known.problems == ()
    assert [entry.name for entry in known.entries] == ["plant"]
    assert known.knows("cloud.entry_url")


@pytest.mark.parametrize(("right", "wrong", "unknown"), [
    ('entry_url = "https://entry.acme.example"', 'entry_url = "gopher"', "cloud.entry_url"),
    ('path = "/tmp/acme.sqlite3"', "path = 7", "store.path"),
    ('[store]\npath = "/tmp/acme.sqlite3"', 'store = 7', "store.path"),
    ('hardware_key = "', 'hardware_kye = "', None),
    ('name = "plant"', 'nam = "plant"', None),
    ("[store]", "[stoer]", None),
])  # fmt: skip
def test_a_mistake_hides_nothing_but_itself(taken, right, wrong, unknown):
    text = GOOD.replace(right, wrong) if not wrong.startswith("store =") else "store = 7\n" + GOOD.replace(right, "")
    known = taken(text)
    assert known.problems
    assert known.settings is not None
    keys = ("cloud.entry_url", "store.path")
    assert [key for key in keys if not known.knows(key)] == ([unknown] if unknown else [])
    if unknown != "cloud.entry_url":
        assert known.settings.cloud.entry_url == "https://entry.acme.example"
    assert len(known.entries) == (0 if "nam =" in wrong else 1)


def test_one_bad_entry_hides_no_other(taken):
    known = taken(GOOD + '[[adapter]]\ntype = "modbus"\nhsts = []\n[[adapter]]\ntype = "nothing"\n')
    assert [entry.name for entry in known.entries] == ["plant"]
    assert len(known.problems) >= 2


def test_what_is_no_toml_is_not_guessed_at(taken, tmp_path):
    known = taken("[cloud\n")
    assert known.settings is None
    assert not known.knows("cloud.entry_url")
    assert read_known_config(tmp_path / "missing.toml", ADAPTERS).settings is None


def test_the_environment_alone_is_a_config(monkeypatch):
    assert not read_known_config(None, ADAPTERS).is_given
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__HARDWARE_KEY", "0f0e0d0c-1111-4222-8333-444455556666")
    monkeypatch.setenv("XYTE_GATEWAY__ADAPTER", json.dumps([{"type": "modbus", "hosts": ["192.0.2.1"]}]))
    known = read_known_config(None, ADAPTERS)
    assert known.is_given
    assert known.problems == ()
    assert [entry.name for entry in known.entries] == ["modbus"]
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__TELEMETRY_EVERY", "never")
    assert read_known_config(None, ADAPTERS).problems


def test_a_gateway_that_runs_is_told_of_mistakes_made_in_its_file_since(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text(GOOD)
    configuration = load(file, ADAPTERS)
    assert known_config_of(configuration, ADAPTERS).problems == ()
    file.write_text(GOOD.replace("hosts", "hots"))
    assert known_config_of(configuration, ADAPTERS).problems
