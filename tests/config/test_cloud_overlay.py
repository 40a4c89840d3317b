"""The configuration of the cloud is laid over that of the file: what it may set, which side wins, and where values come from."""

import json
from datetime import timedelta

import pytest
from pydantic import BaseModel

from gateway.adapter import AdapterSettings
from gateway.config.cloud_overlay import Origin, overlay, with_values_on_site
from gateway.config.cloud_schema import gateway_schema
from gateway.config.loading import load
from gateway.config.settings import CloudSection, Configuration, Settings
from gateway.errors import ConfigurationRejected
from gateway.field.plugins import installed, usable

ADAPTERS = usable(installed())

FILE = """
[cloud]
telemetry_every = 60
{cloud}
[log]
level = "warning"

[models]
meter = "m-1"

[[adapter]]
type = "modbus"
name = "plant"
hosts = ["192.0.2.1", {{ host = "192.0.2.2", name = "roof" }}]
units = "1-3"

[[adapter]]
type = "serial"
name = "rack"
ports = ["/dev/serial/by-id/usb-a"]
devices = [{{ profile = "samsung-mdc", password = "hunter2" }}]

[[adapter]]
type = "ble"
"""


@pytest.fixture
def base(tmp_path):
    def read(cloud=""):
        file = tmp_path / "gateway.toml"
        file.write_text(FILE.format(cloud=cloud))
        return load(file, ADAPTERS, for_cloud=False)

    return read


def problems(base, content):
    with pytest.raises(ConfigurationRejected) as caught:
        overlay(base, content, ADAPTERS)
    return {problem.where: problem for problem in caught.value.problems}


def test_the_cloud_sets_what_the_file_leaves_out_and_the_file_wins(base):
    content = {
        "cloud": {"telemetry_every": 5, "commands_every": 20},
        "log": {"level": "debug"},
        "admission": {"policy": "ask"},
        "models": {"meter": "m-2", "inverter": "m-3"},
        "adapter": {"plant": {"units": "7", "discover_every": 60}, "ble": {"scanning": "passive"}},
    }
    effective = overlay(base(), content, ADAPTERS)
    settings, entries = effective.configuration.settings, effective.configuration.entries
    assert settings.cloud.telemetry_every == timedelta(seconds=60)
    assert settings.cloud.commands_every == timedelta(seconds=20)
    assert settings.log.level == "warning"
    assert settings.admission.policy == "ask"
    assert settings.models == {"meter": "m-1", "inverter": "m-3"}
    assert entries[0].units == (1, 2, 3)
    assert entries[0].discover_every == timedelta(seconds=60)
    assert entries[2].scanning == "passive"
    assert effective.values["admission", "policy"].value == "ask"
    origins = {".".join(place): value.origin for place, value in effective.values.items()}
    assert origins["cloud.telemetry_every"] is Origin.FILE
    assert origins["cloud.commands_every"] is Origin.CLOUD
    assert origins["cloud.command_expires_after"] is Origin.DEFAULT
    assert origins["models.meter"] is Origin.FILE
    assert origins["models.inverter"] is Origin.CLOUD
    assert origins["adapter.plant.units"] is Origin.FILE
    assert origins["adapter.plant.discover_every"] is Origin.CLOUD
    assert origins["adapter.ble.connections"] is Origin.DEFAULT


def test_the_cloud_wins_where_the_file_says_so(base):
    content = {"cloud": {"telemetry_every": 5}, "models": {"meter": "m-2"}, "adapter": {"plant": {"units": "7"}}}
    effective = overlay(base('configuration = "cloud"'), content, ADAPTERS)
    assert effective.configuration.settings.cloud.telemetry_every == timedelta(seconds=5)
    assert effective.configuration.settings.models == {"meter": "m-2"}
    assert effective.configuration.entries[0].units == (7,)
    assert effective.values["cloud", "telemetry_every"].origin is Origin.CLOUD


