"""Define the operations on the gateway and its buses as a whole, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import AwareDatetime, Field

from gateway.status.buses_view import BusReport
from gateway.status.cloud_activity import CloudActivity
from gateway.status.doctor_cache import DoctorReport
from gateway.status.model import StatusModel
from gateway.status.open_causes import OpenCause
from gateway.status.operations.operation import BASE, ActionDone, ApiOperation
from gateway.status.rights import Rights
from gateway.status.snapshot import BusSummary, ChildStatus, GatewaySummary, OutboxSummary


class Overview(StatusModel):
    """The state of the gateway at a glance."""

    at: AwareDatetime
    headline: str
    gateway: GatewaySummary
    outbox: OutboxSummary
    standings: dict[ChildStatus, int] = Field(description="number of children by status")
    waiting: int = Field(description="number of found devices that are neither children nor ignored")
    causes: tuple[OpenCause, ...] = Field(
        default=(), description="what is wrong right now, one for each cause, what concerns most first"
    )


class BusList(StatusModel):
    """Every bus."""

    buses: tuple[BusSummary, ...]


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("overview", "GET", f"{BASE}/status", "The state of the gateway at a glance", Overview),
        needs=Rights.LOOK,
    ),
    ApiOperation(
        *("buses", "GET", f"{BASE}/buses", "Every bus, with its planned and its measured load", BusList),
        needs=Rights.LOOK,
    ),
    ApiOperation(
        *("bus", "GET", f"{BASE}/buses/{{id}}", "One bus: how it is set, and what each device takes of its time", BusReport),
        needs=Rights.LOOK,
    ),
    ApiOperation(
        *("cloud", "GET", f"{BASE}/cloud", "The latest commands, open incidents, licences and files", CloudActivity),
        needs=Rights.LOOK,
    ),
    ApiOperation(
        *("doctor", "GET", f"{BASE}/doctor", "What can keep the gateway from working here, and how to fix it", DoctorReport),
        needs=Rights.LOOK,
    ),
    ApiOperation(
        *("keep_identity", "POST", f"{BASE}/identity/keep", "Let this machine replace the one of the store", ActionDone),
        needs=Rights.ADMINISTER,
    ),
    ApiOperation(
        *("new_identity", "POST", f"{BASE}/identity/new", "Register this machine as another gateway than that one", ActionDone),
        needs=Rights.ADMINISTER,
    ),
    ApiOperation(
        *("rescan", "POST", f"{BASE}/buses/{{id}}/rescan", "Search a bus for new devices now", ActionDone),
        needs=Rights.OPERATE,
    ),
)
