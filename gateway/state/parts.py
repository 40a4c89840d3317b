"""Group the parts of the state: everything that survives a restart, on one store."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.state.adapter_memory import AdapterMemory
from gateway.state.command_ledger import CommandLedger
from gateway.state.events import EventQueue
from gateway.state.incidents import Incidents
from gateway.state.outbox import Outbox
from gateway.state.registry import Registry
from gateway.state.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class StateParts:
    """What survives a restart."""

    store: Store
    registry: Registry
    outbox: Outbox
    ledger: CommandLedger
    adapter_memory: AdapterMemory
    events: EventQueue
    incidents: Incidents

    async def load(self) -> None:
        """Read what an earlier run left."""
        await self.registry.load()
        await self.outbox.load()
        await self.adapter_memory.load()
