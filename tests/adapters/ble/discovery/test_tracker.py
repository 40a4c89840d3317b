"""Test which device sent an advertisement, and what decodes or reads it."""

import tomllib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.parser_registry import ParserRegistry
from adapters.ble.discovery import tracker as tracker_module
from adapters.ble.discovery.tracked_device import MAX_FAILED_CONNECTIONS
from adapters.ble.discovery.tracker import DUPLICATE_WAITS_SECONDS, Tracker
from adapters.ble.profile.device_information import DeviceInformation
from adapters.ble.settings import BleSettings
from gateway.adapter import DeviceUnreachable

ADVERTS = Path(__file__).parents[1] / "adverts"
PARSERS = ParserRegistry.built_in()
IRK = "ec0234a357c8ad05341010a60a397d9b"
GOVEE = {"name": "GVH5075_2762", "manufacturer_data": {0xEC88: bytes.fromhex("000341c26400")}}


def new_tracker(forgotten=None, **said):
    settings = BleSettings.model_validate({"type": "ble", **said})
    return Tracker(settings, PARSERS, (lambda address: None) if forgotten is None else forgotten.append)


def heard(address="A4:C1:38:00:00:01", **rest):
    return Advertisement(address=address, is_random=rest.pop("is_random", False), rssi=-60, **rest)


def test_the_number_of_tracked_devices_is_limited_and_the_oldest_are_forgotten(monkeypatch):
    monkeypatch.setattr(tracker_module, "MAX_DEVICES", 100)
    forgotten = []
    tracker = new_tracker(forgotten)
    regular = heard(**GOVEE)
    for number in range(1000):
        tracker.receive(heard(f"00:00:00:00:{number // 256:02X}:{number % 256:02X}", is_random=True), number)
        tracker.receive(regular, number)
        assert len(tracker) <= 100
    assert tracker.get(regular.address) is not None
    assert len(forgotten) == 1001 - len(tracker)
    assert forgotten[0] == "00:00:00:00:00:00"


def test_a_device_is_recognized_by_name_as_soon_as_it_sends_its_name():
    tracker = new_tracker(devices=[{"called": "Fridge*", "name": "Fridge"}])
    first = tracker.receive(heard(manufacturer_data={1: b"\x01"}, is_random=True), 0)
    assert not first.is_relevant or first.identity.kind == "mac"
    named = tracker.receive(heard(name="Fridge 3", manufacturer_data={1: b"\x01"}, is_random=True), 1)
    assert (named.found().name, named.identity.kind, named.child_address) == ("Fridge", "fingerprint", "name Fridge*")
    assert tracker.get("A4:C1:38:00:00:01") is None
    assert tracker.get("name Fridge*") is named


def test_a_device_is_recognized_by_the_first_bytes_of_its_payload():
    tracker = new_tracker(devices=[{"payload": "4c00 0215 fda5", "name": "Badge"}])
    badge = tracker.receive(
        heard("4A:00:00:00:00:01", is_random=True, manufacturer_data={0x004C: bytes.fromhex("0215fda50693")}), 0
    )
    other = tracker.receive(
        heard("4A:00:00:00:00:02", is_random=True, manufacturer_data={0x004C: bytes.fromhex("0215fda60693")}), 0
    )
    assert badge.found().name == "Badge"
    assert not other.known


def test_what_is_known_of_a_device_is_kept_when_its_address_changes():
    tracker = new_tracker(devices=[{"called": "Strap", "profile": "gatt-180d", "name": "Strap"}])
    before = tracker.receive(heard("4A:00:00:00:00:01", name="Strap", is_random=True), 0)
    assert before.needs_connection
    before.set_information(DeviceInformation(model="H10"))
    after = tracker.receive(heard("4A:00:00:00:00:02", name="Strap", is_random=True), 1)
    assert after is not before
    assert not after.needs_connection
    assert (after.found().sub_model, after.identity) == ("H10", before.identity)


