"""Inputs that crashed a parser once, found by `make fuzz`: each is taken, or refused with the documented error, from now on."""

import pytest
from fuzzed_parser import run
from parser_table import PARSERS

from gateway.adapter import divisor

NINES = "9" * 5000
CRASHES = {
    "a SunSpec layout with a register of 5,000 digits": ("modbus: remembered SunSpec layout", f"1:{NINES}:66"),
    "a fix with an altitude of 400 digits": (
        "serial: NMEA sentences",
        f"GPGGA,1,4807.038,N,1131.0,E,{'1' * 400}.0,8,0.9,5,M,4,M,,".encode(),
    ),
    "a fix with a latitude of 400 digits": (
        "serial: NMEA sentences",
        f"GPGGA,1,{'1' * 400}.0,N,1131.0,E,1,8,0.9,5,M,4,M,,".encode(),
    ),
    "a telegram with a counter of 5,000 digits": (
        "serial: OBIS telegrams",
        f"/KFM5\r\n\r\n1-0:1.8.1({NINES}.1*kWh)\r\n".encode(),
    ),
    "a value beyond every number": ("serial: names and values", b"a=1e555"),
    "JSON with an infinite number": ("serial: JSON lines", b'{"a": 1e999}'),
    "JSON with not-a-number": ("serial: JSON lines", b'{"a": NaN}'),
    "JSON with an integer of 400 digits": ("serial: JSON lines", b'{"a": ' + b"9" * 400 + b"}"),
    "a configuration with an integer of 5,000 digits": ("configuration: gateway.toml", f"a = {NINES}".encode()),
    "a configuration nested 1,000 levels deep": ("configuration: gateway.toml", b"a = " + b"[" * 1000 + b"]" * 1000),
    "a configuration whose key has 1,000 dots": ("configuration: gateway.toml", b"a" + b".a" * 1000 + b" = 1"),
    "a mistake in a file with an integer of 5,000 digits": (
        "configuration: line of a mistake",
        (f"a = {NINES}", ("adapter", 1, "name")),
    ),
    "a Modbus profile nested 1,000 levels deep": ("profiles: modbus", "a = " + "[" * 1000 + "]" * 1000),
    "a serial profile with an integer of 5,000 digits": ("profiles: serial", f"a = {NINES}"),
    "a Bluetooth profile whose metric is a list": ("profiles: bluetooth", "[[points]]\nmetric = []"),
    "an advertiser nested 1,000 levels deep": ("profiles: advertisers", "a = " + "[" * 1000 + "]" * 1000),
    "an advertiser with an integer of 5,000 digits": ("profiles: advertisers", f"a = {NINES}"),
    "an advertiser whose protocol is a number": ("profiles: advertisers", "protocol = 0"),
    "a redirect to half an IPv6 address": ("hub: telemetry flags", (302, {"Location": "http://[x/"}, b"{}", False)),
    "a redirect to a host that is none in Unicode": (
        "hub: telemetry flags",
        (302, {"Location": "https://\u2100.example"}, b"{}", False),
    ),
    "a wait until a date whose zone overflows": (
        "hub: command",
        (429, {"Retry-After": "Sun, 06 Nov 1994 08:49:37 +9999999"}, b"{}", False),
    ),
    "a refusal nested 1,000 levels deep": ("hub: command", (422, {}, b"[" * 1000 + b"]" * 1000, False)),
}
BY_NAME = {parser.name: parser for parser in PARSERS}


@pytest.mark.parametrize("case", CRASHES)
def test_what_crashed_a_parser_once_is_taken_or_refused(case):
    name, sent = CRASHES[case]
    run(BY_NAME[name], sent)


def test_a_scale_whose_reciprocal_is_infinite_is_no_decimal_fraction():
    assert divisor(5e-324) == 0


def test_no_parser_is_in_the_table_twice():
    assert len(BY_NAME) == len(PARSERS)
