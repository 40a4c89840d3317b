"""Each mistake that a person makes in a configuration is told at its own line, in plain words, together with all others."""

import re

import pytest

from gateway.cli.common import installed, usable
from gateway.config.loading import load
from gateway.errors import SettingsError
from gateway.status.languages.catalogue import read_language

GOOD = """\
[gateway]
name = "Boiler room"
mac = "02:00:5e:10:00:01"

[cloud]
hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"
telemetry_every = 30

[store]
path = "{store}"

[models]
power-meter = "c2d1e0ff-0a0b-4c0d-8e0f-112233445566"

[status]
port = 8080

[[adapter]]
type = "modbus"
name = "plant"
hosts = [
  "192.168.1.20",
  {{ host = "192.168.1.30", port = 4001, framing = "rtu", name = "roof" }},
]
lines = [
  {{ port = "/dev/ttyUSB0", baudrate = 9600, name = "cellar" }},
]
devices = [
  {{ bus = "roof", unit = 5, profile = "omron-e5cc", name = "Oven 2" }},
]
units = "1-32"

[[adapter]]
type = "ble"
devices = [
  {{ address = "A4:C1:38:11:22:33", bind_key = "0123456789abcdef0123456789abcdef" }},
]

[[adapter]]
type = "serial"
ports = [
  {{ port = "/dev/ttyUSB1", profiles = ["nmea-0183"] }},
]
"""

WORDS_OF_LIBRARIES = re.compile(
    r"pydantic|validation|Input should|value is not a valid|Value error|type=|\bdict\b|\bNone\b|timedelta|microsecond"
    r"|Illegal|Expected|Errno|Unescaped|Traceback"
)

