"""Execute the commands about found devices: search again, admit one, ignore one, forget one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from gateway.errors import CommandRejected
from gateway.field.children.intake import DeviceIntake
from gateway.field.fleet import Fleet
from gateway.models import Checkpoint, CommandResult, NoParameters
from gateway.runtime.own_commands.commands import OwnCommand
from gateway.runtime.own_commands.declarations import ADMIT, FORGET, IGNORE, RESCAN, DeviceParameters
from gateway.state.records import ChildRequest, Decision, Request
from gateway.state.registry import Registry

RETIRED_WITHIN_SECONDS = 30.0
"""How long `forget` waits until a child is retired, which its own registration may delay."""


class DeviceCommands:
    """`rescan`, `admit`, `ignore` and `forget`."""

    def __init__(self, registry: Registry, intake: DeviceIntake, fleet: Fleet) -> None:
        self._registry = registry
        self._intake = intake
        self._fleet = fleet

    def all(self) -> Sequence[OwnCommand]:
        """Return the commands."""
        return (
            OwnCommand(spec=RESCAN, run=self._rescan),
            OwnCommand(spec=ADMIT, run=self._admit),
            OwnCommand(spec=IGNORE, run=self._ignore),
            OwnCommand(spec=FORGET, run=self._forget),
        )

    async def _rescan(self, _given: NoParameters, _checkpoint: Checkpoint) -> str:
        buses = list(self._fleet.supervisors.values())
        for supervisor in buses:
            await supervisor.start_discovery()
        return f"the search for devices starts on {len(buses)} {'bus' if len(buses) == 1 else 'buses'}"

    async def _admit(self, given: DeviceParameters, _checkpoint: Checkpoint) -> str:
        name = await self._decide(given.key, Decision.ADMIT)
        device = self._registry.found_devices.get(given.key)
        if device is not None:
            raise CommandRejected(f"{name} is not admitted: {device.why}")
        return f"{name} is admitted"

    async def _ignore(self, given: DeviceParameters, _checkpoint: Checkpoint) -> str:
        return f"{await self._decide(given.key, Decision.IGNORE)} is ignored"

    async def _decide(self, key: str, decision: Decision) -> str:
        name = self._registry.name_of(key)
        if not await self._registry.decide(key, decision):
            raise CommandRejected(f"there is no device {key!r} that waits for a decision")
        await self._intake.admit_approved()
        return name or key

    async def _forget(self, given: DeviceParameters, _checkpoint: Checkpoint) -> CommandResult | str:
        name = self._registry.name_of(given.key)
        if given.key in self._registry.children:
            return await self._retire(given.key, name)
        if not await self._registry.forget_found(given.key):
            raise CommandRejected(f"there is no device {given.key!r}")
        return f"{name} is forgotten, and the decision about it; if it is still there, the next search finds it again"

    async def _retire(self, key: str, name: str | None) -> CommandResult:
        """Ask for a child to be retired, as `xyte-gateway children retire` does, and wait a while for it."""
        await self._registry.request(ChildRequest(key=key, request=Request.RETIRE, at=datetime.now(UTC)))
        try:
            async with asyncio.timeout(RETIRED_WITHIN_SECONDS), self._registry.changed:
                await self._registry.changed.wait_for(lambda: key not in self._registry.children)
        except TimeoutError:
            return CommandResult(message=f"{name} is retired as soon as its registration in the cloud is settled")
        told = f"{name} is retired: it is deleted in the cloud, and its device is ignored until `admit`"
        return CommandResult(message=told, is_proven=True)
