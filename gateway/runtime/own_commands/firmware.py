"""Execute `update_firmware` of the gateway: fetch the file, and hand it to the program that the deployer names."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gateway import __version__
from gateway.cloud.protocol.values import semantic_version
from gateway.errors import CommandRejected
from gateway.models import Checkpoint, CommandResult, FirmwareFile, FirmwareParameters
from gateway.runtime.firmware.hook import Hook
from gateway.runtime.firmware.source import FirmwareSource
from gateway.runtime.own_commands.commands import OwnCommand
from gateway.runtime.own_commands.declarations import UPDATE_GATEWAY
from gateway.state.registry import Registry

FOLDER = "gateway"
"""The folder of the file: the gateway carries out one command at a time."""

NO_HOOK = (
    "nothing was installed: no program is named that installs firmware of the gateway; name one as `firmware_hook` in [gateway]"
    " of its configuration"
)


def firmware_command(registry: Registry, source: FirmwareSource, hook: Hook | None, *, restarts_within: timedelta) -> OwnCommand:
    """Return the command.

    Args:
        registry: has the gateway's id and key.
        source: fetches the file.
        hook: installs it; `None` where the deployer has named no program.
        restarts_within: how long a hook that has ended has to restart the gateway; until then the command waits for its end.
    """

    async def update(given: FirmwareParameters, checkpoint: Checkpoint) -> CommandResult:
        gateway = registry.gateway
        if hook is None:
            raise CommandRejected(NO_HOOK)
        if gateway is None or gateway.credentials is None:
            raise CommandRejected("nothing was installed: the gateway is not registered in the cloud (any more)")
        if runs_version(given.version):
            return CommandResult(message=f"version {__version__} runs already", is_proven=True)
        checkpoint("the firmware file is fetched")
        try:
            file = await source.fetch(gateway.credentials, FOLDER, given, checkpoint)
            checkpoint(f"the file is verified, {file.size // 1024} KB; the firmware hook installs it")
            last_line = await hook.install(file)
            if not runs_version(file.version):
                await asyncio.sleep(restarts_within.total_seconds())  # a hook that restarts the gateway ends this here
        except asyncio.CancelledError:
            raise  # the hook may still need the file
        except BaseException:
            await asyncio.to_thread(source.staging.remove, FOLDER)
            raise
        await asyncio.to_thread(source.staging.remove, FOLDER)
        return CommandResult(message=_told(file, last_line))

    return OwnCommand(
        spec=UPDATE_GATEWAY,
        run=update,
        after_restart=_after_restart,
    )


def runs_version(version: str | None) -> bool:
    """Return whether this process is of that version."""
    return version is not None and semantic_version(version) == semantic_version(__version__)


def _after_restart(given: FirmwareParameters) -> CommandResult | None:
    if given.version is None:
        return None
    if not runs_version(given.version):
        raise CommandRejected(
            f"the gateway was restarted before version {given.version} was installed; version {__version__} runs"
        )
    return CommandResult(message=f"version {__version__} runs", is_proven=True)


def _told(file: FirmwareFile, last_line: str | None) -> str:
    what = f"the firmware hook has taken {file.path.name}"
    return f"{what}: {last_line}" if last_line else f"{what}; what it has installed runs from the next start on"
