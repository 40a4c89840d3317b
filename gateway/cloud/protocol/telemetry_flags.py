"""The flags in the hub's answers to events: what changed is told once, what waits is told while it lasts. Nothing here waits."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.hub import (
    CommandWaits,
    ConfigurationChanged,
    FirmwareOffered,
    HubEvent,
    InfoChanged,
    LicencesWait,
    SpaceChanged,
    TelemetryAnswer,
)


def in_words(event: HubEvent) -> str | None:
    """Return what an operator should read of an event, and what this gateway does about it; `None` for what is told elsewhere."""
    match event:
        case ConfigurationChanged(version=version):
            return f"configuration version {version} is in the cloud; this version of the gateway does not apply it yet"
        case SpaceChanged(version=0):
            return "not claimed yet; claim the gateway in the portal, and its children come along"
        case SpaceChanged(version=version):
            return f"claimed; its space is at version {version}"
        case FirmwareOffered(version=version):
            return f"firmware {version} is offered in the cloud; the gateway does not install firmware by itself"
        case _:
            return None


@dataclass(frozen=True, slots=True)
class _Seen:
    config_version: int = 0
    info_version: int = 0
    space_data_version: int | None = None
    """`None` before the first answer: being unclaimed is worth telling, too."""
    firmware: str | None = None


class Flags:
    """What the hub has said of each device since the start."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def space_version(self, device_id: str) -> int | None:
        """Return the device's last `space_data_version`: 0 unclaimed, more claimed, `None` not known yet."""
        return self._seen.get(device_id, _Seen()).space_data_version

    def heard(self, device_id: str, answer: TelemetryAnswer) -> list[HubEvent]:
        """Return what this answer tells that was not known before."""
        before = self._seen.get(device_id, _Seen())
        self._seen[device_id] = _Seen(
            answer.config_version, answer.info_version, answer.space_data_version, answer.latest_firmware_version
        )
        events: list[HubEvent] = []
        if answer.config_version > before.config_version:
            events.append(ConfigurationChanged(device_id, answer.config_version))
        if answer.info_version > before.info_version:
            events.append(InfoChanged(device_id, answer.info_version))
        if answer.space_data_version != before.space_data_version:
            events.append(SpaceChanged(device_id, answer.space_data_version))
        if answer.latest_firmware_version is not None and answer.latest_firmware_version != before.firmware:
            events.append(FirmwareOffered(device_id, answer.latest_firmware_version, answer.latest_firmware_file_id))
        if answer.command:
            events.append(CommandWaits(device_id))
        if answer.new_licenses:
            events.append(LicencesWait(device_id))
        return events
