"""Config file, environment and secret files to frozen settings; every mistake with its place and what would be right."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as EnvironmentVariableError

from gateway.adapter import Adapter, AdapterSettings, Seconds
from gateway.errors import SettingsError, SettingsProblem

ENV_PREFIX = "XYTE_GATEWAY__"
DEFAULT_FILE = Path("gateway.toml")

Location = tuple[int | str, ...]


class Policy(StrEnum):
    """Which found devices are taken on without asking."""

    ALL = "all"
    """Every device that a model id can be found for, whether a profile fits or not."""
    MATCHED = "matched"
    """Devices that a profile fits and whose family has a model id."""
    ASK = "ask"
    """None: each waits for a person."""


def _mac(text: str) -> str:
    mac = text.lower().replace("-", ":")
    if not re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", mac):
        raise ValueError("not a MAC address; write it as 02:00:5e:10:00:01")
    return mac


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("not a web address; write it as https://entry.xyte.io")
    return text.rstrip("/")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GatewaySection(_Section):
    """`[gateway]`: who this gateway is."""

    name: str = Field(default="Xyte gateway", description="display name in the cloud")
    serial_number: str | None = Field(
        default=None, min_length=1, description="serial number, unique within the model; one is made at the first start and kept"
    )
    mac: Annotated[str, AfterValidator(_mac)] | None = Field(
        default=None, description="MAC address as 02:00:5e:10:00:01; that of the first network card when left out"
    )
    sub_model: str | None = Field(default=None, description="variant label of the gateway's own model")
    details: dict[str, str | int | float | bool] = Field(default_factory=dict, description="free-form facts shown in the cloud")


class CloudSection(_Section):
    """`[cloud]`: which cloud, and how to prove who we are."""

    entry_url: Annotated[str, AfterValidator(_url)] = Field(
        default="https://entry.xyte.io", description="provisioning server, as https://entry.xyte.io"
    )
    hardware_key: SecretStr | None = Field(
        default=None, description="the model's secret from the Partner Portal, best given as environment variable or file"
    )
    hardware_key_file: Path | None = Field(default=None, description="file that holds nothing but the hardware key")
    authentication: Literal["mac_and_serial", "cloud_id"] = Field(
        default="mac_and_serial", description="how the model proves ownership, as set in the Partner Portal"
    )
    partner_code: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9]+$", description="short code from the Partner Portal that a Cloud ID begins with"
    )
    hub: Literal["hub_url", "hub_url_static_cert"] = Field(
        default="hub_url", description="which of the two hub addresses of the registration answer to use"
    )
    hub_hosts: tuple[str, ...] = Field(
        default=(), description="hosts that may be our hub, as *.endpoints.xyte.io; for private clouds"
    )
    ca_file: Path | None = Field(default=None, description="PEM file with certificate authorities to trust besides the system's")
    allow_plain_http: bool = Field(default=False, description="speak http without TLS: for the emulator on this machine only")
    timeout_seconds: float = Field(default=10, gt=0, le=120, description="longest wait for one answer, in seconds")
    telemetry_every: Seconds = Field(
        default=timedelta(seconds=30),
        ge=timedelta(seconds=5),
        le=timedelta(seconds=120),
        description="telemetry interval in seconds, 5 to 120",
    )
    deleted_children: Literal["register_again", "leave"] = Field(
        default="register_again",
        description="what to do with a child that was deleted in the cloud: register it anew, or leave it deleted",
    )


class StoreSection(_Section):
    """`[store]`: what survives a restart."""

    path: Path = Field(
        default=Path("/var/lib/xyte-gateway/gateway.sqlite3"), description="the file that holds keys, children and outbox"
    )
    most_samples: int = Field(default=200_000, ge=1_000, description="how many samples the outbox holds before it is thinned")


class AdmissionSection(_Section):
    """`[admission]`: which found devices become children."""

    policy: Policy = Field(default=Policy.MATCHED, description="all, matched (a profile fits and its family has a model) or ask")


class Settings(BaseSettings):
    """The whole configuration but for the adapters' own keys."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    gateway: GatewaySection = GatewaySection()
    cloud: CloudSection = CloudSection()
    store: StoreSection = StoreSection()
    admission: AdmissionSection = AdmissionSection()
    models: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict, description='device family = "Xyte model id"; the key "*" serves all other families'
    )
    adapter: tuple[dict[str, Any], ...] = Field(default=(), description="one [[adapter]] table for each kind of bus")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment outrank the file, whose content comes as init arguments."""
        return env_settings, init_settings


@dataclass(frozen=True, slots=True)
class Configuration:
    """Everything that `run` needs, checked."""

    file: Path | None
    settings: Settings
    entries: tuple[AdapterSettings, ...]
    """One for each `[[adapter]]` table, as its adapter's own settings class; names are unique."""


