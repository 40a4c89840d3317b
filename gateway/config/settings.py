"""Config file, environment and secret files to frozen settings; every mistake with its place and what would be right."""

from __future__ import annotations

import os
import re
import ssl
import stat
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as EnvironmentVariableError

from gateway.adapter import Adapter, AdapterSettings, Seconds
from gateway.config.mistakes import (
    ENV_PREFIX,
    Location,
    did_you_mean,
    is_in_environment,
    line_of,
    not_toml,
    not_valid,
    place_of,
    unknown_variables,
)
from gateway.errors import SettingsError, SettingsProblem

PLACEHOLDER = re.compile(r"<.*>")
STILL_A_PLACEHOLDER = "still says what to put here"

DEFAULT_FILE = Path("gateway.toml")


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
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False  # a port that is no number, or brackets around what is no address
    if not usable or parts.query or parts.fragment or parts.username is not None:
        raise ValueError("not the address of a server; write it as https://entry.xyte.io")
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


class StatusSection(_Section):
    """`[status]`: the status page, and what it takes to be called healthy."""

    enabled: bool = Field(default=True, description="whether there is a status page at all")
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="the address that the page listens on; 0.0.0.0 is every network card, and then everything takes the token",
    )
    port: int = Field(default=8080, ge=0, le=65535, description="the port that the page listens on; 0 takes a free one")
    hub_gone_limit: Seconds = Field(
        default=timedelta(minutes=15),
        ge=timedelta(seconds=1),
        description="when the cloud was away for longer, in seconds, /readyz and the container's health say so",
    )


class LogSection(_Section):
    """`[log]`: how much is logged, and for whom."""

    format: Literal["text", "json"] = Field(default="text", description="text: sentences for people; json: a JSON object a line")
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="the least that is worth a line")


class _FileAndEnvironment(BaseSettings):
    variables: ClassVar[type[EnvSettingsSource]] = EnvSettingsSource
    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

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
        return cls.variables(settings_cls), init_settings


class Settings(_FileAndEnvironment):
    """The whole configuration but for the adapters' own keys."""

    gateway: GatewaySection = Field(default=GatewaySection(), description="who this gateway is, as a table [gateway]")
    cloud: CloudSection = Field(
        default=CloudSection(), description="which cloud, and how to prove who we are, as a table [cloud]"
    )
    store: StoreSection = Field(default=StoreSection(), description="what survives a restart, as a table [store]")
    admission: AdmissionSection = Field(
        default=AdmissionSection(), description="which found devices become children, as a table [admission]"
    )
    status: StatusSection = Field(
        default=StatusSection(), description="the status page, and what it takes to be called healthy, as a table [status]"
    )
    log: LogSection = Field(default=LogSection(), description="how much is logged, and for whom, as a table [log]")
    models: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict, description='device family = "Xyte model id"; the key "*" serves all other families'
    )
    adapter: tuple[dict[str, Any], ...] = Field(
        default=(), description="one [[adapter]] table, with two brackets, for each kind of bus"
    )


class _SoundVariables(EnvSettingsSource):
    """The environment without the variables that are no JSON and should be."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ANN401 - as pydantic has it
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return {}


class Essentials(_FileAndEnvironment):
    """What is needed to tell a person what is wrong with all the rest: each key that is wrong itself is the default."""

    variables = _SoundVariables
    model_config = SettingsConfigDict(extra="ignore")

    store: StoreSection = StoreSection()
    status: StatusSection = StatusSection()
    log: LogSection = LogSection()

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_default(cls, said: object, check: ValidatorFunctionWrapHandler, field: ValidationInfo) -> object:
        try:
            return check(said)
        except ValidationError as error:
            wrong = {details["loc"][0] for details in error.errors() if details["loc"]}
        if not isinstance(said, dict) or not wrong:
            return cls.model_fields[str(field.field_name)].default
        return check({key: value for key, value in said.items() if key not in wrong})


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
    problems: list[SettingsProblem] = list(unknown_variables(list(Settings.model_fields)))
    settings = _settings(tables, text, problems)
    entries = _entries(
        tables.get("adapter", ()) if settings is None else settings.adapter, adapters, broken or {}, text, problems
    )
    if settings is not None:
        problems += [problem for check in (CHECKS if for_cloud else CHECKS[:1]) for problem in check(settings, text)]
    if for_cloud and settings is not None:
        settings = _with_hardware_key(settings, text, problems)
    if problems or settings is None:
        raise SettingsError(file, sorted(problems, key=lambda problem: problem.line or 0))
    return Configuration(file, settings, tuple(entries))


def is_there(file: Path) -> bool:
    """Whether there is such a file; one that may not be looked at counts as one, so that reading it says why it cannot be."""
    try:
        file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def environment_names_buses() -> bool:
    """Whether the environment says which buses there are, so that no file has to."""
    return is_in_environment("adapter")


def state_of(file: Path) -> tuple[int, int, int] | None:
    """Return what differs once a file was saved or replaced; `None` while there is none."""
    with suppress(OSError):
        state = file.stat()
        return state.st_ino, state.st_mtime_ns, state.st_size
    return None


def essentials(file: Path | None) -> Essentials:
    """Return what a page about a wrong configuration needs, as far as file and environment say it; the defaults for the rest.

    A file that is not there, or cannot be read, says nothing.
    """
    return Essentials(**_salvaged(file))


def _salvaged(file: Path | None) -> dict[str, Any]:
    """Return the tables of a file that can be read; all others of them where one is no TOML."""
    try:
        return _usable(_read(file)[1])
    except SettingsError:
        pass
    tables: dict[str, Any] = {}
    with suppress(OSError, UnicodeDecodeError):
        text = "" if file is None else file.read_text(encoding="utf-8-sig")
        for table in re.split(r"(?m)^(?=\[)", text):
            with suppress(tomllib.TOMLDecodeError):
                tables |= tomllib.loads(table)
    return _usable(tables)


def entry_from(tables: Mapping[str, Any], adapters: Mapping[str, type[Adapter[Any]]]) -> AdapterSettings:
    """Return the settings of one `[[adapter]]` table that stands in no file.

    Raises:
        SettingsError: with every problem found.
    """
    problems: list[SettingsProblem] = []
    entries = _entries([tables], adapters, {}, "", problems)
    if problems:
        raise SettingsError(
            None,
            [replace(one, where=one.where.removeprefix("adapter[0]").lstrip(".") or str(tables.get("type"))) for one in problems],
        )
    return entries[0]


def _read(file: Path | None) -> tuple[str, dict[str, Any]]:
    if file is None:
        return "", {}
    try:
        text = file.read_text(encoding="utf-8-sig")  # Windows' editors begin a file with a mark
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
        raise SettingsError(file, [not_toml(error, text)]) from error


def _usable(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tables without those whose names pydantic-settings would take for options of its own: `_cli_parse_args`."""
    return {key: table for key, table in tables.items() if not key.startswith("_")}


