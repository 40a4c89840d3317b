"""Turn the flags in telemetry responses into events: a change once, waiting work as long as the flag is set. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.hub import (
    CommandWaiting,
    ConfigurationChanged,
    FirmwareOffered,
    HubEvent,
    InfoChanged,
    LicencesWaiting,
    SpaceChanged,
    TelemetryResponse,
)


def describe_event(event: HubEvent) -> str | None:
    """Return an event as a sentence for the operator; `None` for an event that is logged elsewhere."""
    match event:
        case ConfigurationChanged(version=version):
            return f"configuration version {version} is in the cloud"
        case SpaceChanged(version=0):
            return "not claimed yet; claim the gateway in the portal, and its children are claimed with it"
        case SpaceChanged(version=version):
            return f"claimed; its space has version {version}"
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _LastFlags:
    config_version: int = 0
    info_version: int = 0
    space_data_version: int | None = None
    """`None` before the first response: unclaimed is an event, too."""
    firmware: str | None = None


class FlagTracker:
    """Remembers the last flags of each device since the start."""

    def __init__(self) -> None:
        self._last_flags: dict[str, _LastFlags] = {}

    def space_version(self, device_id: str) -> int | None:
        """Return the device's last `space_data_version`: 0 unclaimed, more claimed, `None` not known yet."""
        return self._last_flags.get(device_id, _LastFlags()).space_data_version

    def new_events(self, device_id: str, response: TelemetryResponse) -> list[HubEvent]:
        """Return the events of a response, compared with the one before."""
        before = self._last_flags.get(device_id, _LastFlags())
        self._last_flags[device_id] = _LastFlags(
            response.config_version, response.info_version, response.space_data_version, response.latest_firmware_version
        )
        events: list[HubEvent] = []
        if response.config_version > before.config_version:
            events.append(ConfigurationChanged(device_id, response.config_version))
        if response.info_version > before.info_version:
            events.append(InfoChanged(device_id, response.info_version))
        if response.space_data_version != before.space_data_version:
            events.append(SpaceChanged(device_id, response.space_data_version))
        if response.latest_firmware_version is not None and response.latest_firmware_version != before.firmware:
            events.append(FirmwareOffered(device_id, response.latest_firmware_version, response.latest_firmware_file_id))
        if response.command:
            events.append(CommandWaiting(device_id))
        if response.new_licenses:
            events.append(LicencesWaiting(device_id))
        return events
