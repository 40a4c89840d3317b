"""Test what counts as received when BlueZ reports a change of a device during a passive scan."""

from types import SimpleNamespace

import pytest

from adapters.ble.radio import passive_devices as passive_devices_module
from adapters.ble.radio.passive_devices import FORGET_SECONDS, STILL_THERE_SECONDS, PassiveDevices

PATH = "/org/bluez/hci0/dev_A4_C1_38_00_00_01"
SERVICE = "0000fcd2-0000-1000-8000-00805f9b34fb"


def known(**properties):
    return {"Address": "A4:C1:38:00:00:01", "AddressType": "random", "RSSI": -60, **properties}


@pytest.fixture
def scan():
    now, received, forgotten = SimpleNamespace(seconds=0.0), [], []
    devices = PassiveDevices(lambda: now.seconds, lambda device, advertisement: received.append(advertisement), forgotten.append)

    def wait(seconds):
        now.seconds += seconds

    return SimpleNamespace(devices=devices, received=received, forgotten=forgotten, wait=wait)


def payloads(scan):
    return [{**one.manufacturer_data, **one.service_data} for one in scan.received]


def test_only_what_is_new_in_a_merged_property_was_received(scan):
    scan.devices.added(PATH, known(ManufacturerData={0xF1C2: b"1"}))
    scan.devices.changed(PATH, {"ManufacturerData": {0xF1C2: b"1", 0xF2C2: b"2"}})
    scan.devices.changed(PATH, {"ManufacturerData": {0xF1C2: b"3", 0xF2C2: b"2"}})
    assert payloads(scan) == [{0xF1C2: b"1"}, {0xF2C2: b"2"}, {0xF1C2: b"3"}]


def test_the_same_holds_for_service_data(scan):
    other = SERVICE.replace("fcd2", "fe95")
    scan.devices.added(PATH, known(ServiceData={SERVICE: b"1"}))
    scan.devices.changed(PATH, {"ServiceData": {SERVICE: b"1", other: b"2"}})
    scan.devices.changed(PATH, {"ServiceData": {SERVICE: b"3", other: b"2"}})
    assert payloads(scan) == [{SERVICE: b"1"}, {other: b"2"}, {SERVICE: b"3"}]


def test_data_that_first_came_together_stays_together_when_one_of_them_changes(scan):
    scan.devices.added(PATH, known(ManufacturerData={0xEC88: b"1", 0x004C: b"INTELLI"}, ServiceData={SERVICE: b"s"}))
    scan.devices.changed(PATH, {"ManufacturerData": {0xEC88: b"2", 0x004C: b"INTELLI"}})
    assert payloads(scan)[-1] == {0xEC88: b"2", 0x004C: b"INTELLI", SERVICE: b"s"}


def test_a_repetition_is_received_again_with_what_was_received_last(scan):
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    scan.devices.changed(PATH, {"ManufacturerData": {1: b"1", 2: b"2"}})
    scan.wait(1)
    scan.devices.found(PATH, "m")
    scan.devices.changed(PATH, {"RSSI": -71})
    assert payloads(scan) == [{1: b"1"}, {2: b"2"}, {2: b"2"}, {2: b"2"}]
    assert [one.rssi for one in scan.received] == [-60, -60, -60, -71]


def test_several_monitors_that_match_one_advertisement_report_it_once(scan):
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    for repetition in range(1, 4):
        for monitor in ("m", "n", "o"):
            scan.devices.found(PATH, monitor)
            scan.wait(0.02)
        assert len(scan.received) == repetition


def test_advertisements_that_match_different_monitors_are_all_received(scan):
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    for monitor in ("m", "n", "m", "n"):
        scan.wait(2)
        scan.devices.found(PATH, monitor)
    assert len(scan.received) == 5


def test_other_clients_that_want_duplicates_make_the_property_the_advertisement(scan):
    scan.devices.added(PATH, known(ManufacturerData={1: b"a"}))
    for data in ({2: b"b"}, {1: b"a"}, {1: b"a"}):
        scan.devices.changed(PATH, {"ManufacturerData": data})
    assert payloads(scan) == [{1: b"a"}, {2: b"b"}, {1: b"a"}, {1: b"a"}]


@pytest.mark.parametrize(
    "change",
    [{"Connected": True}, {"ServicesResolved": True}, {"Paired": False}, {"UUIDs": [SERVICE]}, {"Name": "x"}, {"Alias": "y"}],
)
def test_what_a_connection_changes_is_no_advertisement(scan, change):
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    scan.devices.changed(PATH, change)
    assert len(scan.received) == 1


