"""Define the tables of a profile file: queries, messages, commands, match rules, identity. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr

from adapters.serial.framing.notation import ProfileTable, TextBytes
from adapters.serial.profile.conversation_settings import ConversationSettings, Credentials, LoginStep
from adapters.serial.profile.frame_rules import FrameLoginRule, ReplyRule
from adapters.serial.profile.points import Parameter, PlainValue, Point
from adapters.serial.profile.repeated_tables import EACH_DESCRIPTION
from gateway.adapter import CommandTexts, SettingName, Value, table_check

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]

Identifier: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""The name of a query, a message or a command."""


LOGIN_FIELD = "{password}"
"""Placeholder in a log-in step for the password of the config."""

USER_FIELD = "{user}"
"""Placeholder in a log-in step for the user of the config, else of the profile."""


def _as_tuple(written: object) -> object:
    return (written,) if isinstance(written, str) else written


def _as_values(written: object) -> object:
    return (written,) if isinstance(written, bool | int | float | str) else written


def _as_fact_source(written: object) -> object:
    return {"told": written} if isinstance(written, str) else written


Templates: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_as_tuple, json_schema_input_type=str | tuple[str, ...])]
"""One template, or several alternatives."""

Values: TypeAlias = Annotated[
    tuple[PlainValue, ...],
    BeforeValidator(_as_values, json_schema_input_type=PlainValue | tuple[PlainValue, ...]),
]
"""One value, or several of which any will do."""


class LoginRule(ProfileTable):
    """One step of a log-in: the prompt to wait for, and the text to send."""

    expect: TextBytes = Field(min_length=1, description="the prompt of the device, or the end of it: `Password:`")
    send: str = Field(
        description="text to send, including its line end; `{user}` and `{password}` are replaced by those of the config"
    )


class DigestRule(ProfileTable):
    """A log-in without a prompt: the device greets with a random text, and wants the hash of it and the password.

    The hash is sent once in each connection as lower-case hexadecimal digits: directly before the first request, as in PJLink
    (JBMIA, PJLink Specifications 2.00, section 5), or as a message of its own, whose answer is awaited.
    """

    greeting: str = Field(
        min_length=1, description="template of the greeting of a device with a password, with the field `random`"
    )
    unsecured: str = Field(min_length=1, description="template of the greeting of a device without a password")
    refused: str = Field(min_length=1, description="template of its answer to a wrong password, or to none")
    hash: Literal["md5", "sha256"] = "md5"
    covers: str = Field(
        default="{random}{password}", description="text that is hashed, with `{random}`, `{user}` and `{password}` in it"
    )
    end: TextBytes = Field(default=b"", description="bytes behind the hash; left out: the first request follows directly")
    accepted: str | None = Field(
        default=None, description="template of the answer to the hash, which is awaited; left out: it has no answer of its own"
    )
    only_first: bool = Field(default=False, description="true: only the first message of a connection can be the greeting")
    one_request: bool = Field(
        default=False, description="true: a connection takes one request, so that each request needs a new connection"
    )

    @table_check
    def _covers_the_password(self) -> None:
        if "{random}" not in self.covers or LOGIN_FIELD not in self.covers:
            raise ValueError("the hash `covers` {random} and {password}, and {user} where the device wants it")


class OpeningRule(ProfileTable):
    """What a device on a network wants at the begin of each connection, before the first request; not on a serial line."""

    send: TextBytes = Field(min_length=1, description="bytes to send")
    answer: TextBytes = Field(min_length=1, description="the begin of the answer when the device accepts the connection")
    refused: str = Field(default="", description="what to do when it answers otherwise, as a sentence")