def test_a_variable_counts_as_the_file_does_and_is_named_as_the_origin(base, monkeypatch):
    monkeypatch.setenv("XYTE_GATEWAY__CLOUD__COMMANDS_EVERY", "33")
    effective = overlay(base(), {"cloud": {"commands_every": 5}}, ADAPTERS)
    value = effective.values["cloud", "commands_every"]
    assert (value.value, value.origin) == (33, Origin.ENVIRONMENT)


def test_entries_that_the_cloud_does_not_name_stay_the_same_objects(base):
    before = base('configuration = "cloud"')
    after = overlay(before, {"adapter": {"plant": {"retries": 3}}}, ADAPTERS).configuration
    assert after.entries[0] != before.entries[0]
    assert after.entries[1:] == before.entries[1:]


@pytest.mark.parametrize(
    ("content", "where", "wrong"),
    [
        ({"cloud": {"telemetry_every": 1}}, "cloud.telemetry_every", "has to be at least"),
        ({"cloud": {"telemetry_every": "soon"}}, "cloud.telemetry_every", "has to be a number of seconds"),
        ({"cloud": {"telemetry_every": None}}, "cloud.telemetry_every", "has to be a number of seconds"),
        ({"cloud": 5}, "cloud", "has to be a table"),
        ({"log": {"level": "loud"}}, "log.level", "has to be"),
        ({"models": {"meter": 5}}, "models.meter", "has to be a text"),
        ({"models": {"x": "<model id>"}}, "models.x", "placeholder"),
        ({"cloud": {"may": "firmware"}}, "cloud.may", "only a person on site decides"),
        ({"cloud": {"configuration": "cloud"}}, "cloud.configuration", "only a person on site decides"),
        ({"cloud": {"entry_url": "https://evil.example"}}, "cloud.entry_url", "which cloud the gateway trusts"),
        ({"cloud": {"hub_hosts": ["evil.example"]}}, "cloud.hub_hosts", "which cloud the gateway trusts"),
        ({"cloud": {"hardware_key": "0f0e"}}, "cloud.hardware_key", "it is a secret"),
        ({"status": {"host": "0.0.0.0"}}, "status", "who may look at the gateway's page"),
        ({"store": {"path": "/tmp/x"}}, "store", "it is a path"),
        ({"gateway": {"serial_number": "1"}}, "gateway", "the identity"),
        ({"child": {"x": {"may": "firmware"}}}, "child", "only a person on site decides"),
        ({"log": {"format": "json"}}, "log.format", "only the gateway's own configuration sets it"),
        ({"cloudd": {}}, "cloudd", "no such key"),
        ({"cloud": {"telemetry_evry": 5}}, "cloud.telemetry_evry", "no such key"),
        ({"adapter": {"plant2": {}}}, "adapter.plant2", "there is no entry of this name"),
        ({"adapter": {"plant": {"retrys": 1}}}, "adapter.plant.retrys", "no such key"),
        ({"adapter": {"plant": {"retries": 99}}}, "adapter.plant.retries", "has to be at most 5"),
        ({"adapter": {"plant": {"type": "ble"}}}, "adapter.plant.type", "the identity"),
        ({"adapter": {"plant": {"may": "firmware"}}}, "adapter.plant.may", "only a person on site decides"),
        ({"adapter": {"plant": {"profiles": ["/etc"]}}}, "adapter.plant.profiles", "it is a path"),
        ({"adapter": {"plant": {"lines": [{"port": "/dev/sda"}]}}}, "adapter.plant.lines", "it is a path"),
        ({"adapter": {"plant": []}}, "adapter.plant", "has to be a table"),
        ({"adapter": {"ble": {"devices": [{"called": "x", "bind_key": "00"}]}}}, "adapter.ble.devices.bind_key", "a secret"),
        ({"adapter": {"ble": {"devices": [{"called": "x", "irk_file": "/x"}]}}}, "adapter.ble.devices.irk_file", "a path"),
        ({"adapter": {"ble": {"backend": {"scanner": "os:system", "client": "os:system"}}}}, "adapter.ble.backend", "only the"),
        ({"adapter": {"rack": {"devices": []}}}, "adapter.rack.devices", "has a secret or a path in it (password)"),
    ],
    ids=str,
)
def test_what_the_cloud_cannot_set_is_refused_in_words(base, content, where, wrong):
    found = problems(base('configuration = "cloud"'), content)
    assert where in found, found
    assert wrong in found[where].wrong
    assert found[where].right
    assert "hunter2" not in str(found)


