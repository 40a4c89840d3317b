"""Execute `update_firmware` of the gateway: fetch the file, and hand it to the program that the deployer names."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from gateway import __version__
from gateway.cloud.protocol.values import semantic_version
from gateway.errors import CommandRejected
from gateway.hub import Credentials
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


class GatewayFirmware:
    """The firmware of the gateway itself.

    Args:
        registry: has the gateway's id and key.
        source: fetches the file.
        hook: installs it; `None` where the deployer has named no program.
        restarts_within: how long a hook that has ended has to restart the gateway; until then the command waits for its end.
    """

    def __init__(self, registry: Registry, source: FirmwareSource, hook: Hook | None, *, restarts_within: timedelta) -> None:
        self._registry = registry
        self._source = source
        self._hook = hook
        self._restarts_within = restarts_within

    def command(self) -> OwnCommand:
        """Return the command."""
        return OwnCommand(spec=UPDATE_GATEWAY, run=self._update, after_restart=self._after_restart)

    async def _update(self, given: FirmwareParameters, checkpoint: Checkpoint) -> CommandResult:
        if self._hook is None:
            raise CommandRejected(NO_HOOK)
        if runs_version(given.version):
            return CommandResult(message=f"version {__version__} runs already", is_proven=True)
        checkpoint("the firmware file is fetched")
        try:
            result = await self._install(self._hook, self._credentials(), given, checkpoint)
        except asyncio.CancelledError:
            raise  # the gateway stops, and the hook may still need the file
        except BaseException:
            await asyncio.to_thread(self._source.staging.remove, FOLDER)
            raise
        await asyncio.to_thread(self._source.staging.remove, FOLDER)
        return result

    async def _install(
        self, hook: Hook, gateway: Credentials, given: FirmwareParameters, checkpoint: Checkpoint
    ) -> CommandResult:
        file = await self._source.fetch(gateway, FOLDER, given, checkpoint)
        checkpoint(f"the file is verified, {file.size // 1024} KB; the firmware hook installs it")
        last_line = await hook.install(file)
        if not runs_version(file.version):
            await asyncio.sleep(self._restarts_within.total_seconds())  # a hook that restarts the gateway ends this here
        return CommandResult(message=_told(file, last_line))

    async def _after_restart(self, given: FirmwareParameters) -> CommandResult | None:
        version = given.version
        if version is None and given.url is None:
            version = await self._source.offered_version(self._credentials())
        if version is None:
            return None
        if not runs_version(version):
            raise CommandRejected(f"the gateway was restarted before version {version} was installed; version {__version__} runs")
        return CommandResult(message=f"version {__version__} runs", is_proven=True)

    def _credentials(self) -> Credentials:
        gateway = self._registry.gateway
        if gateway is None or gateway.credentials is None:
            raise CommandRejected("nothing was installed: the gateway is not registered in the cloud (any more)")
        return gateway.credentials


def runs_version(version: str | None) -> bool:
    """Return whether this process is of that version."""
    return version is not None and semantic_version(version) == semantic_version(__version__)


def _told(file: FirmwareFile, last_line: str | None) -> str:
    what = f"the firmware hook has taken {file.path.name}"
    return f"{what}: {last_line}" if last_line else f"{what}; what it has installed runs from the next start on"
