"""Define what the buttons for several devices say. Pure."""

from __future__ import annotations

from typing import Final

from gateway.status.languages.texts import gettext_noop
from gateway.status.several import SeveralAction

SEVERAL_TEXTS: Final = {
    SeveralAction.ADMIT: gettext_noop("Admit"),
    SeveralAction.IGNORE: gettext_noop("Ignore"),
    SeveralAction.READ: gettext_noop("Read all values"),
    SeveralAction.IDENTIFY: gettext_noop("Check the identities"),
    SeveralAction.RETIRE: gettext_noop("Retire and delete in the cloud"),
    SeveralAction.RETIRE_HERE: gettext_noop("Retire and keep in the cloud"),
}
"""What the buttons say."""