class ConversationRules(ProfileTable):
    """The `[talk]` table: timing, echo, prompt and log-in of the device."""

    timeout: float = Field(default=1.0, gt=0, le=60, description="seconds within which an answer begins")
    pace: float = Field(default=0.0, ge=0, le=60, description="seconds of pause that the device needs after an answer")
    late: float = Field(default=0.3, ge=0, le=60, description="seconds within which an answer may still come after a time-out")
    echo: bool | None = Field(default=None, description="whether sent bytes are echoed; left out: it is detected")
    prompt: TextBytes = Field(default=b"", description="the prompt of a device that is ready for a request: `>`")
    login: tuple[LoginRule, ...] = ()
    login_only_tcp: bool = Field(
        default=False, description="true: only over a network of its own does the device want the log-in, not on a serial line"
    )
    user: str = Field(default="", description="user of the log-in where the config names none: the one of the factory")
    digest: DigestRule | None = Field(default=None, description="a log-in by a hash of the password before the first request")
    opening: OpeningRule | None = Field(default=None, description="a message that begins each connection over a network")
    frame_login: FrameLoginRule | None = Field(default=None, description="a log-in by a frame of the protocol")
    replies: tuple[ReplyRule, ...] = Field(default=(), description="messages of the device that want a reply")
    wake: TextBytes = Field(default=b"\r", description="bytes that make the device ask for the log-in again")
    login_refused: TextBytes = Field(default=b"", description="the device's text for a wrong password")

    @property
    def needs_login(self) -> bool:
        """Whether a request is taken only after a log-in by prompts, or by a frame."""
        return bool(self.login) or self.frame_login is not None

    @property
    def prompts(self) -> tuple[bytes, ...]:
        """The texts after which the device waits for input: that of a command, and those of its log-in."""
        return (*((self.prompt,) if self.prompt else ()), *(step.expect for step in self.login))

    def conversation_settings(self, credentials: Credentials | None = None) -> ConversationSettings:
        """Return the settings of a conversation, with user and password inserted."""
        user, password = credentials or Credentials()
        user, secret = user or self.user, "" if password is None else password.get_secret_value()
        return ConversationSettings(
            echo=self.echo,
            prompt=self.prompt,
            pacing_seconds=self.pace,
            late_answer_seconds=self.late,
            login=tuple(
                LoginStep(
                    step.expect,
                    SecretStr(inserted(step.send, {USER_FIELD: user, LOGIN_FIELD: secret})),
                    is_password_missing=password is None and LOGIN_FIELD in step.send,
                    is_user_missing=not user and USER_FIELD in step.send,
                )
                for step in self.login
            ),
            wake=self.wake,
            login_refused=self.login_refused,
        )


def inserted(written: str, texts: Mapping[str, str]) -> str:
    """Return a text with these texts in the place of the placeholders; what is inserted is not looked at again."""
    return re.sub("|".join(map(re.escape, texts)), lambda found: texts[found[0]], written)


class Addresses(ProfileTable):
    """The addresses of devices that can share one line."""

    field: str = Field(description="the field of all templates that contains the address")
    first: int = 1
    last: int = 255
    among: tuple[str, ...] = Field(default=(), description="the addresses, if they are not numbers")
    usual: tuple[int | str, ...] = Field(min_length=1, description="factory defaults, which are tried first")
    everyone: int | str | None = Field(
        default=None, description="address to which all devices answer, each with its own; left out: there is none"
    )

    @table_check
    def _has_existing_defaults(self) -> None:
        if unknown := [address for address in self.usual if address not in self.all]:
            raise ValueError(f"{unknown[0]!r} is not one of the addresses")

    @property
    def all(self) -> Sequence[int | str]:
        """All addresses that a device can have."""
        return self.among or range(self.first, self.last + 1)


class RefusalRule(ProfileTable):
    """The answer with which a device refuses a request."""

    answer: str = Field(min_length=1)
    field: str | None = Field(default=None, description="the field with the code of the reason")
    reasons: dict[str, str] = Field(default_factory=dict, description="codes -> reasons")
    reason: str = Field(default="the device refuses it", min_length=1, description="text for an unknown reason")


class Query(ProfileTable):
    """A request that changes nothing, and the points of its answer."""

    name: Identifier
    each: tuple[int, int] | None = Field(default=None, description=EACH_DESCRIPTION)
    ask: str | None = Field(default=None, description="template of the request; left out: the codec encodes it")
    answer: Templates = Field(default=(), description="templates of the answer; left out: the codec decodes it")
    tags: tuple[str, ...] = Field(
        default=(), description="texts that devices set to tagged answers put in front of the answer: `Pno`, `Ver01-`"
    )
    unasked: Templates = Field(default=(), description="templates in which the device tells a change of it without being asked")
    only_if: dict[str, str] = Field(
        default_factory=dict,
        description="`query.field` -> regular expression for its whole value: it is only asked of a device that answers so",
    )
    group: str = "normal"
    optional: bool = Field(default=False, description="true: a refusal by the device is normal and not reported")
    points: tuple[Point, ...] = ()


class Message(ProfileTable):
    """A message that the device sends without being asked."""

    name: Identifier
    says: Templates = Field(default=(), description="templates of the message; left out: the codec decodes it")
    points: tuple[Point, ...] = ()
    open: bool = Field(default=False, description="true: each other field is a metric too, named by the device")


