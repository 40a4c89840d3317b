"""Build the gateway's own commands and what installs firmware, from the parts that they use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from gateway.cloud.files.download import FileLimits, StagingFolder
from gateway.cloud.files.dump_upload import DumpUpload
from gateway.cloud.rate_control import RateControl
from gateway.cloud.server_clock import ServerClock
from gateway.config.settings import Configuration
from gateway.field.fleet import Fleet
from gateway.hub import FileServers, Hub
from gateway.models import Finding
from gateway.runtime.diagnostics.contents import (
    DumpCollector,
    commands_part,
    configuration_part,
    findings_part,
    json_text,
    lines_part,
    versions_part,
)
from gateway.runtime.diagnostics.secrets import secrets_of_configuration, secrets_of_registry
from gateway.runtime.firmware.child_update import ChildFirmware
from gateway.runtime.firmware.hook import Hook
from gateway.runtime.firmware.source import FirmwareSource
from gateway.runtime.own_commands.commands import OwnCommands
from gateway.runtime.own_commands.devices import DeviceCommands
from gateway.runtime.own_commands.dump import dump_command
from gateway.runtime.own_commands.firmware import GatewayFirmware
from gateway.runtime.own_commands.log_level import LOG_LEVEL_COMMAND
from gateway.runtime.own_commands.reboot import reboot_command
from gateway.runtime.parts import FieldParts, Timing
from gateway.runtime.restart import Restart
from gateway.state.parts import StateParts
from gateway.state.registry import Registry
from gateway.status.open_causes import open_causes
from gateway.status.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudWay:
    """The way to the cloud."""

    hub: Hub
    files: FileServers
    clock: ServerClock
    """How far the clock of this machine is ahead."""
    rate_control: RateControl


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What a dump shows of the running gateway."""

    configuration: Callable[[], Configuration]
    """What is in effect now."""
    log_lines: Callable[[], Iterable[str]]
    snapshot: Callable[[], Awaitable[Snapshot]]
    examine: Callable[[], Awaitable[Sequence[Finding]]]
    more_secrets: Callable[[], Iterable[str]] = tuple
    """Texts besides those of configuration and registry that must not be in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCommandParts:
    """The gateway's own commands, and the firmware of its children."""

    commands: OwnCommands
    child_firmware: ChildFirmware


async def build_own_commands(
    configuration: Configuration,
    state: StateParts,
    field: FieldParts,
    way: CloudWay,
    diagnosis: Diagnosis,
    restart: Restart,
    *,
    timing: Timing,
) -> OwnCommandParts:
    """Return the commands; what an earlier run left half fetched is removed."""
    settings, registry = configuration.settings, state.registry
    limits = FileLimits(most_bytes=settings.cloud.max_file_mb * 1024 * 1024, requires_checksum=settings.cloud.require_checksum)
    staging = StagingFolder(settings.store.path.parent / "firmware", way.files, limits)
    source = FirmwareSource(way.hub, way.rate_control, state.firmware_offers, staging, settings.cloud)
    child_firmware = ChildFirmware(registry, source, state.firmware_jobs, goes_on_after=timing.firmware_goes_on_after)
    await child_firmware.clean_up(await state.ledger.interrupted())
    collector = dump_collector(state, field.fleet, diagnosis)
    commands = (
        *DeviceCommands(registry, field.intake, field.fleet).all(),
        LOG_LEVEL_COMMAND,
        reboot_command(restart),
        dump_command(registry, collector, DumpUpload(way.hub, way.rate_control)),
        GatewayFirmware(
            registry, source, _hook(configuration, state.registry, diagnosis), restarts_within=timing.hook_restarts_within
        ).command(),
    )
    return OwnCommandParts(commands=OwnCommands(commands), child_firmware=child_firmware)


def dump_collector(state: StateParts, fleet: Fleet, diagnosis: Diagnosis) -> DumpCollector:
    """Return what collects a dump of the running gateway."""

    async def status() -> str:
        return (await diagnosis.snapshot()).model_dump_json(indent=1) + "\n"

    async def causes() -> str:
        return json_text([one.model_dump(mode="json") for one in open_causes(await diagnosis.snapshot())])

    return DumpCollector(
        diagnosis.configuration,
        state.registry,
        {
            "log.txt": lines_part(diagnosis.log_lines),
            "status.json": status,
            "causes.json": causes,
            "configuration.json": configuration_part(diagnosis.configuration),
            "commands.json": commands_part(state.ledger),
            "frames.txt": lines_part(lambda: _frames(fleet)),
            "versions.json": versions_part(),
            "doctor.json": findings_part(diagnosis.examine),
        },
        more_secrets=diagnosis.more_secrets,
    )


def _hook(configuration: Configuration, registry: Registry, diagnosis: Diagnosis) -> Hook | None:
    section = configuration.settings.gateway
    if section.firmware_hook is None:
        return None

    def secrets() -> Iterable[str]:
        return {*secrets_of_configuration(configuration), *secrets_of_registry(registry), *diagnosis.more_secrets()}

    return Hook(program=section.firmware_hook, within=section.firmware_hook_timeout, secrets=secrets)


def _frames(fleet: Fleet) -> Iterator[str]:
    """Yield the last frames of each bus whose adapter keeps them."""
    for (entry, bus), supervisor in fleet.supervisors.items():
        try:
            frames = list(supervisor.adapter.recent_frames())
        except Exception as error:  # noqa: BLE001 - code of a third-party adapter: its bug costs its frames alone
            frames = [f"its adapter failed: {type(error).__name__}"]
        yield f"{entry} {bus}: {'no frames are kept' if not frames else f'{len(frames)} frames'}"
        yield from frames
