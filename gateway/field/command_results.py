"""Bring what an adapter returns for a command into a form that can be kept and shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.command_parameters import MASK
from gateway.command_secrets import secrets_of, without_secrets
from gateway.models import Command, CommandResult, Value

MOST_VALUES = 100
"""How many values before and after a command are kept."""

MOST_CHARACTERS = 1000
"""How much is kept of a message or a value."""

_INTEGERS = range(-(2**63), 2**63)


def to_result(returned: object, command: Command) -> CommandResult:
    """Return the result of a command without its secrets, whatever an adapter returns; a message alone is a result, too."""
    result = returned if isinstance(returned, CommandResult) else CommandResult(message=_text(returned))
    secrets = secrets_of(command.parameters)
    message = _text(result.message)
    return CommandResult(
        message=None if message is None else without_secrets(message, secrets),
        is_proven=result.is_proven is True,
        before=_plain_values(result.before, secrets),
        after=_plain_values(result.after, secrets),
    )


def _text(message: object) -> str | None:
    return None if message is None else str(message)[:MOST_CHARACTERS]


def _plain_values(values: object, secrets: frozenset[str]) -> dict[str, Value]:
    if not isinstance(values, Mapping):
        return {}
    some = list(values.items())[:MOST_VALUES]
    return {str(name)[:MOST_CHARACTERS]: _plain(value, secrets) for name, value in some}


def _plain(value: object, secrets: frozenset[str]) -> Value:
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and value in _INTEGERS):
        return MASK if str(value) in secrets else value
    return None if isinstance(value, int) else without_secrets(str(value)[:MOST_CHARACTERS], secrets)
