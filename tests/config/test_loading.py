import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, model_validator

from gateway.adapter import AdapterSettings, Seconds
from gateway.config.loading import load
from gateway.config.settings import Policy
from gateway.errors import SettingsError
from gateway.testing.devices import SyntheticAdapter

ADAPTERS = {"synthetic": SyntheticAdapter}
KEY = 'hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"'
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
    secret.write_text("hk-from-file-0123456789\n")
    file = config(GOOD.replace('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', f'hardware_key_file = "{secret}"'))
    assert load(file, ADAPTERS).settings.cloud.hardware_key.get_secret_value() == "hk-from-file-0123456789"


@pytest.mark.parametrize(
    "content",
    [
        "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
        "0f0e0d0c-1111-4222-8333-444455556666\nmore",
        "two words of it",
        "k" * 5000,
    ],
    ids=["a file of accounts", "two lines", "words", "too long"],
)
def test_a_file_of_the_machine_that_holds_no_key_is_never_taken_for_one(config, tmp_path, content):
    secret = tmp_path / "key"
    secret.write_text(content)
    with pytest.raises(SettingsError) as raised:
        load(config(GOOD.replace(KEY, f'hardware_key_file = "{secret}"')), ADAPTERS)
    (problem,) = raised.value.problems
    assert (problem.where, problem.wrong) == ("cloud.hardware_key_file", "what is in this file does not look like a hardware key")
    assert content not in str(raised.value)


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
        ("telemetry_every = 10", "allow_plain_http = 10", 7, "cloud.allow_plain_http", "has to be true or false"),
        ("telemetry_every = 10", 'entry_url = "http://h"', 7, "cloud.entry_url", "clear text.*allow_plain_http = true"),
        ("telemetry_every = 10", 'entry_url = "h"', 7, "cloud.entry_url", "not the address of a server; write it as"),
        ("telemetry_every = 10", 'ca_file = "/no/such.pem"', 7, "cloud.ca_file", "cannot be read: No such file"),
        (KEY, 'hardware_key_file = "/no/such"', 6, "cloud.hardware_key_file", "cannot be read"),
        (KEY, KEY + '\nhardware_key_file = "/no/such"', 7, "cloud.hardware_key_file", "Keep one of the two"),
        (KEY, 'hardware_key = " "', 6, "cloud.hardware_key", "is empty"),
        (KEY, 'hardware_key_file = "/dev/null"', 6, "cloud.hardware_key_file", "is empty"),
        ("telemetry_every = 10", 'telemetry_every = "30s"', 7, "cloud.telemetry_every", r"number of seconds \(it says '30s'\)"),
        ("telemetry_every = 10", 'hub_hosts = "a"', 7, "cloud.hub_hosts", r"has to be a list, in \[ \]"),
        ("telemetry_every = 10", 'entry_url = "https://h:abc"', 7, "cloud.entry_url", "not the address of a server"),
        ("telemetry_every = 10", 'entry_url = "https://h?x=1"', 7, "cloud.entry_url", "not the address of a server"),
        ("telemetry_every = 10", 'ca_file = "/dev/null"', 7, "cloud.ca_file", "holds no certificate"),
        ('policy = "ask"', 'policy = "ask"\n[store]\npath = "/tmp"', 12, "store.path", "is a folder"),
        ('policy = "ask"', 'policy = "ask"\n[store]\npath = "/dev/null/x"', 12, "store.path", "/dev/null is a file, no folder"),
        ('policy = "ask"', 'policy = "ask"\nmodels = []', 11, "admission.models", r"\[models\] is a table of its own"),
        ('name = "Boiler room"', "telemetry_every = 10", 2, "gateway.telemetry_every", r"It belongs in \[cloud\]"),
        ("[gateway]", "[[gateway]]", 1, "gateway", r"has to be a table.*\[gateway\]"),
        ('name = "Boiler room"', "name = Boiler room", 2, "file", "Put texts in quotes"),
        ('name = "Boiler room"', 'name = "Boiler room', 2, "file", "end with the quote"),
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
    assert [(line, where) for line, where, _ in found] == [(22, "adapter[1].name")]


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


