"""Have commands carried out, finish those that an earlier run has left, and record the outcome of each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import timedelta
from itertools import groupby

from gateway.cloud.commands.execution_results import ExecutionResult, execution_result
from gateway.cloud.commands.outcome_texts import CANCELLED, INTERRUPTED, NOT_RECORDED, RUN_TOO_OFTEN, message_of
from gateway.cloud.commands.progress import ProgressReporter
from gateway.cloud.commands.reporting import OutcomeReporter
from gateway.cloud.commands.running import RunningCommand, RunningCommands
from gateway.cloud.commands.still_offered import OfferCheck
from gateway.cloud.commands.target import Commands
from gateway.cloud.devices import CloudDevices
from gateway.errors import BusLost, CommandRejected, StoreError
from gateway.hub import Credentials, WaitingCommand
from gateway.models import Command, CommandResult, CommandSpec
from gateway.state.command_ledger import MOST_TRIES, CommandLedger, LedgerEntry, Outcome
from gateway.state.writes import retry_until_stored
from gateway.tasks import start_in

log = logging.getLogger(__name__)

IN_PROGRESS_AFTER_SECONDS = 1.0
"""A command that takes longer than this is reported as `in_progress`, so that a person sees that it has arrived."""

TOLD_WITHIN_SECONDS = 5.0
"""How long a command that restarts its device waits until the cloud has it as `in_progress`."""

READ_BACK_WITHIN = timedelta(minutes=2)
"""How long an interrupted command waits for its bus and its device, until its outcome counts as unknown."""


class CommandExecution:
    """Carries out the commands of different devices side by side, those of one device one after the other.

    Args:
        devices: knows the names of children.
        ledger: records the start and the outcome of each command.
        commands: the way to the devices, and the limits.
        running: the commands that are being carried out.
        progress: reports those that take a while.
        reporter: reports the outcomes.
        offer: asks the cloud whether it still offers a command.
    """

    def __init__(
        self,
        devices: CloudDevices,
        ledger: CommandLedger,
        *,
        commands: Commands,
        running: RunningCommands,
        progress: ProgressReporter,
        reporter: OutcomeReporter,
        offer: OfferCheck,
    ) -> None:
        self._devices = devices
        self._ledger = ledger
        self._target = commands.target
        self._now = commands.now
        self._report_event = commands.report_event
        self._running = running
        self._progress = progress
        self._reporter = reporter
        self._offer = offer

    def start(
        self,
        parent: Credentials,
        entry: LedgerEntry,
        offered: WaitingCommand,
        spec: CommandSpec | None,
        group: asyncio.TaskGroup,
    ) -> None:
        """Carry out a command that was recorded just now."""
        log.info("%s: the command %s was received", self._devices.name_of(entry.child), entry.name)
        running = self._running.add(entry)
        command = Command(
            id=offered.id, child=entry.child, name=offered.name, parameters=offered.parameters, until=entry.expires_at
        )
        restarts = spec is not None and spec.restarts_device
        start_in(group, self._run(running, parent, command, group, restarts=restarts))  # at a stop it waits for the next start

    async def finish_interrupted(self, parent: Credentials, group: asyncio.TaskGroup) -> None:
        """Finish what had started in an earlier run: never by sending it again."""
        started = await retry_until_stored(self._ledger.interrupted, what="the list of interrupted commands")
        interrupted = [entry for entry in started if not entry.is_local]
        interrupted.sort(key=lambda entry: entry.device_id)
        for _, entries in groupby(interrupted, lambda entry: entry.device_id):
            first, *others = entries
            for entry in others:  # a device has one command at a time, so this is not expected
                await self.finish(entry, Outcome.UNKNOWN, INTERRUPTED)
            running = self._running.add(first)
            group.create_task(self._finish_interrupted(running, parent, group))

    async def finish(
        self,
        entry: LedgerEntry,
        outcome: Outcome,
        text: str | None,
        *,
        result: CommandResult | None = None,
        after: Collection[asyncio.Task[None]] = (),
    ) -> None:
        """Record an outcome, and have it reported when the tasks `after` have ended."""
        ended_at, message = self._now(), message_of(outcome, text)
        before, after_it = (None, None) if result is None else (result.before, result.after)
        await retry_until_stored(
            lambda: self._ledger.finish(entry, outcome, message, ended_at, before=before, after=after_it),
            what=f"the outcome of the command {entry.name}",
        )
        if after:
            await asyncio.wait(after)
        self._running.remove(entry)
        self._reporter.report_soon()
        level = logging.INFO if outcome is Outcome.DONE else logging.WARNING
        name = self._devices.name_of(entry.child)
        log.log(level, "%s: the command %s %s%s", name, entry.name, _ENDED[outcome], f": {message}" if message else "")
        if outcome is not Outcome.DONE and text != CANCELLED:
            self._report_event(entry.child, "command_failed", "command", f"{entry.name}: {message}")

    async def _run(
        self,
        running: RunningCommand,
        parent: Credentials,
        command: Command,
        group: asyncio.TaskGroup,
        *,
        restarts: bool,
    ) -> None:
        entry = running.entry
        if restarts:
            await self._tell_before(parent, running)
            if running.is_cancelled:
                await self.finish(entry, Outcome.FAILED, CANCELLED)
                return

        async def before_start() -> None:
            if await self._offer.is_gone(parent, running):
                running.is_cancelled = True
                raise CommandRejected(CANCELLED)
            running.entry = await self._ledger.start(entry, self._now())

        within = min(max(entry.expires_at - self._now(), timedelta(0)), entry.expires_at - entry.received_at)

        async def execute() -> CommandResult | None:
            try:
                return await self._target.execute(
                    command, within=within, before_start=before_start, checkpoint=running.checkpoint
                )
            except BusLost as error:
                running.interruption = str(error)
                return await self._target.finish_interrupted(command, within=READ_BACK_WITHIN, checkpoint=running.checkpoint)

        running.task = asyncio.ensure_future(execute())
        await self._await_end(running, parent, group, told_already=restarts)

    async def _tell_before(self, parent: Credentials, running: RunningCommand) -> None:
        """Report a command before it begins, for as long as the cloud may be expected to answer."""
        try:
            async with asyncio.timeout(TOLD_WITHIN_SECONDS):
                await self._progress.report(parent, running)
        except TimeoutError:
            log.debug("%s: the cloud does not know yet that it is being carried out", running.entry.name)

    async def _await_end(
        self, running: RunningCommand, parent: Credentials, group: asyncio.TaskGroup, *, told_already: bool
    ) -> None:
        """Await the end of an execution, report its progress meanwhile, and record its outcome."""
        assert running.task is not None  # noqa: S101 - set by the caller
        try:
            done, _ = await asyncio.wait({running.task}, timeout=IN_PROGRESS_AFTER_SECONDS)
            # beside the execution, since it waits while the cloud is away, and the outcome is recorded at once
            report = self._progress.repeat_until_done if told_already else self._progress.report_until_done
            progress = () if done else (group.create_task(report(parent, running)),)
            await asyncio.wait({running.task})
            ended = self._result_of(running)
        finally:
            running.task.cancel()
        await self.finish(running.entry, ended.outcome, ended.text, result=ended.result, after=progress)

    async def _finish_interrupted(self, running: RunningCommand, parent: Credentials, group: asyncio.TaskGroup) -> None:
        entry = running.entry
        if entry.tries >= MOST_TRIES:
            await self.finish(entry, Outcome.UNKNOWN, RUN_TOO_OFTEN)
            return
        if not entry.is_complete:
            await self.finish(entry, Outcome.UNKNOWN, f"{INTERRUPTED}; {NOT_RECORDED}")
            return
        tried = await retry_until_stored(lambda: self._ledger.try_again(entry), what=f"that the command {entry.name} is finished")
        running.entry, running.interruption = tried, INTERRUPTED
        command = Command(
            id=entry.command_id, child=entry.child, name=entry.name, parameters=entry.parameters, until=entry.expires_at
        )
        running.task = asyncio.ensure_future(
            self._target.finish_interrupted(command, within=READ_BACK_WITHIN, checkpoint=running.checkpoint)
        )
        await self._forgive_tries(running)
        await self._await_end(running, parent, group, told_already=True)

    async def _forgive_tries(self, running: RunningCommand) -> None:
        """Count a command that has progress as tried once: it is resumed after each end of the gateway."""
        assert running.task is not None  # noqa: S101 - set by the caller
        progressing = asyncio.ensure_future(running.has_progress.wait())
        try:
            await asyncio.wait({running.task, progressing}, return_when=asyncio.FIRST_COMPLETED)
            if running.has_progress.is_set() and running.entry.started_at is not None:
                running.entry = await self._ledger.start(running.entry, running.entry.started_at)
        except StoreError as error:
            log.info("%s: its progress is not recorded: %s", running.entry.name, error)
        except asyncio.CancelledError:
            running.task.cancel()
            raise
        finally:
            progressing.cancel()

    def _result_of(self, running: RunningCommand) -> ExecutionResult:
        """Return how an execution ended that has ended."""
        task, has_started = running.task, running.entry.started_at is not None
        assert task is not None  # noqa: S101 - set by the caller
        if task.cancelled() or (running.is_cancelled and not has_started):
            return ExecutionResult(Outcome.FAILED, CANCELLED)
        title = f"{self._devices.name_of(running.entry.child)}: {running.entry.name}"
        return execution_result(task, title, has_started=has_started, interruption=running.interruption)


_ENDED = {Outcome.DONE: "is done", Outcome.FAILED: "failed", Outcome.UNKNOWN: "ended"}
