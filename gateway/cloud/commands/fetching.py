"""Fetch the commands of the gateway and its children: all of them by a clock, and single ones when a response tells of one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from http import HTTPStatus

from gateway.cloud.commands.intake import CommandIntake
from gateway.cloud.commands.last_asked import LastAsked
from gateway.cloud.commands.running import RunningCommands
from gateway.cloud.commands.still_offered import OfferCheck
from gateway.cloud.commands.target import CommandPolicy, Commands
from gateway.cloud.devices import CHILDREN_ASKED_SINGLY, CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.cloud.rate_control import CallKind
from gateway.errors import HubRejected, HubUnauthorised, HubUnreachable
from gateway.hub import Credentials, Hub
from gateway.state.command_ledger import RECORDS_LOST, CommandLedger
from gateway.state.writes import retry_until_stored
from gateway.tasks import loop_time, wait_until

log = logging.getLogger(__name__)

RECORD_EVERY_SECONDS = 60.0
"""How often it is recorded that the cloud answers, where nobody asks for commands by a clock."""


class CommandFetcher:
    """Asks the cloud for commands, each device in its turn, the one that waits longest first.

    Args:
        hub: the cloud.
        devices: knows the children and their keys.
        ledger: keeps when the devices were last asked.
        calls: the guarded calls of the session.
        commands: the limits.
        running: the commands that are being carried out.
        last_asked: when each device was last asked.
    """

    def __init__(
        self,
        hub: Hub,
        devices: CloudDevices,
        ledger: CommandLedger,
        *,
        calls: GuardedCalls,
        commands: Commands,
        running: RunningCommands,
        last_asked: LastAsked,
        offer: OfferCheck,
    ) -> None:
        self._hub = hub
        self._devices = devices
        self._ledger = ledger
        self._calls = calls
        self._policy = commands.policy
        self._now = commands.now
        self._running = running
        self._last_asked = last_asked
        self._offer = offer
        self._flagged: dict[str, None] = {}
        self._wake = asyncio.Event()
        self._asks_singly = False
        self._recorded_at = 0.0

    @property
    def usual_gap(self) -> timedelta:
        """The usual time between two questions for the commands of one device."""
        if not self._policy.every:
            return self._policy.telemetry_every
        rounds = -(-len(self._devices.children_in_cloud()) // CHILDREN_ASKED_SINGLY) if self._asks_singly else 1
        return self._policy.every * max(rounds, 1)

    def fetch_soon(self, device_id: str) -> None:
        """Fetch the next command of a device: a response says that one waits, or its last command has ended."""
        if device_id not in self._running:
            self._flagged[device_id] = None
            self._wake.set()

    def record_none_waiting(self, device_id: str) -> None:
        """Record that a telemetry response says that a device has no command."""
        if device_id not in self._flagged:
            self._last_asked.record(device_id, self._now(), loop_time())

    def use_policy(self, policy: CommandPolicy) -> None:
        """Ask as this policy says from now on."""
        self._policy = policy
        self._wake.set()

    def reset(self) -> None:
        """Begin as after a start: the gateway was registered again."""
        self._flagged.clear()

    async def run(self, parent: Credentials, intake: CommandIntake, group: asyncio.TaskGroup) -> None:
        """Fetch commands until cancelled, and pass each to the intake."""
        fetch_all_at = loop_time()
        while True:
            self._wake.clear()
            every_seconds = self._policy.every.total_seconds()
            fetch_all_at = min(fetch_all_at, loop_time() + every_seconds)
            if every_seconds and (loop_time() >= fetch_all_at or len(self._flagged) > 1):
                flagged, self._flagged = self._flagged, {}
                if not await self._call(parent, partial(self._fetch_all, parent, flagged, intake, group)):
                    self._flagged |= flagged
                fetch_all_at = loop_time() + every_seconds
            elif self._flagged:
                device_id = next(iter(self._flagged))
                del self._flagged[device_id]
                if not await self._call(parent, partial(self._fetch_one, parent, device_id, intake, group)):
                    self._flagged[device_id] = None
            else:
                await wait_until(self._wake, fetch_all_at if every_seconds else loop_time() + RECORD_EVERY_SECONDS)
                await self._record_answers()

    async def _call(self, parent: Credentials, work: Callable[[], Awaitable[None]]) -> bool:
        return await self._calls.succeeds(parent, CallKind.COMMANDS, work)

    async def _fetch_all(
        self, parent: Credentials, flagged: dict[str, None], intake: CommandIntake, group: asyncio.TaskGroup
    ) -> None:
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
        self._asks_singly = offered is None or any(command.device_id is None for command in offered)
        if offered is None or self._asks_singly:
            for device_id in dict.fromkeys([*flagged, *self._devices.next_to_ask(parent)]):
                flagged.pop(device_id, None)
                try:
                    await self._fetch_one(parent, device_id, intake, group)
                except HubUnreachable:
                    flagged[device_id] = None  # behind the others, so that they are asked although this one fails again
                    raise
            return
        owned = {command.device_id: command for command in offered if command.device_id is not None}
        for running in self._running:
            offer = owned.get(running.entry.device_id)
            if offer is None or offer.id != running.entry.command_id:
                await self._offer.cancel_if_gone(parent, running)
        for device_id, command in owned.items():
            await intake.take(parent, device_id, command, group)
        for device_id in self._devices.unlisted(flagged):
            await self._fetch_one(parent, device_id, intake, group)
        self._last_asked.record_all(self._now(), loop_time())
        await self._record_contact(parent)

    async def _fetch_one(self, parent: Credentials, device_id: str, intake: CommandIntake, group: asyncio.TaskGroup) -> None:
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
        running = self._running.of(device_id)
        if running is not None and (command is None or command.id != running.entry.command_id):
            running.cancel()
        if command is not None:
            await intake.take(parent, device_id, command, group)
        self._last_asked.record(device_id, self._now(), loop_time())
        await self._record_contact(parent)

    async def _record_contact(self, parent: Credentials) -> None:
        """Record since when each device was asked, so that a restart does not make an old command look young."""
        if not self._policy.every:
            await self._record_answers()
            return
        earliest = self._last_asked.earliest([parent.device_id, *self._devices.children_in_cloud()])
        if earliest is not None:
            await self._ledger.record_contact(earliest)

    async def _record_answers(self) -> None:
        """Record now and then that devices have telemetry responses, where those alone tell of commands."""
        latest = self._last_asked.latest()
        if self._last_asked.earliest(self._devices.children_in_cloud()) == RECORDS_LOST:
            return  # until each device was asked, a command of the others may have been begun before the record was lost
        if not self._policy.every and latest is not None and loop_time() - self._recorded_at >= RECORD_EVERY_SECONDS:
            await retry_until_stored(lambda: self._ledger.record_contact(latest), what="the time of the last contact")
            self._recorded_at = loop_time()
