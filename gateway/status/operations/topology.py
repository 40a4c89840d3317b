"""Define the operation that shows the topology, and its body. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import AwareDatetime, Field

from gateway.causes import Cause
from gateway.status.model import StatusModel, Text
from gateway.status.open_causes import OpenCause
from gateway.status.operations.operation import BASE, ApiOperation
from gateway.status.rights import Rights
from gateway.status.snapshot import ChildStatus


class DeviceNode(StatusModel):
    """A device on a bus."""

    id: str = Field(description="its id in addresses of this API")
    name: Text
    address: Text
    standing: ChildStatus
    cause: Cause | None = Field(description="why it is not fine, as one of the known causes")
    why: Text | None = Field(description="why it is not fine, in plain words")
    load: float = Field(description="share of the bus's time that it used lately")


class BusNode(StatusModel):
    """A bus with its devices."""

    id: str = Field(description="its id in addresses of this API")
    entry: Text
    bus: Text
    is_present: bool = Field(description="false when devices belong to a bus that is not there any more")
    problem: Text | None = Field(description="why it is not open, in plain words")
    load: float | None = Field(description="share of its time that was used lately; null for a bus that is not there")
    plan: float | None = Field(description="share of its time that reading takes, by plan")
    limit: float | None = Field(description="share of its time that reading may take")
    stretch: float | None = Field(description="factor by which all intervals are longer than configured")
    standings: dict[ChildStatus, int] = Field(description="number of its devices by status")
    causes: tuple[OpenCause, ...] = Field(description="what is wrong with the bus; that of a single device is at the device")
    devices: tuple[DeviceNode, ...] = Field(description="the ones that most need a person first")


class GatewayNode(StatusModel):
    """The gateway, to which the buses are connected."""

    name: Text
    is_registered: bool
    outbox: float = Field(description="share of the outbox that is used, 0 to 1")
    standings: dict[ChildStatus, int] = Field(description="number of all devices by status")
    causes: tuple[OpenCause, ...]


class CloudNode(StatusModel):
    """The cloud, to which the gateway is connected."""

    is_reachable: bool | None = Field(description="null before the first call")
    since: AwareDatetime | None
    url: Text | None
    waiting_samples: int = Field(description="samples that it has not accepted yet")
    causes: tuple[OpenCause, ...]


class Topology(StatusModel):
    """Cloud, gateway, buses and devices, with state and load of each; what has trouble first."""

    at: AwareDatetime
    cloud: CloudNode
    gateway: GatewayNode
    buses: tuple[BusNode, ...]


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("topology", "GET", f"{BASE}/topology", "Cloud, gateway, buses and devices, with state and load of each", Topology),
        needs=Rights.LOOK,
    ),
)
