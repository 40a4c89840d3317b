"""Record each command that the cloud offers, and start it, refuse it, or report its outcome again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from gateway.cloud.commands.execution import CommandExecution
from gateway.cloud.commands.last_asked import LastAsked
from gateway.cloud.commands.outcome_texts import MAY_HAVE_BEGUN, NO_TUNNEL, PREPARED_TOO_OFTEN, TOO_LATE
from gateway.cloud.commands.reporting import OutcomeReporter
from gateway.cloud.commands.running import RunningCommands
from gateway.cloud.commands.target import Commands
from gateway.cloud.devices import NAME_LENGTH, CloudDevices
from gateway.cloud.protocol.values import printable_line
from gateway.hub import Credentials, WaitingCommand
from gateway.models import CommandSpec
from gateway.state.command_ledger import MOST_TRIES, RECORDS_LOST, CommandLedger, LedgerEntry, Outcome
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time
from gateway.url_secrets import MASK

HARMLESS_LATE = frozenset({"reboot", "identify"})
"""Commands that do no harm when they start long after a person sent them, whether their device declares it or not."""

FORGOTTEN_AFTER = timedelta(minutes=1)
"""How long after its expiry a command that an earlier run received counts as one that the cloud does not offer any more."""


class CommandIntake:
    """Decides what happens to an offered command.

    Args:
        devices: knows the children and their keys.
        ledger: records each command before anything is done.
        commands: the way to the devices, and the limits.
        running: the commands that are being carried out.
        execution: carries them out.
        reporter: reports their outcomes.
        last_asked: when each device was last asked.
        usual_gap: returns the usual time between two questions for the commands of one device.
    """

    def __init__(
        self,
        devices: CloudDevices,
        ledger: CommandLedger,
        *,
        commands: Commands,
        running: RunningCommands,
        execution: CommandExecution,
        reporter: OutcomeReporter,
        last_asked: LastAsked,
        usual_gap: Callable[[], timedelta],
    ) -> None:
        self._devices = devices
        self._ledger = ledger
        self._target = commands.target
        self.policy = commands.policy
        """What the cloud may do, and how late."""
        self._now = commands.now
        self._running = running
        self._execution = execution
        self._reporter = reporter
        self._last_asked = last_asked
        self._usual_gap = usual_gap

    async def take(self, parent: Credentials, device_id: str, command: WaitingCommand, group: asyncio.TaskGroup) -> None:
        """Record an offered command, and start it, refuse it, or report its outcome again."""
        running = self._running.of(device_id)
        if running is not None:
            if running.entry.command_id == command.id:
                running.offered_at = loop_time()
            return  # the next command of a device is fetched when the outcome of the last one was reported
        if self._devices.credentials_of(parent, device_id) is None:
            return
        now = self._now()
        entry = await self._ledger.receive(
            LedgerEntry(
                device_id=device_id,
                command_id=command.id,
                child=self._devices.child_of(parent, device_id),
                name=printable_line(command.name, NAME_LENGTH),
                parameters=dict.fromkeys(command.parameters, MASK),  # until the device says which of them are secret
                received_at=now,
                expires_at=now + self.policy.expires_after,
            )
        )
        if entry.outcome is not None:
            await self._reporter.report_again(entry)
        elif entry.tries > MOST_TRIES:
            await self._execution.finish(entry, Outcome.FAILED, PREPARED_TOO_OFTEN)
        else:
            await self._take_up(parent, entry, command, group)

    async def _take_up(self, parent: Credentials, entry: LedgerEntry, command: WaitingCommand, group: asyncio.TaskGroup) -> None:
        """Start or refuse a command; the code of an adapter runs only from here on, where the command is recorded."""
        known = self._target.describe(entry.child, command.name, command.parameters)
        expires_at = entry.received_at + self._expires_after(known.spec)
        entry = await self._ledger.describe(entry, known.recorded_parameters, expires_at)
        refusal = NO_TUNNEL if command.opens_tunnel else self._refusal(entry, known.spec, self._now())
        if refusal is not None:
            await self._execution.finish(entry, Outcome.FAILED, refusal)
        else:
            self._execution.start(parent, entry, command, known.spec, group)

    async def end_forgotten(self) -> None:
        """End the commands that an earlier run received and that the cloud has not offered since."""
        await asyncio.sleep((self.policy.expires_after + FORGOTTEN_AFTER).total_seconds())
        while True:
            now = self._now()
            waiting = [
                entry
                for entry in await retry_until_stored(self._ledger.waiting, what="the list of waiting commands")
                if not entry.is_local and not self._running.includes(entry)
            ]
            for entry in waiting:
                if now >= entry.expires_at + FORGOTTEN_AFTER:
                    await self._execution.finish(entry, Outcome.FAILED, TOO_LATE)
            later = [entry.expires_at + FORGOTTEN_AFTER for entry in waiting if now < entry.expires_at + FORGOTTEN_AFTER]
            if not later:
                return
            await asyncio.sleep((min(later) - now).total_seconds())

    def _expires_after(self, spec: CommandSpec | None) -> timedelta:
        declared = None if spec is None else spec.expires_after
        return self.policy.expires_after if declared is None else declared

    def _refusal(self, entry: LedgerEntry, spec: CommandSpec | None, now: datetime) -> str | None:
        """Return why a command is not carried out; `None` when it is."""
        if (forbidden := self.policy.refusal(entry.child, entry.name)) is not None:
            return forbidden
        life = entry.expires_at - entry.received_at
        if abs(now - entry.received_at) >= life:  # the clock may have been set back meanwhile
            return TOO_LATE
        asked = self._last_asked.since(entry.device_id, now, loop_time())
        has_lost_records = asked is not None and asked[0] == RECORDS_LOST
        if asked is None or (asked[1] <= self._usual_gap() + life and not has_lost_records):
            return None
        if entry.name in HARMLESS_LATE or (spec is not None and spec.harmless_late):
            return None
        if has_lost_records:
            return MAY_HAVE_BEGUN
        return (
            f"it may have been sent long ago: commands for this device could not be fetched from {asked[0]:%Y-%m-%d %H:%M} to"
            f" {now:%Y-%m-%d %H:%M} UTC; nothing was sent to the device. Send it again if it is still wanted"
        )
