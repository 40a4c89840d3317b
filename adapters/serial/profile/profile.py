"""Define the profile of a serial device model, a TOML file, and check that its parts fit together. Pure.

Requests and answers are templates (`template.py`) of the payload of a frame; the framing around the payload is described once, in
`[framing]`. `protocol.py` builds requests and readings from a profile.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal, NamedTuple

from pydantic import Field, PrivateAttr, model_validator

from adapters.serial.codec import Codec, load_codec
from adapters.serial.framing.formats import Framing
from adapters.serial.framing.notation import TextBytes
from adapters.serial.port.line_settings import LineSettings, LineSettingsInput
from adapters.serial.profile.grammar import (
    Addresses,
    CommandRule,
    ConversationRules,
    IdentityRules,
    MatchRule,
    Message,
    Query,
    RefusalRule,
    SettingRule,
)
from adapters.serial.profile.json_template import JsonTemplate
from adapters.serial.profile.no_value import NoValueRule
from adapters.serial.profile.points import Point
from adapters.serial.profile.repeated_tables import written_out
from adapters.serial.profile.template import Template
from gateway.adapter import (
    CommandSpec,
    DeviceProfile,
    Metric,
    ParameterSpec,
    PointFacts,
    check_declarations,
    duplicates,
    table_check,
)

DEFAULT_GROUPS: Mapping[str, float] = {"fast": 5.0, "normal": 30.0, "slow": 600.0}
"""Poll groups of every profile, with their intervals in seconds. At 9600 baud a request and its answer take some 50 ms, and the
state of a display or a switcher changes when somebody presses a button."""


RANDOM_FIELD = "random"
"""The field of a greeting with the random text that is hashed with the password."""


class QueriedPoint(NamedTuple):
    """A metric and the poll group of the query that reads it."""

    metric: str
    group: str


class Profile(DeviceProfile):
    """A device model, or all devices with one protocol."""

    default_groups: ClassVar[Mapping[str, float]] = DEFAULT_GROUPS

    sub_model: str | None = None
    line: LineSettingsInput = LineSettings()
    other_lines: tuple[LineSettingsInput, ...] = Field(default=(), description="further line settings that such devices may have")
    tcp_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="TCP port on which such devices speak the protocol of the profile, unless a person has changed it",
    )
    only_tcp: bool = Field(default=False, description="true: the protocol is not spoken on serial lines, and is not tried there")
    framing: Framing
    ends_with: TextBytes | None = Field(
        default=None, description="end of a request, if requests are not framed like answers; empty: no end mark"
    )
    notation: Literal["text", "binary", "json"] = Field(default="text", description="notation of the templates")
    no_value: NoValueRule = NoValueRule()
    ignore_case: bool = Field(default=False, description="true: answers match in upper and lower case")
    codec: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$", description="`module:Class`, if templates are not enough")
    talk: ConversationRules = ConversationRules()
    addresses: Addresses | None = None
    match: tuple[MatchRule, ...] = Field(default=(), description="one match is enough; none: only for configured devices")
    identity: IdentityRules = IdentityRules()
    may_be_quiet: float | None = Field(
        default=None,
        gt=0,
        le=86400,
        description="seconds of silence that are normal for a device that only sends unasked, until its interval is known",
    )
    refusals: tuple[RefusalRule, ...] = ()
    queries: tuple[Query, ...] = ()
    messages: tuple[Message, ...] = ()
    commands: tuple[CommandRule, ...] = ()
    settings: tuple[SettingRule, ...] = ()

    _codec: Codec | None = PrivateAttr(default=None)
    _templates: dict[str, Template] = PrivateAttr(default_factory=dict)

    @property
    def lines(self) -> tuple[LineSettings, ...]:
        """The line settings that such devices may have, the most likely one first."""
        return (self.line, *self.other_lines)

    @property
    def polled_points(self) -> Iterable[QueriedPoint]:
        """The points of queries: those of messages are only listened to."""
        return [QueriedPoint(point.metric, query.group) for query in self.queries for point in query.points]

    @property
    def headlines(self) -> Iterable[str]:
        """The metrics of the points with `headline`, polled or not."""
        return [point.metric for points in self._all_points for point in points if point.headline]

    @property
    def _all_points(self) -> Iterable[Iterable[Point]]:
        return (*(query.points for query in self.queries), *(message.points for message in self.messages))

    @property
    def metrics_by_group(self) -> dict[str, list[Metric]]:
        """The metrics of each poll group; empty where the device names metrics itself, or sends units."""
        if any(message.open for message in self.messages):
            return {}
        groups: dict[str, list[Metric]] = {}
        for query in self.queries:
            groups.setdefault(query.group, []).extend(point.metric_in(point.unit) for point in query.points)
        unasked = {point.metric: point.metric_in(point.unit) for message in self.messages for point in message.points}
        return {group: metrics for group, metrics in {**groups, "": list(unasked.values())}.items() if metrics}

    @property
    def point_facts(self) -> Iterator[PointFacts]:
        """The unit of each point, and whether its values can be negative or missing."""
        has_rule = self.no_value.magnitude is not None or bool(self.no_value.words)
        for part in self.parts:
            answers = [self.template(one) for one in (part.answer if isinstance(part, Query) else part.says)]
            for point in part.points:
                is_number = not point.values and any(one.measures(point.source) for one in answers)
                yield PointFacts(
                    metric=point.metric,
                    unit=point.unit,
                    has_own_unit=point.unit_field is None,
                    is_number=is_number,
                    can_be_negative=None,
                    has_no_value_rule=bool(point.not_available) or (has_rule and is_number),
                )

    @property
    def setting_specs(self) -> list[ParameterSpec]:
        """The declarations of all settings."""
        commands = {rule.name: rule for rule in self.commands}
        return [self._spec_of(rule, commands[rule.command]) for rule in self.settings]

    def _spec_of(self, rule: SettingRule, command: CommandRule) -> ParameterSpec:
        (parameter,) = self.parameters_of(command)
        unit = next(point.unit for query in self.queries for point in query.points if point.metric == command.read_back)
        return replace(
            parameter,
            name=rule.name,
            title=rule.title,
            description=rule.description or parameter.description,
            unit=parameter.unit or unit,
            default=None,
        )

    @property
    def all_commands(self) -> Iterable[CommandRule]:
        """All commands."""
        return self.commands

    def parameters_of(self, rule: CommandRule) -> tuple[ParameterSpec, ...]:
        """Return the declarations of a command's parameters."""
        template = None if rule.ask is None else self.template(rule.ask)
        return tuple(
            parameter.declared(name, is_whole=template is not None and template.takes_whole_numbers(name))
            for name, parameter in rule.parameters.items()
        )

    @property
    def command_specs(self) -> Sequence[CommandSpec]:
        """The declarations of all commands."""
        return [
            rule.spec(self.parameters_of(rule), is_proven=rule.is_proven, metrics=rule.read_back_metrics)
            for rule in self.commands
        ]

    @property
    def is_found_by_scan(self) -> bool:
        """Whether the profile says how such a device is identified."""
        return bool(self.match)

    @property
    def point_count(self) -> int:
        """How many points a list of profiles shows: those of messages, too."""
        return sum(len(part.points) for part in self.parts)

    @property
    def codec_instance(self) -> Codec | None:
        """The codec that decodes its frames, if templates are not enough."""
        return self._codec

    @property
    def known_words(self) -> frozenset[str]:
        """The words that its points give a meaning to."""
        return frozenset(word for part in self.parts for point in part.points for word in point.values)

    @property
    def parts(self) -> tuple[Query | Message, ...]:
        """All queries and messages."""
        return (*self.queries, *self.messages)

    def template(self, written: str) -> Template:
        """Return the parsed template of a text in the profile."""
        return self._templates[written]

    @table_check
    def _has_a_tcp_port(self) -> None:
        if self.only_tcp and self.tcp_port is None:
            raise ValueError("a protocol that is `only_tcp` needs its `tcp_port`")

    @table_check
    def _has_points(self) -> None:
        if not any(part.points for part in self.parts) and not any(one.open for one in self.messages):
            raise ValueError("a profile needs at least one point, in `queries` or `messages`")

    @table_check
    def _parses_its_templates(self) -> Iterator[str]:
        if self.codec is not None:
            self._codec = load_codec(self.codec)
        for place, written in self._all_templates():
            try:
                self._templates[written] = self._parsed(written)
            except ValueError as error:
                yield f"{place}: {error}"

    def _parsed(self, written: str) -> Template:
        if self.notation == "json":
            return JsonTemplate.parse_json(written)
        return Template.parse(written, self.notation, ignore_case=self.ignore_case, no_value=self.no_value)

    @table_check
    def _has_templates_or_a_codec(self) -> Iterator[str]:
        if self.codec is not None:
            return
        for kind, parts in (("query", self.queries), ("command", self.commands)):
            for part in parts:
                if part.ask is None or (kind == "query" and not part.answer):
                    yield f"{kind} `{part.name}`: without a `codec`, it needs `ask` and, for a query, `answer`"
        for message in self.messages:
            if not message.says:
                yield f"message `{message.name}`: without a `codec`, it needs `says`"

    def _all_templates(self) -> Iterator[tuple[str, str]]:
        """Yield all templates with their places in the profile."""
        for refusal in self.refusals:
            yield "refusals", refusal.answer
        if (digest := self.talk.digest) is not None:
            told = (digest.greeting, digest.unsecured, digest.refused, digest.accepted)
            yield from (("talk.digest", written) for written in told if written is not None)
        if (login := self.talk.frame_login) is not None:
            answers = (login.accepted, login.refused, login.then, login.lost)
            yield from (("talk.frame_login", written) for written in answers if written is not None)
        yield from (("talk.replies", reply.hear) for reply in self.talk.replies)
        for kind, parts in (("query", self.queries), ("command", self.commands)):
            for part in parts:
                yield from ((f"{kind} `{part.name}`.ask", written) for written in (part.ask,) if written is not None)
                yield from ((f"{kind} `{part.name}`.answer", written) for written in part.answer)
                if isinstance(part, Query):
                    yield from ((f"{kind} `{part.name}`.tags", written) for written in tagged_answers(part))
                    yield from ((f"{kind} `{part.name}`.unasked", written) for written in part.unasked)
                elif part.effect is not None:
                    yield from ((f"{kind} `{part.name}`.effect", one) for one in (part.effect.ask, *part.effect.answer))
        for message in self.messages:
            yield from ((f"message `{message.name}`.says", written) for written in message.says)

    @table_check
    def _has_unique_names(self) -> Iterator[str]:
        parts = self.parts
        yield from _repeated((f"{_kind(part)} `{part.name}`", part.name) for part in parts)
        yield from _repeated((f"point `{point.metric}`", point.metric) for part in parts for point in _own_points(part, parts))

    @table_check
    def _refers_to_known_fields(self) -> Iterator[str]:
        for part in self.parts:
            for point in part.points:
                for field in filter(None, (point.source, point.unit_field)):
                    yield from self._unknown_fields(f"point `{point.metric}`", part.name, field)
        for match in self.match:
            yield from self._unknown_fields("match", match.ask or match.hear or "", *match.where)
        for fact, told in self.identity.facts.items():
            for source in told.alternatives:
                yield from self._unknown_fields(f"identity.{fact}", source.part_name, source.field_name)
        for refusal in self.refusals:
            known = self._fields_of((refusal.answer,))
            if refusal.field is not None and known is not None and refusal.field not in known:
                yield f"refusals: there is no field {refusal.field!r} in {refusal.answer!r}"

    @table_check
    def _has_usable_conditions(self) -> Iterator[str]:
        for query in self.queries:
            for place in query.only_if:
                other, _, field = place.partition(".")
                yield from self._unknown_fields(f"query `{query.name}`.only_if", other, field)
        if (digest := self.talk.digest) is not None:
            known = self._fields_of((digest.greeting,))
            if known is not None and RANDOM_FIELD not in known:
                yield f"talk.digest.greeting: there is no field {{{RANDOM_FIELD}}} in {digest.greeting!r}"

    @table_check
    def _can_build_its_requests(self) -> Iterator[str]:
        address = {self.addresses.field} if self.addresses is not None else set[str]()
        for kind, parts in (("query", self.queries), ("command", self.commands)):
            for part in parts:
                parameters = set(part.parameters) if isinstance(part, CommandRule) else set()
                fields = None if part.ask is None else self._fields_of((part.ask,))
                if fields is not None and fields != address | parameters:
                    expected = ", ".join(sorted(address | parameters)) or "none"
                    actual = ", ".join(sorted(fields)) or "none"
                    yield f"{kind} `{part.name}`.ask: its fields must be {expected}, but are {actual}"
        if self.may_be_quiet is None and not self.intervals:
            yield "`may_be_quiet` is missing: the device only sends unasked, since no query has points"

    @table_check
    def _can_read_back_its_commands(self) -> Iterator[str]:
        readable = {point.metric for query in self.queries for point in query.points}
        for rule in self.commands:
            if unread := [metric for metric in rule.read_back_metrics if metric not in readable]:
                yield f"command `{rule.name}`.read_back: no query has a point `{unread[0]}`"
            if (effect := rule.effect) is not None:
                is_chosen = bool(rule.choosing_parameters)
                if not is_chosen and effect.point.source not in (self._fields_of(effect.answer) or ()):
                    yield f"command `{rule.name}`.effect: there is no field {effect.point.source!r} in its `answer`"
                address = {self.addresses.field} if self.addresses is not None else set[str]()
                if unknown := sorted((self._fields_of((effect.ask,)) or set()) - set(rule.parameters) - address):
                    yield f"command `{rule.name}`.effect: it has no parameter {unknown[0]!r} to ask for"

    @table_check
    def _accepts_its_own_defaults(self) -> None:
        check_declarations(self.command_specs)

    @model_validator(mode="before")
    @classmethod
    def _writes_out_its_repetitions(cls, content: object) -> object:
        return written_out(content)

    @model_validator(mode="before")
    @classmethod
    def _accepts_a_table_of_settings(cls, content: object) -> object:
        """Accept the former `[settings]`, key -> command; one whose command is not read back was never applied."""
        if not isinstance(content, dict) or not isinstance(settings := content.get("settings"), dict):
            return content
        commands = content.get("commands", ())
        unproven = {rule.get("name") for rule in commands if isinstance(rule, dict) and not rule.get("read_back")}
        kept = [(key, command) for key, command in settings.items() if command not in unproven]
        tables = [{"name": key, "command": command} for key, command in kept]
        return {**content, "settings": tables}

    @table_check
    def _can_write_its_settings(self) -> Iterator[str]:
        yield from (f"setting `{twice}` is there twice" for twice in duplicates(rule.name for rule in self.settings))
        commands = {rule.name: rule for rule in self.commands}
        for rule in self.settings:
            if (wrong := rule.fits(commands.get(rule.command))) is not None:
                yield f"setting `{rule.name}`: {wrong}"

    def _unknown_fields(self, place: str, name: str, *fields: str) -> Iterator[str]:
        """Yield what is wrong where there is no such query or message, or none of its templates has these fields."""
        part = next((part for part in self.parts if part.name == name), None)
        if part is None:
            known = ", ".join(part.name for part in self.parts)
            yield f"{place}: there is no query or message {name!r}; there are {known}"
            return
        templates = part.answer if isinstance(part, Query) else part.says
        known_fields = self._fields_of(templates)
        for field in fields:
            if templates and known_fields is not None and field not in known_fields:
                yield f"{place}: there is no field {field!r} in {part.name}; there are {', '.join(sorted(known_fields))}"

    def _fields_of(self, templates: Iterable[str]) -> set[str] | None:
        """Return the fields of these templates; `None` where one is no template, so that they are not known."""
        parsed = [self._templates.get(written) for written in templates]
        return None if None in parsed else {field for one in parsed if one is not None for field in one.fields}


def tagged_answers(query: Query) -> Iterator[str]:
    """Yield the templates of the answers of a device that puts a tag in front of each."""
    for tag in query.tags:
        yield from (tag + written for written in query.answer)


def _kind(part: Query | Message) -> str:
    return "query" if isinstance(part, Query) else "message"


def _own_points(part: Query | Message, parts: Iterable[Query | Message]) -> Iterator[Point]:
    """Yield the points of a part; those that several messages tell in the same way only for the first of them."""
    earlier = [point for other in itertools.takewhile(lambda one: one is not part, parts) for point in _told_by(other)]
    yield from (point for point in part.points if isinstance(part, Query) or point not in earlier)


def _told_by(part: Query | Message) -> Sequence[Point]:
    return part.points if isinstance(part, Message) else ()


def _repeated(named: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what is wrong where a name occurs twice."""
    seen = set[str]()
    for place, name in named:
        if name in seen:
            yield f"{place} occurs twice"
        seen.add(name)