def load(
    file: Path | None,
    adapters: Mapping[str, type[Adapter[Any]]],
    *,
    broken: Mapping[str, str] | None = None,
    for_cloud: bool = True,
) -> Configuration:
    """Return the checked configuration.

    Args:
        file: the TOML file; `None` takes defaults and environment only.
        adapters: the adapter classes that can be used, by the word in the config.
        broken: installed adapters that cannot be used -> why.
        for_cloud: also demand what only talking to the cloud needs, the hardware key.

    Raises:
        SettingsError: with every problem found.
    """
    text, tables = _read(file)
    problems: list[SettingsProblem] = list(_unknown_variables())
    settings = _settings(tables, text, problems)
    entries = _entries(tables.get("adapter", ()), adapters, broken or {}, text, problems)
    if settings is not None and for_cloud:
        settings = _with_hardware_key(settings, text, problems)
    if problems or settings is None:
        raise SettingsError(file, sorted(problems, key=lambda problem: problem.line or 0))
    return Configuration(file, settings, tuple(entries))


def entry_from(tables: Mapping[str, Any], adapters: Mapping[str, type[Adapter[Any]]]) -> AdapterSettings:
    """Return the settings of one `[[adapter]]` table that stands in no file.

    Raises:
        SettingsError: with every problem found.
    """
    problems: list[SettingsProblem] = []
    entries = _entries([tables], adapters, {}, "", problems)
    if problems:
        raise SettingsError(None, problems)
    return entries[0]


def _read(file: Path | None) -> tuple[str, dict[str, Any]]:
    if file is None:
        return "", {}
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        right = "Name the config file with --config, or make one from deploy/gateway.example.toml"
        raise SettingsError(file, [SettingsProblem("file", f"cannot be read: {error.strerror}", right)]) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problem = SettingsProblem("file", "is not UTF-8 text", "Save it as UTF-8", line)
        raise SettingsError(file, [problem]) from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        wrong = f"is not TOML: {re.sub(r' [(]at .*[)]', '', str(error))}"
        raise SettingsError(file, [SettingsProblem("file", wrong, "Mend this line; see https://toml.io", line)]) from error


def _settings(tables: dict[str, Any], text: str, problems: list[SettingsProblem]) -> Settings | None:
    try:
        return Settings(**tables)
    except ValidationError as error:
        problems.extend(_problem(details, Settings, (), text) for details in error.errors(include_url=False))
    except EnvironmentVariableError as error:
        problems.append(SettingsProblem(ENV_PREFIX, str(error), "Give a table as JSON, or name one key in it"))
    return None


def _entries(
    tables: Sequence[Any],
    adapters: Mapping[str, type[Adapter[Any]]],
    broken: Mapping[str, str],
    text: str,
    problems: list[SettingsProblem],
) -> list[AdapterSettings]:
    entries: list[AdapterSettings] = []
    for index, table in enumerate(tables if isinstance(tables, list | tuple) else ()):
        place: Location = ("adapter", index)
        if not isinstance(table, dict):
            continue  # Settings has already said that it is not a table
        kind = table.get("type")
        if not isinstance(kind, str) or kind not in adapters:
            problems.append(_unknown_adapter(kind, adapters, broken, place, text))
            continue
        table = {**table, "name": table.get("name") or kind}
        try:
            entry = adapters[kind].settings_model.model_validate(table)
        except ValidationError as error:
            model = adapters[kind].settings_model
            problems.extend(_problem(details, model, place, text) for details in error.errors(include_url=False))
            continue
        if any(entry.name == other.name for other in entries):
            wrong = f"a second entry is called {entry.name!r}"
            problems.append(SettingsProblem(_dotted((*place, "name")), wrong, "Give each its own name", line_of(text, place)))
        entries.append(entry)
    return entries


