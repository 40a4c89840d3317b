"""Define the operations that restore a backup by upload, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field, SecretStr

from gateway.status.model import StatusModel, Text
from gateway.status.operations.operation import BASE, MULTIPART, ActionDone, ApiOperation, ErrorResponse
from gateway.status.rights import Rights


class RestoreUpload(StatusModel):
    """A backup. The passphrase comes before the file."""

    passphrase: SecretStr = Field(description="with which the backup was made")
    file: str = Field(description="the content of the backup", json_schema_extra={"format": "binary"})


class RestoreConfirmation(StatusModel):
    """What was checked and is to be restored."""

    plan: str = Field(description="`plan` of the backup that was uploaded")


class CheckedBackup(StatusModel):
    """A backup that was uploaded and checked, and what a restore of it would replace. Nothing is restored yet."""

    plan: str = Field(description="names it when it is confirmed")
    is_same_gateway: bool = Field(description="whether it is a backup of the gateway that runs")
    serial_number: Text = Field(description="of the gateway in the backup")
    children: int
    samples: int = Field(description="number of samples that wait for the cloud in the backup")
    own_serial_number: Text | None = Field(description="of the gateway that runs; null before it has one")
    own_children: int
    waiting: int = Field(description="number of samples of the gateway that runs that wait for the cloud")
    added: tuple[Text, ...] = Field(description="names of its children that the backup does not have")


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *(
            "upload_backup",
            "POST",
            f"{BASE}/restore",
            "Upload a backup and have it checked; nothing is restored before it is confirmed",
            CheckedBackup,
        ),
        needs=Rights.ADMINISTER,
        body=RestoreUpload,
        body_type=MULTIPART,
        errors={
            "408": ("nothing came for a minute", ErrorResponse),
            "413": ("the file is larger than what is taken here", ErrorResponse),
            "415": ("the body is no multipart form", ErrorResponse),
        },
    ),
    ApiOperation(
        *(
            "restore_backup",
            "POST",
            f"{BASE}/restore/confirm",
            "Restore the backup that was checked: the gateway is built anew with it",
            ActionDone,
        ),
        needs=Rights.ADMINISTER,
        body=RestoreConfirmation,
    ),
    ApiOperation(
        *("discard_backup", "POST", f"{BASE}/restore/cancel", "Discard the backup that was checked", ActionDone),
        needs=Rights.ADMINISTER,
    ),
)
