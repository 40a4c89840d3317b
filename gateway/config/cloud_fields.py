"""Declare which settings the cloud may change, from the sections that declare them, and why not the others. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ImportString, SecretBytes, SecretStr, create_model
from pydantic.fields import FieldInfo

from gateway.adapter import AdapterSettings
from gateway.command_secrets import is_secret_name
from gateway.config.settings import AdmissionSection, CloudSection, LogSection, Settings

CONFIDENTIAL = "it is a secret"
IS_PATH = "it is a path on the gateway's machine"
DECIDES_WHICH_CLOUD = "it decides which cloud the gateway trusts"
IS_IDENTITY = "it is the identity by which the gateway is known"
ONLY_ON_SITE = "only a person on site decides what the cloud may do"
WHO_MAY_LOOK = "it decides who may look at the gateway's page"
ONLY_THE_FILE = "only the gateway's own configuration sets it"

REASONS: Mapping[tuple[str, ...], str] = {
    ("gateway",): IS_IDENTITY,
    ("store",): IS_PATH,
    ("status",): WHO_MAY_LOOK,
    ("child",): ONLY_ON_SITE,
    ("notify",): ONLY_ON_SITE,
    ("cloud", "may"): ONLY_ON_SITE,
    ("cloud", "configuration"): ONLY_ON_SITE,
    ("cloud", "configuration_watch"): ONLY_ON_SITE,
    ("cloud", "hardware_key"): CONFIDENTIAL,
    ("cloud", "hardware_key_file"): IS_PATH,
    ("cloud", "authentication"): IS_IDENTITY,
    ("cloud", "partner_code"): IS_IDENTITY,
    **{
        ("cloud", key): DECIDES_WHICH_CLOUD
        for key in ("entry_url", "claim_url", "hub", "hub_hosts", "ca_file", "allow_plain_http", "timeout_seconds")
    },
}
"""Sections and keys that the cloud cannot set, and why; `ONLY_THE_FILE` for all others that are not offered to it."""

ENTRY_REASONS: Mapping[str, str] = {"type": IS_IDENTITY, "name": IS_IDENTITY, "may": ONLY_ON_SITE}
"""The keys of every `[[adapter]]` entry that the cloud cannot set, and why."""


def _part_of(section: type[BaseModel], *names: str) -> type[BaseModel]:
    """Return a model with some fields of a section, declared as they are there."""
    fields: dict[str, Any] = {name: (section.model_fields[name].annotation, section.model_fields[name]) for name in names}
    config = ConfigDict(extra="forbid", frozen=True, title=section.__name__.removesuffix("Section"))
    return create_model(section.__name__, __config__=config, __doc__=section.__doc__, **fields)


CloudPart = _part_of(CloudSection, "telemetry_every", "commands_every", "command_expires_after")
AdmissionPart = _part_of(AdmissionSection, "policy")
LogPart = _part_of(LogSection, "level")


class CloudConfiguration(BaseModel):
    """The configuration of a gateway in the cloud. What is left out is as the gateway has it."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Xyte gateway")

    cloud: CloudPart = Field(default=CloudPart(), description="how often the gateway talks to the cloud")  # type: ignore[valid-type]  # made above from the section
    admission: AdmissionPart = Field(default=AdmissionPart(), description="which found devices become children")  # type: ignore[valid-type]  # as above
    log: LogPart = Field(default=LogPart(), description="what is logged")  # type: ignore[valid-type]  # as above
    models: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict, description=Settings.model_fields["models"].description
    )
    adapter: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="settings of the buses, by the names of the [[adapter]] entries of the gateway"
    )


def reason_against(location: tuple[str, ...]) -> str | None:
    """Return why the cloud cannot set a key that the file knows; `None` for one that the file does not know."""
    section = Settings.model_fields.get(location[0])
    if section is None:
        return None
    inner = next(models_in(section.annotation), None)
    if len(location) > 1 and (inner is None or location[1] not in inner.model_fields) and location[:1] not in REASONS:
        return None
    return REASONS.get(location[:1]) or REASONS.get(location[:2], ONLY_THE_FILE)


def entry_fields(model: type[AdapterSettings]) -> dict[str, FieldInfo]:
    """Return the fields of an adapter's settings that the cloud may set."""
    return {name: field for name, field in model.model_fields.items() if entry_reason_against(name, field) is None}


def entry_reason_against(name: str, field: FieldInfo) -> str | None:
    """Return why the cloud cannot set this field of an adapter's entry; `None` when it can."""
    if (reason := ENTRY_REASONS.get(name) or local_reason(name, field)) is not None:
        return reason
    for model in models_in(field.annotation):
        for inner_name, inner in model.model_fields.items():
            if inner.is_required() and (reason := local_reason(inner_name, inner)) is not None:
                return reason
    return None


def local_reason(name: str, field: FieldInfo) -> str | None:
    """Return why a field by its type or name belongs to the gateway alone: a secret, a path or code. `None` for others."""
    types = set(types_in(field.annotation))
    if types & {SecretStr, SecretBytes} or is_secret_name(name):
        return CONFIDENTIAL
    if Path in types:
        return IS_PATH
    return ONLY_THE_FILE if ImportString in (*field.metadata, *map(type, field.metadata)) else None


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - annotations are of any type
    """Yield the models in a type annotation."""
    return (one for one in types_in(annotation) if isinstance(one, type) and issubclass(one, BaseModel))


def types_in(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - annotations are of any type
    """Yield a type annotation and all types in it."""
    yield annotation
    for inner in get_args(annotation):
        yield from types_in(inner)
