"""Test that a device is what its most specific advertisement says, in whatever order its advertisements are received."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.parser_registry import ParserRegistry
from adapters.ble.discovery import tracker as tracker_module
from adapters.ble.discovery.tracker import Tracker
from adapters.ble.profile.device_information import DeviceInformation
from adapters.ble.profile.standard_services import profile_for
from adapters.ble.settings import BleSettings

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PARSERS = ParserRegistry.built_in()
FEAA, FCD2, FE95, FD5A, FE2C = map(full_uuid, ("feaa", "fcd2", "fe95", "fd5a", "fe2c"))

GOVEE = {"manufacturer_data": {0xEC88: bytes.fromhex("00032b1b5800")}}
IBEACON = {"manufacturer_data": {0x004C: bytes.fromhex("0215494e54454c4c495f524f434b535f48575075f2ffc2")}}
TELEMETRY = {"service_data": {FEAA: bytes.fromhex("20000bf71b330000117a000098c7")}}
GENERIC = {
    "iBeacon": IBEACON,
    "Eddystone telemetry": TELEMETRY,
    "Eddystone URL": {"service_data": {FEAA: bytes.fromhex("10e70376696273696f00")}},
    "Eddystone UID": {"service_data": {FEAA: bytes.fromhex("00e700010203040506070809000102030405")}},
    "Eddystone, encrypted": {"service_data": {FEAA: bytes.fromhex("2001") + bytes(16)}},
    "Apple continuity": {"manufacturer_data": {0x004C: bytes.fromhex("1006031a4d2e1cf7")}},
    "Microsoft": {"manufacturer_data": {0x0006: bytes.fromhex("01092006a416ca61c574e717006239bbc757943a1bc20e05ce8198")}},
    "Google Fast Pair": {"service_data": {FE2C: bytes.fromhex("0a1b2c")}},
    "Tile or SmartTag": {"service_data": {FD5A: bytes.fromhex("1200") + bytes(18)}},
    "a name only": {"name": "GVH5075_5D2A"},
    "a battery to connect to": {"name": "Sensor", "service_uuids": (full_uuid("180f"),)},
    "nothing": {},
}
"""What devices of all makers send along."""

SPECIFIC = {
    "Govee": (GOVEE, "govee", 20.7),
    "BTHome": ({"service_data": {FCD2: bytes.fromhex("4002c409")}}, "bthome", 25.0),
    "Ruuvi": ({"manufacturer_data": {0x0499: bytes.fromhex("0512fc5394c37c0004fffc040cac364200cdcbb8334c884f")}}, "ruuvi", 24.3),
}


PLAIN = BleSettings.model_validate({"type": "ble"})


def new_tracker(**said):
    settings = BleSettings.model_validate({"type": "ble", **said}) if said else PLAIN
    return Tracker(settings, PARSERS, lambda address: None)


def heard(content, address="A4:C1:38:5D:2A:01"):
    return Advertisement(address=address, is_random=False, rssi=-60, **content)


def values(device):
    return {reading.metric.name: reading.value for reading in device.block(NOW)}


@pytest.mark.parametrize("specific", SPECIFIC)
@pytest.mark.parametrize("generic", GENERIC)
@pytest.mark.parametrize("before", [1, 50])
def test_a_specific_frame_after_a_generic_one_shows_what_the_device_is(generic, specific, before):
    frame, parser, temperature = SPECIFIC[specific]
    tracker = new_tracker()
    for second in range(before):
        device = tracker.receive(heard(GENERIC[generic]), second)
    key, address = device.key, device.child_address
    device.new_report()
    device = tracker.receive(heard(frame), before)
    found = device.new_report()
    assert (found.profile, found.is_generic, found.identity.key, found.address) == (parser, False, key, address)
    assert values(device)["temperature"] == temperature


@pytest.mark.parametrize("specific", SPECIFIC)
@pytest.mark.parametrize("generic", GENERIC)
def test_a_generic_frame_never_replaces_what_is_known(generic, specific):
    frame, parser, temperature = SPECIFIC[specific]
    tracker = new_tracker()
    device = tracker.receive(heard(frame), 0)
    first = device.new_report()
    for second in range(1, 20):
        tracker.receive(heard(GENERIC[generic]), second)
    assert (device.found().profile, device.found().model) == (parser, first.model)
    assert values(device).keys() <= {"rssi", *first.says}, "a frame that tells nothing repeats no earlier value"
    tracker.receive(heard(frame | {"name": "other"}), 20)
    assert values(device)["temperature"] == temperature


@pytest.mark.parametrize("order", [(0x004C, 0xEC88), (0xEC88, 0x004C)], ids=["beacon-first", "beacon-last"])
def test_a_beacon_and_values_in_one_advertisement_are_no_beacon(order):
    both = {**IBEACON["manufacturer_data"], **GOVEE["manufacturer_data"]}
    tracker = new_tracker()
    for second in range(3):
        device = tracker.receive(heard({"manufacturer_data": {company: both[company] for company in order}}), second)
    assert (device.found().profile, values(device)["temperature"]) == ("govee", 20.7)


@given(st.lists(st.sampled_from([*GENERIC, "Govee"]), max_size=12).map(lambda names: [*names, "Govee"]))
def test_whatever_the_order_of_its_frames_the_device_ends_as_what_it_is(names):
    tracker = new_tracker()
    for second, name in enumerate(names):
        device = tracker.receive(heard(GOVEE if name == "Govee" else GENERIC[name]), second)
    assert (device.found().profile, values(device)["temperature"]) == ("govee", 20.7)


@pytest.mark.parametrize("order", [*itertools.permutations(["iBeacon", "Eddystone telemetry", "Eddystone UID"])], ids=",".join)
def test_a_beacon_of_several_formats_is_the_one_that_tells_most(order):
    tracker = new_tracker()
    told = {}
    for second, name in enumerate([*order, *order]):
        device = tracker.receive(heard(GENERIC[name]), second)
        told |= values(device)
    found = device.found()
    assert (found.profile, found.is_generic) == ("eddystone", True)
    assert (told["voltage"], told["namespace"]) == (3.063, "00010203040506070809")


def test_a_beacon_stays_a_beacon():
    device = new_tracker().receive(heard(IBEACON), 0)
    assert (device.found().profile, device.found().is_generic) == ("ibeacon", True)


def test_a_profile_by_the_name_replaces_a_beacon():
    tracker = new_tracker()
    device = tracker.receive(heard(IBEACON), 0)
    tracker.receive(heard({"name": "Flower care", "service_uuids": (FE95,)}), 1)
    assert (device.found().profile, device.is_generic, device.needs_connection) == ("xiaomi-flower-care", False, True)


def test_a_device_that_was_read_for_its_battery_is_decoded_once_it_advertises_values():
    tracker = new_tracker()
    device = tracker.receive(heard(GENERIC["a battery to connect to"]), 0)
    device.profile = profile_for([full_uuid("180f")])
    device.set_information(DeviceInformation(model="Module 7"))
    tracker.receive(heard(GOVEE), 1)
    assert (device.found().profile, device.found().model, device.needs_connection) == ("govee", "H5072/H5075", False)


def test_a_device_whose_profile_is_configured_keeps_it():
    tracker = new_tracker(devices=[{"address": "A4:C1:38:5D:2A:01", "profile": "gatt-180f"}])
    device = tracker.receive(heard(GENERIC["a battery to connect to"]), 0)
    tracker.receive(heard(GOVEE), 1)
    assert (device.found().profile, device.decoder) == ("gatt-180f", None)


def test_an_encrypted_frame_between_plain_ones_keeps_the_device():
    encrypted = {"service_data": {FCD2: bytes.fromhex("41a47266c95f730011223378237214")}}
    plain = SPECIFIC["BTHome"][0]
    tracker = new_tracker()
    device = tracker.receive(heard(encrypted), 0)
    assert device.found().says["needs"] == "a bind key"
    tracker.receive(heard(plain), 1)
    assert (values(device)["temperature"], device.last_decoded.needs) == (25.0, ())
    tracker.receive(heard(encrypted), 2)
    assert (device.found().profile, "temperature" in values(device)) == ("bthome", False)


@pytest.mark.parametrize("first", ["plain", "encrypted"])
def test_a_thermometer_that_needs_a_key_is_read_over_a_connection_whichever_frame_comes_first(first):
    frames = {
        "plain": {"name": "LYWSD03MMC", "service_data": {FE95: bytes.fromhex("30585b05014ee0fa38c1a4080000")}},
        "encrypted": {
            "name": "LYWSD03MMC",
            "service_data": {FE95: bytes.fromhex("58585b05a5185438c1a40893ffcbad9c1d00004f9e14ff")},
        },
    }
    tracker = new_tracker()
    for second, name in enumerate(sorted(frames, key=lambda name: name != first)):
        device = tracker.receive(heard(frames[name]), second)
    assert device.found().profile == "xiaomi-lywsd03mmc"


def test_an_event_in_the_first_frame_of_a_device_is_told():
    pressed = {"name": "SBBT-002C", "service_data": {FCD2: bytes.fromhex("400001" + "3a01")}}
    for first in ({}, IBEACON):
        tracker = new_tracker()
        tracker.receive(heard(first), 0)
        device = tracker.receive(heard(pressed), 1)
        assert values(device)["button"] == "press"
        device = tracker.receive(heard(pressed), 2)
        assert "button" not in values(device)


def test_the_counters_in_the_frames_of_a_beacon_are_not_compared_with_the_profiles(monkeypatch):
    asked = []
    monkeypatch.setattr(tracker_module, "best_profile", lambda advertisement, profiles: asked.append(advertisement))
    tracker = new_tracker()
    for second in range(100):
        frame = bytes.fromhex("20000bf71b33") + second.to_bytes(4, "big") + bytes(4)
        tracker.receive(heard({"service_data": {FEAA: frame}}), second)
    tracker.receive(heard({"name": "Flower care"}), 100)
    assert len(asked) == 2, "once as a beacon, then with a name"


def test_a_device_that_changes_its_address_keeps_its_name_whatever_it_sends():
    irk = "ec0234a357c8ad05341010a60a397d9b"
    tracker, told = new_tracker(devices=[{"irk": irk}]), []
    for change in range(10):
        prand = bytes([0x40, 0, change])
        digest = Cipher(algorithms.AES(bytes.fromhex(irk)), modes.ECB()).encryptor().update(bytes(13) + prand)[-3:]
        for content in (IBEACON, GOVEE, IBEACON, GOVEE):
            device = tracker.receive(heard(content, (prand + digest).hex(":").upper()), change)
            told += filter(None, [device.new_report()])
    assert [(one.profile, one.is_generic) for one in told] == [("ibeacon", True), ("govee", False)], "each is told once"
    assert told[-1].name.startswith("H5072/H5075 ")
    assert len({one.address for one in told}) == 1
