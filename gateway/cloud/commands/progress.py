"""Report commands that take a while as `in_progress`, with a text that says how far they are."""

from __future__ import annotations

import asyncio
from functools import partial

from gateway.cloud.commands.running import RunningCommand
from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.protocol.values import printable_line
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubRejected, HubUnauthorised
from gateway.hub import Credentials, Hub
from gateway.tasks import loop_time

PROGRESS_AT_ONCE = 4
"""How many commands are reported as `in_progress` at the same time: a thousand may become slow in the same second."""

PROGRESS_AGAIN_AFTER_SECONDS = 10.0
"""How often the progress of a long command is reported; the answer also says whether the command was cancelled."""

PROGRESS_LENGTH = 200
"""The longest text about the progress, in characters."""


class ProgressReporter:
    """Reports the progress of running commands.

    Args:
        hub: the cloud.
        devices: knows the children and their keys.
        calls: the guarded calls of the session.
    """

    def __init__(self, hub: Hub, devices: CloudDevices, *, calls: GuardedCalls) -> None:
        self._hub = hub
        self._devices = devices
        self._calls = calls
        self._at_once = asyncio.Semaphore(PROGRESS_AT_ONCE)

    async def report_until_done(self, parent: Credentials, running: RunningCommand) -> None:
        """Report a command once, and a long one again and again, until it has ended."""
        await self.report(parent, running)
        if running.progress is not None and running.task is not None:
            await asyncio.wait({running.task}, timeout=PROGRESS_AGAIN_AFTER_SECONDS)
        await self.repeat_until_done(parent, running)

    async def repeat_until_done(self, parent: Credentials, running: RunningCommand) -> None:
        """Report a long command from its first step on again and again, until it has ended."""
        if running.task is None:
            return
        progressing = asyncio.ensure_future(running.has_progress.wait())
        try:
            await asyncio.wait({running.task, progressing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            progressing.cancel()
        while not running.task.done():
            await self.report(parent, running)
            await asyncio.wait({running.task}, timeout=PROGRESS_AGAIN_AFTER_SECONDS)

    async def report(self, parent: Credentials, running: RunningCommand) -> None:
        """Report a command as `in_progress`, unless it has ended meanwhile."""
        async with self._at_once:
            await self._calls.run(parent, CallKind.COMMANDS, partial(self._report, parent, running), otherwise=False)

    async def _report(self, parent: Credentials, running: RunningCommand) -> bool:
        entry = running.entry
        device = self._devices.credentials_of(parent, entry.device_id)
        if device is None or running.has_ended:
            return False
        waiting = "it waits for the gateway" if entry.child is None else "it waits for its device"
        started = waiting if entry.started_at is None else "it is being carried out"
        text = printable_line(running.progress or started, PROGRESS_LENGTH)
        try:
            await self._hub.update_command(device, entry.command_id, "in_progress", text)
            running.offered_at = loop_time()
        except HubUnauthorised:
            self._devices.key_refused(parent, entry.device_id)
        except HubRejected as error:
            if error.status == 404:  # `no command`: it was cancelled, or it timed out in the cloud (section 6.3)
                running.cancel()
        return True