MISTAKES = [
    # what is written, what stands there instead, what is said of it
    ('name = "Boiler room"', 'name = ""', "1 to 100 characters, this one has 0"),
    ('name = "Boiler room"', f'name = "{"x" * 5000}"', "1 to 100 characters, this one has 5000"),
    ('name = "Boiler room"', r'name = "Boiler\u001b[31m room"', "something that cannot be seen"),
    ('name = "Boiler room"', "name = “Boiler room”", "typographic quote, “"),
    ('name = "Boiler room"', 'name = "Boiler\0room"', "control character 0"),
    ('name = "Boiler room"', 'name = "Boiler room', "a text is not closed"),
    ('name = "Boiler room"', 'name "Boiler room"', "no `=` after the name"),
    ('name = "Boiler room"', 'name: "Boiler room"', "written with a colon"),
    ('name = "Boiler room"', "name = Boiler room", "Boiler room is no value"),
    ('name = "Boiler room"', 'nmae = "Boiler room"', "Did you mean 'name'?"),
    ("[gateway]", "[gatway]", "Did you mean 'gateway'?"),
    ("02:00:5e:10:00:01", "02:00:5e:10:00", "not a MAC address"),
    ("telemetry_every = 30", "telemetry_every = 1", "at least 5 seconds"),
    ("telemetry_every = 30", 'telemetry_every = "often"', "has to be a number of seconds (it says 'often')"),
    ("telemetry_every = 30", "telemetry_every = nan", "has to be a number of seconds"),
    ("telemetry_every = 30", "port = 8080", "It belongs in [status]"),
    ("telemetry_every = 30", "timeout_seconds = inf", "at most 120"),
    ("telemetry_every = 30", "timeout_seconds = 30 s", "something after the value"),
    ("telemetry_every = 30", 'may = "all"', "'observe', 'configure', 'command' or 'firmware'"),
    ("telemetry_every = 30", 'ca_file = "/nope.pem"', "/nope.pem cannot be read"),
    ("telemetry_every = 30", 'partner_code = "a b"', "has characters that cannot be in it"),
    ("telemetry_every = 30", 'entry_url = "entry.xyte.io"', "write it as https://entry.xyte.io"),
    ("telemetry_every = 30", 'entry_url = "http://entry.xyte.io"', "sends keys in clear text"),
    ("telemetry_every = 30", 'hardware_key = "x"', "hardware_key is there twice: it has a value in line 6 already"),
    ("telemetry_every = 30", 'hardware_key_file = "/nope"', "there is a hardware_key as well"),
    ('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', 'hardware_key_file = "/nope"', "/nope cannot be read"),
    ('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', "hardware_key = 17", "has to be a text, in quotes"),
    ('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', 'hardware_key = ""', "is empty"),
    ('hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"', 'hardware_key = "<key>"', "still contains the placeholder"),
    ('path = "{store}"', 'path = "/proc/nope/gateway.sqlite3"', "/proc belongs to the kernel"),
    ('path = "{store}"', 'path = "/etc/passwd/gateway.sqlite3"', "/etc/passwd is a file, no folder"),
    ('path = "{store}"', 'path = "/tmp"', "/tmp is a folder"),
    ('path = "{store}"', "path = 7", "has to be a path, in quotes"),
    ('"c2d1e0ff-0a0b-4c0d-8e0f-112233445566"', '"<id of the model>"', "still contains the placeholder"),
    ('"c2d1e0ff-0a0b-4c0d-8e0f-112233445566"', "17", "has to be a text, in quotes"),
    ("port = 8080", "port = 99999", "at most 65535"),
    ("port = 8080", 'host = "192.168.1.999"', "is not an IPv4 address"),
    ("port = 8080", "enabled = yes", "yes is no value"),
    ("port = 8080", 'trusted_proxies = ["10.0.0.0/33"]', "10.0.0.5 or 10.0.0.0/24"),
    ("port = 8080", 'key = "/key.pem"', "a key without a certificate"),
    ('type = "modbus"', 'type = "modbsu"', "Did you mean 'modbus'?"),
    ('"192.168.1.20"', '"192.168.1.256"', "'192.168.1.256' is not an IPv4 address"),
    ('"192.168.1.20"', '"http://192.168.1.20"', "write the host alone, without http://"),
    ('"192.168.1.20"', '"192.168.1. 20"', "is not a host"),
    ('"192.168.1.20"', '""', "is not a host"),
    ('"192.168.1.20"', "192", "has to be a text or a table"),
    ('"192.168.1.20"', '"192.168.1.20:70000"', "at most 65535"),
    ('"192.168.1.30"', '"192.168.1.20:x"', "is not the name of a host"),
    ('"192.168.1.30", port = 4001', '"192.168.1.20", port = 502', "host 192.168.1.20 port 502 is there already"),
    ("port = 4001", 'port = "4001x"', "has to be a whole number (it says '4001x')"),
    ('framing = "rtu"', 'framing = "rtuu"', "'tcp', 'rtu' or 'ascii'"),
    ('framing = "rtu"', "timeout = -1", "at least 0.01 s"),
    ('name = "roof" }', 'name = "roof", baudrate = "fast" }', "has to be a whole number"),
    ('name = "roof" }', 'name = "roof", speed = 1 }', "no such key"),
    ('name = "cellar"', 'name = "roof"', "two buses are called 'roof'"),
    ("baudrate = 9600", 'baudrate = 9600, parity = "Q"', "'N', 'E' or 'O'"),
    ("baudrate = 9600", "baudrate = 9600, bytesize = 7", "RTU needs 8 data bits"),
    ('"/dev/ttyUSB0"', '"COM3"', "a port of Windows"),
    ('"/dev/ttyUSB0"', r'"C:\dev"', "a text has a backslash"),
    ('{{ port = "/dev/ttyUSB0", ', "{{ ", "is missing"),
    ('bus = "roof"', 'bus = "rof"', "there is no bus 'rof'; did you mean roof?"),
    ('bus = "roof", ', "", "there are several buses, so set `bus`"),
    ("unit = 5", "unit = 248", "248 to 254 are reserved"),
    ("unit = 5", "unit = 0", "0 addresses all units"),
    ("unit = 5", 'unit = "five"', "has to be a whole number"),
    ("unit = 5, ", "", "is missing"),
    ("omron-e5cc", "omron-e5c", "did you mean omron-e5cc"),
    ('units = "1-32"', 'units = "9-4"', 'write "4-9"'),
    ('units = "1-32"', 'units = "one"', "is not a unit id"),
    ('units = "1-32"', 'units = "1-300"', "from 1 to 247"),
    ('units = "1-32"', "load_limit = 70", "has to be at most 1"),
    ('units = "1-32"', 'discover_every = "1h"', "has to be a number of seconds"),
    ('units = "1-32"', 'profiles = ["/nope"]', "/nope"),
    ('units = "1-32"', "units = [1, 2", "is not closed"),
    ("A4:C1:38:11:22:33", "5G:C1:38:11:22:33", "5G:C1:38:11:22:33 is not a Bluetooth address"),
    ("0123456789abcdef0123456789abcdef", "0123456789abcdef", "24 or 32 hexadecimal digits"),
    ('bind_key = "0123456789abcdef0123456789abcdef"', 'profile = "nope"', "there is no profile 'nope'"),
    ('address = "A4:C1:38:11:22:33", ', "", "exactly one of address, called, payload or irk_file"),
    ('"/dev/ttyUSB1", ', '"/dev/ttyUSB1", line = "9600 8X1", ', "is not a line setting"),
    ('"/dev/ttyUSB1"', '"/dev/ttyUSB0"', "port /dev/ttyUSB0 is used by the entry 'plant' already"),
    ('"/dev/ttyUSB1"', '"socket://192.168.1.30:4001"', "host 192.168.1.30 port 4001 is used by the entry 'plant' already"),
    ('"/dev/ttyUSB1"', '"tcp://192.168.1.30:4001"', "host 192.168.1.30 port 4001 is used by the entry 'plant' already"),
    ('"/dev/ttyUSB1"', '"tcp://192.168.1.40"', "does not say at which TCP port its device listens"),
    (
        '"/dev/ttyUSB1", profiles = ["nmea-0183"]',
        '"tcp://192.168.1.40:4352" }}, {{ port = "socket://192.168.1.40:4352"',
        "port socket://192.168.1.40:4352 is there already",
    ),
    (
        '"/dev/ttyUSB1", profiles = ["nmea-0183"]',
        '"tcp://hall.local:4352" }}, {{ port = "tcp://Hall.local", profiles = ["pjlink"]',
        "port tcp://Hall.local:4352 is there already",
    ),
    ('"/dev/ttyUSB1"', '"socket://192.168.1.999:4001"', "is not an IPv4 address"),
    ("nmea-0183", "nmea_0183", "did you mean nmea-0183?"),
]