def test_a_name_that_becomes_known_is_part_of_the_next_advertisement(scan):
    scan.devices.added(PATH, known())
    scan.devices.changed(PATH, {"Name": "TP357 (2142)", "UUIDs": [SERVICE]})
    scan.wait(1)
    scan.devices.found(PATH, "m")
    assert (scan.received[-1].name, scan.received[-1].service_uuids) == ("TP357 (2142)", (SERVICE,))


def test_a_device_that_bluez_knew_before_was_not_received_until_it_is(scan):
    scan.devices.known_before(PATH, known(ManufacturerData={1: b"1"}))
    scan.devices.report_present()
    assert scan.received == []
    scan.devices.found(PATH, "m")
    assert payloads(scan) == [{1: b"1"}]


def test_of_a_device_that_bluez_knew_before_only_the_new_is_received(scan):
    scan.devices.known_before(PATH, known(ManufacturerData={1: b"old", 2: b"old"}))
    scan.devices.changed(PATH, {"ManufacturerData": {1: b"old", 2: b"new"}})
    assert payloads(scan) == [{2: b"new"}]


def test_where_bluez_tells_changes_only_a_device_is_there_as_long_as_its_object(scan):
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    scan.devices.found(PATH, "m")
    scan.wait(STILL_THERE_SECONDS)
    scan.devices.report_present()
    assert len(scan.received) == 2
    scan.devices.removed(PATH)
    scan.wait(STILL_THERE_SECONDS)
    scan.devices.report_present()
    assert len(scan.received) == 2


def test_where_bluez_reports_each_advertisement_silence_is_silence(scan):
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    scan.devices.found(PATH, "m")
    scan.wait(1)
    scan.devices.found(PATH, "m")
    scan.wait(STILL_THERE_SECONDS)
    scan.devices.report_present()
    assert len(scan.received) == 2


@pytest.mark.parametrize("change", [{"Connected": True}, {"Paired": True}])
def test_a_device_whose_object_bluez_keeps_is_not_taken_for_present(scan, change):
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    scan.devices.changed(PATH, change)
    scan.wait(STILL_THERE_SECONDS)
    scan.devices.report_present()
    assert len(scan.received) == 1


def test_a_device_whose_object_bluez_keeps_is_present_until_the_controller_reports_its_loss(scan):
    scan.devices.known_before(PATH, known(ManufacturerData={1: b"1"}, Paired=True))
    scan.devices.found(PATH, "m")
    scan.wait(STILL_THERE_SECONDS)
    scan.devices.report_present()
    assert len(scan.received) == 2
    scan.devices.lost(PATH)
    scan.wait(STILL_THERE_SECONDS)
    scan.devices.report_present()
    assert len(scan.received) == 2
    scan.devices.found(PATH, "m")
    assert len(scan.received) == 3


def test_a_device_that_returns_starts_anew(scan):
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    scan.devices.changed(PATH, {"ManufacturerData": {1: b"1", 2: b"2"}})
    scan.devices.removed(PATH)
    scan.devices.changed(PATH, {"RSSI": -50})
    scan.devices.found(PATH, "m")
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    assert payloads(scan) == [{1: b"1"}, {2: b"2"}, {1: b"1"}]
    assert len(scan.devices) == 1


def test_a_strength_that_is_withdrawn_is_unknown(scan):
    scan.devices.added(PATH, known(ManufacturerData={1: b"1"}))
    scan.devices.changed(PATH, {}, ["RSSI", "TxPower"])
    scan.wait(1)
    scan.devices.found(PATH, "m")
    assert scan.received[-1].rssi is None


def cycle(scan, *companies):
    """Let the device send these company ids in turn, and return BlueZ's property."""
    merged = {}
    for company in companies:
        before, merged[company] = dict(merged), b"29 %"
        if not before:
            scan.devices.added(PATH, known(Name="TP357 (2142)", ManufacturerData=dict(merged)))
        elif merged != before:
            scan.devices.changed(PATH, {"ManufacturerData": dict(merged)})
    return merged