def _settings(tables: dict[str, Any], text: str, problems: list[SettingsProblem]) -> Settings | None:
    for key in tables.keys() - _usable(tables).keys():
        known = ", ".join(Settings.model_fields)
        problems.append(SettingsProblem(key, "no such key", f"Known here: {known}", line_of(text, (key,))))
    try:
        return Settings(**_usable(tables))
    except ValidationError as error:
        for details in error.errors(include_url=False):
            problems.extend(not_valid(details, Settings, (), text))
    except EnvironmentVariableError as error:
        named = re.search(r'field "(\w+)"', str(error))
        variable = f"{ENV_PREFIX}{named[1].upper() if named else ''}"
        problems.append(SettingsProblem(variable, "is not JSON", f"Write it as JSON, or set one key of it: {variable}__<KEY>"))
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
        entry = _entry({**table, "name": table.get("name") or kind}, adapters[kind].settings_model, place, text, problems)
        if entry is None:
            continue
        problems.extend(_claimed_twice(entry, entries, place, text))
        if any(entry.name == other.name for other in entries):
            where, line = place_of((*place, "name"), text)
            problems.append(SettingsProblem(where, f"a second entry is called {entry.name!r}", "Give each its own name", line))
        entries.append(entry)
    return entries


def _entry(
    table: Mapping[str, Any], model: type[AdapterSettings], place: Location, text: str, problems: list[SettingsProblem]
) -> AdapterSettings | None:
    try:
        entry = model.model_validate(table)
        entry.claims()
    except ValidationError as error:
        for details in error.errors(include_url=False):
            problems.extend(not_valid(details, model, place, text))
    except Exception as error:  # noqa: BLE001 - a stranger's settings class: whatever it raises is a mistake of the adapter or of the file
        where, line = place_of(place, text)
        wrong = f"the adapter cannot read this entry: {type(error).__name__}: {error}"
        problems.append(
            SettingsProblem(where, wrong, "Look into the files that it names; if they are right, tell the adapter's author", line)
        )
    else:
        return entry
    return None


def _claimed_twice(
    entry: AdapterSettings, others: Sequence[AdapterSettings], place: Location, text: str
) -> Iterator[SettingsProblem]:
    """Yield what this entry wants to use and another one uses already: two masters on one bus get each other's answers."""
    where, line = place_of(place, text)
    for other in others:
        for claimed in sorted({*entry.claims()} & {*other.claims()}):
            right = "Name it in one entry only; what hangs on it can all be said there"
            yield SettingsProblem(where, f"{claimed} is used by the entry {other.name!r} already", right, line)


def _unknown_adapter(
    kind: object, adapters: Mapping[str, object], broken: Mapping[str, str], place: Location, text: str
) -> SettingsProblem:
    known = ", ".join(adapters) or "none"
    where, line = place_of((*place, "type"), text)
    if kind is None:
        return SettingsProblem(where, "is missing", f"Say which adapter this is, one of: {known}", line)
    if isinstance(kind, str) and kind in broken:
        return SettingsProblem(where, f"the adapter {kind!r} cannot be used: {broken[kind]}", "Install it anew", line)
    hint = did_you_mean(str(kind), adapters)
    return SettingsProblem(where, f"no adapter is called {kind!r}", f"{hint}Installed are: {known}", line)


