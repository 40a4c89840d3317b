"""Define what the buttons for several devices say. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from gateway.status.languages.texts import gettext_noop
from gateway.status.several import SeveralAction, SeveralForm

SEVERAL_ACTIONS: Final[Mapping[str, Sequence[SeveralAction | SeveralForm]]] = {
    "children": (
        *(SeveralAction.READ, SeveralAction.IDENTIFY, SeveralForm.COMMAND, SeveralForm.RENAME),
        *(SeveralAction.RETIRE, SeveralAction.RETIRE_HERE),
    ),
    "waiting": (
        *(SeveralAction.ADMIT, SeveralAction.IGNORE, SeveralAction.READ, SeveralAction.IDENTIFY),
        SeveralForm.RENAME,
    ),
}
"""What can be done with several children, and with several found devices."""

SEVERAL_TEXTS: Final[Mapping[SeveralAction | SeveralForm, str]] = {
    SeveralAction.ADMIT: gettext_noop("Admit"),
    SeveralAction.IGNORE: gettext_noop("Ignore"),
    SeveralAction.READ: gettext_noop("Read all values"),
    SeveralAction.IDENTIFY: gettext_noop("Check the identities"),
    SeveralAction.RETIRE: gettext_noop("Retire and delete in the cloud"),
    SeveralAction.RETIRE_HERE: gettext_noop("Retire and keep in the cloud"),
    SeveralForm.COMMAND: gettext_noop("Send a command"),
    SeveralForm.RENAME: gettext_noop("Rename"),
}
"""What the buttons say."""