class MatchRule(ProfileTable):
    """An answer or a message that proves that a device has this profile."""

    ask: Identifier | None = Field(default=None, description="query to send: one that is harmless for every device")
    hear: Identifier | None = Field(default=None, description="message to listen for")
    where: dict[str, str] = Field(default_factory=dict, description="field -> regular expression for its whole value")
    within: float = Field(default=3.0, gt=0, le=60, description="seconds within which such a device sends the message")
    greets: bool = Field(
        default=False, description="true: the device sends the message first of all when a connection to it is opened"
    )
    or_refused: bool = Field(
        default=False, description="true: a refusal in the form of the profile proves the device as well, such as in standby"
    )
    times: int = Field(default=1, ge=1, le=10, description="required number of messages, if a single one could be chance")
    certain: bool = Field(default=False, description="true: the maker's name or model in the answer is a proof")
    rank: int = Field(
        default=100, ge=0, le=999, description="order of the attempts, lowest first: unambiguous queries come first"
    )

    @table_check
    def _is_query_or_message(self) -> None:
        if (self.ask is None) == (self.hear is None):
            raise ValueError("a match has either `ask` or `hear`")
        if self.hear is None and (self.times > 1 or self.greets):
            raise ValueError("`times` and `greets` belong to `hear`")
        if self.or_refused and (self.ask is None or self.where):
            raise ValueError("`or_refused` belongs to `ask`, without `where`: a refusal has no fields")
        for pattern in self.where.values():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error


class FactSource(ProfileTable):
    """The field of an answer or message that contains one fact about the device."""

    told: str = Field(pattern=r"^[a-z][a-z0-9_]*\..+$", description="query or message, and its field: `idn.serial`")
    otherwise: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9_]*\..+$", description="query and field for devices that do not tell the former"
    )
    hex: bool = Field(default=False, description="true: the field is a text written as hexadecimal digits")
    values: dict[str, str] = Field(default_factory=dict, description="meanings of the values")
    only_values: bool = Field(default=False, description="true: a value without a meaning tells nothing")

    @table_check
    def _has_values(self) -> None:
        if self.only_values and not self.values:
            raise ValueError("`only_values` needs the `values` that have a meaning")

    @property
    def part_name(self) -> str:
        """Name of the query or message."""
        return self.told.partition(".")[0]

    @property
    def field_name(self) -> str:
        """Name of the field in it."""
        return self.told.partition(".")[2]

    @property
    def alternatives(self) -> tuple[FactSource, ...]:
        """This source, and the one that is used where it tells nothing."""
        other = self.otherwise
        return (self,) if other is None else (self, self.model_copy(update={"told": other, "otherwise": None}))


Fact: TypeAlias = Annotated[FactSource | None, BeforeValidator(_as_fact_source, json_schema_input_type=str | FactSource | None)]


class IdentityRules(ProfileTable):
    """The fields that identify a device."""

    serial_number: Fact = None
    manufacturer: Fact = None
    model: Fact = None
    firmware_version: Fact = None
    sub_model: Fact = Field(default=None, description="if the profile itself does not give it")

    @property
    def facts(self) -> dict[str, FactSource]:
        """The facts that the profile has a source for."""
        sources = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: source for name, source in sources.items() if source is not None}


class SettingRule(ProfileTable):
    """A setting that the device keeps: the configuration of the cloud may write it by a command, and a metric shows it."""

    name: SettingName = Field(description="key in the configuration of the cloud")
    title: str | None = Field(default=None, min_length=1, description="what a person calls it; left out: made from its name")
    description: str | None = Field(default=None, min_length=1, description="what a person has to know to choose its value")
    command: str = Field(description="command that writes it: with exactly one parameter, and a metric to `read_back`")

    def fits(self, command: CommandRule | None) -> str | None:
        """Return why this command cannot write it; `None` when it can."""
        if command is None or len(command.parameters) != 1:
            return f"there is no command {self.command!r} with exactly one parameter"
        if not command.read_back or command.shows or command.choosing_parameters:
            return f"the command {self.command!r} has no metric to `read_back` that shows the value of its parameter"
        if any(parameter.secret for parameter in command.parameters.values()):
            return "it is read back, so its parameter cannot be secret"
        return None


_CHOOSING = re.compile(r"\{(\w+)\}")


