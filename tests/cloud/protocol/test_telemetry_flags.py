from gateway.cloud.protocol.telemetry_flags import Flags, in_words
from gateway.hub import (
    CommandWaits,
    ConfigurationChanged,
    FirmwareOffered,
    InfoChanged,
    LicencesWait,
    SpaceChanged,
    TelemetryAnswer,
)

FULL = TelemetryAnswer(
    config_version=3, command=True, new_licenses=True, info_version=1, latest_firmware_version="2.0.0",
    latest_firmware_file_id="f", space_data_version=2,
)  # fmt: skip


def test_what_changed_is_told_once_and_what_waits_while_it_lasts():
    flags = Flags()
    assert flags.space_version("d") is None
    assert flags.heard("d", FULL) == [
        ConfigurationChanged("d", 3), InfoChanged("d", 1), SpaceChanged("d", 2), FirmwareOffered("d", "2.0.0", "f"),
        CommandWaits("d"), LicencesWait("d"),
    ]  # fmt: skip
    assert flags.heard("d", FULL) == [CommandWaits("d"), LicencesWait("d")]
    assert flags.space_version("d") == 2


def test_being_unclaimed_is_worth_telling_and_so_is_being_unclaimed_again():
    flags = Flags()
    assert flags.heard("d", TelemetryAnswer()) == [SpaceChanged("d", 0)]
    assert flags.heard("d", TelemetryAnswer(space_data_version=1)) == [SpaceChanged("d", 1)]
    assert flags.heard("d", TelemetryAnswer()) == [SpaceChanged("d", 0)]


def test_each_device_has_its_own_flags():
    flags = Flags()
    flags.heard("d", FULL)
    assert ConfigurationChanged("e", 3) in flags.heard("e", FULL)


def test_an_operator_reads_what_the_gateway_does_about_it():
    assert "does not apply it yet" in in_words(ConfigurationChanged("d", 3))
    assert "claim the gateway" in in_words(SpaceChanged("d", 0))
    assert in_words(SpaceChanged("d", 1)) == "claimed; its space is at version 1"
    assert "2.0.0" in in_words(FirmwareOffered("d", "2.0.0", None))
    assert in_words(CommandWaits("d")) is None
