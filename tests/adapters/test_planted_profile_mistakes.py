"""Mistakes planted in a profile of each grammar: all are told at once, each with its line, in words about the file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from adapters.ble.advertisements.advertiser_files import ADVERTISER_FILES as ADVERTISER
from adapters.ble.profile.library import PROFILE_FILES as BLE
from adapters.modbus.profile.library import PROFILE_FILES as MODBUS
from adapters.serial.profile.library import PROFILE_FILES as SERIAL
from gateway.adapter import ProfileError, ProfileFiles

WORDS_OF_A_LIBRARY = re.compile(
    r"pydantic|validation error|Input should|Extra inputs|Field required|not permitted|valid (string|integer|tuple|dictionary)"
    r"|Value error|type=|\bdict\b|\bNone\b|\btuple\b|tagged-union|cannot be used$"
)

HEAD = """\
name = "probe"
title = "A device made up for a test"
family = "meter"

[source]
document = "made up for a test"
edition = "1"
section = "all"
"""

MODBUS_TEXT = (
    HEAD
    + """
[defaults]
table = "input"
type = "uint16"

[[points]]
metric = "power"
address = 0
unit = "W"

[[points]]
metric = "energy"
address = 4
type = "uint32"

[[points]]
metric = "set_point"
table = "holding"
address = 9

[[commands]]
name = "set_it"
metric = "set_point"
between = [0, 9]

[[settings]]
name = "correction"
address = 20
between = [0, 5]
"""
)

BLE_TEXT = (
    HEAD
    + """
[[match]]
name = "Probe.*"

[[points]]
metric = "temperature"
service = "ffa0"
characteristic = "ffa1"
format = "sint16"
scale = 0.1

[[points]]
metric = "humidity"
service = "ffa0"
characteristic = "ffa2"
format = "uint8"

[[commands]]
name = "switch"
service = "ffa0"
characteristic = "ffa3"
payload = "01 {level}"
read_back = "humidity"

[commands.parameters.level]
between = [0, 100]
"""
)

SERIAL_TEXT = (
    HEAD
    + """
[framing]
kind = "delimiter"
end = "\\r\\n"

[[match]]
ask = "who"

[identity]
model = "who.model"

[[queries]]
name = "who"
ask = "WHO?"
answer = "ACME {model}"

[[queries]]
name = "input"
ask = "IN?"
answer = "IN={input:d}"
points = [{ metric = "input" }, { metric = "again", field = "input" }]

[[commands]]
name = "set_input"
ask = "IN={input:d}"
parameters = { input = { between = [1, 8] } }
read_back = "input"
"""
)

ADVERTISER_TEXT = """\
name = "probe"
title = "Thermometers made up for a test"
family = "climate-sensor"

[source]
document = "made up for a test"
section = "all"
checked_against = ["a capture"]

[[match]]
company = [0x0999]

