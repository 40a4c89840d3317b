"""Fetch the commands of the gateway and its children, have each executed at most once, and report its outcome."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Protocol

from gateway.cloud.commands.outage import CommandOutage
from gateway.cloud.commands.outcome_texts import done_text, message_of
from gateway.cloud.devices import NAME_LENGTH, CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.protocol.values import printable_line
from gateway.cloud.rate_control import CallKind
from gateway.errors import (
    CommandRejected,
    CommandStopped,
    DeviceUnreachable,
    HubRejected,
    HubUnauthorised,
    HubUnreachable,
    OutcomeUnknown,
    StoreError,
)
from gateway.hub import Credentials, Hub, WaitingCommand
from gateway.models import Checkpoint, Command, CommandResult, KnownCommand
from gateway.state.command_ledger import INTERRUPTED, CommandLedger, LedgerEntry, Outcome
from gateway.state.events import ReportEvent
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

IN_PROGRESS_AFTER_SECONDS = 1.0
"""A command that takes longer than this is reported as `in_progress`, so that a person sees that it has arrived."""

REPORT_AGAIN_AFTER_SECONDS = 10.0
"""An outcome that the cloud seems not to have is reported again after this time, and not in a loop."""

HARMLESS_LATE = frozenset({"reboot", "identify"})
"""Commands that do no harm when they start long after a person sent them."""

PROGRESS_AT_ONCE = 4
"""How many commands are reported as `in_progress` at the same time: a thousand may become slow in the same second."""

FORGOTTEN_AFTER = timedelta(minutes=1)
"""How long after its expiry a command that an earlier run received counts as one that the cloud does not offer any more."""

TOO_LATE = "it has waited for too long; nothing was sent to the device"
NO_TUNNEL = "the gateway opens no tunnel into its network: it has no remote access to the pages of devices"
CANCELLED = "it was cancelled in the cloud before it started"


class CommandTarget(Protocol):
    """Knows and executes commands; see `gateway.field.dispatcher.CommandDispatcher`."""

    def describe(self, child: str | None, name: str, parameters: Mapping[str, object]) -> KnownCommand:
        """Return what is known of a command before it is checked."""

    async def execute(
        self,
        command: Command,
        *,
        within: timedelta,
        before_start: Callable[[], Awaitable[None]],
        checkpoint: Checkpoint,
    ) -> CommandResult:
        """Execute a command on its device, and return its result."""

    async def finish_interrupted(self, command: Command, *, within: timedelta, checkpoint: Checkpoint) -> CommandResult | None:
        """Resume a command or read back whether it was carried out; `None` if nothing proves that it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandPolicy:
    """What the cloud may do, and how late."""

    every: timedelta = timedelta(seconds=10)
    """How often the cloud is asked for the commands of all children; 0: only when a telemetry response says that one waits."""
    expires_after: timedelta = timedelta(minutes=5)
    """A command that could not start within this time is not carried out any more."""
    refusal: Callable[[str | None, str], str | None] = lambda _child, _name: None
    """Returns why a command of this name is refused for this child, or for the gateway itself, whatever the cloud says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The way to the devices, and the limits."""

    target: CommandTarget
    policy: CommandPolicy
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    """The present moment, aware."""
    report_event: ReportEvent = lambda child, name, category, text: None
    """Is told of each command that failed."""


@dataclass(slots=True)
class _Running:
    """A command that waits for its bus or is being executed."""

    entry: LedgerEntry
    task: asyncio.Task[CommandResult] | None = None
    progress: str | None = None
    """How far a long command is."""
    is_cancelled: bool = False
    """It was cancelled in the cloud after it had started; a long command stops between two steps."""

    def cancel(self) -> None:
        """Cancel a command that has not started yet; one that has started goes on to the next point where it can stop."""
        if self.entry.started_at is not None:
            self.is_cancelled = True
        elif self.task is not None:
            self.task.cancel()

    def checkpoint(self, progress: str) -> None:
        """See `gateway.models.Checkpoint`."""
        self.progress = progress
        if self.is_cancelled:
            raise CommandStopped(f"it was cancelled in the cloud, and stopped after: {progress}")