def with_mistakes(tmp_path, *mistakes):
    """Return the file with these mistakes, and the lines that they are in."""
    text, lines = GOOD, set()
    for old, new, _ in mistakes:
        assert text.count(old) >= 1, old
        lines.add(text[: text.index(old)].count("\n") + 1)
        text = text.replace(old, new, 1)
    file = tmp_path / "gateway.toml"
    plain = text.replace("{{", "{").replace("}}", "}").replace("{store}", str(tmp_path / "gateway.sqlite3"))
    file.write_text(plain, encoding="utf-8")
    return file, lines


def problems_of(file):
    with pytest.raises(SettingsError) as caught:
        load(file, usable(installed()))
    return caught.value.problems


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES, ids=[f"{number}" for number in range(len(MISTAKES))])
def test_each_mistake_is_told_once_at_its_line_in_plain_words(tmp_path, old, new, said):
    file, lines = with_mistakes(tmp_path, (old, new, said))
    (problem,) = problems_of(file)
    sentence = f"{problem.wrong}. {problem.right}"
    assert said in sentence
    assert {problem.line} == lines
    assert WORDS_OF_LIBRARIES.search(sentence) is None, sentence
    assert len(sentence) < 420
    assert sentence.isprintable()


def test_each_mistake_is_told_in_german_as_well(tmp_path):
    told = [one for mistake in MISTAKES for one in problems_of(with_mistakes(tmp_path, mistake)[0])]
    find = read_language("de").sentences.find
    assert {text for one in told for text in (one.wrong, one.right) if text and find(text) is None} == set()


def test_the_file_without_mistakes_is_right_and_gives_no_warning(tmp_path):
    file, _ = with_mistakes(tmp_path)
    assert load(file, usable(installed())).warnings == ()


TOGETHER = [
    ('name = "Boiler room"', "name = “Boiler room”", "typographic"),
    ("telemetry_every = 30", "telemetry_every = 1", "at least 5 seconds"),
    ('path = "{store}"', 'path = "/proc/nope/gateway.sqlite3"', "belongs to the kernel"),
    ('"c2d1e0ff-0a0b-4c0d-8e0f-112233445566"', '"<id of the model>"', "placeholder"),
    ("port = 8080", 'host = "192.168.1.999"', "IPv4"),
    ('"192.168.1.20"', '"192.168.1.256"', "IPv4"),
    ("baudrate = 9600", 'baudrate = 9600, parity = "Q"', "'N', 'E' or 'O'"),
    ("omron-e5cc", "omron-e5c", "omron-e5cc"),
    ('units = "1-32"', 'units = "9-4"', "4-9"),
    ("A4:C1:38:11:22:33", "5G:C1:38:11:22:33", "Bluetooth address"),
    ('"/dev/ttyUSB1", ', '"/dev/ttyUSB1", line = "9600 8X1", ', "line setting"),
]


