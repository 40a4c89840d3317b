"""Fetch the commands of the gateway and its children, have each executed at most once, and report its outcome."""

from __future__ import annotations

import asyncio

from gateway.cloud.commands.execution import CommandExecution
from gateway.cloud.commands.fetching import CommandFetcher
from gateway.cloud.commands.intake import CommandIntake
from gateway.cloud.commands.last_asked import LastAsked
from gateway.cloud.commands.progress import ProgressReporter
from gateway.cloud.commands.reporting import OutcomeReporter
from gateway.cloud.commands.running import RunningCommands
from gateway.cloud.commands.still_offered import OfferCheck
from gateway.cloud.commands.target import CommandPolicy, Commands
from gateway.cloud.devices import CloudDevices
from gateway.cloud.guarded_calls import GuardedCalls
from gateway.hub import Credentials, Hub
from gateway.state.command_ledger import CommandLedger
from gateway.state.writes import retry_until_stored


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
        self, hub: Hub, devices: CloudDevices, ledger: CommandLedger, *, calls: GuardedCalls, commands: Commands
    ) -> None:
        self._ledger = ledger
        self._last_asked = LastAsked()
        self._running = RunningCommands()
        offer = OfferCheck(hub, devices, calls=calls)
        self._fetcher = CommandFetcher(
            hub, devices, ledger, calls=calls, commands=commands, running=self._running, last_asked=self._last_asked, offer=offer
        )
        self._reporter = OutcomeReporter(
            hub, devices, ledger, calls=calls, running=self._running, on_reported=self._fetcher.fetch_soon
        )
        progress = ProgressReporter(hub, devices, calls=calls)
        self._execution = CommandExecution(
            devices, ledger, commands=commands, running=self._running, progress=progress, reporter=self._reporter, offer=offer
        )
        self._intake = CommandIntake(
            devices, ledger, commands=commands, running=self._running, execution=self._execution, reporter=self._reporter,
            last_asked=self._last_asked, usual_gap=lambda: self._fetcher.usual_gap,
        )  # fmt: skip

    def fetch_soon(self, device_id: str) -> None:
        """Fetch the next command of a device: a response says that one waits."""
        self._fetcher.fetch_soon(device_id)

    def record_none_waiting(self, device_id: str) -> None:
        """Record that a telemetry response says that a device has no command."""
        self._fetcher.record_none_waiting(device_id)

    def use_policy(self, policy: CommandPolicy) -> None:
        """Fetch and take in commands by this policy from now on."""
        self._intake.policy = policy
        self._fetcher.use_policy(policy)

    def reset(self) -> None:
        """Begin as after a start: the gateway was registered again."""
        self._fetcher.reset()

    async def run(self, parent: Credentials) -> None:
        """Fetch, execute and report until cancelled.

        Raises:
            EnrolmentRevoked: the gateway was deleted in the cloud.
        """
        self._running.clear()
        self._last_asked.begin(await retry_until_stored(self._ledger.last_contact, what="the time of the last contact"))
        async with asyncio.TaskGroup() as group:
            await self._execution.finish_interrupted(parent, group)
            group.create_task(self._reporter.run(parent))
            group.create_task(self._intake.end_forgotten())
            await self._fetcher.run(parent, self._intake, group)
