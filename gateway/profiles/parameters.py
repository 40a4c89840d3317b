"""Turn the command table of a profile into `CommandSpec`s: one declaration for checks, portal and command line. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache, partial
from math import isfinite
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError, create_model

from gateway.command_parameters import validate_parameters
from gateway.models import CommandSpec, NoParameters, Value

Characters: TypeAlias = tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=1, le=1000)]]
"""The fewest and the most characters of a text."""

PlainValue: TypeAlias = bool | int | float | str


SettingName: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""The key of a setting in the configuration of the cloud."""


class ParameterKind(StrEnum):
    """The type of a parameter."""

    NUMBER = "number"
    WHOLE_NUMBER = "whole number"
    BOOLEAN = "boolean"
    TEXT = "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSpec:
    """One parameter of a command, or one setting of a device, as the grammar of any adapter declares it."""

    name: str
    kind: ParameterKind
    title: str | None = None
    description: str | None = None
    unit: str | None = None
    between: tuple[float, float] | None = None
    """The lowest and the highest number, both included."""
    choices: tuple[int | float | str, ...] = ()
    """The only accepted values. Where they are `on` and `off`, true and false are accepted, too."""
    characters: tuple[int, int] | None = None
    """The fewest and the most characters of a text."""
    default: PlainValue | None = None
    """What is sent when a person leaves the parameter out; `None` for one that is required."""
    is_secret: bool = False
    """Its value is never logged, stored or shown."""

    def __post_init__(self) -> None:
        if self.is_secret and (self.choices or self.kind is ParameterKind.BOOLEAN or self.default is not None):
            raise ValueError(f"{self.name}: a secret is a text or a number without a default, not one of a few values")


class ParameterTexts(BaseModel):
    """The keys that describe a parameter, for the grammar of an adapter to inherit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str | None = Field(default=None, min_length=1, description="what a person calls it; left out: made from its name")
    description: str | None = Field(default=None, min_length=1, description="what a person has to know to choose its value")
    unit: str | None = Field(default=None, min_length=1, description="its unit")
    default: PlainValue | None = Field(default=None, description="sent when it is left out; without it, it is required")
    secret: bool = Field(default=False, description="true: its value is never logged, stored or shown")


class CommandTexts(BaseModel):
    """The keys that every command has, for the grammar of an adapter to inherit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="name of the command in the cloud")
    title: str | None = Field(default=None, min_length=1, description="what a person calls it; left out: made from its name")
    description: str = Field(default="", description="what it does, for the operator")
    expires_after: float | None = Field(
        default=None, gt=0, le=7 * 86400, description="seconds within which it has to start; left out: the gateway's setting"
    )
    harmless_late: bool = Field(
        default=False, description="true: it does no harm when it starts long after a person sent it, such as `identify`"
    )
    restarts_device: bool = Field(default=False, description="true: the device does not answer for a while after it")
    dangerous: bool = Field(
        default=False,
        description="true: it may harm people, equipment or supply, and the status page asks an administrator again",
    )

    def spec(self, parameters: Iterable[ParameterSpec], *, is_proven: bool, metrics: Iterable[str] = ()) -> CommandSpec:
        """Return the declaration of this command.

        Args:
            parameters: its parameters.
            is_proven: whether the device is read back.
            metrics: the metrics that it sets.
        """
        return CommandSpec(
            name=self.name,
            title=self.title or title_of(self.name),
            description=self.description,
            parameters=parameters_model(tuple(parameters)),
            is_proven=is_proven,
            expires_after=None if self.expires_after is None else timedelta(seconds=self.expires_after),
            harmless_late=self.harmless_late,
            restarts_device=self.restarts_device,
            is_dangerous=self.dangerous,
            metrics=tuple(metrics),
        )


@lru_cache(maxsize=1024)
def parameters_model(parameters: tuple[ParameterSpec, ...]) -> type[BaseModel]:
    """Return the model of these parameters.

    Its fields have aliases, since a parameter may have a name that a field cannot have, such as `copy`.
    """
    if not parameters:
        return NoParameters
    fields: dict[str, Any] = {f"parameter_{number}": _field(one) for number, one in enumerate(parameters, start=1)}
    config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    return create_model("Parameters", __config__=config, **fields)


def settings_model(settings: Iterable[ParameterSpec]) -> type[BaseModel]:
    """Return the model of settings that a device keeps. One that is left out or null stays as the device has it."""
    fields: dict[str, Any] = {f"setting_{number}": _optional_field(one) for number, one in enumerate(settings, start=1)}
    config = ConfigDict(extra="forbid", frozen=True, title="Settings")
    return create_model("Settings", __config__=config, __doc__="Settings that the device keeps itself.", **fields)


