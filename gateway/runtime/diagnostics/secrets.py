"""Find the secrets that the gateway knows, and hide them in texts that leave it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, SecretBytes, SecretStr

from gateway.command_secrets import is_secret_name
from gateway.config.settings import Configuration
from gateway.settings_secrets import SecretTexts, secrets_in
from gateway.state.registry import Registry
from gateway.url_secrets import MASK, without_url_secrets


def secrets_of_configuration(configuration: Configuration) -> set[str]:
    """Return every secret in the configuration and in the files that it names."""
    return {*secrets_in(configuration.settings), *secrets_in(configuration.entries)} - {""}


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
    """Return a text in which each secret is masked, in every form of `forms_of`; and so is what opens a URL."""
    return masked_by(SecretTexts(secrets), text)


def masked_by(secrets: SecretTexts, text: str) -> str:
    """Return the same, for many texts with the same secrets."""
    return without_url_secrets(secrets.masked(text))


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
