"""Install firmware on a child, block by block in the gaps of its bus, and go on after a restart where it stood."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.adapter import Adapter
from gateway.backoff import Backoff
from gateway.errors import CommandRejected, DeviceUnreachable, OutcomeUnknown
from gateway.field.long_commands import ChildBus, LongCommand
from gateway.hub import Credentials
from gateway.models import (
    UPDATE_FIRMWARE,
    Checkpoint,
    ChildDevice,
    Command,
    CommandResult,
    FirmwareFile,
    FirmwareParameters,
    FirmwareProgress,
)
from gateway.runtime.firmware.source import FirmwareSource, folder_of
from gateway.state.command_ledger import LedgerEntry
from gateway.state.firmware_jobs import FirmwareJob, FirmwareJobs
from gateway.state.registry import Registry
from gateway.tasks import closed_after

log = logging.getLogger(__name__)

ATTEMPTS_WITHOUT_PROGRESS = 5
"""How often an installation goes on after the child did not answer, until a block is through again."""

READ_BYTES = 1024 * 1024


class ChildFirmware:
    """The firmware installations on children, one at a time for each bus.

    Args:
        registry: knows the children and their keys.
        source: fetches the files.
        jobs: records how far each installation is.
        goes_on_after: the wait before an installation goes on for the first time after a missed answer.
    """

    def __init__(self, registry: Registry, source: FirmwareSource, jobs: FirmwareJobs, *, goes_on_after: timedelta) -> None:
        self._registry = registry
        self._source = source
        self._jobs = jobs
        self._goes_on_after = goes_on_after
        self._buses: defaultdict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    async def clean_up(self, interrupted: Collection[LedgerEntry]) -> None:
        """Remove what no interrupted command needs, at the start of the gateway: files and records of installations."""
        needed = {(entry.child, entry.key[1]) for entry in interrupted}
        jobs = await self._jobs.all()
        for job in jobs:
            if job.key not in needed:
                await self._jobs.end(job)
        await asyncio.to_thread(self._source.staging.clean, {job.folder for job in jobs if job.key in needed})

    def find(self, child: ChildDevice, command: Command) -> LongCommand | None:
        """Return how a command installs firmware on a child; `None` for any other command."""
        if command.name != UPDATE_FIRMWARE.name:
            return None

        async def install(bus: ChildBus, checkpoint: Checkpoint) -> CommandResult:
            return await self._install(child, command, bus, checkpoint)

        return install

    async def _install(self, child: ChildDevice, command: Command, bus: ChildBus, checkpoint: Checkpoint) -> CommandResult:
        job = await self._jobs.find(child.key, command.id)
        if job is None:
            await bus.step(_check_is_offered)
            given = FirmwareParameters.model_validate(command.parameters)
            if given.version is not None and given.version == child.firmware_version:
                return CommandResult(message=f"version {given.version} is already installed", is_proven=True)
            checkpoint("the firmware file is fetched")
            job = await self._begin(child, command, given, checkpoint)
        lock = self._buses[child.adapter, child.bus]
        if lock.locked():
            checkpoint("it waits for another firmware update on its bus")
        try:
            async with lock:
                result = await self._install_file(job, await self._verified(job), bus, checkpoint)
        except asyncio.CancelledError:
            raise  # the gateway stops: the next one goes on with this job
        except BaseException:
            await self._end(job)
            raise
        await self._end(job)
        if result.is_proven and job.version is not None:
            await self._record_version(child.key, job.version)
        return result

    async def _begin(
        self, child: ChildDevice, command: Command, given: FirmwareParameters, checkpoint: Checkpoint
    ) -> FirmwareJob:
        folder = folder_of(child.key, command.id)
        file = await self._source.fetch(self._credentials(child), folder, given, checkpoint)
        job = FirmwareJob(
            child=child.key,
            command_id=command.id,
            folder=folder,
            file_name=file.path.name,
            size=file.size,
            sha256=file.sha256,
            version=file.version,
            signature=file.signature,
        )
        await self._jobs.begin(job)
        return job

    async def _end(self, job: FirmwareJob) -> None:
        await self._jobs.end(job)
        await asyncio.to_thread(self._source.staging.remove, job.folder)

    async def _verified(self, job: FirmwareJob) -> FirmwareFile:
        """Return the file of a job, read again: it may have been damaged since it was fetched, by a power cut for example."""
        path = self._source.staging.folder / job.folder / job.file_name
        if await asyncio.to_thread(_sha256, path) != job.sha256:
            began = "nothing was sent to the device" if job.position is None else f"the device has got a part ({job.position})"
            raise CommandRejected(
                f"the firmware file is missing or damaged on the gateway's disk; {began}. Send the command again"
            )
        return FirmwareFile(path=path, size=job.size, sha256=job.sha256, version=job.version, signature=job.signature)

    async def _install_file(self, job: FirmwareJob, file: FirmwareFile, bus: ChildBus, checkpoint: Checkpoint) -> CommandResult:
        """Install a file from where it stood, and go on some times after a missed answer or a lost bus."""
        reached, failures, backoff = job.position, 0, Backoff(self._goes_on_after.total_seconds(), 60)

        async def advance(step: FirmwareProgress) -> None:
            nonlocal reached, failures
            reached, failures = step.position, 0
            backoff.reset()
            await self._jobs.advance(job, reached)
            checkpoint(step.text)

        while True:
            try:
                await bus.step(lambda adapter, child: adapter.check_firmware(child, file))
                return await _take_steps(bus, file, reached, advance)
            except (DeviceUnreachable, OutcomeUnknown) as error:
                failures += 1
                if failures == ATTEMPTS_WITHOUT_PROGRESS:
                    raise
                checkpoint(f"it stands at {reached or 0}, and goes on soon: {error}")
                await asyncio.sleep(backoff.next_wait_seconds())

    async def _record_version(self, key: str, version: str) -> None:
        """Record what is installed now, so that the cloud learns of it before the device is next identified."""
        record = self._registry.children.get(key)
        if record is not None and record.child.firmware_version != version:
            await self._registry.admit(replace(record.child, firmware_version=version))

    def _credentials(self, child: ChildDevice) -> Credentials:
        record, gateway = self._registry.children.get(child.key), self._registry.gateway
        parent = None if gateway is None else gateway.credentials
        credentials = None if record is None or parent is None else record.credentials(parent)
        if credentials is None:
            raise CommandRejected("nothing was installed: the device is not registered in the cloud (any more)")
        return credentials


async def _check_is_offered(adapter: Adapter[Any], child: ChildDevice) -> None:
    """Refuse firmware for a child whose adapter does not list the command, before anything is fetched."""
    if not any(spec.name == UPDATE_FIRMWARE.name for spec in adapter.commands(child)):
        raise CommandRejected(f"{child.name} takes no firmware from the gateway: its adapter cannot install any")


async def _take_steps(
    bus: ChildBus, file: FirmwareFile, position: int | None, advance: Callable[[FirmwareProgress], Awaitable[None]]
) -> CommandResult:
    async with closed_after(await bus.step(_steps_from(file, position))) as steps:
        while (step := await bus.step(_next_of(steps))) is not None:
            if isinstance(step, CommandResult):
                return step
            await advance(step)
    raise OutcomeUnknown("the installation ended without a result")


def _steps_from(
    file: FirmwareFile, position: int | None
) -> Callable[[Adapter[Any], ChildDevice], Awaitable[AsyncIterator[FirmwareProgress | CommandResult]]]:
    async def start(adapter: Adapter[Any], child: ChildDevice) -> AsyncIterator[FirmwareProgress | CommandResult]:
        return adapter.firmware_steps(child, file, position)

    return start


def _next_of(
    steps: AsyncIterator[FirmwareProgress | CommandResult],
) -> Callable[[Adapter[Any], ChildDevice], Awaitable[FirmwareProgress | CommandResult | None]]:
    return lambda _adapter, _child: anext(steps, None)


def _sha256(path: Path) -> str | None:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(READ_BYTES):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
