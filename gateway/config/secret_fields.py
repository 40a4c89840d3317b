"""Find the keys of a configuration whose values are secrets by their type, whatever they are called. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr

from gateway.adapter import Adapter
from gateway.config.cloud_fields import models_in, types_in
from gateway.config.settings import Settings


def secret_field_names(adapters: Mapping[str, type[Adapter[Any]]]) -> frozenset[str]:
    """Return the names of all keys of the configuration that hold a secret, with those of these adapters."""
    return frozenset(_names([Settings, *(adapter.settings_model for adapter in adapters.values())]))


def _names(models: Iterable[type[BaseModel]]) -> Iterator[str]:
    waiting, seen = list(models), set[type[BaseModel]]()
    while waiting:
        model = waiting.pop()
        if model in seen:
            continue
        seen.add(model)
        for name, field in model.model_fields.items():
            if {SecretStr, SecretBytes} & set(types_in(field.annotation)):
                yield name
            waiting += models_in(field.annotation)