def _unknown_adapter(
    kind: object, adapters: Mapping[str, object], broken: Mapping[str, str], place: Location, text: str
) -> SettingsProblem:
    known = ", ".join(adapters) or "none"
    line = line_of(text, (*place, "type")) or line_of(text, place)
    where = _dotted((*place, "type"))
    if kind is None:
        return SettingsProblem(where, "is missing", f"Say which adapter this is, one of: {known}", line)
    if isinstance(kind, str) and kind in broken:
        return SettingsProblem(where, f"the adapter {kind!r} cannot be used: {broken[kind]}", "Install it anew", line)
    near = difflib.get_close_matches(str(kind), list(adapters), n=1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return SettingsProblem(where, f"no adapter is called {kind!r}", f"{hint}Installed are: {known}", line)


def _with_hardware_key(settings: Settings, text: str, problems: list[SettingsProblem]) -> Settings:
    cloud = settings.cloud
    if cloud.authentication == "cloud_id" and cloud.partner_code is None:
        right = "Add partner_code, the short code from the Partner Portal (Settings, Provision)"
        line = line_of(text, ("cloud", "authentication"))
        problems.append(SettingsProblem("cloud.partner_code", "is missing, but a Cloud ID begins with it", right, line))
    if urlsplit(cloud.entry_url).scheme == "http" and not cloud.allow_plain_http:
        right = "Use https://, or set allow_plain_http = true if this is an emulator"
        line = line_of(text, ("cloud", "entry_url"))
        problems.append(SettingsProblem("cloud.entry_url", "sends keys in clear text", right, line))
    if cloud.ca_file is not None and not cloud.ca_file.is_file():
        line = line_of(text, ("cloud", "ca_file"))
        problems.append(SettingsProblem("cloud.ca_file", f"there is no file {cloud.ca_file}", "Name a PEM file", line))
    if cloud.hardware_key_file is not None:
        line = line_of(text, ("cloud", "hardware_key_file"))
        try:
            key = cloud.hardware_key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not text"
            wrong = f"{cloud.hardware_key_file} cannot be read: {why}"
            problems.append(SettingsProblem("cloud.hardware_key_file", wrong, "Mount the secret there", line))
            return settings
        cloud = cloud.model_copy(update={"hardware_key": SecretStr(key)})
        settings = settings.model_copy(update={"cloud": cloud})
    if cloud.hardware_key is None or not cloud.hardware_key.get_secret_value():
        right = f"Set the environment variable {ENV_PREFIX}CLOUD__HARDWARE_KEY, or cloud.hardware_key_file to a mounted secret"
        problems.append(SettingsProblem("cloud.hardware_key", "is missing", right, line_of(text, ("cloud",))))
    return settings


def _unknown_variables() -> Iterator[SettingsProblem]:
    sections = {name.upper() for name in Settings.model_fields}
    for variable in os.environ:
        if variable.upper().startswith(ENV_PREFIX):
            section = variable.upper().removeprefix(ENV_PREFIX).split("__")[0]
            if section not in sections:
                near = difflib.get_close_matches(section, sections, n=1)
                hint = f"Did you mean {ENV_PREFIX}{near[0]}? " if near else ""
                yield SettingsProblem(variable, "no such setting", f"{hint}Sections are: {', '.join(sorted(sections))}")


def _problem(details: ErrorDetails, model: type[BaseModel], place: Location, text: str) -> SettingsProblem:
    inside = tuple(details["loc"])
    location = (*place, *inside)
    where, line = _dotted(location), line_of(text, location)
    owner, field = _field_of(model, inside)
    if details["type"] == "extra_forbidden":
        known = sorted(owner.model_fields) if owner else []
        near = difflib.get_close_matches(str(inside[-1]), known, n=1)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        return SettingsProblem(where, "no such key", f"{hint}Known here: {', '.join(known)}", line)
    purpose = f"It is for: {field}" if field else "See deploy/gateway.example.toml"
    if details["type"] == "missing":
        return SettingsProblem(where, "is missing", purpose, line or line_of(text, place))
    wrong = details["msg"].removeprefix("Value error, ")
    if isinstance(details["input"], str | int | float) and not _is_secret(location):
        wrong += f" (it says {details['input']!r})"
    return SettingsProblem(where, wrong[:1].lower() + wrong[1:], purpose, line)


def _field_of(model: type[BaseModel], inside: Location) -> tuple[type[BaseModel] | None, str | None]:
    """Return the model that a location's last key belongs to, and that key's description."""
    owner: type[BaseModel] | None = model
    described: str | None = None
    for step in inside:
        field = owner.model_fields.get(str(step)) if owner is not None else None
        if field is None:
            continue  # an index, the tag of a union, or a key that does not exist
        described = field.description
        if step != inside[-1]:
            owner = next(_models_in(field.annotation), None)
    return owner, described


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - annotations are of any type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def _is_secret(location: Location) -> bool:
    return any(word in str(location[-1]) for word in ("key", "secret", "token", "password"))


def _dotted(location: Location) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def line_of(text: str, location: Location) -> int | None:
    """Return the 1-based line of the statement that first gives this place, or the nearest place around it, a value.

    The file is parsed from its start line by line, so that every way of writing TOML is understood; a place deep inside one
    statement has the line where that statement begins.
    """
    lines = text.splitlines()
    while location:
        begin = 0
        for end in range(1, len(lines) + 1):
            try:
                tables = tomllib.loads("\n".join(lines[:end]))
            except tomllib.TOMLDecodeError:
                continue  # in the middle of a statement of several lines
            if _has(tables, location):
                return begin + 1
            begin = end
        location = location[:-1]
    return None


def _has(tables: Any, location: Location) -> bool:  # noqa: ANN401 - whatever TOML holds
    for step in location:
        try:
            tables = tables[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