def _chosen(text: str, values: Mapping[str, Value]) -> str:
    """Return a text with its `{parameter}` replaced by the values of a command; a whole number is written as one."""

    def written(found: re.Match[str]) -> str:
        value = values[found[1]]
        return str(int(value) if isinstance(value, float) and value.is_integer() else value)

    return _CHOOSING.sub(written, text)


class EffectQuery(ProfileTable):
    """The question that reads the effect of a command back, where no metric does: what it asks for is named by the command."""

    ask: str = Field(description="template of the question, with parameters of the command")
    answer: Templates = Field(min_length=1, description="templates of the answer")
    point: Point = Field(
        description="the value in the answer, which is to be that of the parameter with the name of its field, or the only one; "
        "`{output}` in its metric and its field is a parameter"
    )

    def point_for(self, values: Mapping[str, Value]) -> Point:
        """Return the point that shows the effect of the command with these values."""
        point = self.point
        field, metric = _chosen(point.source, values), _chosen(point.metric, values)
        is_fixed = (field, metric) == (point.source, point.metric)
        return point if is_fixed else point.model_copy(update={"field": field, "metric": metric})


class CommandRule(CommandTexts):
    """A command: sent once, and confirmed by its answer or by the value of a metric."""

    ask: str | None = Field(default=None, description="template of the request with {parameters}; left out: the codec encodes it")
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    answer: Templates = Field(default=(), description="templates of the confirming answer; left out: the command has no answer")
    read_back: str | Literal[False] = Field(
        default=False,
        description="the metric that shows the effect, `{output}` in it being a parameter; false: there is none",
    )
    effect: EffectQuery | None = Field(default=None, description="a question about the effect, instead of `read_back`")
    shows: Values = Field(default=(), description="its values afterwards; left out: the value of the only parameter")
    settles: float = Field(default=0.0, ge=0, le=60, description="seconds until the metric shows the effect")

    @property
    def is_proven(self) -> bool:
        """Whether its effect is read back."""
        return bool(self.read_back) or self.effect is not None

    @property
    def choosing_parameters(self) -> tuple[str, ...]:
        """The parameters that choose what is read back: `output` in `routed_input_{output}`."""
        texts = (self.effect.point.metric, self.effect.point.source) if self.effect is not None else (self.read_back or "",)
        return tuple(dict.fromkeys(name for text in texts for name in _CHOOSING.findall(text)))

    @property
    def shown_parameter(self) -> str | None:
        """The parameter whose value is read back; `None` where there is none, or not exactly one."""
        if self.effect is not None and self.effect.point.source in self.parameters:
            return self.effect.point.source
        others = [name for name in self.parameters if name not in self.choosing_parameters]
        return others[0] if len(others) == 1 else None

    @property
    def read_back_metrics(self) -> tuple[str, ...]:
        """The metrics that can show the effect."""
        metrics = [self.read_back] if self.read_back else []
        for name in self.choosing_parameters if self.read_back else ():
            between = self.parameters[name].between or (0, -1)
            numbers = range(int(between[0]), int(between[1]) + 1)
            metrics = [metric.replace(f"{{{name}}}", str(number)) for metric in metrics for number in numbers]
        return tuple(metrics)

    def read_back_metric(self, values: Mapping[str, Value]) -> str:
        """Return the metric that shows the effect of the command with these values."""
        return _chosen(self.read_back or "", values)

    @table_check
    def _has_one_check(self) -> Iterator[str]:
        if self.read_back and self.effect is not None:
            yield "give either `read_back` or `effect`"
        if self.shows and not self.is_proven:
            yield "`shows` belongs to a `read_back` that names a metric"
        if unbounded := [name for name in self.choosing_parameters if not self._is_numbered(name)]:
            yield f"read_back: there is no parameter {unbounded[0]!r} with whole numbers `between` which it chooses a metric"
        elif self.is_proven and not self.shows and self.shown_parameter is None:
            yield "give the values that the metric `shows`: the command does not have exactly one parameter"
        if self.is_proven and not self.shows and any(parameter.secret for parameter in self.parameters.values()):
            yield "a secret is not read back: its value would be shown"
        if not self.is_proven and not self.answer:
            yield "the effect must be confirmed: by an `answer`, or by a metric to `read_back`"

    def _is_numbered(self, name: str) -> bool:
        parameter = self.parameters.get(name)
        return parameter is not None and parameter.between is not None and float(parameter.scale).is_integer()
