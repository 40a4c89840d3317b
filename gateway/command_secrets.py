"""Hide the secret parameters of commands in records and texts. Pure.

A parameter is secret if its declaration says so (`SecretStr`, also within a list or another model), or if its name does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import Secret, SecretBytes, SecretStr

from gateway.command_parameters import parameters_schema, secret_parameters
from gateway.models import CommandSpec
from gateway.url_secrets import MASK, without_url_secrets

KEY_LIKE = re.compile(r"([0-9A-Fa-f]{2}[\s:-]*){12,}")
"""Text that is probably a key in the wrong place, so it is not quoted in an error."""

_SECRET_NAME = re.compile(r"passw|passphrase|pwd|secret|token|credential|psk|\bpin\b|key$|(^|_)key(_|$)", re.IGNORECASE)


def mask_parameters(specs: Sequence[CommandSpec], name: str, parameters: Mapping[str, object]) -> dict[str, object]:
    """Return the parameters of a command as they may be recorded.

    Secret ones are masked, each as a whole: a secret that arrives in the wrong place or form stays hidden. So is everything that
    the command does not declare, since it may be a secret with a misspelt name.

    Args:
        specs: the commands of the device; where none is declared, only the names can tell.
        name: the name of the command.
        parameters: as the cloud has sent them.
    """
    if not specs:
        return mask_by_name(parameters)
    spec = next((spec for spec in specs if spec.name == name), None)
    plain = frozenset() if spec is None else _plain_parameters(spec)
    return mask_by_name({name: value if name in plain else MASK for name, value in parameters.items()})


def is_secret_name(name: str) -> bool:
    """Return whether the name of a value says that it is secret."""
    return _SECRET_NAME.search(name) is not None


def mask_by_name(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return parameters with those masked whose name says that they are secret, and what opens a URL, at any depth."""
    return {name: MASK if _SECRET_NAME.search(str(name)) else _masked_value(value) for name, value in parameters.items()}


def is_masked(parameters: object) -> bool:
    """Return whether any of these parameters was masked or left out, so that the command cannot be known from them."""
    if isinstance(parameters, Mapping):
        return MASK in parameters or any(is_masked(value) for value in parameters.values())
    return any(map(is_masked, parameters)) if isinstance(parameters, list) else parameters == MASK


def secrets_of(parameters: object) -> frozenset[str]:
    """Return the plain text of each secret in the parameters that an adapter gets."""
    return frozenset(_secrets_in(parameters)) - {""}


def without_secrets(text: str, secrets: frozenset[str]) -> str:
    """Return a text with these secrets masked, wherever they occur in it."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _plain_parameters(spec: CommandSpec) -> frozenset[str]:
    """Return the names of the declared parameters that contain no secret at any depth."""
    return frozenset(parameters_schema(spec).get("properties", {})) - secret_parameters(spec.parameters)


def _masked_value(value: object) -> object:
    if isinstance(value, dict):
        return mask_by_name(value)
    if isinstance(value, str):
        return without_url_secrets(value)
    return [_masked_value(inner) for inner in value] if isinstance(value, list) else value


def _secrets_in(value: object) -> Iterator[str]:
    match value:
        case SecretStr() | SecretBytes() | Secret():
            plain = value.get_secret_value()
            yield plain.decode(errors="replace") if isinstance(plain, bytes) else str(plain)
        case Mapping():
            for name, inner in value.items():
                is_secret = _SECRET_NAME.search(str(name)) and isinstance(inner, str)
                yield from (inner,) if is_secret else _secrets_in(inner)
        case list() | tuple() | set() | frozenset():
            for inner in value:
                yield from _secrets_in(inner)
