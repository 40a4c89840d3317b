"""Test what is known and reported of one device."""

from dataclasses import replace

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.device_decoder import DecodedAdvertisement
from adapters.ble.discovery.configured_devices import KnownDevice
from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.profile.device_information import DeviceInformation
from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.profile.profile_matching import best_match
from adapters.ble.settings import ConfiguredDevice
from gateway.adapter import DeviceUnreachable, MetricRow

ADDRESS = "A4:C1:38:56:53:84"
PRIVATE = "4A:00:00:00:00:01"
ENCRYPTED = {full_uuid("fe95"): bytes.fromhex("58585b05db184bf838c1a47d95000000fb1c1d")}
PROFILES = PROFILE_FILES.load([PROFILE_FILES.folder])
DECODED = DecodedAdvertisement(parser="acme", family="climate-sensor", model="A1", name="A1 5384", row=MetricRow([]), values=())


def tracked(address=ADDRESS, known=None, **rest):
    return TrackedDevice(Advertisement(address=address, is_random=address == PRIVATE, rssi=-60, **rest), known, {})


def with_profile():
    device = tracked(name="LYWSD03MMC", service_data=ENCRYPTED)
    device.profile = PROFILES["xiaomi-lywsd03mmc"]
    device.match = best_match(device.advertisement, device.profile)
    return device


def test_a_changed_firmware_is_reported_and_an_equal_advertisement_is_not():
    device = tracked()
    device.set_decoded(DECODED)
    assert device.new_report().model == "A1"
    device.set_decoded(replace(DECODED))
    assert device.new_report() is None
    device.set_decoded(replace(DECODED, firmware_version="1.1"))
    assert device.new_report().firmware_version == "1.1"


def test_a_device_that_is_recognized_later_is_reported_again():
    device = tracked(PRIVATE, name="Fridge 3")
    assert device.new_report().identity.kind == "mac"
    device.assign(KnownDevice(ConfiguredDevice(called="Fridge*", name="Fridge")))
    report = device.new_report()
    assert (report.name, report.identity.kind) == ("Fridge", "fingerprint")


def test_device_information_is_reported_and_clears_the_problem():
    device = with_profile()
    device.new_report()
    device.note_failed_connection(DeviceUnreachable("it accepted no connection"))
    assert any("could not be identified" in remark for remark in device.remarks(0))
    device.set_information(DeviceInformation(serial_number="4711"))
    assert device.new_report().serial_number == "4711"
    assert not any("could not be identified" in remark for remark in device.remarks(0))


def test_new_evidence_alone_is_not_reported():
    device = with_profile()
    device.new_report()
    device.may_have_changed, device.problem = True, "it could not be identified"
    assert device.found().evidence["problem"] == "it could not be identified"
    assert device.new_report() is None


def test_a_device_is_reported_only_after_the_connection_that_identifies_it():
    device = with_profile()
    assert (device.needs_connection, device.is_reportable) == (True, False)
    device.set_information(DeviceInformation())
    assert (device.needs_connection, device.is_reportable) == (False, True)


def test_a_private_address_makes_even_a_decoded_device_irrelevant():
    device = tracked(PRIVATE, name="A1")
    device.set_decoded(DECODED)
    assert not device.is_relevant


def test_the_maker_in_the_profile_outranks_that_in_the_device():
    device = with_profile()
    device.set_information(DeviceInformation(manufacturer="miaomiaoce.com", model="LYWSD03MMC"))
    assert device.found().manufacturer == device.profile.maker != "miaomiaoce.com"


@pytest.mark.parametrize("decoded", [None, DECODED])
def test_all_blocks_of_the_same_metrics_share_one_row(decoded):
    device = tracked()
    device.set_decoded(decoded)
    assert device.block(None).row is device.block(None).row
