"""Say for the operator in the cloud how a command ended. Pure."""

from __future__ import annotations

from gateway.cloud.protocol.values import printable_line
from gateway.models import CommandResult
from gateway.state.command_ledger import Outcome

MESSAGE_LENGTH = 1000
"""The longest message to the operator, in characters: it may quote what the cloud has sent."""

NOT_PROVEN = "sent, not proven"
UNKNOWN = "acted, outcome unknown"
TOO_LATE = "it has waited for too long; nothing was sent to the device"
MAY_HAVE_BEGUN = (
    "the gateway has lost its record of commands, so this one may have been carried out already; nothing is sent to the device"
    " now. Look at the device, and send it again if it is still wanted"
)
NO_TUNNEL = "the gateway opens no tunnel into its network: it has no remote access to the pages of devices"
CANCELLED = "it was cancelled in the cloud before it started"
INTERRUPTED = "the gateway stopped while it was running"
PREPARED_TOO_OFTEN = "the gateway stopped twice while it prepared this command, so it is set aside; nothing was sent"
RUN_TOO_OFTEN = f"{INTERRUPTED}, and again while it was finished, so it is set aside"
NOT_RECORDED = "its parameters are secret or too long to be kept, so it cannot be read back"
NO_REASON = "no reason is known"


def done_text(result: CommandResult) -> str:
    """Return what was read back; "sent, not proven" where nothing was."""
    if not result.is_proven:
        return f"{result.message}; {NOT_PROVEN}" if result.message else NOT_PROVEN
    told = result.message or ""
    if all(name in told for name in result.after):  # an adapter writes values better, with their units
        return told or "done, and read back"
    values = ", ".join(
        f"{name} is {value}" + (f" (was {result.before[name]})" if name in result.before else "")
        for name, value in result.after.items()
    )
    return f"{told}; read back: {values}" if told else f"read back: {values}"


def message_of(outcome: Outcome, text: str | None) -> str | None:
    """Return the message that is recorded and reported: one line, and always one where a command was not done."""
    match outcome:
        case Outcome.DONE:
            told = text
        case Outcome.FAILED:
            told = text or NO_REASON
        case Outcome.UNKNOWN:
            told = f"{UNKNOWN}: {text or NO_REASON}"
    return None if told is None else printable_line(told, MESSAGE_LENGTH)
