"""Define what the buttons for several devices say. Pure."""

from __future__ import annotations

from typing import Final

from gateway.status.several import SeveralAction

SEVERAL_TEXTS: Final = {
    SeveralAction.ADMIT: "Admit",
    SeveralAction.IGNORE: "Ignore",
    SeveralAction.READ: "Read all values",
    SeveralAction.IDENTIFY: "Check the identities",
    SeveralAction.RETIRE: "Retire and delete in the cloud",
    SeveralAction.RETIRE_HERE: "Retire and keep in the cloud",
}
"""What the buttons say."""
