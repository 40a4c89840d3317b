"""Salvage the few settings that the setup page and the log need from a configuration that is wrong."""

from __future__ import annotations

import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError, ValidationInfo, ValidatorFunctionWrapHandler, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource, SettingsConfigDict

from gateway.config.file import read_file, without_option_names
from gateway.config.settings import FileAndEnvironment, LogSection, StatusSection, StoreSection
from gateway.errors import SettingsError
from gateway.toml_text import read_toml


class _ValidVariables(EnvSettingsSource):
    """The environment without the variables that should be JSON and are not."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ANN401 - as pydantic has it
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return {}


class StandInStatus(StatusSection):
    """The page with a certificate that the gateway makes: one was asked for, and what it is cannot be read."""


_ASKS_FOR_HTTPS: Final = re.compile("cert|https|tls|ssl", re.IGNORECASE)
"""Also a key that is misspelt, or that there is not."""

_STATUS_THAT_ASKS: Final = re.compile(
    r"""^[ \t]*(?:\[\s*["']?status\b.*?^[ \t]*["']?|["']?status["']?\s*(?:\.\s*|=\s*\{[^\n]*?)["']?)(?:cert|https|tls|ssl)""",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
"""The same in text that is no TOML."""


class SalvagedSettings(FileAndEnvironment):
    """The settings that are needed to report what is wrong with the others; a wrong key has its default."""

    variables = _ValidVariables
    model_config = SettingsConfigDict(extra="ignore")

    store: StoreSection = StoreSection()
    status: StatusSection = StatusSection()
    log: LogSection = LogSection()

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_default(cls, value: object, check: ValidatorFunctionWrapHandler, field: ValidationInfo) -> object:
        try:
            return check(value)
        except ValidationError as error:
            wrong = {details["loc"][0] for details in error.errors() if details["loc"]}
        if not isinstance(value, dict) or not wrong:
            return cls.model_fields[str(field.field_name)].default
        usable = {key: one for key, one in value.items() if key not in wrong}
        if field.field_name == "status" and any(_ASKS_FOR_HTTPS.search(str(key)) for key in wrong):
            return StandInStatus.model_validate(usable | {"certificate": "self-signed"})
        return check(usable)


def salvage(file: Path | None) -> SalvagedSettings:
    """Return the settings that can be read from file and environment, and the defaults of the others.

    A file that is missing or cannot be read gives no settings.
    """
    return SalvagedSettings(**_salvaged_tables(file))


def _salvaged_tables(file: Path | None) -> dict[str, Any]:
    """Return the tables of a file; where one of them is no TOML, all others."""
    try:
        return without_option_names(read_file(file)[1])
    except SettingsError:
        pass
    tables: dict[str, Any] = {}
    with suppress(OSError):
        text = "" if file is None else file.read_bytes().decode("utf-8-sig", "replace")
        for part in re.split(r"(?m)^(?=\[)", text):
            for name, table in _tables_of(part).items():
                both = isinstance(table, dict) and isinstance(tables.get(name), dict)
                tables[name] = tables[name] | table if both else table
    return without_option_names(tables)


def _tables_of(part: str) -> dict[str, Any]:
    """Return what is in a part of a file; of one that is no TOML, only whether it asks for https."""
    with suppress(tomllib.TOMLDecodeError):
        return read_toml(part)
    return {"status": {"certificate": ()}} if _STATUS_THAT_ASKS.search(part) else {}  # which is no certificate