def test_eleven_mistakes_are_told_at_once_each_at_its_line(tmp_path):
    file, lines = with_mistakes(tmp_path, *TOGETHER)
    found = problems_of(file)
    assert {one.line for one in found} == lines
    assert len(found) == len(TOGETHER)
    for _, _, said in TOGETHER:
        assert any(said in f"{one.wrong}. {one.right}" for one in found), said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"gateway": {"name": "x"}}', "it is JSON"),
        ("gateway:\n  name: x\nmodels:\n  a: b\n", "it is YAML"),
        ("<html><body>404</body></html>", "it is XML or HTML"),
        ("\x7fELF\x01\x02", "it is no text"),
        ("[adapter]\ntype = 'ble'\n[[adapter]]\ntype = 'serial'\n", "[[adapter]], with two brackets"),
        ("a = " + "[" * 900, "nested hundreds of levels deep"),
        ("[gateway]\nname = 'a'\n[gateway]\nmac = 'b'\n", "this table is there twice"),
    ],
)
def test_a_file_of_another_kind_is_called_what_it_is(tmp_path, text, said):
    file = tmp_path / "gateway.toml"
    file.write_text(text, encoding="utf-8")
    found = problems_of(file)
    assert any(said in f"{one.wrong}. {one.right}" for one in found)
    assert not any(WORDS_OF_LIBRARIES.search(one.wrong) for one in found)


def test_a_file_of_200_mb_is_refused_without_being_read(tmp_path):
    file = tmp_path / "gateway.toml"
    with file.open("wb") as opened:
        opened.truncate(200_000_000)
    (problem,) = problems_of(file)
    assert problem.wrong == "has more than 4 MB: that is no configuration"


@pytest.mark.parametrize(
    ("variable", "value", "meant"),
    [
        ("XYTE_GATEWAY_CLOUD_HARDWARE_KEY", "k", "XYTE_GATEWAY__CLOUD__HARDWARE_KEY"),
        ("XYTE_GATEWAY_CLOUD__HARDWARE_KEY", "k", "XYTE_GATEWAY__CLOUD__HARDWARE_KEY"),
        ("XYTE_GATEWAY__CLOUD_HARDWARE_KEY", "k", "XYTE_GATEWAY__CLOUD__HARDWARE_KEY"),
        ("XYTE_GATEWAY_STATUS_PORT", "80", "XYTE_GATEWAY__STATUS__PORT"),
        ("XYTE_GATEWAY_STATUS_PORT", "tcp://10.0.0.1:80", None),
        ("XYTE_GATEWAY_STATUS_SERVICE_HOST", "10.0.0.1", None),
        ("XYTE_GATEWAY_LOOK_IN", "10.0.0.0/24", None),
    ],
)
def test_a_variable_with_too_few_underscores_is_told_with_the_right_one(tmp_path, monkeypatch, variable, value, meant):
    monkeypatch.setenv(variable, value)
    file, _ = with_mistakes(tmp_path)
    if meant is None:
        load(file, usable(installed()))
    else:
        (problem,) = problems_of(file)
        assert (problem.where, problem.right) == (variable, f"Did you mean {meant}?")


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        (
            'hardware_key = "0f0e0d0c-1111-4222-8333-444455556666"',
            'hardware_key="3f0f3b2e"',
            6,
            "does not look like a hardware key",
        ),
        ('"c2d1e0ff-0a0b-4c0d-8e0f-112233445566"', '"not-a-guid"', 13, "does not look like the id of a model"),
        ("power-meter =", "powermeter =", 13, "no profile has this family"),
        ('"/dev/ttyUSB0"', '"ttyUSB0"', 26, "is no path"),
        ("baudrate = 9600", "baudrate = 9601", 26, "9601 is an unusual speed"),
        ("port = 8080", 'certificate = "/nope.pem"', 16, "the page is not served until it can be"),
        ('"/dev/ttyUSB1", ', '"/dev/ttyUSB1", line = "9601 8N1", ', 42, "9601 is an unusual speed"),
        (
            '"/dev/ttyUSB1", profiles = ["nmea-0183"]',
            '"tcp://10.0.0.1:4325", profiles = ["pjlink"]',
            42,
            "TCP port 4325 is unusual for a Projector or display with PJLink",
        ),
    ],
)
def test_what_is_probably_not_meant_is_a_warning_at_its_line_and_no_mistake(tmp_path, old, new, line, said):
    file, _ = with_mistakes(tmp_path, (old, new, said))
    (warning,) = load(file, usable(installed())).warnings
    assert warning.line == line
    assert said in warning.wrong
    assert "3f0f3b2e" not in f"{warning}", "the key itself is shown nowhere"
