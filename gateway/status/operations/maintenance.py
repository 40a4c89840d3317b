"""Define the operations for maintenance: diagnostics, backup and restart, and their bodies. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field, SecretStr

from gateway.status.maintenance_view import SHORTEST_PASSPHRASE
from gateway.status.model import StatusModel
from gateway.status.operations.operation import BASE, ActionDone, ApiOperation
from gateway.status.rights import Rights


class BackupRequest(StatusModel):
    """What a backup is encrypted with."""

    passphrase: SecretStr = Field(
        description=f"at least {SHORTEST_PASSPHRASE} characters; without it nobody can use the backup",
        json_schema_extra={"minLength": SHORTEST_PASSPHRASE},  # the view checks it, and says it in its own words
    )


class RestartRequest(StatusModel):
    """A restart of the gateway."""

    confirmed: bool = Field(default=False, description="a person has confirmed it; required")


OPERATIONS: Final[Sequence[ApiOperation]] = (
    ApiOperation(
        *(
            "collect_diagnostics",
            "POST",
            f"{BASE}/diagnostics",
            "An archive with what helps to find a fault from afar, every secret masked",
            None,
        ),
        needs=Rights.ADMINISTER,
        content_type="application/gzip",
    ),
    ApiOperation(
        *("make_backup", "POST", f"{BASE}/backup", "An encrypted backup, for `xyte-gateway restore`", None),
        needs=Rights.ADMINISTER,
        body=BackupRequest,
        content_type="application/octet-stream",
    ),
    ApiOperation(
        *("restart_gateway", "POST", f"{BASE}/restart", "Restart the gateway in order", ActionDone),
        needs=Rights.ADMINISTER,
        body=RestartRequest,
    ),
)