class CommandLoop:
    """Runs beside the telemetry until it is cancelled.

    Commands of different devices run side by side; the cloud offers each device one command at a time.

    Args:
        hub: the cloud.
        devices: knows the children and their keys.
        ledger: records each command before it starts, and its outcome until the cloud has it.
        calls: the guarded calls of the session.
        commands: the way to the devices, and the limits.
    """

    def __init__(
        self,
        hub: Hub,
        devices: CloudDevices,
        ledger: CommandLedger,
        *,
        calls: GuardedCalls,
        commands: Commands,
    ) -> None:
        self._hub = hub
        self._ledger = ledger
        self._calls = calls
        self._target = commands.target
        self._policy = commands.policy
        self._now = commands.now
        self._report_event = commands.report_event
        self._devices = devices
        self._outage = CommandOutage(_longest_without_contact(self._policy))
        self._flagged: dict[str, None] = {}  # the one that waits longest first
        self._running: dict[str, _Running] = {}  # device id -> its one command
        self._wake = asyncio.Event()
        self._has_outcomes = asyncio.Event()
        self._reported_at: dict[tuple[str, str], float] = {}
        self._progress_calls = asyncio.Semaphore(PROGRESS_AT_ONCE)

    def fetch_soon(self, device_id: str) -> None:
        """Fetch the next command of a device: a response says that one waits, or its last command has ended."""
        if device_id not in self._running:
            self._flagged[device_id] = None
            self._wake.set()

    def use_policy(self, policy: CommandPolicy) -> None:
        """Fetch commands by this policy from now on."""
        self._policy = policy
        self._outage.longest = _longest_without_contact(policy)
        self._wake.set()

    def reset(self) -> None:
        """Begin as after a start: the gateway was registered again."""
        self._flagged.clear()

    async def run(self, parent: Credentials) -> None:
        """Fetch, execute and report until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        self._running.clear()
        self._outage.last_contact = await retry_until_stored(self._ledger.last_contact, what="the time of the last contact")
        interrupted = await retry_until_stored(
            lambda: self._ledger.fail_interrupted(self._now()), what="the outcome of interrupted commands"
        )
        for entry in interrupted:
            log.warning("%s: the command %s: %s", self._devices.name_of(entry.child), entry.name, entry.message)
            self._report_event(entry.child, "command_failed", "command", f"{entry.name}: {entry.message}")
        self._has_outcomes.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._report_outcomes(parent))
            group.create_task(self._end_forgotten())
            await self._fetch(parent, group)

    async def _end_forgotten(self) -> None:
        """End the commands that an earlier run received and that the cloud has not offered since."""
        await asyncio.sleep((self._policy.expires_after + FORGOTTEN_AFTER).total_seconds())
        now = self._now()
        for entry in await retry_until_stored(self._ledger.waiting, what="the list of waiting commands"):
            if now >= entry.expires_at + FORGOTTEN_AFTER and not self._is_running(entry):
                await self._finish(entry, Outcome.FAILED, TOO_LATE)

    # fetching ---------------------------------------------------------------------------------------------------------

    async def _fetch(self, parent: Credentials, group: asyncio.TaskGroup) -> None:
        fetch_all_at = loop_time()
        while True:
            self._wake.clear()
            every_seconds = self._policy.every.total_seconds()
            fetch_all_at = min(fetch_all_at, loop_time() + every_seconds)
            if every_seconds and (loop_time() >= fetch_all_at or len(self._flagged) > 1):
                flagged, self._flagged = self._flagged, {}
                if not await self._call(parent, partial(self._fetch_all, parent, flagged, group)):
                    self._flagged |= flagged
                fetch_all_at = loop_time() + every_seconds
            elif self._flagged:
                device_id = next(iter(self._flagged))
                del self._flagged[device_id]
                if not await self._call(parent, partial(self._fetch_one, parent, device_id, group)):
                    self._flagged[device_id] = None
            else:
                await self._wait(fetch_all_at if every_seconds else None)

    async def _wait(self, until: float | None) -> None:
        try:
            async with asyncio.timeout(None if until is None else max(until - loop_time(), 0)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _call(self, parent: Credentials, work: Callable[[], Awaitable[None]]) -> bool:
        async def do() -> bool:
            await work()
            return True

        return await self._calls.run(parent, CallKind.COMMANDS, do, otherwise=False)

    async def _fetch_all(self, parent: Credentials, flagged: dict[str, None], group: asyncio.TaskGroup) -> None:
        """Fetch the next command of every device in one call.

        Below Model API version 1.0.7 the response does not say whose each one is (section 17.26): then, and where the cloud
        refuses this call, the flagged devices and some others in turn are asked singly.
        """
        try:
            offered = await self._hub.get_commands_with_children(parent)
        except HubUnauthorised:
            raise
        except HubRejected as error:
            log.debug("the commands of all devices cannot be fetched in one call: %s", error)
            offered = None
        if offered is None or any(command.device_id is None for command in offered):
            for device_id in dict.fromkeys([*flagged, *self._devices.next_to_ask(parent)]):
                flagged.pop(device_id, None)
                try:
                    await self._fetch_one(parent, device_id, group)
                except HubUnreachable:
                    flagged[device_id] = None  # behind the others, so that they are asked although this one fails again
                    raise
            return
        self._outage.record_contact(self._now(), loop_time())
        owned = {command.device_id: command for command in offered if command.device_id is not None}
        for running in list(self._running.values()):
            offer = owned.get(running.entry.device_id)
            if offer is None or offer.id != running.entry.command_id:
                await self._cancel_if_gone(parent, running)
        for device_id, command in owned.items():
            await self._take(parent, device_id, command, group)
        self._outage.end()
        await self._record_contact()

    async def _cancel_if_gone(self, parent: Credentials, running: _Running) -> None:
        """Cancel a command that waits for its bus if the cloud does not offer it any more."""
        device_id = running.entry.device_id
        device = self._devices.credentials_of(parent, device_id)
        if running.entry.started_at is not None:
            return
        if device is None:  # it was deleted in the cloud
            running.cancel()
            return
        try:
            offer = await self._hub.get_command(device)
        except HubUnauthorised:
            self._devices.key_refused(parent, device_id)
            return
        except HubRejected:
            return
        if offer is None or offer.id != running.entry.command_id:
            running.cancel()

    async def _fetch_one(self, parent: Credentials, device_id: str, group: asyncio.TaskGroup) -> None:
        device = self._devices.credentials_of(parent, device_id)
        if device is None:
            return
        try:
            command = await self._hub.get_command(device)
        except HubUnauthorised:
            self._devices.key_refused(parent, device_id)
            return
        except (HubRejected, HubUnreachable) as error:
            if isinstance(error, HubUnreachable) and (error.status is None or error.status >= HTTPStatus.MULTIPLE_CHOICES):
                raise
            log.info("%s: its command could not be fetched: %s", device_id, error)  # a 2xx: a command that cannot be answered
            return
        self._outage.record_contact(self._now(), loop_time())
        running = self._running.get(device_id)
        if running is not None and (command is None or command.id != running.entry.command_id):
            running.cancel()
        if command is not None:
            await self._take(parent, device_id, command, group)
        self._outage.record_asked(device_id, (parent.device_id, *self._devices.children_in_cloud()))
        await self._record_contact()

    async def _record_contact(self) -> None:
        """Record when the cloud was last asked; not before every device was asked, so that a restart does not end the outage."""
        if self._outage.is_over and self._outage.last_contact is not None:
            await self._ledger.record_contact(self._outage.last_contact)

    async def _take(self, parent: Credentials, device_id: str, command: WaitingCommand, group: asyncio.TaskGroup) -> None:
        """Record an offered command, and start it, refuse it, or report its outcome again."""
        child = self._devices.child_of(parent, device_id)
        if device_id in self._running or self._devices.credentials_of(parent, device_id) is None:
            return  # the next command of a device is fetched when the outcome of the last one was reported
        now = self._now()
        known = self._target.describe(child, command.name, command.parameters)
        expires_after = known.spec.expires_after if known.spec is not None else None
        entry, _ = await self._ledger.receive(
            LedgerEntry(
                device_id=device_id,
                command_id=command.id,
                child=child,
                name=printable_line(command.name, NAME_LENGTH),
                parameters=known.recorded_parameters,
                received_at=now,
                expires_at=now + (self._policy.expires_after if expires_after is None else expires_after),
            )
        )
        if entry.outcome is not None:
            await self._report_again(entry)
        elif (refusal := NO_TUNNEL if command.opens_tunnel else self._refusal(entry, now)) is not None:
            await self._finish(entry, Outcome.FAILED, refusal)
        else:
            running = self._running[device_id] = _Running(entry)
            group.create_task(self._run(running, parent, command, group))

    async def _report_again(self, entry: LedgerEntry) -> None:
        """Report the outcome of a command that the cloud offers although it has ended: the cloud did not receive it."""
        if loop_time() - self._reported_at.get(entry.key, -REPORT_AGAIN_AFTER_SECONDS) >= REPORT_AGAIN_AFTER_SECONDS:
            await self._ledger.deliver(entry, is_delivered=False)
            self._has_outcomes.set()

    def _refusal(self, entry: LedgerEntry, now: datetime) -> str | None:
        """Return why a command is not carried out; `None` when it is."""
        if (forbidden := self._policy.refusal(entry.child, entry.name)) is not None:
            return forbidden
        if entry.started_at is not None:
            return INTERRUPTED
        if abs(now - entry.received_at) >= entry.expires_at - entry.received_at:  # the clock may have been set back meanwhile
            return TOO_LATE
        outage = self._outage.before(entry.device_id)
        if outage is not None and entry.name not in HARMLESS_LATE:
            since, until = outage
            return (
                f"it may have been sent long ago: the gateway could not ask for commands from {since:%Y-%m-%d %H:%M} to"
                f" {until:%Y-%m-%d %H:%M} UTC; nothing was sent to the device. Send it again if it is still wanted"
            )
        return None

    # executing --------------------------------------------------------------------------------------------------------

    async def _run(self, running: _Running, parent: Credentials, offered: WaitingCommand, group: asyncio.TaskGroup) -> None:
        entry = running.entry
        command = Command(
            id=offered.id, child=entry.child, name=offered.name, parameters=offered.parameters, until=entry.expires_at
        )

        async def before_start() -> None:
            running.entry = await self._ledger.start(entry, self._now())

        within = min(max(entry.expires_at - self._now(), timedelta(0)), entry.expires_at - entry.received_at)
        log.info("%s: the command %s was received", self._devices.name_of(entry.child), entry.name)
        running.task = asyncio.ensure_future(
            self._target.execute(command, within=within, before_start=before_start, checkpoint=running.checkpoint)
        )
        try:
            done, _ = await asyncio.wait({running.task}, timeout=IN_PROGRESS_AFTER_SECONDS)
            # beside the execution, since it waits while the cloud is away, and the outcome is recorded at once
            progress = () if done else (group.create_task(self._tell_progress(parent, running)),)
            outcome, message, result = await self._outcome_of(running)
        finally:
            running.task.cancel()
        await self._finish(running.entry, outcome, message, result=result, after=progress)

    async def _outcome_of(self, running: _Running) -> tuple[Outcome, str | None, CommandResult | None]:
        assert running.task is not None  # noqa: S101 - set by the caller
        await asyncio.wait({running.task})
        if running.task.cancelled():
            return Outcome.FAILED, CANCELLED, None
        error = running.task.exception()
        match error:
            case None:
                result = running.task.result()
                return Outcome.DONE, done_text(result), result
            case CommandRejected():
                return Outcome.FAILED, str(error), None
            case OutcomeUnknown():
                return Outcome.UNKNOWN, str(error), None
            case DeviceUnreachable():
                return Outcome.UNKNOWN, f"the device did not answer: {error}", None
            case StoreError():
                return Outcome.FAILED, f"the store of the gateway fails: {error}", None
            case _:
                log.error(
                    "%s: a bug while executing %s", self._devices.name_of(running.entry.child), running.entry.name, exc_info=error
                )
                has_started = running.entry.started_at is not None
                told = f"the gateway failed while executing it: {type(error).__name__}"
                return Outcome.UNKNOWN if has_started else Outcome.FAILED, told, None

    async def _tell_progress(self, parent: Credentials, running: _Running) -> None:
        async with self._progress_calls:
            await self._call(parent, partial(self._report_progress, parent, running))

    async def _report_progress(self, parent: Credentials, running: _Running) -> None:
        entry = running.entry
        device = self._devices.credentials_of(parent, entry.device_id)
        if device is None or running.task is None or running.task.done():
            return
        text = "it is being carried out" if entry.started_at is not None else "it waits for its device"
        try:
            await self._hub.update_command(device, entry.command_id, "in_progress", text)
        except HubUnauthorised:
            self._devices.key_refused(parent, entry.device_id)
        except HubRejected as error:
            if error.status == 404:
                running.cancel()

    async def _finish(
        self,
        entry: LedgerEntry,
        outcome: Outcome,
        text: str | None,
        *,
        result: CommandResult | None = None,
        after: Collection[asyncio.Task[None]] = (),
    ) -> None:
        """Record an outcome, and have it reported when the tasks `after` have ended."""
        ended_at = self._now()
        message = message_of(outcome, text)
        before, after_it = (None, None) if result is None else (result.before, result.after)
        await retry_until_stored(
            lambda: self._ledger.finish(entry, outcome, message, ended_at, before=before, after=after_it),
            what=f"the outcome of the command {entry.name}",
        )
        if after:
            await asyncio.wait(after)
        if self._is_running(entry):
            del self._running[entry.device_id]
        self._has_outcomes.set()
        level = logging.INFO if outcome is Outcome.DONE else logging.WARNING
        name = self._devices.name_of(entry.child)
        log.log(level, "%s: the command %s %s%s", name, entry.name, _ENDED[outcome], f": {message}" if message else "")
        if outcome is Outcome.FAILED and text != CANCELLED:
            self._report_event(entry.child, "command_failed", "command", f"{entry.name}: {message}")

    # reporting --------------------------------------------------------------------------------------------------------

    async def _report_outcomes(self, parent: Credentials) -> None:
        while True:
            await self._has_outcomes.wait()
            self._has_outcomes.clear()
            for entry in await retry_until_stored(self._ledger.undelivered, what="the list of outcomes"):
                if self._is_running(entry):
                    continue  # a report of its progress is on its way, and must not arrive behind the outcome
                if not await self._call(parent, partial(self._report, parent, entry)):
                    self._has_outcomes.set()

    async def _report(self, parent: Credentials, entry: LedgerEntry) -> None:
        device = self._devices.credentials_of(parent, entry.device_id)
        if device is not None and entry.outcome is not None:
            try:
                await self._hub.update_command(device, entry.command_id, entry.outcome.status, entry.message)
            except HubUnauthorised:
                self._devices.key_refused(parent, entry.device_id)
            except HubRejected as error:  # 404: it was cancelled, or it timed out in the cloud (section 6.3)
                log.info(
                    "%s: the cloud does not take the outcome of %s: %s", self._devices.name_of(entry.child), entry.name, error
                )
        await self._ledger.deliver(entry)
        now = loop_time()
        recent = {key: at for key, at in self._reported_at.items() if now - at < REPORT_AGAIN_AFTER_SECONDS}
        self._reported_at = {**recent, entry.key: now}
        self.fetch_soon(entry.device_id)

    def _is_running(self, entry: LedgerEntry) -> bool:
        running = self._running.get(entry.device_id)
        return running is not None and running.entry.key == entry.key


def _longest_without_contact(policy: CommandPolicy) -> timedelta | None:
    """Return after what time without an answer a command may be too old; `None` where only flags announce commands."""
    return policy.every + policy.expires_after if policy.every else None


_ENDED = {Outcome.DONE: "is done", Outcome.FAILED: "failed", Outcome.UNKNOWN: "ended"}
