"""Execute `dump`: collect what helps to find a fault, and send it to the cloud as one archive."""

from __future__ import annotations

from gateway.cloud.files.dump_upload import DumpUpload, Upload, UploadFailed
from gateway.errors import CommandRejected
from gateway.models import Checkpoint, CommandResult, NoParameters
from gateway.runtime.diagnostics.archive import MIME_TYPE
from gateway.runtime.diagnostics.contents import DumpCollector
from gateway.runtime.own_commands.commands import OwnCommand
from gateway.runtime.own_commands.declarations import DUMP
from gateway.state.registry import Registry


def dump_command(registry: Registry, collector: DumpCollector, upload: DumpUpload) -> OwnCommand:
    """Return the command."""

    async def dump(_given: NoParameters, checkpoint: Checkpoint) -> CommandResult:
        gateway = registry.gateway
        if gateway is None or gateway.credentials is None:
            raise CommandRejected("the gateway is not registered in the cloud (any more)")
        checkpoint("log, status, configuration and findings are collected")
        dump = await collector.collect()
        checkpoint(f"{dump.name} is sent: {len(dump.content) // 1024} KB")
        try:
            name = await upload.send(
                gateway.credentials, Upload(name=dump.name, mime_type=MIME_TYPE, content=dump.content), checkpoint
            )
        except UploadFailed as error:
            raise CommandRejected(str(error)) from error
        return CommandResult(message=f"{name}, {len(dump.content) // 1024} KB, is in the cloud", is_proven=True)

    return OwnCommand(
        spec=DUMP,
        run=dump,
    )
