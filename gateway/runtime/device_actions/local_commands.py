"""Carry out the commands that a person gives here, on the way that commands of the cloud take: recorded first, executed once.

They are in the same ledger, so a command that was interrupted by the end of the gateway is read back by the next one, and never
sent again. The cloud is not told of them: it did not send them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from gateway.cloud.commands.execution_results import ExecutionResult, execution_result
from gateway.cloud.commands.outcome_texts import INTERRUPTED, NOT_RECORDED, RUN_TOO_OFTEN, message_of
from gateway.cloud.commands.running import RunningCommand
from gateway.cloud.commands.target import CommandTarget
from gateway.errors import BusLost, CommandRejected
from gateway.models import Command, CommandResult
from gateway.state.command_ledger import LOCAL, MOST_TRIES, CommandLedger, LedgerEntry, Outcome
from gateway.state.events import ReportEvent
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

READ_BACK_WITHIN = timedelta(minutes=2)
"""How long an interrupted command waits for its bus and its device, until its outcome counts as unknown."""

STARTS_WITHIN = timedelta(minutes=1)
"""A command that a person gives here starts within this time or not at all: they wait for it."""

NOT_SENT = "the gateway stopped before the command was sent; nothing was sent to the device"
NOT_RUNNING = "the gateway starts or stops right now, so nothing was sent; try again in a moment"


class LocalCommands:
    """The commands that people give here, one at a time for each child.

    Args:
        ledger: records each command before it starts, and its outcome.
        target: the way to the devices.
        refusal: returns why a command of this name is refused for this child, by the configuration; `None` when it is not.
        name_of: returns the name of a child.
        report_event: is told how each command ended.
        now: the present moment, aware.
    """

    def __init__(
        self,
        ledger: CommandLedger,
        target: CommandTarget,
        *,
        refusal: Callable[[str, str], str | None],
        name_of: Callable[[str], str | None],
        report_event: ReportEvent,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._ledger = ledger
        self._target = target
        self.refusal = refusal
        self._name_of = name_of
        self._report_event = report_event
        self._now = now
        self._group: asyncio.TaskGroup | None = None
        self._running: dict[str, RunningCommand] = {}
        """Child -> its command."""
        self._ended: dict[str, asyncio.Event] = {}
        self._taking_in = asyncio.Lock()

    async def run(self) -> None:
        """Finish what an earlier run has left, and carry out commands until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._finish_left(group)
                self._group = group
                await asyncio.get_running_loop().create_future()
        finally:
            self._group = None

    async def start(
        self, child: str, name: str, parameters: Mapping[str, object], *, request_id: str, asked_by: str
    ) -> LedgerEntry:
        """Record a checked command, begin to carry it out, and return its record; a request that is known already does nothing.

        Args:
            child: the local key of the child.
            name: the command.
            parameters: those that a person gave, as `checked_command` accepts them.
            request_id: stands for the request: a double click and a reload send it again.
            asked_by: who asks, in words: `page, operator, token office`.

        Raises:
            CommandRejected: it is not carried out, and nothing was recorded; the text says why.
            StoreError: it cannot be recorded, so it is not carried out.
        """
        async with self._taking_in:
            known = await self._ledger.given_here(request_id)
            if known is not None:
                return known
            if (why := self.refusal(child, name)) is not None:
                raise CommandRejected(f"{self._title(child)}: {why}")
            if (running := self._running.get(child)) is not None:
                raise CommandRejected(
                    f"{running.entry.name} is being carried out on {self._title(child)}, so nothing was sent; try again after it"
                )
            group = self._group
            if group is None:
                raise CommandRejected(NOT_RUNNING)
            now, described = self._now(), self._target.describe(child, name, parameters)
            declared = None if described.spec is None else described.spec.expires_after
            entry = await self._ledger.receive(
                LedgerEntry(
                    device_id=f"{LOCAL}{asked_by}",
                    command_id=request_id,
                    child=child,
                    name=name,
                    parameters=described.recorded_parameters,
                    received_at=now,
                    expires_at=now + (STARTS_WITHIN if declared is None else min(declared, STARTS_WITHIN)),
                )
            )
            log.info("%s: the command %s was given (%s)", self._title(child), name, asked_by)
            running = self._add(entry)
            command = Command(id=request_id, child=child, name=name, parameters=parameters, until=entry.expires_at)
            group.create_task(self._run(running, command))
            return entry

    async def wait_for(self, request_id: str, *, within_seconds: float) -> None:
        """Return when a command has ended, or after this time."""
        event = self._ended.get(request_id)
        if event is not None:
            try:
                async with asyncio.timeout(within_seconds):
                    await event.wait()
            except TimeoutError:
                return

    def progress_of(self, entry: LedgerEntry) -> str | None:
        """Return how far a long command is; `None` for any other."""
        running = self._running.get(entry.child or "")
        return running.progress if running is not None and running.entry.key == entry.key else None

    async def _run(self, running: RunningCommand, command: Command) -> None:
        entry = running.entry

        async def before_start() -> None:
            running.entry = await self._ledger.start(entry, self._now())

        async def execute() -> CommandResult | None:
            try:
                return await self._target.execute(
                    command, within=entry.expires_at - entry.received_at, before_start=before_start, checkpoint=running.checkpoint
                )
            except BusLost as error:
                running.interruption = str(error)
                return await self._target.finish_interrupted(command, within=READ_BACK_WITHIN, checkpoint=running.checkpoint)

        await self._await_end(running, asyncio.ensure_future(execute()))

    async def _await_end(self, running: RunningCommand, task: asyncio.Task[CommandResult | None]) -> None:
        """Await the end of an execution, and record its outcome; when the gateway stops, the next one reads it back."""
        running.task = task
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
        entry = running.entry
        title = f"{self._title(entry.child)}: {entry.name}"
        await self._finish(
            entry, execution_result(task, title, has_started=entry.started_at is not None, interruption=running.interruption)
        )

    async def _finish(self, entry: LedgerEntry, ended: ExecutionResult) -> None:
        message, result = message_of(ended.outcome, ended.text), ended.result
        before, after = (None, None) if result is None else (result.before, result.after)
        await retry_until_stored(
            lambda: self._ledger.finish(entry, ended.outcome, message, self._now(), before=before, after=after),
            what=f"the outcome of the command {entry.name}",
        )
        self._remove(entry)
        level = logging.INFO if ended.outcome is Outcome.DONE else logging.WARNING
        told = f": {message}" if message else ""
        log.log(level, "%s: the command %s (%s) %s%s", self._title(entry.child), entry.name, entry.asked_by, ended.outcome, told)
        text = f"{entry.name} ({entry.asked_by}): {ended.outcome}{told}"
        self._report_event(entry.child, "command_given_on_site", "command", text)

    async def _finish_left(self, group: asyncio.TaskGroup) -> None:
        """Finish what had started in an earlier run by reading it back, and end what had not: nothing is sent again."""
        for entry in await retry_until_stored(self._ledger.waiting, what="the list of waiting commands"):
            if entry.is_local:
                await self._finish(entry, ExecutionResult(Outcome.FAILED, NOT_SENT))
        for entry in await retry_until_stored(self._ledger.interrupted, what="the list of interrupted commands"):
            if not entry.is_local:
                continue
            if entry.tries >= MOST_TRIES:
                await self._finish(entry, ExecutionResult(Outcome.UNKNOWN, RUN_TOO_OFTEN))
            elif not entry.is_complete:
                await self._finish(entry, ExecutionResult(Outcome.UNKNOWN, f"{INTERRUPTED}; {NOT_RECORDED}"))
            else:
                group.create_task(self._finish_interrupted(self._add(entry)))

    async def _finish_interrupted(self, running: RunningCommand) -> None:
        entry = running.entry
        running.entry = await retry_until_stored(
            lambda: self._ledger.try_again(entry), what=f"that the command {entry.name} is finished"
        )
        running.interruption = INTERRUPTED
        command = Command(
            id=entry.command_id, child=entry.child, name=entry.name, parameters=entry.parameters, until=entry.expires_at
        )
        finishing = self._target.finish_interrupted(command, within=READ_BACK_WITHIN, checkpoint=running.checkpoint)
        await self._await_end(running, asyncio.ensure_future(finishing))

    def _add(self, entry: LedgerEntry) -> RunningCommand:
        running = self._running[entry.child or ""] = RunningCommand(entry, loop_time())
        self._ended[str(entry.command_id)] = asyncio.Event()
        return running

    def _remove(self, entry: LedgerEntry) -> None:
        running = self._running.get(entry.child or "")
        if running is not None and running.entry.key == entry.key:
            del self._running[entry.child or ""]
        if (event := self._ended.pop(str(entry.command_id), None)) is not None:
            event.set()

    def _title(self, child: str | None) -> str:
        return self._name_of(child or "") or child or "the gateway"
