import re
from datetime import timedelta

import pytest

from gateway.errors import SettingsError
from gateway.settings import Policy, entry_from, line_of, load
from gateway.testing.devices import SyntheticAdapter

ADAPTERS = {"synthetic": SyntheticAdapter}
GOOD = """\
[gateway]
name = "Boiler room"
mac = "02-00-5E-10-00-01"

[cloud]
hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"
telemetry_every = 10

[admission]
policy = "ask"

[models]
power-meter = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"

[[adapter]]
type = "synthetic"
name = "hall"
discover_every = 60
"""


@pytest.fixture
def config(tmp_path):
    def written(text):
        file = tmp_path / "gateway.toml"
        file.write_text(text, encoding="utf-8")
        return file

    return written


def problems(file, **rest):
    with pytest.raises(SettingsError) as caught:
        load(file, ADAPTERS, **rest)
    return [(one.line, one.where, f"{one.wrong}. {one.right}") for one in caught.value.problems]


def test_a_good_file_becomes_frozen_settings(config):
    configuration = load(config(GOOD), ADAPTERS)
    settings = configuration.settings
    assert settings.gateway.mac == "02:00:5e:10:00:01"
    assert settings.cloud.telemetry_every == timedelta(seconds=10)
    assert settings.admission.policy is Policy.ASK
    (entry,) = configuration.entries
    assert (entry.type, entry.name, entry.discover_every) == ("synthetic", "hall", timedelta(minutes=1))
    with pytest.raises(ValueError, match="frozen"):
        settings.cloud.hub = "hub_url"


