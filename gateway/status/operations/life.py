"""Define the operations that end or change the life of a child, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field

from gateway.status.device_actions import Successor
from gateway.status.model import StatusModel
from gateway.status.operations.commands import InvalidParameters
from gateway.status.operations.operation import BASE, ActionDone, ApiOperation
from gateway.status.rights import Rights


class RetireRequest(StatusModel):
    """How a child is retired."""

    keep_in_cloud: bool = Field(
        description="true: the device stays there as offline, with its history; false: it is deleted there for good"
    )


class ReplaceRequest(StatusModel):
    """The device that goes on as a child."""

    successor: str = Field(description="the id of a found device, or of a child that waits for a decision")


class AdmitRequest(StatusModel):
    """The Xyte model of a device whose family has none in the configuration."""

    model_id: str = Field(description="its id in the Partner Portal; it is kept with this child")


class SuccessorList(StatusModel):
    """The devices that could go on as a child, the likeliest first."""

    devices: tuple[Successor, ...]


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *("retire", "POST", f"{BASE}/children/{{id}}/retire", "Retire a child; it is done when the cloud answers", ActionDone),
        needs=Rights.ADMINISTER,
        body=RetireRequest,
    ),
    ApiOperation(
        *("admit_under_model", "POST", f"{BASE}/waiting/{{id}}/admit-as", "Admit a found device under a model", ActionDone),
        needs=Rights.OPERATE,
        body=AdmitRequest,
        errors={"422": ("the model id is wrong; nothing was changed", InvalidParameters)},
    ),
    ApiOperation(
        *("replace", "POST", f"{BASE}/children/{{id}}/replace", "Let another device go on as a child", ActionDone),
        needs=Rights.ADMINISTER,
        body=ReplaceRequest,
    ),
    ApiOperation(
        *("successors", "GET", f"{BASE}/children/{{id}}/successors", "The devices that could go on as a child", SuccessorList),
        needs=Rights.LOOK,
    ),
)
