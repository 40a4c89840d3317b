"""Report the outcome of each command until the cloud has it, or no longer waits for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from gateway.cloud.commands.running import RunningCommands
from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubRejected, HubUnauthorised
from gateway.hub import Credentials, Hub
from gateway.state.command_ledger import CommandLedger, LedgerEntry
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

REPORT_AGAIN_AFTER_SECONDS = 10.0
"""An outcome that the cloud seems not to have is reported again after this time, and not in a loop."""


class OutcomeReporter:
    """Reports what the ledger has as ended and not delivered.

    Args:
        hub: the cloud.
        devices: knows the children and their keys.
        ledger: keeps the outcomes.
        calls: the guarded calls of the session.
        running: the commands that are being carried out.
        on_reported: is called with the id of a device whose next command can be fetched.
    """

    def __init__(
        self,
        hub: Hub,
        devices: CloudDevices,
        ledger: CommandLedger,
        *,
        calls: GuardedCalls,
        running: RunningCommands,
        on_reported: Callable[[str], None],
    ) -> None:
        self._hub = hub
        self._devices = devices
        self._ledger = ledger
        self._calls = calls
        self._running = running
        self._on_reported = on_reported
        self._has_outcomes = asyncio.Event()
        self._reported_at: dict[tuple[str, str], float] = {}

    async def run(self, parent: Credentials) -> None:
        """Report outcomes until cancelled."""
        self._has_outcomes.set()
        while True:
            await self._has_outcomes.wait()
            self._has_outcomes.clear()
            for entry in await retry_until_stored(self._ledger.undelivered, what="the list of outcomes"):
                if self._running.includes(entry):
                    continue  # a report of its progress is on its way, and must not arrive behind the outcome
                report = partial(self._report, parent, entry)
                if not await self._calls.run(parent, CallKind.COMMANDS, report, otherwise=False):
                    self._has_outcomes.set()

    def report_soon(self) -> None:
        """Report an outcome that was recorded just now."""
        self._has_outcomes.set()

    async def report_again(self, entry: LedgerEntry) -> None:
        """Report the outcome of a command that the cloud offers although it has ended: the cloud did not receive it."""
        if not entry.is_delivered:
            return  # its report is on the way, and would be refused the second time
        if loop_time() - self._reported_at.get(entry.key, -REPORT_AGAIN_AFTER_SECONDS) >= REPORT_AGAIN_AFTER_SECONDS:
            await self._ledger.deliver(entry, is_delivered=False)
            self._has_outcomes.set()

    async def _report(self, parent: Credentials, entry: LedgerEntry) -> bool:
        device = self._devices.credentials_of(parent, entry.device_id)
        if device is not None and entry.outcome is not None:
            try:
                await self._hub.update_command(device, entry.command_id, entry.outcome.status, entry.message)
            except HubUnauthorised:
                self._devices.key_refused(parent, entry.device_id)
            except HubRejected as error:  # 404: it was cancelled, or it timed out in the cloud (section 6.3)
                name = self._devices.name_of(entry.child)
                log.info("%s: the cloud does not take the outcome of %s: %s", name, entry.name, error)
        # without it, the outcome would be reported again and again while the store fails
        await retry_until_stored(partial(self._ledger.deliver, entry), what="that an outcome is reported")
        now = loop_time()
        recent = {key: at for key, at in self._reported_at.items() if now - at < REPORT_AGAIN_AFTER_SECONDS}
        self._reported_at = {**recent, entry.key: now}
        self._on_reported(entry.device_id)
        return True
