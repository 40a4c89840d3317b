"""The settings of an entry: valid forms, and the errors for invalid ones."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from adapters.modbus.client.buses import SerialLine, TcpHost
from adapters.modbus.settings import ModbusSettings
from gateway.settings_secrets import secrets_in


def complaint(**given: object) -> str:
    with pytest.raises(ValidationError) as error:
        ModbusSettings.model_validate({"type": "modbus", **given})
    return str(error.value)


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("192.168.1.20", TcpHost(host="192.168.1.20")),
        ("192.168.1.21:1502", TcpHost(host="192.168.1.21", port=1502)),
        ("meter.local:503", TcpHost(host="meter.local", port=503)),
        ("[fe80::1]:1502", TcpHost(host="fe80::1", port=1502)),
        ({"host": "10.0.0.1", "framing": "rtu", "name": "roof"}, TcpHost(host="10.0.0.1", framing="rtu", name="roof")),
    ],
)
def test_a_host_can_be_written_short_or_long(settings, written, host):
    assert settings(hosts=[written]).hosts == (host,)


def test_a_bus_is_called_as_the_config_calls_it_or_by_where_it_is(settings):
    given = settings(hosts=["10.0.0.1", "[fe80::1]:1502", {"host": "a", "name": "roof"}], lines=[{"port": "/dev/ttyUSB0"}])
    assert given.labels == ("10.0.0.1:502", "[fe80::1]:1502", "roof", "/dev/ttyUSB0")


@pytest.mark.parametrize(
    ("written", "units"),
    [("1-3, 20", (1, 2, 3, 20)), ([20, "1-3"], (1, 2, 3, 20)), (7, (7,)), ("255", (255,)), ("5,5,4-6", (4, 5, 6))],
)
def test_unit_ids_can_be_ranges_and_lists(settings, written, units):
    assert settings(units=written).units == units


def test_all_unit_ids_are_asked_unless_said_otherwise(settings):
    assert settings().units == tuple(range(1, 248))


def test_0_and_255_are_a_tcp_host_and_no_units_of_a_line(settings):
    given = settings(units="0-1, 255", hosts=["a", {"host": "b", "framing": "rtu"}], lines=[{"port": "/dev/ttyUSB0"}])
    assert given.units_of(given.hosts[0]) == (0, 1, 255)
    assert given.units_of(given.hosts[1]) == (1,), "behind it is a serial line"
    assert given.units_of(given.lines[0]) == (1,)
    assert settings(hosts=["a"], devices=[{"unit": 0, "profile": "omron-e5cc"}]).devices_on("a:502").keys() == {0}


def test_a_host_may_have_times_of_its_own(settings):
    given = settings(
        hosts=["a", {"host": "b", "timeout": 3, "connect_delay": 1.5, "request_pause": 0.03}],
        lines=[{"port": "p", "connect_delay": 2}],
        timeout=0.7,
        scan_timeout=0.2,
        devices=[{"bus": "b:502", "unit": 4, "profile": "omron-e5cc", "request_pause": 0.4}],
    )
    usual, own = given.hosts
    assert (given.timeout_seconds(usual), given.scan_timeout_seconds(usual)) == (0.7, 0.2)
    assert (given.timeout_seconds(own), given.scan_timeout_seconds(own)) == (3, 3)
    assert own.connect_delay == timedelta(seconds=1.5)
    assert given.pauses_on("b:502") == {4: 0.4}
    assert given.lines[0].connect_delay == timedelta(seconds=2)


def test_a_configured_unit_is_not_scanned(settings):
    given = settings(units="1-3", devices=[{"unit": 2, "profile": "omron-e5cc"}])
    assert given.units_of(given.hosts[0]) == (1, 3)
    assert set(given.devices_on("bus")) == {2}


def test_times_are_in_seconds(settings):
    assert settings(timeout=0.25, scan_timeout=1).timeout == timedelta(milliseconds=250)


def test_a_character_has_the_bits_that_parity_and_stop_bits_make():
    assert SerialLine(port="p").bits_per_character == 11
    assert SerialLine(port="p", parity="N").bits_per_character == 10
    assert SerialLine(port="p", parity="N", stopbits=2).bits_per_character == 11


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, 'there is no bus. Name one: `hosts = ["192.168.1.20"]`'),
        ({"hosts": ["http://a"]}, "'http://a' is a URL: write the host alone"),
        ({"hosts": ["a" * 64]}, "is not the name of a host: its parts have 1 to 63 characters"),
        ({"hosts": [{"host": "plc..local"}]}, "'plc..local' is not the name of a host"),
        ({"hosts": [{"host": "plc\0"}]}, "it contains control characters"),
        ({"hosts": [{"host": "a", "tls": {"server_name": ".local"}}]}, "'.local' is not the name of a host"),
        ({"hosts": ["a:99999"]}, "less than or equal to 65535"),
        ({"hosts": ["a", "a"]}, "host a port 502 is there already. Name each host once"),
        ({"lines": [{"port": "p"}], "units": "0-5"}, "0 addresses all units of a serial line at once (broadcast)"),
        (
            {"hosts": [{"host": "a", "framing": "rtu"}], "units": "1, 255"},
            "255 addresses a TCP host itself, and is reserved on a",
        ),
        ({"hosts": ["a"], "units": "250"}, "they go from 1 to 247; over Modbus TCP also 0, 255"),
        (
            {"lines": [{"port": "p"}], "devices": [{"unit": 0, "profile": "omron-e5cc"}]},
            "device at unit 0 of p: 0 addresses all units",
        ),
        ({"hosts": ["a"], "devices": [{"unit": 250, "profile": "omron-e5cc"}]}, "248 to 254 are reserved; possible are 1 to 247"),
        ({"hosts": ["a"], "units": "240-255"}, "they go from 1 to 247"),
        ({"hosts": ["a"], "units": "5-1"}, 'go backwards: write "1-5"'),
        ({"hosts": ["a"], "units": "all"}, "'all' is not a unit id: write \"1-16, 20\""),
        ({"hosts": ["a"], "units": []}, "at least 1 item"),
        ({"hosts": ["a"], "retry": 3}, "Extra inputs are not permitted"),
        ({"hosts": [{"host": "a", "framer": "rtu"}]}, "Extra inputs are not permitted"),
        ({"lines": [{"port": "p", "parity": "even"}]}, "'N', 'E' or 'O'"),
        ({"hosts": ["a"], "timeout": 0}, "10000 microseconds"),
        ({"hosts": ["a"], "devices": [{"unit": 5, "profile": "omron-e5c"}]}, "no profile 'omron-e5c'; did you mean omron-e5cc"),
        (
            {"hosts": ["a"], "devices": [{"unit": 5, "profile": "xyz"}]},
            "none of the",
        ),
        ({"hosts": ["a"], "devices": [{"unit": 5, "profile": "omron-e5cc", "bus": "roof"}]}, "no bus 'roof'; did you mean a:502"),
        (
            {"hosts": ["a", "b"], "devices": [{"unit": 5, "profile": "omron-e5cc"}]},
            "several buses, so set `bus`. The buses of this entry are a:502, b:502",
        ),
        ({"hosts": ["a"], "devices": [{"unit": 5, "profile": "omron-e5cc"}] * 2}, "two devices are configured at a:502 unit 5"),
        ({"hosts": ["a"], "profiles": ["/no/such/folder"]}, "/no/such/folder: there is no such folder"),
    ],
)
def test_what_is_wrong_says_what_would_be_right(given, says):
    assert says in complaint(**given)


def test_the_password_and_the_key_of_tls_are_masked_wherever_they_are_written(settings, tmp_path):
    (tmp_path / "password").write_text("open sesame\n")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----\n")
    tls = {"certificate_file": "c.pem", "key_file": f"{tmp_path}/key.pem", "key_password_file": f"{tmp_path}/password"}
    given = settings(hosts=[{"host": "a", "tls": tls}])
    assert set(secrets_in(given)) == {"open sesame", "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n-----END PRIVATE KEY-----"}
    assert "open sesame" not in repr(given)


def test_every_key_says_what_it_is_for():
    for model in (ModbusSettings, TcpHost, SerialLine):
        assert all(field.description for field in model.model_fields.values())
