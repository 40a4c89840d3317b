"""What is proposed is a configuration: it can be read whatever devices are called, and lacks nothing but what nobody can know."""

import tomllib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.loading import load
from gateway.field.plugins import installed, usable
from gateway.first_start.config_proposal import propose_config
from gateway.first_start.first_look import ScannedBus
from gateway.models import Found, Identity, IdentityKind

METER = Found(
    identity=Identity(IdentityKind.SERIAL_NUMBER, "acme/1"),
    address="7",
    name="Acme EM340",
    profile="acme-em340",
    family="power-meter",
)
TABLES = {
    "modbus": {"hosts": ["192.168.1.20", "192.168.1.21:1502"], "units": "1-16, 255"},
    "serial": {"ports": [{"port": "/dev/serial/by-id/usb-FTDI-if00", "probe": False}]},
    "ble": {},
}


def test_a_proposal_names_what_was_found_and_the_models_that_it_wants():
    text = propose_config(TABLES, [ScannedBus("modbus", "192.168.1.20:502", devices={"7": METER})])
    assert "# 192.168.1.20:502: Acme EM340 at 7, power-meter, profile acme-em340" in text
    assert '# power-meter = "<model id>"' in text
    assert [entry["type"] for entry in tomllib.loads(text)["adapter"]] == ["modbus", "serial", "ble"]


def test_with_the_hardware_key_it_is_a_configuration(tmp_path):
    file = tmp_path / "gateway.toml"
    key = '[cloud]\nhardware_key = "0f0e0d0c"\n'
    file.write_text(propose_config(TABLES, []).replace("[cloud]\n", key))
    configuration = load(file, usable(installed()))
    modbus, serial, _ble = configuration.entries
    assert [host.label for host in modbus.hosts] == ["192.168.1.20:502", "192.168.1.21:1502"]
    assert not serial.ports[0].probe
    assert configuration.settings.models == {}


def test_an_adapter_that_could_look_at_nothing_is_left_out_and_says_why():
    text = propose_config(TABLES, [ScannedBus("serial", "serial", problem="there is no\nport")])
    assert [entry["type"] for entry in tomllib.loads(text)["adapter"]] == ["modbus", "ble"]
    assert "# serial: there is no port" in text
    assert '# type = "serial"' in text


def test_a_port_on_which_nobody_was_heard_is_left_to_whoever_else_uses_it():
    text = propose_config(
        {"serial": {"ports": ["/dev/ttyS0"]}}, [ScannedBus("serial", "/dev/ttyS0")], store="/home/me/gateway.sqlite3"
    )
    tables = tomllib.loads(text)
    assert "adapter" not in tables
    assert tables["store"] == {"path": "/home/me/gateway.sqlite3"}
    assert '# ports = ["/dev/ttyS0"]' in text


def test_one_bus_that_could_not_be_looked_at_costs_the_others_nothing():
    seen = [ScannedBus("modbus", "a", problem="refused"), ScannedBus("modbus", "b", devices={"7": METER})]
    assert "modbus" in [entry["type"] for entry in tomllib.loads(propose_config(TABLES, seen))["adapter"]]


@given(
    name=st.text(min_size=1),
    address=st.text(min_size=1),
    family=st.none() | st.text(min_size=1),
    port=st.text(min_size=1).filter(lambda text: text.encode("utf-8", "replace").decode() == text),
)
def test_whatever_devices_say_of_themselves_it_stays_a_configuration(name, address, family, port):
    found = Found(identity=METER.identity, address=address, name=name, profile="x", family=family)
    text = propose_config({"serial": {"ports": [{"port": port}, port]}}, [ScannedBus("serial", name, devices={address: found})])
    tables = tomllib.loads(text)
    assert set(tables) == {"gateway", "cloud", "models", "adapter"}
    assert tables["models"] == {}
    assert tables["adapter"] == [{"type": "serial", "ports": [{"port": port}, port]}]


def test_what_is_no_value_of_toml_is_written_as_text():
    text = propose_config({"serial": {"profiles": Path("/etc/profiles")}}, [])
    assert tomllib.loads(text)["adapter"] == [{"type": "serial", "profiles": "/etc/profiles"}]