[[layouts]]
model = "Probe 1"
company = 0x0999
lengths = [2, 3]
values = [
    { metric = "temperature", at = 0, format = "sint16", scale = 0.01, unit = "°C" },
]
"""

POINT_AGAIN = '[[points]]\nmetric = "temperature"\nservice = "ffa0"\ncharacteristic = "ffa9"\n\n'
QUERY_AGAIN = '[[queries]]\nname = "who"\nask = "WHO?"\nanswer = "{model}"\n\n'

PLANTED: list[tuple[ProfileFiles[Any], str, str, str, str]] = [
    (files, text, right, wrong, told)
    for files, text, planted in (
        (
            MODBUS,
            MODBUS_TEXT,
            [
                ('unit = "W"', 'units = "W"', "point `power`.units: no such key. Did you mean 'unit'?"),
                ("address = 0\n", "adress = 0\n", "point `power`.adress: no such key. Did you mean 'address'?"),
                ("address = 4", "register = 4", "point `energy`.register: no such key. Did you mean 'address'?"),
                ('type = "uint32"', 'data_type = "uint32"', "point `energy`.data_type: no such key. Did you mean 'type'?"),
                ('type = "uint32"', 'datatype = "uint32"', "point `energy`.datatype: no such key. Did you mean 'type'?"),
                ('type = "uint32"', 'type = "uint23"', "Did you mean 'uint32'?"),
                ('type = "uint32"', "type = 32", "point `energy`.type: has to be 'bool', 'int16'"),
                ("address = 4", 'address = "0x"', "point `energy`.address: has to be a whole number (it says '0x')"),
                ("address = 4", "address = 65536", "point `energy`.address: has to be less than 65536"),
                ("address = 4", "address = -1", "point `energy`.address: has to be at least 0 (it says -1)"),
                ("address = 4", "address = 4.5", "point `energy`.address: has to be a whole number (it says 4.5)"),
                ("address = 4", "address = 0", "points `power` and `energy` overlap"),
                ('metric = "energy"', 'metric = "power"', "point `power` is there twice"),
                ('metric = "energy"', 'metrc = "energy"', "no such key. Did you mean 'metric'?"),
                ('metric = "energy"', 'name = "energy"', "point `energy`.name: no such key. Did you mean 'metric'?"),
                ('metric = "energy"\n', "", "points.1.metric: is missing"),
                ('unit = "W"', 'group = "rapid"', "point `power`: there is no poll group 'rapid'"),
                ('unit = "W"', "scale = 0", "point `power`: scale is not 0"),
                ('unit = "W"', 'urgent = "perhaps"', "point `power`.urgent: has to be true or false (it says 'perhaps')"),
                ('unit = "W"', "length = 2", "point `power`: `length` belongs to"),
                ('unit = "W"', "values = { one = 'on' }", "point `power`.values.one: has to be a whole number (it says 'one')"),
                ('unit = "W"', "bits = [1]", "point `power`.bits.1: is missing"),
                ('table = "holding"', 'table = "holdings"', "Did you mean 'holding'?"),
                ('table = "input"', 'tabel = "input"', "defaults.tabel: no such key. Did you mean 'table'?"),
                ("[defaults]", "[default]", "default: no such key. Did you mean 'defaults'?"),
                ('name = "set_it"\nmetric = "set_point"', 'name = "set_it"\nmetric = "x"', "there is no point `x`"),
                ("between = [0, 9]", "", "command `set_it`: point `set_point`: set `between`"),
                ("between = [0, 9]", "between = 9", "command `set_it`.between: has to be a list, in [ ] (it says 9)"),
                ("between = [0, 9]", "min = 0", "command `set_it`.min: no such key. Did you mean 'between'?"),
                ("address = 20\nbetween = [0, 5]", "address = 20", "setting `correction`: `between` belongs to a plain number"),
                ("between = [0, 5]", "between = [5, 0]", "setting `correction`: `between` is [lowest, highest]"),
                ('family = "meter"', 'family = "Power Meter"', "family: has to be lower-case letters, digits and hyphens"),
                ('title = "A device made up for a test"\n', "", "title: is missing"),
                ('edition = "1"\n', "", "source.edition: is missing. It is for: its edition"),
                ("[source]", "[sources]", "sources: no such key. Did you mean 'source'?"),
                ('title = "A', 'serial_number = 1\ntitle = "A', "serial_number: no such key. It belongs in 'identity'"),
                ('name = "probe"', 'name = "prob"', "it is called 'prob' inside; name and file must agree"),
                ("[defaults]", "[defaults", "is not TOML"),
            ],
        ),
        (
            BLE,
            BLE_TEXT,
            [
                ('format = "sint16"', 'format = "int16"', "Did you mean 'sint16'?"),
                ('format = "sint16"', 'type = "sint16"', "point `temperature`.type: no such key"),
                (
                    'characteristic = "ffa1"',
                    'uuid = "ffa1"',
                    "point `temperature`.uuid: no such key. Did you mean 'characteristic'?",
                ),
                ('characteristic = "ffa1"', 'characteristic = "ffx1"', "point `temperature`.characteristic: "),
                (
                    'service = "ffa0"\ncharacteristic = "ffa1"',
                    'characteristic = "ffa1"',
                    "point `temperature`.service: is missing",
                ),
                ("scale = 0.1", 'scale = "0,1"', "point `temperature`.scale: has to be a number (it says '0,1')"),
                ("scale = 0.1", "dead_band = 0", "point `temperature`.dead_band: has to be more than 0"),
                ("scale = 0.1", "deadband = 1", "point `temperature`.deadband: no such key. Did you mean 'dead_band'?"),
                ("scale = 0.1", "bits = [12, 8]", "point `temperature`: bits [12, 8] exceed the 16 bits of sint16"),
                ("[[commands]]", POINT_AGAIN + "[[commands]]", "point `temperature` is there twice"),
                ('read_back = "humidity"', 'read_back = "dew"', "point `dew` cannot be read back"),
                ('payload = "01 {level}"', 'payload = "01"', "command `switch`: the payload has to contain each"),
                ('payload = "01 {level}"', 'payload = "0 {level}"', "is not a sequence of bytes"),
                ("between = [0, 100]", "", "`between` is missing"),
                ('name = "Probe.*"', 'name = "Probe("', "is not a regular expression"),
                ('name = "Probe.*"', "", "a match without a condition"),
                ('family = "meter"', 'family = "meter"\nservices = ["abcd"]', "services.0: 'abcd' is not a standard service"),
            ],
        ),
        (
            ADVERTISER,
            ADVERTISER_TEXT,
            [
                ('family = "climate-sensor"\n', "", "family: is missing"),
                ('family = "climate-sensor"', 'familly = "climate-sensor"', "familly: no such key. Did you mean 'family'?"),
                ('section = "all"', 'sections = "all"', "source.sections: no such key. Did you mean 'section'?"),
                ("company = [0x0999]", "company = [0x10999]", "match.0.company.0: has to be at most 65535"),
                ("company = [0x0999]", "compny = [0x0999]", "match.0.compny: no such key. Did you mean 'company'?"),
                ("company = [0x0999]", 'company = [0x0999]\nstarts_with = "0x"', "'0x' is not a sequence of bytes"),
                ("company = [0x0999]", "", "a match without a condition would match every device"),
                ('family = "climate-sensor"', 'family = "x"\nprotocol = "("', "protocol: '(' is not a regular expression"),
                ('format = "sint16"', 'format = "int16"', "Did you mean 'sint16'?"),
                ('unit = "°C"', 'units = "°C"', "value `temperature`.units: no such key. Did you mean 'unit'?"),
                ("scale = 0.01", 'scale = "0,01"', "value `temperature`.scale: has to be a number (it says '0,01')"),
                ("lengths = [2, 3]", "", "a layout without a `sequence` has `lengths`"),
                ("lengths = [2, 3]", 'lengths = [2]\nservice_data = "2a6e"', "either `service_data` or `company`"),
                ('name = "probe"', 'name = "prob"', "it is called 'prob' inside; name and file must agree"),
                ("[[match]]", "[[match]", "is not TOML"),
            ],
        ),
        (
            SERIAL,
            SERIAL_TEXT,
            [
                ('kind = "delimiter"', 'kind = "lines"', "framing.kind: has to be 'delimiter'"),
                ('kind = "delimiter"\n', "", "framing.kind: is missing"),
                ('end = "\\r\\n"', 'ending = "\\r\\n"', "framing.ending: no such key"),
                ('ask = "who"', 'ask = "whom"', "match: there is no query or message 'whom'"),
                ('model = "who.model"', 'model = "who.type"', "identity.model: there is no field 'type' in who"),
                ('model = "who.model"', "modell = 'who.model'", "identity.modell: no such key. Did you mean 'model'?"),
                ('answer = "ACME {model}"', 'reply = "ACME {model}"', "query `who`.reply: no such key"),
                ('answer = "IN={input:d}"', 'answer = "IN={input:q}"', "query `input`.answer: there is no format 'q'"),
                ('name = "input"', 'name = "Input"', "query `Input`.name: has to be lower-case letters, digits and underscores"),
                ("[[commands]]", QUERY_AGAIN + "[[commands]]", "query `who` occurs twice"),
                ('field = "input"', 'field = "output"', "point `again`: there is no field 'output' in input"),
                ('read_back = "input"', 'read_back = "output"', "command `set_input`.read_back: no query has a point `output`"),
                ("between = [1, 8]", "", "command `set_input`.parameters.input: give either `between`"),
                ('ask = "IN={input:d}"\n', 'ask = "IN={port:d}"\n', "command `set_input`.ask: its fields must be input"),
                (
                    "[framing]",
                    "may_be_quiet = 'long'\n[framing]",
                    "source.may_be_quiet: no such key. It belongs at the top of the file",
                ),
            ],
        ),
    )
    for right, wrong, told in planted
]


def problems(files: ProfileFiles[Any], text: str) -> list[str]:
    try:
        files.parse(text, Path("probe.toml"))
    except ProfileError as error:
        return list(error.lines)
    return []


def line_of_change(before: str, after: str) -> int:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next((at for at, (one, other) in enumerate(pairs, 1) if one != other), len(after.splitlines()))


@pytest.mark.parametrize(
    ("files", "text"), [(MODBUS, MODBUS_TEXT), (BLE, BLE_TEXT), (SERIAL, SERIAL_TEXT), (ADVERTISER, ADVERTISER_TEXT)]
)
def test_the_text_without_mistakes_is_a_profile(files, text):
    assert problems(files, text) == []


@pytest.mark.parametrize(("files", "text", "right", "wrong", "told"), PLANTED, ids=[f"{one[3]!r}"[:50] for one in PLANTED])
def test_one_mistake_is_told_once_with_its_line_and_without_the_words_of_a_library(files, text, right, wrong, told):
    assert right in text
    planted = text.replace(right, wrong, 1)
    found = problems(files, planted)
    assert [line for line in found if told in line], found
    assert not [line for line in found if WORDS_OF_A_LIBRARY.search(line)]
    assert len(found) == 1, found
    assert abs(int(found[0].split(":")[1]) - line_of_change(text, planted)) <= 6


@pytest.mark.parametrize(
    ("files", "text", "planted"),
    [
        (
            MODBUS,
            MODBUS_TEXT,
            [
                ('family = "meter"', 'family = "Meter"', "family: has to be lower-case"),
                ('edition = "1"\n', "", "source.edition: is missing"),
                ('unit = "W"', 'units = "W"', "point `power`.units: no such key"),
                ("address = 4", "address = 0", "points `power` and `energy` overlap"),
                ('type = "uint32"', 'type = "uint32"\nbits = [0, 40]', "point `energy`: bits [0, 40] go beyond"),
                ("[[commands]]", '[[points]]\nmetric = "power"\naddress = 99\n[[commands]]', "point `power` is there twice"),
                ('name = "set_it"\nmetric = "set_point"', 'name = "set_it"\nmetric = "nothing"', "there is no point `nothing`"),
                ("between = [0, 5]", "between = [5, 0]", "setting `correction`: `between` is [lowest, highest]"),
                ('table = "holding"', 'table = "holding"\nscale = "x"', "point `set_point`.scale: has to be a number"),
                ('type = "uint16"', 'type = "uint16"\ntabel = "input"', "defaults.tabel: no such key"),
            ],
        ),
        (
            BLE,
            BLE_TEXT,
            [
                ('family = "meter"', 'family = "meter"\nservices = ["abcd", "180f", "dcba"]', "services.2: 'dcba' is not"),
                ('family = "meter"', 'family = "meter"\ncolour = 1', "colour: no such key"),
                ('name = "Probe.*"', 'name = "Probe("', "match `Probe(`.name: 'Probe(' is not a regular"),
                ("scale = 0.1", "scale = 0", "point `temperature`: `scale` cannot be 0"),
                ("scale = 0", "bits = [15, 3]\nscale = 0", "point `temperature`: bits [15, 3] exceed the 16 bits"),
                ('metric = "humidity"', 'metric = "temperature"', "point `temperature` is there twice"),
                ("between = [0, 100]", "between = [100, 0]", "`between` is [lowest, highest]"),
                ('payload = "01 {level}"', 'payload = "01"', "the payload has to contain each"),
            ],
        ),
        (
            ADVERTISER,
            ADVERTISER_TEXT,
            [
                ('family = "climate-sensor"\n', 'colour = "red"\n', "colour: no such key"),
                ('section = "all"\n', "", "source.section: is missing"),
                ("company = [0x0999]", "company = [0x10999]", "match.0.company.0: has to be at most 65535"),
                ("lengths = [2, 3]\n", "", "a layout without a `sequence` has `lengths`"),
                ('unit = "°C"', 'unit = "°C", true = [1]', "`true` makes the value yes or no"),
            ],
        ),
        (
            SERIAL,
            SERIAL_TEXT,
            [
                ('kind = "delimiter"', 'kind = "delimiter"\nlongest = 0', "framing.longest: has to be at least 1"),
                ('ask = "who"', 'ask = "whom"', "match: there is no query or message 'whom'"),
                ('model = "who.model"', 'model = "who.type"', "identity.model: there is no field 'type'"),
                (
                    'answer = "ACME {model}"',
                    'answer = "ACME {model}"\ngroup = "rapid"\npoints = [{ metric = "model" }]',
                    "'rapid'",
                ),
                (
                    'answer = "IN={input:d}"',
                    'answer = ["IN={input:d}", "X{input:q}"]',
                    "query `input`.answer: there is no format",
                ),
                ('read_back = "input"', 'read_back = "output"', "no query has a point `output`"),
                ('ask = "IN={input:d}"\nparam', 'ask = "IN={port:d}"\nparam', "its fields must be input, but are port"),
            ],
        ),
    ],
)
def test_all_mistakes_of_a_file_are_told_at_once(files, text, planted):
    wrong = text
    for right, instead, _ in planted:
        assert right in wrong
        wrong = wrong.replace(right, instead, 1)
    found = problems(files, wrong)
    assert [told for _, _, told in planted if not any(told in line for line in found)] == [], found
    assert [int(line.split(":")[1]) for line in found] == sorted(int(line.split(":")[1]) for line in found)
    assert not [line for line in found if WORDS_OF_A_LIBRARY.search(line)]


def test_a_mistake_of_the_defaults_is_told_once_and_there():
    (told,) = problems(MODBUS, MODBUS_TEXT.replace('table = "input"', 'tabel = "input"'))
    line = MODBUS_TEXT.splitlines().index('table = "input"') + 1
    assert told.startswith(f"probe.toml:{line}: defaults.tabel: no such key")


def test_a_line_that_is_no_toml_does_not_hide_the_mistakes_of_other_lines():
    found = problems(MODBUS, MODBUS_TEXT.replace('unit = "W"', "unit = W").replace("address = 4", "address = -4"))
    assert ["unit" in found[0], "at least 0" in found[1], len(found)] == [False, True, 2]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8"])
def test_a_file_of_an_editor_on_windows_is_read(tmp_path, encoding):
    file = tmp_path / "probe.toml"
    file.write_bytes(MODBUS_TEXT.replace("\n", "\r\n").encode(encoding))
    assert MODBUS.read(file).name == "probe"


def test_what_is_no_profile_file_is_told_by_what_it_is(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "wide.toml").write_bytes(MODBUS_TEXT.encode("utf-16"))
    with (tmp_path / "huge.toml").open("wb") as file:
        file.truncate(200_000_000)
    (tmp_path / "json.toml").write_text('{"name": "probe"}', encoding="utf-8")
    told = {
        "folder": "it is a folder",
        "loop": "Too many levels of symbolic links",
        "pipe": "it is no regular file",
        "wide": "it is not UTF-8 text",
        "huge": "it has more than 1 MB",
        "json": "it is JSON",
        "none": "there is no such file",
    }
    for name, wrong in told.items():
        with pytest.raises(ProfileError, match=wrong):
            MODBUS.read(tmp_path / f"{name}.toml")
    with pytest.raises(ProfileError) as of_all:
        MODBUS.load([tmp_path])
    assert len(of_all.value.lines) == len(told) - 1