def test_no_file_at_all_takes_defaults_and_the_environment(monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__HARDWARE_KEY", "hk")
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__TELEMETRY_EVERY", "60")
    settings = load(None, ADAPTERS).settings
    assert settings.cloud.hardware_key.get_secret_value() == "hk"
    assert settings.cloud.telemetry_every == timedelta(minutes=1)
    assert settings.cloud.entry_url == "https://entry.xyte.io"


def test_the_environment_outranks_the_file(config, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__GATEWAY__NAME", "Attic")
    settings = load(config(GOOD), ADAPTERS).settings
    assert settings.gateway.name == "Attic"
    assert settings.gateway.mac == "02:00:5e:10:00:01", "the rest of the section stays"


def test_the_hardware_key_can_lie_in_a_mounted_file(config, tmp_path):
    secret = tmp_path / "key"
    secret.write_text("hk-from-file\n")
    file = config(GOOD.replace('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', f'hardware_key_file = "{secret}"'))
    assert load(file, ADAPTERS).settings.cloud.hardware_key.get_secret_value() == "hk-from-file"


@pytest.mark.parametrize(
    ("old", "new", "line", "where", "says"),
    [
        ('name = "Boiler room"', 'nmae = "x"', 2, "gateway.nmae", "no such key.*Did you mean 'name'"),
        ("[admission]", "[admision]", 9, "admision", "no such key.*'admission'"),
        ("telemetry_every = 10", "telemetry_every = 3", 7, "cloud.telemetry_every", "5.*telemetry interval in seconds, 5 to 120"),
        ('policy = "ask"', 'policy = "some"', 10, "admission.policy", "'all', 'matched' or 'ask'.*it says 'some'"),
        ('mac = "02-00-5E-10-00-01"', 'mac = "12"', 3, "gateway.mac", "not a MAC address; write it as"),
        ('type = "synthetic"', 'type = "sinthetic"', 16, "adapter[0].type", "Did you mean 'synthetic'"),
        ('type = "synthetic"', "", 15, "adapter[0].type", "is missing.*one of: synthetic"),
        ("discover_every = 60", "discover_evry = 60", 18, "adapter[0].discover_evry", "Did you mean 'discover_every'"),
        ("discover_every = 60", 'discover_every = "often"', 18, "adapter[0].discover_every", "how often to look"),
        ("telemetry_every = 10", "allow_plain_http = 10", 7, "cloud.allow_plain_http", "boolean"),
        ("telemetry_every = 10", 'entry_url = "http://h"', 7, "cloud.entry_url", "clear text.*allow_plain_http = true"),
        ("telemetry_every = 10", 'entry_url = "h"', 7, "cloud.entry_url", "not a web address"),
        ("telemetry_every = 10", 'ca_file = "/no/such.pem"', 7, "cloud.ca_file", "there is no file"),
        ("telemetry_every = 10", 'hardware_key_file = "/no/such"', 7, "cloud.hardware_key_file", "cannot be read"),
        ("telemetry_every = 10", 'authentication = "cloud_id"', 7, "cloud.partner_code", "is missing.*Partner Portal"),
        ("telemetry_every = 10", "telemetry_every = 10\ntelemetry_every = 11", 8, "file", "is not TOML"),
        ('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', "", 5, "cloud.hardware_key", "CLOUD__HARDWARE_KEY"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_what_would_be_right(config, old, new, line, where, says):
    assert old in GOOD
    found = problems(config(GOOD.replace(old, new)))
    assert [(one[0], one[1]) for one in found] == [(line, where)]
    assert re.search(says, found[0][2])


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(config):
    text = (
        GOOD.replace("telemetry_every = 10", "telemetry_every = 1").replace('name = "hall"', "nam = 1").replace("mac =", "mca =")
    )
    assert [where for _, where, _ in problems(config(text))] == ["gateway.mca", "cloud.telemetry_every", "adapter[0].nam"]


def test_two_entries_of_one_name_are_refused(config):
    found = problems(config(GOOD + '\n[[adapter]]\ntype = "synthetic"\nname = "hall"\n'))
    assert [(line, where) for line, where, _ in found] == [(20, "adapter[1].name")]


def test_a_broken_adapter_is_named_with_its_reason(config):
    with pytest.raises(SettingsError, match="cannot be used: no module"):
        load(config(GOOD.replace("synthetic", "odd")), {}, broken={"odd": "no module"})


def test_the_secret_of_a_wrong_key_is_not_shown(config):
    text = GOOD.replace('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', "hardware_key = 123456789")
    with pytest.raises(SettingsError) as caught:
        load(config(text), ADAPTERS)
    assert "123456789" not in str(caught.value)
    assert "0f0e0d0c" not in repr(load(config(GOOD), ADAPTERS))


def test_an_unknown_variable_is_no_silent_mistake(config, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__CLUOD__HARDWARE_KEY", "x")
    ((line, where, text),) = problems(config(GOOD))
    assert (line, where) == (None, "XYTE_GATEWAY__CLUOD__HARDWARE_KEY")
    assert "XYTE_GATEWAY__CLOUD" in text


def test_an_unknown_key_in_a_variable_is_a_mistake_too(config, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__HARDWAREKEY", "x")
    assert "hardware_key" in problems(config(GOOD))[0][2]


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    assert "deploy/gateway.example.toml" in problems(tmp_path / "none.toml")[0][2]
    (tmp_path / "latin.toml").write_bytes(b"a = 1\nb = '\xfc'\n")
    assert problems(tmp_path / "latin.toml")[0][:2] == (2, "file")


def test_without_the_cloud_no_key_is_needed(config):
    text = GOOD.replace('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', "")
    assert load(config(text), ADAPTERS, for_cloud=False).entries


def test_an_entry_can_be_described_without_a_file():
    assert entry_from({"type": "synthetic"}, ADAPTERS).name == "synthetic"
    with pytest.raises(SettingsError, match="discover_evry"):
        entry_from({"type": "synthetic", "discover_evry": 1}, ADAPTERS)


@pytest.mark.parametrize(
    ("text", "location", "line"),
    [
        ("a = 1\n[b]\nc = 2\n", ("b", "c"), 3),
        ("b = {c = 1}\n", ("b", "c"), 1),
        ('b.c = 1\n"b"."d" = 2\n', ("b", "d"), 2),
        ("x = [\n 1,\n 2,\n]\ny = 3\n", ("x", 1), 1),
        ("x = [\n 1,\n 2,\n]\ny = 3\n", ("y",), 5),
        ('s = """\n[b]\nc = 2\n"""\n[b]\nc = 3\n', ("b", "c"), 6),
        ("[[a]]\nn = 1\n[[a]]\nn = 2\n", ("a", 1, "n"), 4),
        ("[a]\nb = 1\n", ("a", "missing"), 1),
        ("a = 1\n", ("nowhere",), None),
    ],
)
def test_lines_are_found_however_toml_is_written(text, location, line):
    assert line_of(text, location) == line
