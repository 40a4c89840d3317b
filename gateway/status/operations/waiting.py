"""Define the operations on found devices that are not children, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from gateway.models import NAME_LENGTH
from gateway.status.model import StatusModel
from gateway.status.operations.operation import BASE, PAGED, ActionDone, ApiOperation, QueryParameter
from gateway.status.rights import Rights
from gateway.status.snapshot import WaitingDevice


class WaitingList(StatusModel):
    """One page of the found devices that are not children."""

    total: int
    page: int
    pages: int
    devices: tuple[WaitingDevice, ...]


class RenameRequest(StatusModel):
    """The new name of a device."""

    name: str | None = Field(description=f"1 to {NAME_LENGTH} readable characters; null for the name that it was found under")


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("waiting", "GET", f"{BASE}/waiting", "Found devices that are not children, in pages", WaitingList),
        needs=Rights.LOOK,
        query=PAGED | {"show": QueryParameter("`ignored` for those that a person has chosen to ignore", choices=("ignored",))},
    ),
    ApiOperation(
        *("admit", "POST", f"{BASE}/waiting/{{id}}/admit", "Admit a found device as a child", ActionDone),
        needs=Rights.OPERATE,
    ),
    ApiOperation(
        *("ignore", "POST", f"{BASE}/waiting/{{id}}/ignore", "Ignore a found device from now on", ActionDone),
        needs=Rights.OPERATE,
    ),
    ApiOperation(
        *("name_waiting", "POST", f"{BASE}/waiting/{{id}}/name", "Rename a found device", ActionDone),
        needs=Rights.OPERATE,
        body=RenameRequest,
    ),
)
