"""Execute the commands about found devices: search again, admit one, ignore one, forget one."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.errors import CommandRejected
from gateway.field.children.intake import DeviceIntake
from gateway.field.fleet import Fleet
from gateway.models import Checkpoint, NoParameters
from gateway.runtime.own_commands.commands import OwnCommand
from gateway.runtime.own_commands.declarations import ADMIT, FORGET, IGNORE, RESCAN, DeviceParameters
from gateway.state.records import Decision
from gateway.state.registry import Registry


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
        return f"the search for devices starts on {len(buses)} buses"

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

    async def _forget(self, given: DeviceParameters, _checkpoint: Checkpoint) -> str:
        if (child := self._registry.children.get(given.key)) is not None:
            raise CommandRejected(
                f"{child.child.name} is a child of the gateway, and its history belongs to it; delete it in the portal instead"
            )
        name = self._registry.name_of(given.key)
        if not await self._registry.forget_found(given.key):
            raise CommandRejected(f"there is no found device {given.key!r}")
        return f"{name} is forgotten, and the decision about it; if it is still there, the next search finds it again"
