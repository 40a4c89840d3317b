"""Find the secrets that the gateway knows, and hide them in texts that leave it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, SecretBytes, SecretStr

from gateway.command_parameters import MASK
from gateway.command_secrets import is_secret_name, without_url_secrets
from gateway.config.settings import Configuration
from gateway.state.registry import Registry

SHORTEST_SECRET = 4
"""A shorter one is hidden by its place alone: it would be found in every second word."""

LARGEST_SECRET_FILE = 4096

_URL_USER = re.compile(r"(?<=://)[^/\s@\"']+@")


def secrets_of_configuration(configuration: Configuration) -> set[str]:
    """Return every secret in the configuration and in the files that it names."""
    return {*_secrets_in(configuration.settings), *_secrets_in(configuration.entries)} - {""}


def secrets_of_registry(registry: Registry) -> set[str]:
    """Return the keys of the gateway and of its children."""
    gateway = registry.gateway
    credentials = [] if gateway is None else [gateway.credentials, gateway.former_credentials]
    keys = [
        *(one.access_key for one in credentials if one is not None),
        *(record.access_key for record in registry.children.values() if record.access_key is not None),
        *(device.access_key for device in registry.unused_devices.values() if device.access_key is not None),
    ]
    return {key.get_secret_value() for key in keys}


def masked_text(text: str, secrets: Iterable[str]) -> str:
    """Return a text in which each secret is masked, as it is or as JSON and URLs write it; and so is what opens a URL."""
    for secret in sorted({form for one in secrets for form in _forms(one)}, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, MASK)
    return without_url_secrets(text)


def masked_settings(value: object, name: str = "") -> object:
    """Return settings as JSON values, with each secret masked: typed as one, or named like one."""
    match value:
        case BaseModel():
            return {key: masked_settings(getattr(value, key), key) for key in type(value).model_fields}
        case Mapping():
            return {str(key): masked_settings(inner, str(key)) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked_settings(inner, name) for inner in value]
        case None | bool():
            return value
        case Path():
            return str(value)
        case SecretStr() | SecretBytes():
            return MASK
        case _ if is_secret_name(name):
            return MASK
        case int() | float():
            return value
        case _:
            return str(value)


def _forms(secret: str) -> Iterator[str]:
    """Yield a secret as it is, and as JSON, Python and URLs write it."""
    if len(secret) >= SHORTEST_SECRET:
        yield from (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
        yield from (repr(secret)[1:-1], quote(secret, safe=""))


def _secrets_in(value: object, name: str = "") -> Iterator[str]:
    """Yield each secret in settings, whether it is typed as one, named like one, in a file, or the password in a URL."""
    match value:
        case BaseModel():
            for key in type(value).model_fields:
                yield from _secrets_in(getattr(value, key), key)
        case Mapping():
            for key, inner in value.items():
                yield from _secrets_in(inner, str(key))
        case list() | tuple() | set() | frozenset():
            for inner in value:
                yield from _secrets_in(inner, name)
        case _:
            yield from _secrets_of(value, name)


def _secrets_of(value: object, name: str) -> Iterator[str]:
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case SecretBytes():
            yield value.get_secret_value().decode(errors="replace")
        case str() | int() | Path() if is_secret_name(name) and not isinstance(value, bool):
            yield from _secrets_in_file(Path(str(value))) if name.endswith("_file") else (str(value),)
        case str() if (user := _URL_USER.search(value)) is not None:
            yield user[0].removesuffix("@").partition(":")[2]


def _secrets_in_file(file: Path) -> Iterator[str]:
    try:
        if file.stat().st_size <= LARGEST_SECRET_FILE:
            yield file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return  # the adapter has reported it
