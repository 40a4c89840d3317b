from gateway.cloud.protocol.telemetry_flags import FlagTracker, describe_event
from gateway.hub import (
    CommandWaiting,
    ConfigurationChanged,
    FirmwareOffered,
    InfoChanged,
    LicencesWaiting,
    SpaceChanged,
    TelemetryResponse,
)

FULL = TelemetryResponse(
    config_version=3, command=True, new_licenses=True, info_version=1, latest_firmware_version="2.0.0",
    latest_firmware_file_id="f", space_data_version=2,
)  # fmt: skip


def test_a_change_is_an_event_once_and_waiting_work_as_long_as_it_waits():
    flags = FlagTracker()
    assert flags.space_version("d") is None
    assert flags.new_events("d", FULL) == [
        ConfigurationChanged("d", 3), InfoChanged("d", 1), SpaceChanged("d", 2), FirmwareOffered("d", "2.0.0", "f"),
        CommandWaiting("d"), LicencesWaiting("d"),
    ]  # fmt: skip
    assert flags.new_events("d", FULL) == [CommandWaiting("d"), LicencesWaiting("d")]
    assert flags.space_version("d") == 2


def test_being_unclaimed_is_worth_telling_and_so_is_being_unclaimed_again():
    flags = FlagTracker()
    assert flags.new_events("d", TelemetryResponse()) == [SpaceChanged("d", 0)]
    assert flags.new_events("d", TelemetryResponse(space_data_version=1)) == [SpaceChanged("d", 1)]
    assert flags.new_events("d", TelemetryResponse()) == [SpaceChanged("d", 0)]


def test_each_device_has_its_own_flags():
    flags = FlagTracker()
    flags.new_events("d", FULL)
    assert ConfigurationChanged("e", 3) in flags.new_events("e", FULL)


def test_an_operator_reads_what_the_gateway_does_about_it():
    assert describe_event(ConfigurationChanged("d", 3)) == "configuration version 3 is in the cloud"
    assert "claim the gateway" in describe_event(SpaceChanged("d", 0))
    assert describe_event(SpaceChanged("d", 1)) == "claimed; its space has version 1"
    assert describe_event(FirmwareOffered("d", "2.0.0", None)) is None, "it is told with what becomes of it"
    assert describe_event(CommandWaiting("d")) is None