def test_a_description_is_reported_once_and_again_only_after_a_change():
    tracker = new_tracker()
    device = tracker.receive(heard(**GOVEE), 0)
    assert device.new_report()
    assert not tracker.receive(heard(**GOVEE), 1).new_report()
    warmer = GOVEE | {"manufacturer_data": {0xEC88: bytes.fromhex("00037dc26400")}}
    assert not tracker.receive(heard(**warmer), 2).new_report(), "another value makes it nobody else"


def test_an_undecodable_value_does_not_repeat_the_one_before():
    tracker = new_tracker()
    device = tracker.receive(heard(**GOVEE), 0)
    assert len(device.block(None)) > 1
    tracker.receive(heard(name=GOVEE["name"], manufacturer_data={0xEC88: b"\x00"}), 1)
    assert [reading.metric.name for reading in device.block(None)] == ["rssi"]
    assert device.found().sub_model == "H5075", "who it is stays known"


def test_connections_to_an_unknown_device_are_limited_and_to_a_private_address_never_made():
    tracker = new_tracker()
    lasting = tracker.receive(heard("C0:00:00:00:00:01", is_random=True, service_uuids=(full_uuid("180d"),)), 0)
    passing = tracker.receive(heard("40:00:00:00:00:01", is_random=True, service_uuids=(full_uuid("180d"),)), 0)
    assert not passing.needs_connection
    for _ in range(MAX_FAILED_CONNECTIONS):
        assert lasting.needs_connection
        lasting.note_failed_connection(DeviceUnreachable("it took no connection"))
    assert not lasting.needs_connection


def test_a_wrong_bind_key_is_a_problem_of_its_device_only():
    tracker = new_tracker(
        devices=[{"address": "A4:C1:38:56:53:84", "bind_key": "00" * 12}]
    )  # one of an old kind, for a BTHome device
    data = {full_uuid("fcd2"): bytes.fromhex("41a47266c95f730011223378237214")}
    device = tracker.receive(heard("A4:C1:38:56:53:84", service_data=data), 0)
    assert "32 hexadecimal digits" in device.found().evidence["problem"]
    assert tracker.receive(heard(**GOVEE), 0).last_decoded is not None


@pytest.mark.parametrize("rssi", [None, -70])
def test_a_radio_without_signal_strength_is_supported(rssi):
    device = new_tracker().receive(Advertisement(address="A4:C1:38:00:00:01", rssi=rssi, **GOVEE), 0)
    assert ("rssi" in device.found().says) is (rssi is not None)


def test_of_two_devices_that_fit_one_entry_the_first_is_kept_and_the_other_is_reported(caplog):
    tracker = new_tracker(devices=[{"called": "Fridge*", "name": "Fridge"}])
    first, second = (heard(f"4A:00:00:00:00:0{number}", name="Fridge 3", is_random=True) for number in (1, 2))
    tracker.receive(first, 0)
    assert tracker.receive(second, 1).address == second.address, "it may have made itself another address"
    for now in range(2, 12, 2):
        assert tracker.receive(first, now).address == first.address, "it has not: the first one still speaks"
        assert tracker.receive(second, now + 1) is None
    assert tracker.get("name Fridge*").address == first.address
    assert caplog.text.count("4A:00:00:00:00:02 is ignored") == len(caplog.records) == 1
    assert tracker.receive(second, 10 + DUPLICATE_WAITS_SECONDS).address == second.address, "the first one is gone"
    assert tracker.get("name Fridge*").address == second.address


def test_a_device_that_keeps_changing_its_address_is_no_duplicate(caplog):
    tracker = new_tracker(devices=[{"called": "Fridge*", "name": "Fridge"}])
    for number in range(20):
        for now in range(3):
            said = heard(f"4A:00:00:00:00:{number:02X}", name="Fridge 3", is_random=True)
            assert tracker.receive(said, 10 * number + now).address == said.address
    assert caplog.records == []


def test_a_device_with_an_identity_key_may_use_two_addresses(caplog):
    tracker = new_tracker(devices=[{"irk": IRK, "name": "Phone"}])
    both = [heard(address, is_random=True) for address in addresses_of(IRK, 2)]
    for now in range(6):
        assert tracker.receive(both[now % 2], now).child_address.startswith("irk ")
    assert caplog.records == []


