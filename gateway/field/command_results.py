"""Bring what an adapter returns for a command into a form that can be kept and shown. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from math import isfinite
from typing import Any

from gateway.command_secrets import secrets_of, without_secrets
from gateway.models import Command, CommandResult, Value
from gateway.plain_text import plain_text, type_name
from gateway.url_secrets import MASK

MOST_VALUES = 100
"""How many values before and after a command are kept."""

MOST_CHARACTERS = 1000
"""How much is kept of a message or a value."""

_INTEGERS = range(-(2**63), 2**63)


def to_result(returned: object, command: Command) -> CommandResult:
    """Return the result of a command without its secrets, whatever an adapter returns; a message alone is a result, too."""
    secrets = secrets_of(command.parameters)
    try:
        result = returned if isinstance(returned, CommandResult) else CommandResult(message=_text(returned, secrets))
        return CommandResult(
            message=_text(result.message, secrets),
            is_proven=result.is_proven is True,
            before=_plain_values(result.before, secrets),
            after=_plain_values(result.after, secrets),
        )
    except Exception as error:  # noqa: BLE001 - objects of a third-party adapter, which may raise whatever is done with them
        return CommandResult(message=f"its adapter returned something that raises {type_name(type(error))} when it is used")


def _text(message: object, secrets: frozenset[str]) -> str | None:
    return None if message is None else plain_text(without_secrets(_str(message), secrets), MOST_CHARACTERS)


def _str(value: object) -> str:
    return str.__str__(value) if issubclass(type(value), str) else str(value)


def _plain_values(values: object, secrets: frozenset[str]) -> dict[str, Value]:
    if not isinstance(values, Mapping):
        return {}
    some = islice(values.items(), MOST_VALUES)
    return {plain_text(_str(name), MOST_CHARACTERS): _plain(value, secrets) for name, value in some}


def _plain(value: Any, secrets: frozenset[str]) -> Value:  # noqa: ANN401 - whatever an adapter returns
    if isinstance(value, float):
        value = float.__float__(value) if isfinite(value) else None
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and value in _INTEGERS):
        return MASK if str(value) in secrets else value
    return None if isinstance(value, int) else _text(value, secrets)