def test_bluez_is_asked_to_forget_the_old_ids_of_a_device_that_writes_a_value_into_them(scan):
    cycle(scan, 0x08FC, 0xF7C2)
    assert scan.forgotten == []
    cycle(scan, 0x08FC, 0xF7C2, 0xF3C2)
    assert scan.forgotten == [PATH]
    scan.devices.removed(PATH)
    scan.devices.added(PATH, known(ManufacturerData={0xF3C2: b"29 %"}))
    assert scan.received[-1].name == "TP357 (2142)", "BlueZ forgets it with the object, and it is in the scan response"
    scan.wait(FORGET_SECONDS)
    scan.devices.changed(PATH, {"ManufacturerData": {0xF3C2: b"29 %", 0xF1C2: b"29 %"}})
    assert payloads(scan)[-1] == {0xF1C2: b"29 %"}
    assert scan.forgotten == [PATH, PATH]


def test_bluez_is_not_asked_more_often_than_needed_and_not_later_than_the_next_look(scan):
    merged = cycle(scan, 1, 2, 3)
    scan.devices.changed(PATH, {"ManufacturerData": {**merged, 4: b"29 %"}})
    assert scan.forgotten == [PATH]
    scan.wait(FORGET_SECONDS)
    scan.devices.report_present()
    assert scan.forgotten == [PATH, PATH]
    scan.devices.removed(PATH)
    scan.devices.added(PATH, known(ManufacturerData={4: b"29 %"}))
    scan.wait(FORGET_SECONDS)
    scan.devices.report_present()
    assert scan.forgotten == [PATH, PATH]


@pytest.mark.parametrize("ids", [(0xF1C2, 0xF2C2), (0x0802, 0x0803)])
def test_two_values_in_turn_are_followed(scan, ids):
    cycle(scan, *ids)
    assert scan.forgotten == [PATH]


@pytest.mark.parametrize(
    "frames",
    [
        ({0x004C: b"beacon"}, {0xEC88: b"beacon"}),  # no byte in common
        ({0x004C: b"a longer frame"}, {0x0001: b"short"}),
        ({0x004C: b"beacon", 0x0001: b"beacon"},),  # in one advertisement
    ],
)
def test_two_kinds_of_frame_are_no_values(scan, frames):
    merged = {}
    for frame in frames:
        merged |= frame
        (scan.devices.changed if scan.received else scan.devices.added)(PATH, known(ManufacturerData=dict(merged)))
    assert scan.forgotten == []


def test_of_devices_that_write_values_into_ids_the_last_ones_are_remembered(monkeypatch):
    monkeypatch.setattr(passive_devices_module, "MOST_VALUES_IN_IDS", 2)
    forgotten = []
    devices = PassiveDevices(lambda: 100.0, lambda device, advertisement: None, forgotten.append)
    for number in range(5):
        path = f"{PATH}{number}"
        devices.added(path, known(ManufacturerData={0xF1C2: b"29 %"}))
        devices.changed(path, {"ManufacturerData": {0xF1C2: b"29 %", 0xF2C2: b"29 %"}})
        devices.removed(path)
    assert len(forgotten) == 5, "a radio that heard many passing devices still recognizes the next"
    assert len(devices._values_in_ids) == 2


def test_a_device_that_is_being_connected_to_is_not_forgotten():
    forgotten, in_use = [], {"A4:C1:38:00:00:01"}
    devices = PassiveDevices(lambda: 100.0, lambda device, advertisement: None, forgotten.append, in_use)
    devices.added(PATH, known(ManufacturerData={0xF1C2: b"29 %"}))
    devices.changed(PATH, {"ManufacturerData": {0xF1C2: b"29 %", 0xF2C2: b"29 %"}})
    assert forgotten == []
    in_use.clear()
    devices.report_present()
    assert forgotten == [PATH]


@pytest.mark.parametrize("change", [{"Connected": True}, {"Paired": True}])
def test_a_device_that_somebody_uses_is_not_forgotten(scan, change):
    cycle(scan, 1)
    scan.devices.changed(PATH, change)
    scan.devices.changed(PATH, {"ManufacturerData": {1: b"29 %", 2: b"29 %"}})
    assert payloads(scan)[-1] == {2: b"29 %"}
    assert scan.forgotten == []


def test_a_device_with_several_frames_in_turn_is_not_forgotten(scan):
    scan.devices.added(PATH, known(ManufacturerData={0x004C: b"1"}))
    for value in (b"1", b"2", b"3", b"4"):
        scan.devices.changed(PATH, {"ManufacturerData": {0x004C: b"1", 0xEC88: value}})
    scan.wait(FORGET_SECONDS)
    scan.devices.report_present()
    assert scan.forgotten == []