def check_declarations(specs: Iterable[CommandSpec]) -> None:
    """Check that each default is a value that its parameter accepts.

    Raises:
        ValueError: one is not; the text names the command and the parameter, and quotes no secret.
    """
    for spec in specs:
        try:
            spec.parameters.model_validate({})
        except ValidationError as error:
            fields = spec.parameters.model_fields
            problems = [problem["loc"][0] for problem in error.errors(include_input=False) if problem["type"] != "missing"]
            wrong = [fields[name].alias for name in problems if isinstance(name, str) and name in fields]
        else:
            continue
        if wrong:
            raise ValueError(f"command `{spec.name}`: the parameter {wrong[0]} does not accept its own default")


def parameter_values(spec: CommandSpec, parameters: Iterable[ParameterSpec], given: Mapping[str, object]) -> dict[str, Value]:
    """Return the values to send, checked, by name: with the defaults of those that were left out, and secrets in clear.

    Args:
        spec: the declaration of the command.
        parameters: those that it was made from.
        given: what the cloud or a person gives.

    Raises:
        CommandRejected: they are not what the command takes; the text says what is expected, and quotes no secret.
    """
    checked = validate_parameters(spec, given)
    values = {field.alias: getattr(checked, name) for name, field in type(checked).model_fields.items()}
    return {one.name: _in_clear(one, values[one.name]) for one in parameters}


def title_of(name: str) -> str:
    """Return the title of something that has only a name: `set_video_mute` is `Set video mute`."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:] or name


def _field(one: ParameterSpec) -> tuple[Any, Any]:
    """Return the type and the default of a parameter, as `create_model` takes them."""
    extra: dict[str, Any] = {} if one.unit is None else {"unit": one.unit}
    if one.is_secret and one.between is not None:
        extra |= {"minimum": one.between[0], "maximum": one.between[1]}  # of the number whose digits the text has
    about = Field(
        default=... if one.default is None else one.default,
        alias=one.name,
        validate_default=True,
        title=one.title or title_of(one.name),
        description=one.description,
        json_schema_extra=extra or None,
    )
    return (_secret_type(one) if one.is_secret else _type(one)), about


def _optional_field(one: ParameterSpec) -> tuple[Any, Any]:
    """Return the type and the default of a setting, as `create_model` takes them."""
    extra: dict[str, Any] | None = None if one.unit is None else {"unit": one.unit}
    title = one.title or title_of(one.name)
    about = Field(default=None, alias=one.name, title=title, description=one.description, json_schema_extra=extra)
    return _type(one) | None, about


def _type(one: ParameterSpec) -> Any:  # noqa: ANN401 - a type that is made at run time
    if one.choices:
        kind: Any = Literal.__getitem__(one.choices)
        convert = _as_word if {"on", "off"} <= set(one.choices) else _not_bool
        # a partial of its own: `Annotated` would return the equal type of another command, whose words have another order
        return Annotated[kind, BeforeValidator(partial(convert))]
    low, high = (None, None) if one.between is None else map(_shortest, one.between)
    match one.kind:
        case ParameterKind.NUMBER:
            return Annotated[float, Field(strict=True, ge=low, le=high, allow_inf_nan=False), AfterValidator(_shortest)]
        case ParameterKind.WHOLE_NUMBER:
            return Annotated[int, Field(strict=True, ge=low, le=high), BeforeValidator(_as_whole_number)]
        case ParameterKind.BOOLEAN:
            return Annotated[bool, Field(strict=True)]
        case ParameterKind.TEXT:
            fewest, most = one.characters or (None, None)
            return Annotated[str, Field(strict=True, min_length=fewest, max_length=most)]


def _secret_type(one: ParameterSpec) -> Any:  # noqa: ANN401 - a type that is made at run time
    """Return the type of a secret; that of a secret number, such as a PIN, is a text of its digits."""
    if one.kind is ParameterKind.TEXT:
        fewest, most = one.characters or (None, None)
        return Annotated[SecretStr, Field(min_length=fewest, max_length=most)]
    low, high = one.between or (-float("inf"), float("inf"))

    def check(secret: SecretStr) -> SecretStr:
        number = _number_in(secret.get_secret_value())
        if number is None or not low <= number <= high:
            raise ValueError("it is not an accepted number")
        return secret

    return Annotated[SecretStr, BeforeValidator(_as_digits), AfterValidator(check)]


def _in_clear(one: ParameterSpec, value: Value | SecretStr) -> Value:
    if not isinstance(value, SecretStr):
        return value
    text = value.get_secret_value()
    return text if one.kind is ParameterKind.TEXT else _number_in(text)


def _as_word(value: object) -> object:
    return ("on" if value else "off") if isinstance(value, bool) else value


def _not_bool(value: object) -> object:
    """Return a value that is no number in place of true and false, which are equal to 1 and 0."""
    return str(value) if isinstance(value, bool) else value


def _as_whole_number(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shortest(value: float) -> float:
    """Return a whole number as such, so that a message says 20 and not 20.0."""
    return int(value) if float(value).is_integer() else value


def _as_digits(value: object) -> object:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _number_in(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return _shortest(number) if isfinite(number) else None
