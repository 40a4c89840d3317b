"""Test how device information is read and which texts are placeholders."""

from __future__ import annotations

import pytest

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.profile.device_information import information_paths, parse_information
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import CharacteristicPath

SENSOR, MORE = full_uuid("ff01"), full_uuid("ffa2")
POINTS = [{"metric": "temperature", "service": "ff01", "characteristic": "ffa1", "format": "sint16"}]


def profile(points=POINTS, **said) -> Profile:
    source = {"document": "made up for a test", "edition": "1", "section": "all"}
    return Profile.model_validate(
        {"name": "test", "title": "Test", "family": "climate-sensor", "source": source, "points": points} | said
    )


DEVICE_INFORMATION = full_uuid("180a")
ANSWERS = {
    "2a29": b"Acme\0",
    "2a24": b"TH-1",
    "2a25": b"004711",
    "2a26": b"1.2.3",
    "2a27": b"B",
    "2a28": b"1.2.3-7",
}


def answers(**changed):
    told = ANSWERS | {f"2a{name}": text for name, text in changed.items()}
    return {CharacteristicPath(DEVICE_INFORMATION, full_uuid(name)): text for name, text in told.items() if text is not None}


def test_each_readable_characteristic_of_the_device_information_is_read_once():
    services = {DEVICE_INFORMATION: {full_uuid("2a24"): frozenset({"read"}), full_uuid("2a25"): frozenset({"write"})}}
    assert [str(path) for path in information_paths(None, services)] == ["180a/2a24"]


def test_device_information_is_parsed_with_its_evidence():
    information = parse_information(None, answers())
    assert (information.manufacturer, information.model, information.serial_number) == ("Acme", "TH-1", "004711")
    assert (information.firmware_version, information.hardware_version, information.software_version) == ("1.2.3", "B", "1.2.3-7")
    assert information.evidence["serial number (180a/2a25)"] == "004711"


@pytest.mark.parametrize(
    "text",
    [
        "Serial Number",
        "N.A.",
        "n/a",
        "0",
        "0.0",
        "00000000",
        "",
        " ",
        "\0",
        "----",
        "FFFFFFFF",
        "12345678",
        "123456",
        "none",
        "x",
    ],
)
def test_a_placeholder_serial_number_is_ignored_but_shown_as_evidence(text):
    information = parse_information(None, answers(**{"25": text.encode()}))
    assert information.serial_number is None
    assert information.model == "TH-1"
    assert information.evidence.get("serial number (180a/2a25)", "") == text.strip(" \0")


@pytest.mark.parametrize("text", ["Model Number", "0.0", "Manufacturer Name", "Firmware Revision", "default", "0.0.0"])
def test_what_a_chip_maker_has_left_in_is_no_fact(text):
    information = parse_information(None, dict.fromkeys(answers(), text.encode()))
    assert information == type(information)(evidence=information.evidence)


@pytest.mark.parametrize(("name", "fact"), [("24", "model"), ("26", "firmware_version"), ("27", "hardware_version")])
@pytest.mark.parametrize("text", ["1", "11", "1.0", "A", "Sensor 0", "X1"])
def test_short_names_and_versions_are_facts(name, fact, text):
    assert getattr(parse_information(None, answers(**{name: text.encode()})), fact) == text


def test_the_software_is_the_firmware_of_a_device_that_tells_no_other():
    assert parse_information(None, answers(**{"26": None})).firmware_version == "1.2.3-7"
    assert parse_information(None, answers(**{"26": b"0.0"})).firmware_version == "1.2.3-7"


def test_a_profile_knows_better_than_device_information():
    own = {"firmware_version": {"service": "ff01", "characteristic": "ffa2", "format": "dotted"}, "serial_number": False}
    better = profile(POINTS, identity=own, sub_model={"service": "180a", "characteristic": "2a24", "length": 2})
    services = {
        DEVICE_INFORMATION: dict.fromkeys(map(full_uuid, ANSWERS), frozenset({"read"})),
        SENSOR: {MORE: frozenset({"read"})},
    }
    assert [str(path) for path in information_paths(better, services)] == [
        "180a/2a29",
        "180a/2a24",
        "ff01/ffa2",
        "180a/2a27",
        "180a/2a28",
    ]
    information = parse_information(better, answers() | {CharacteristicPath(SENSOR, MORE): b"\x02\x0a"})
    assert information.serial_number is None
    assert information.firmware_version == "2.10"
    assert information.sub_model == "TH"
    assert information.model == "TH-1"