def test_an_identity_key_identifies_the_same_device_in_every_spelling():
    spaced = ":".join(IRK[at : at + 2] for at in range(0, 32, 2)).upper()
    (address,) = addresses_of(IRK, 1)
    said = heard(address, is_random=True)
    keys = {new_tracker(devices=[{"irk": irk, "name": "Phone"}]).receive(said, 0).key for irk in (IRK, spaced, f" {IRK} ")}
    assert len(keys) == 1


def test_identity_keys_are_tried_once_per_address(monkeypatch):
    tried = []
    monkeypatch.setattr(
        "adapters.ble.advertisements.advertisement.IdentityKey.resolves", lambda _, address: tried.append(address)
    )
    tracker = new_tracker(devices=[{"irk": IRK, "name": "Phone"}])
    for number in range(50):
        tracker.receive(heard("4A:00:00:00:00:01", is_random=True, manufacturer_data={1: bytes([number])}), number)
    assert len(tried) == 1


def addresses_of(irk, count):
    """Return private addresses that the device with this key makes (Core Specification, Vol 3 Part H, 2.2.2)."""
    encryptor = Cipher(algorithms.AES(bytes.fromhex(irk)), modes.ECB()).encryptor()
    made_up = [bytes([0x70, 0, number]) for number in range(count)]
    return [(made + encryptor.update(bytes(13) + made)[-3:]).hex(":").upper() for made in made_up]


def test_parsers_are_asked_about_new_content_only(monkeypatch):
    asked = []
    monkeypatch.setattr(ParserRegistry, "find_decoder", lambda self, advertisement, key=None, **_: asked.append(advertisement))
    tracker = new_tracker()
    for now in range(5):
        tracker.receive(heard(manufacturer_data={1: b"a"}), now)
    assert len(asked) == 1
    tracker.receive(heard(manufacturer_data={1: b"b"}), 5)
    assert len(asked) == 2


def test_a_configured_device_needs_no_entry_in_the_allow_list():
    tracker = new_tracker(allow=["00:*"], devices=[{"address": "A4:C1:38:00:00:01", "name": "Fridge"}])
    assert tracker.receive(heard(**GOVEE), 0) is not None
    assert tracker.receive(heard("A4:C1:38:00:00:02", **GOVEE), 0) is None
    assert [device.address for device in tracker] == ["A4:C1:38:00:00:01"]


def test_a_device_whose_advertisements_lack_values_is_read_by_the_profile_that_fits():
    case = tomllib.loads((ADVERTS / "xiaomi-lywsd03mmc" / "encrypted-without-a-key.toml").read_text("utf-8"))["heard"][0]
    data = {full_uuid(uuid): bytes.fromhex(sent) for uuid, sent in case["service_data"].items()}
    encrypted = heard(case["address"], name="LYWSD03MMC", service_data=data)
    assert PARSERS.find_decoder(encrypted).decode(encrypted).needs == ("a bind key",)
    device = new_tracker().receive(encrypted, 0)
    assert device.decoder is None
    assert device.profile.name == "xiaomi-lywsd03mmc"
    assert device.match.is_certain


def test_a_forgotten_device_is_found_by_no_address(monkeypatch):
    monkeypatch.setattr(tracker_module, "MAX_DEVICES", 4)
    tracker = new_tracker()
    for number in range(5):
        tracker.receive(heard(f"00:00:00:00:00:0{number}", name="A"), number)
    assert tracker.get("00:00:00:00:00:00") is None
    assert len(list(tracker)) == len(tracker) == 4


def test_a_device_with_a_new_address_keeps_its_decoder_and_is_not_reported_again():
    tracker = new_tracker(devices=[{"called": "GVH5075_*", "name": "Fridge"}])
    before = tracker.receive(heard("4A:00:00:00:00:01", **GOVEE), 0)
    assert before.new_report() is not None
    after = tracker.receive(heard("4A:00:00:00:00:02", **GOVEE), 1)
    assert after.decoder is before.decoder is not None
    assert after.last_decoded is before.last_decoded
    assert after.new_report() is None
