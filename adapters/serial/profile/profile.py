"""What a serial device tells and can do, as data: the grammar of a profile file. Nothing here waits.

A profile is a TOML file named after itself. What is asked and what is answered are templates (`template.py`) of the payload of a
frame; what stands around a payload is said once, in `[framing]`. `speech.py` makes questions and readings of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import Field, PrivateAttr, model_validator

from adapters.serial.codec import Codec, codec_named
from adapters.serial.framing.formats import Framing
from adapters.serial.framing.notation import TextBytes
from adapters.serial.port.line_settings import LineSettings, LineSettingsInput
from adapters.serial.profile.grammar import (
    Addresses,
    CommandRule,
    Match,
    Message,
    Query,
    Refusal,
    Talk,
    WhoItIs,
)
from adapters.serial.profile.template import Template
from gateway.adapter import DeviceProfile

DEFAULT_GROUPS: Mapping[str, float] = {"fast": 5.0, "normal": 30.0, "slow": 600.0}
"""Poll groups that every profile has, and how often they are read, in seconds. At 9600 baud a question and its answer take some
50 ms, and what a display or a switcher tells changes when somebody presses a button."""


class QueriedPoint(NamedTuple):
    """A metric and the poll group of the query that reads it."""

    metric: str
    group: str


class Profile(DeviceProfile):
    """A device model, or all that speak one protocol."""

    default_groups: ClassVar[Mapping[str, float]] = DEFAULT_GROUPS

    sub_model: str | None = None
    line: LineSettingsInput = LineSettings()
    other_lines: tuple[LineSettingsInput, ...] = Field(default=(), description="settings that such devices are found with, too")
    framing: Framing
    ends_with: TextBytes | None = Field(
        default=None, description="what a question ends with, where it is not framed as an answer is; empty: it just stops"
    )
    notation: Literal["text", "binary"] = Field(default="text", description="how the templates are written")
    ignore_case: bool = Field(default=False, description="letters of answers count in either case")
    codec: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$", description="`module:Class`, where templates are not enough")
    talk: Talk = Talk()
    addresses: Addresses | None = None
    match: tuple[Match, ...] = Field(default=(), description="any is enough; none: only a configured device has this profile")
    identity: WhoItIs = WhoItIs()
    may_be_quiet: float | None = Field(
        default=None,
        gt=0,
        le=86400,
        description="seconds that a device that only talks may say nothing before its interval is known",
    )
    refusals: tuple[Refusal, ...] = ()
    queries: tuple[Query, ...] = ()
    messages: tuple[Message, ...] = ()
    commands: tuple[CommandRule, ...] = ()
    settings: dict[str, str] = Field(
        default_factory=dict, description="key of the cloud's configuration -> command that applies it"
    )

    _codec: Codec | None = PrivateAttr(default=None)
    _templates: dict[str, Template] = PrivateAttr(default_factory=dict)

    @property
    def lines(self) -> tuple[LineSettings, ...]:
        """The line settings that such devices are found with, the likeliest first."""
        return (self.line, *self.other_lines)

    @property
    def polled_points(self) -> Iterable[QueriedPoint]:
        """The points of queries: those of messages are only listened to."""
        return [QueriedPoint(point.metric, query.group) for query in self.queries for point in query.points]

    @property
    def all_commands(self) -> Iterable[CommandRule]:
        """All commands."""
        return self.commands

    @property
    def is_found_by_scan(self) -> bool:
        """Whether the profile says how such a device is identified."""
        return bool(self.match)

    @property
    def point_count(self) -> int:
        """How many points a list of profiles shows: those of messages, too."""
        return sum(len(part.points) for part in self.parts)

    @property
    def own_codec(self) -> Codec | None:
        """The class that reads its frames, where templates are not enough."""
        return self._codec

    @property
    def parts(self) -> tuple[Query | Message, ...]:
        """All that has points: its queries and its messages."""
        return (*self.queries, *self.messages)

    def template(self, written: str) -> Template:
        """Return one of its templates, ready to use."""
        return self._templates[written]

    def query(self, name: str) -> Query:
        """Return the query of this name."""
        return next(query for query in self.queries if query.name == name)

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if not any(part.points for part in self.parts) and not any(one.open for one in self.messages):
            raise ValueError("a profile has points, in `queries` or `messages`: at least one")
        return self

    @model_validator(mode="after")
    def _reads_what_it_writes(self) -> Self:
        if self.codec is not None:
            self._codec = codec_named(self.codec)
        for place, written in self._written():
            try:
                self._templates[written] = Template.parse(written, self.notation, ignore_case=self.ignore_case)
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from error
        return self

    def _written(self) -> Iterator[tuple[str, str]]:
        """Yield all templates with their places, and complain of those that are missing."""
        for refusal in self.refusals:
            yield "refusals", refusal.answer
        for kind, parts in (("query", self.queries), ("command", self.commands)):
            for part in parts:
                if self._codec is None and (part.ask is None or (kind == "query" and not part.answer)):
                    raise ValueError(f"{kind} `{part.name}`: without a `codec`, it says what to ask and what is answered")
                yield from ((f"{kind} `{part.name}`.ask", written) for written in (part.ask,) if written is not None)
                yield from ((f"{kind} `{part.name}`.answer", written) for written in part.answer)
        for message in self.messages:
            if self._codec is None and not message.says:
                raise ValueError(f"message `{message.name}`: without a `codec`, it says what it looks like")
            yield from ((f"message `{message.name}`.says", written) for written in message.says)

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        said = self.parts
        _once((f"{_kind(part)} `{part.name}`", part.name) for part in said)
        _once((f"point `{point.metric}`", point.metric) for part in said for point in part.points)
        return self

    @model_validator(mode="after")
    def _fields_are_there(self) -> Self:
        for part in self.parts:
            for point in part.points:
                for field in filter(None, (point.source, point.unit_field)):
                    self._check_field(f"point `{point.metric}`", part.name, field)
        for match in self.match:
            self._check_field("match", match.ask or match.hear or "", *match.where)
        for fact, telling in self.identity.facts.items():
            self._check_field(f"identity.{fact}", *telling.told.split(".", 1))
        for refusal in self.refusals:
            if refusal.field is not None and refusal.field not in self.template(refusal.answer).fields:
                raise ValueError(f"refusals: there is no field {refusal.field!r} in {refusal.answer!r}")
        return self

    @model_validator(mode="after")
    def _questions_can_be_asked(self) -> Self:
        address = {self.addresses.field} if self.addresses is not None else set[str]()
        for kind, parts in (("query", self.queries), ("command", self.commands)):
            for part in parts:
                parameters = set(part.parameters) if isinstance(part, CommandRule) else set()
                if part.ask is not None and (fields := set(self.template(part.ask).fields)) != address | parameters:
                    wanted = ", ".join(sorted(address | parameters)) or "none"
                    had = ", ".join(sorted(fields)) or "none"
                    raise ValueError(f"{kind} `{part.name}`.ask: its fields have to be {wanted}, and are {had}")
        if self.may_be_quiet is None and not self.intervals:
            raise ValueError("say after how long a device that only talks `may_be_quiet`: no query of it has points")
        return self

    @model_validator(mode="after")
    def _commands_are_shown(self) -> Self:
        escaped_text = {point.metric for query in self.queries for point in query.points}
        takers = {rule.name: len(rule.parameters) for rule in self.commands}
        for rule in self.commands:
            if rule.read_back and rule.read_back not in escaped_text:
                raise ValueError(f"command `{rule.name}`.read_back: no query has a point `{rule.read_back}`")
        for key, command in self.settings.items():
            if takers.get(command) != 1:
                raise ValueError(f"settings.{key}: there is no command {command!r} that takes exactly one parameter")
        return self

    def _check_field(self, place: str, name: str, *fields: str) -> None:
        """Raise `ValueError` when there is no such query or message, or none of its answers has these fields."""
        part = next((part for part in self.parts if part.name == name), None)
        if part is None:
            known = ", ".join(part.name for part in self.parts)
            raise ValueError(f"{place}: there is no query or message {name!r}; there are {known}")
        templates = part.answer if isinstance(part, Query) else part.says
        known_fields = {field for written in templates for field in self.template(written).fields}
        for field in fields:
            if templates and field not in known_fields:
                raise ValueError(
                    f"{place}: there is no field {field!r} in {part.name}; there are {', '.join(sorted(known_fields))}"
                )


def _kind(part: Query | Message) -> str:
    return "query" if isinstance(part, Query) else "message"


def _once(named: Iterable[tuple[str, str]]) -> None:
    """Raise `ValueError` when a name is there twice."""
    seen = set[str]()
    for place, name in named:
        if name in seen:
            raise ValueError(f"{place} is there twice")
        seen.add(name)
