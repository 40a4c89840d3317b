"""Pass a licence change to the bus of its child, as the command that the child's adapter names for it."""

from __future__ import annotations

from datetime import timedelta

from gateway.errors import AdapterError, CommandRejected, DeviceUnreachable
from gateway.field.children.availability import Availability
from gateway.field.fleet import Fleet
from gateway.models import Licence, Reach
from gateway.state.registry import Registry

WITHIN = timedelta(minutes=1)
"""How long a change waits for a bus that is busy, before it is tried again later."""


class LicenceDispatcher:
    """Knows which bus serves a child.

    Args:
        registry: knows the children.
        fleet: knows the buses.
        availability: knows which children answer.
    """

    def __init__(self, registry: Registry, fleet: Fleet, availability: Availability) -> None:
        self._registry = registry
        self._fleet = fleet
        self._availability = availability

    async def apply(self, child: str | None, licence: Licence) -> None:
        """Make a change of a licence on its device.

        Raises:
            CommandRejected: the device does not take it; the text says why.
            AdapterError: the device or its bus does not answer.
        """
        if child is None:
            raise CommandRejected("the gateway itself uses no licences; assign them to its children")
        record = self._registry.children.get(child)
        if record is None:
            raise CommandRejected("this device is not a child of the gateway any more")
        supervisor = self._fleet.supervisors.get((record.child.adapter, record.child.bus))
        if supervisor is None or supervisor.problem is not None:
            raise DeviceUnreachable(f"its bus {record.child.bus} is not open")
        if self._availability.of(child).reach is not Reach.REACHABLE:
            raise DeviceUnreachable("the device does not answer")
        try:
            command = supervisor.adapter.licence_command(record.child, licence)
        except AdapterError:
            raise
        except Exception as error:  # code of a third-party adapter: its bug costs this licence, nothing else
            raise CommandRejected(f"its adapter failed: {type(error).__name__}") from error
        await supervisor.execute(child, command, within=WITHIN)
