"""Define what the page of a bus needs besides the snapshot: how the bus is set, and what each device takes of its time. Pure."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field

from gateway.models import FactSource
from gateway.status.model import StatusModel, Text
from gateway.status.snapshot import BusSummary


class BusFactSummary(StatusModel):
    """Where a bus is, or how its line is set."""

    name: Text = Field(description="`port`, `host`, `speed`, `parity` and others; an adapter may have its own")
    value: Text
    source: FactSource | None = Field(default=None, description="where it comes from; null for a state of the moment")


class DeviceBusLoad(StatusModel):
    """What one device takes of the time of its bus."""

    id: str | None = Field(default=None, description="its id in addresses of this API; null for one that is not a child (yet)")
    name: Text
    address: Text
    plan: float = Field(default=0.0, description="share of the bus's time that reading it takes, by plan")
    load: float = Field(default=0.0, description="share of the bus's time that it used lately, for all purposes")


class BusDetails(StatusModel):
    """What is known about one bus besides its summary."""

    facts: tuple[BusFactSummary, ...] = Field(default=(), description="where it is and how it is set")
    devices: tuple[DeviceBusLoad, ...] = Field(default=(), description="those that take most of its time first")
    measured_seconds: float = Field(default=0.0, description="over how long their load was measured")


class BusReport(StatusModel):
    """One bus with its settings and the load of each device."""

    bus: BusSummary
    details: BusDetails


class BusesView(Protocol):
    """The part of `gateway.status.view.View` for the page of a bus."""

    def bus_details(self, entry: str, bus: str) -> BusDetails:
        """Return the details of a bus; none of a bus that is not there (any more)."""