def _store_problems(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    path = settings.store.path
    where, line = place_of(("store", "path"), text)
    around = next(folder for folder in path.absolute().parents if _mode_of(folder))
    if stat.S_ISDIR(_mode_of(path)):
        yield SettingsProblem(where, f"{path} is a folder", "Name a file in it, as gateway.sqlite3", line)
    elif not stat.S_ISDIR(_mode_of(around)):
        yield SettingsProblem(
            where, f"{around} is a file, no folder", "Name a file in a folder that the gateway may write to", line
        )


def _mode_of(path: Path) -> int:
    """Return what kind of file this is; 0 for none, and for one that may not be looked at, of which the store tells."""
    with suppress(OSError):
        return path.stat().st_mode
    return 0


def _cloud_problems(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    cloud = settings.cloud
    if cloud.authentication == "cloud_id" and cloud.partner_code is None:
        right = "Add partner_code, the short code from the Partner Portal (Settings, Provision)"
        _, line = place_of(("cloud", "authentication"), text)
        yield SettingsProblem("cloud.partner_code", "is missing, but a Cloud ID begins with it", right, line)
    if urlsplit(cloud.entry_url).scheme == "http" and not cloud.allow_plain_http:
        where, line = place_of(("cloud", "entry_url"), text)
        right = "Use https://, or set allow_plain_http = true if this is an emulator"
        yield SettingsProblem(where, "sends keys in clear text", right, line)
    if cloud.ca_file is not None and (wrong := _no_authority(cloud.ca_file)):
        where, line = place_of(("cloud", "ca_file"), text)
        yield SettingsProblem(where, wrong, "Name a PEM file that holds the certificate of the authority", line)


def _placeholders(settings: Settings, text: str) -> Iterator[SettingsProblem]:
    for family, model_id in settings.models.items():
        if PLACEHOLDER.fullmatch(model_id.strip()):
            where, line = place_of(("models", family), text)
            yield SettingsProblem(where, STILL_A_PLACEHOLDER, "Give the id of the Xyte model: Partner Portal, Model, Info", line)


def _no_authority(file: Path) -> str | None:
    """Return why this file gives no certificate to trust; `None` when it does."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except ssl.SSLError:
        return f"{file} holds no certificate"
    except OSError as error:
        return f"{file} cannot be read: {error.strerror}"
    return None


CHECKS: tuple[Callable[[Settings, str], Iterator[SettingsProblem]], ...] = (_store_problems, _cloud_problems, _placeholders)
"""What has to be right besides each key by itself; all but the first only for talking to the cloud."""


def _with_hardware_key(settings: Settings, text: str, problems: list[SettingsProblem]) -> Settings:
    """Return the settings with the hardware key from wherever it is given; the environment outranks the file."""
    cloud = settings.cloud
    if cloud.hardware_key is None and cloud.hardware_key_file is None:
        right = (
            "Give it, from the Partner Portal, as cloud.hardware_key or as a mounted secret that cloud.hardware_key_file names;"
            f" or set the environment variable {ENV_PREFIX}CLOUD__HARDWARE_KEY and start again"
        )
        problems.append(SettingsProblem("cloud.hardware_key", "is missing", right, place_of(("cloud",), text)[1]))
        return settings
    said, in_file = (place_of(("cloud", key), text) for key in ("hardware_key", "hardware_key_file"))
    if cloud.hardware_key is not None and cloud.hardware_key_file is not None and _outranks(said) == _outranks(in_file):
        problems.append(SettingsProblem(in_file[0], "there is a hardware_key as well", "Keep one of the two", in_file[1]))
        return settings
    if cloud.hardware_key_file is not None and (cloud.hardware_key is None or _outranks(in_file)):
        place, key = in_file, _key_in(cloud.hardware_key_file, in_file, problems)
    else:
        place, key = said, cloud.hardware_key
    bare = key.get_secret_value().strip() if key is not None else None
    if bare is not None and PLACEHOLDER.fullmatch(bare):
        problems.append(
            SettingsProblem(place[0], STILL_A_PLACEHOLDER, "Give the model's hardware key, from the Partner Portal", place[1])
        )
    if bare == "":
        problems.append(SettingsProblem(place[0], "is empty", "Give the model's hardware key, from the Partner Portal", place[1]))
    return settings.model_copy(update={"cloud": cloud.model_copy(update={"hardware_key": SecretStr(bare or "")})})


def _outranks(place: tuple[str, int | None]) -> bool:
    return place[0].upper().startswith(ENV_PREFIX)


def _key_in(file: Path, place: tuple[str, int | None], problems: list[SettingsProblem]) -> SecretStr | None:
    try:
        return SecretStr(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        right = f"Mount the secret there, as a file that user {os.getuid()} may read"
        problems.append(SettingsProblem(place[0], f"{file} cannot be read: {why}", right, place[1]))
    return None