def test_a_variable_with_a_wrong_value_is_named_itself_and_not_a_line_of_the_file(config, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__TELEMETRY_EVERY", "soon")
    assert [one[:2] for one in problems(config(GOOD))] == [(None, "XYTE_GATEWAY__CLOUD__TELEMETRY_EVERY")]
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__TELEMETRY_EVERY", "30")
    monkeypatch.setenv("XYTE_GATEWAY__STORE", "no json")
    assert [one[1:] for one in problems(config(GOOD))] == [
        ("XYTE_GATEWAY__STORE", "is not JSON. Write it as JSON, or set one key of it: XYTE_GATEWAY__STORE__<KEY>")
    ]


def test_a_variable_with_too_few_underscores_is_told_and_what_kubernetes_sets_is_not(config, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY_CLOUD__TELEMETRY_EVERY", "30")
    monkeypatch.setenv("XYTE_GATEWAY_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("XYTE_GATEWAY_CONFIG", "gateway.toml")
    assert [one[1] for one in problems(config(GOOD))] == ["XYTE_GATEWAY_CLOUD__TELEMETRY_EVERY"]


def test_adapter_entries_can_come_from_the_environment(config, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__ADAPTER", '[{"type": "synthetic", "name": "attic"}]')
    assert [entry.name for entry in load(config(GOOD), ADAPTERS).entries] == ["attic"]


def test_a_hardware_key_in_the_environment_outranks_a_key_file(config, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__HARDWARE_KEY", "hk")
    settings = load(config(GOOD.replace(KEY, 'hardware_key_file = "/no/such"')), ADAPTERS).settings
    assert settings.cloud.hardware_key.get_secret_value() == "hk"


def test_a_settings_class_that_breaks_is_a_problem_of_its_entry(config):
    class BrokenSettings(AdapterSettings):
        @model_validator(mode="before")
        @classmethod
        def _break(cls, written):
            return written["absent"]

    class Broken(SyntheticAdapter):
        settings_model = BrokenSettings

    with pytest.raises(SettingsError, match="cannot read this entry: KeyError: 'absent'"):
        load(config(GOOD), {"synthetic": Broken})


@pytest.mark.parametrize(
    ("key", "limit"),
    [
        ("pause = 100", "at most 30 s"),
        ("pause = 0", "at least 0.01 s"),
        ("wait = 5000", "at most 3600 s"),
        ("is_on = 3", "true or"),
    ],
)
def test_the_limits_of_times_that_may_be_left_out_are_told_in_seconds(config, key, limit):
    class TimedSettings(AdapterSettings):
        pause: Seconds | None = Field(default=None, ge=timedelta(milliseconds=10), le=timedelta(seconds=30))
        wait: Seconds | None = Field(default=None, le=timedelta(hours=1))
        is_on: bool = False

    class Timed(SyntheticAdapter):
        settings_model = TimedSettings

    with pytest.raises(SettingsError) as caught:
        load(config(f"{GOOD}\n{key}"), {"synthetic": Timed})
    assert limit in caught.value.problems[0].wrong
    assert "timedelta" not in caught.value.problems[0].wrong


@pytest.mark.parametrize(("said", "shown"), [("RTU needs 8 data bits", "RTU needs"), ("Two buses", "two buses")])
def test_a_mistake_begins_with_a_small_letter_unless_it_begins_with_an_abbreviation(config, said, shown):
    class PickySettings(AdapterSettings):
        @model_validator(mode="after")
        def _refuse(self):
            raise ValueError(said)

    class Picky(SyntheticAdapter):
        settings_model = PickySettings

    with pytest.raises(SettingsError) as caught:
        load(config(GOOD), {"synthetic": Picky})
    assert caught.value.problems[0].wrong.startswith(shown)


def test_several_lines_of_a_validator_are_several_problems(config):
    class PickySettings(AdapterSettings):
        @model_validator(mode="after")
        def _refuse(self):
            raise ValueError("a.toml: one\nb.toml: two")

    class Picky(SyntheticAdapter):
        settings_model = PickySettings

    with pytest.raises(SettingsError) as caught:
        load(config(GOOD), {"synthetic": Picky})
    assert [one.wrong for one in caught.value.problems] == ["a.toml: one", "b.toml: two"]


def test_a_mark_at_the_beginning_of_the_file_does_no_harm(config, tmp_path):
    (tmp_path / "marked.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(tmp_path / "marked.toml", ADAPTERS).settings.gateway.name == "Boiler room"


def test_a_file_that_cannot_be_read_says_so(tmp_path):
    assert "deploy/gateway.example.toml" in problems(tmp_path / "none.toml")[0][2]
    (tmp_path / "latin.toml").write_bytes(b"a = 1\nb = '\xfc'\n")
    assert problems(tmp_path / "latin.toml")[0][:2] == (2, "file")


def test_without_the_cloud_no_key_is_needed(config):
    text = GOOD.replace('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', "")
    assert load(config(text), ADAPTERS, for_cloud=False).entries


def test_a_store_that_may_not_be_looked_at_is_left_for_the_store_to_tell(config, monkeypatch):
    def closed(path, **how):
        if "closed" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, **how)

    real = Path.stat
    monkeypatch.setattr(Path, "stat", closed)
    configuration = load(config('[store]\npath = "/closed/gateway.sqlite3"\n' + GOOD), ADAPTERS)
    assert str(configuration.settings.store.path) == "/closed/gateway.sqlite3"


def test_a_secret_of_an_adapter_is_not_quoted_whatever_it_is_called(config):
    class Locked(AdapterSettings):
        pin: SecretStr | None = None

    class LockedAdapter(SyntheticAdapter):
        settings_model = Locked

    file = config(f'[cloud]\n{KEY}\n[[adapter]]\ntype = "locked"\npin = 4711\n')
    with pytest.raises(SettingsError) as caught:
        load(file, {"locked": LockedAdapter})
    (problem,) = caught.value.problems
    assert (problem.where, problem.wrong) == ("adapter[0].pin", "has to be a text, in quotes")


@pytest.mark.parametrize(
    ("before", "after", "line", "where"),
    [
        (KEY, 'hardware_key = "<the model\'s secret from the Partner Portal>"', 6, "cloud.hardware_key"),
        ('"c2d1e0ff-0a0b-4c0d-8e0f-112233445566"', '"<model id>"', 13, "models.power-meter"),
    ],
)
def test_what_a_proposal_asks_for_is_not_taken_for_an_answer(config, before, after, line, where):
    (found,) = problems(config(GOOD.replace(before, after)))
    assert found[:2] == (line, where)
    assert "still contains the placeholder" in found[2]


def test_a_key_that_the_library_would_take_for_an_option_of_its_own_is_a_mistake(config):
    text = f"_cli_parse_args = true\n{GOOD}"
    (found,) = problems(config(text))
    assert found[:2] == (1, "_cli_parse_args")


def test_a_mistake_outside_of_the_file_comes_before_those_in_it(config, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__CLUOD__HUB", "x")
    text = GOOD.replace("telemetry_every = 10", "telemetry_every = 1").replace("mac =", "mca =")
    assert [line for line, _, _ in problems(config(text))] == [None, 3, 7]


def test_without_the_cloud_its_address_and_its_models_are_not_checked(config):
    text = GOOD.replace("telemetry_every = 10", 'entry_url = "http://h"').replace("c2d1e0ff-0a0b-4c0d-8e0f-112233445566", "<id>")
    assert load(config(text), ADAPTERS, for_cloud=False).entries
    assert [where for _, where, _ in problems(config(text))] == ["cloud.entry_url", "models.power-meter"]


def test_the_defaults_are_those_of_the_documentation():
    settings = load(None, {}, for_cloud=False).settings
    assert (settings.cloud.telemetry_every, settings.cloud.timeout_seconds) == (timedelta(seconds=30), 10)
    assert (settings.store.path, settings.store.most_samples) == (Path("/var/lib/xyte-gateway/gateway.sqlite3"), 10_000_000)
    assert (settings.status.host, settings.status.port, settings.status.enabled) == ("127.0.0.1", 8080, True)
    assert (settings.status.hub_gone_limit, settings.admission.policy) == (timedelta(minutes=15), Policy.MATCHED)
    assert (settings.log.format, settings.log.level) == ("text", "info")


@pytest.mark.parametrize(
    ("section", "key", "allowed", "refused"),
    [
        ("cloud", "telemetry_every", [5, 120], [4.9, 121]),
        ("cloud", "timeout_seconds", [0.1, 120], [0, 121]),
        ("store", "most_samples", [1000], [999]),
        ("status", "port", [0, 65535], [-1, 65536]),
        ("status", "hub_gone_limit", [1], [0.9]),
    ],
)
def test_a_number_has_to_be_within_its_limits(config, section, key, allowed, refused):
    for number in allowed:
        settings = load(config(f"[{section}]\n{key} = {number}\n"), {}, for_cloud=False).settings
        assert getattr(settings, section).model_fields_set == {key}
    for number in refused:
        ((line, where, _),) = problems(config(f"[{section}]\n{key} = {number}\n"), for_cloud=False)
        assert (line, where) == (2, f"{section}.{key}")


@pytest.mark.parametrize("key", ["entry_url", "telemetry_every", "hardware_key_file", "hub"])
def test_a_key_in_the_wrong_place_is_not_quoted(tmp_path, key):
    (tmp_path / "gateway.toml").write_text(f'[cloud]\n{key} = "0f0e0d0c-1111-4222-8333-444455556666"\n')
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / "gateway.toml", {})
    text = "".join(f"{problem}" for problem in caught.value.problems)
    assert key in text
    assert "0f0e0d0c" not in text