def test_every_problem_is_told_and_not_only_the_first(base):
    found = problems(base(), {"cloud": {"telemetry_every": 1, "may": "observe"}, "adapter": {"x": {}}})
    assert set(found) == {"cloud.telemetry_every", "cloud.may", "adapter.x"}


def test_a_bus_cannot_be_taken_from_an_entry_that_needs_one(base):
    found = problems(base('configuration = "cloud"'), {"adapter": {"plant": {"hosts": []}}})
    assert "there is no bus" in found["adapter.plant.hosts"].wrong


def test_two_entries_cannot_be_made_to_claim_one_port(base):
    content = {"adapter": {"plant": {"hosts": [], "lines": [{"port": "/dev/serial/by-id/usb-a"}]}}}
    assert "it is a path" in problems(base('configuration = "cloud"'), content)["adapter.plant.lines"].wrong


def test_a_port_that_the_file_has_may_be_repeated(base):
    content = {"adapter": {"rack": {"ports": [{"port": "/dev/serial/by-id/usb-a", "probe": False}]}}}
    effective = overlay(base('configuration = "cloud"'), content, ADAPTERS)
    assert not effective.configuration.entries[1].ports[0].probe


def test_no_value_that_is_shown_has_a_secret(base):
    effective = overlay(base(), {}, ADAPTERS)
    shown = json.dumps({".".join(place): value.value for place, value in effective.values.items()})
    assert "hunter2" not in shown
    assert "adapter.rack.devices" not in shown
    assert "adapter.rack.ports" in shown


class Login(BaseModel):
    user: str = ""
    password: str = ""


class CarelessSettings(AdapterSettings):
    """Settings of a third party that declare secrets as plain text."""

    api_token: str = ""
    login: Login = Login()
    interval: int = 1


def test_what_is_secret_by_its_name_alone_is_neither_set_nor_shown():
    adapters = {"careless": type("Careless", (), {"settings_model": CarelessSettings})}
    table = {"type": "careless", "name": "c", "api_token": "hunter2", "login": {"user": "u", "password": "hunter3"}}
    settings = Settings(adapter=(table,), cloud=CloudSection(configuration="cloud"))
    base = Configuration(None, settings, (CarelessSettings.model_validate(table),))
    effective = overlay(base, {"adapter": {"c": {"interval": 5}}}, adapters)
    assert effective.configuration.entries[0].api_token == "hunter2"
    shown = json.dumps({".".join(place): value.value for place, value in effective.values.items()})
    assert "hunter" not in shown
    with pytest.raises(ConfigurationRejected) as caught:
        overlay(base, {"adapter": {"c": {"api_token": "x", "login": {"password": "y"}}}}, adapters)
    assert {problem.where for problem in caught.value.problems} == {"adapter.c.api_token", "adapter.c.login"}
    schema = json.dumps(gateway_schema({"c": CarelessSettings}))
    assert '"title": "User"' in schema
    assert '"title": "Password"' not in schema
    assert "api_token" not in schema


def test_values_on_site_replace_those_of_the_cloud_for_the_same_keys_alone(base):
    content = {
        "cloud": {"telemetry_every": 5, "commands_every": 20},
        "models": {"meter": "m-2", "x": "m-3"},
        "adapter": {"plant": {"units": "7", "retries": 3}},
    }
    assert with_values_on_site(base(), content) == {
        "cloud": {"telemetry_every": 60, "commands_every": 20},
        "models": {"meter": "m-1", "x": "m-3"},
        "adapter": {"plant": {"units": "1-3", "retries": 3}},
    }
    assert with_values_on_site(base('configuration = "cloud"'), content) == content
