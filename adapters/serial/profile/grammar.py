"""The tables of which a profile file is made: questions, answers, messages, commands. Nothing here waits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from adapters.serial.framing.notation import ProfileTable, TextBytes
from adapters.serial.profile.conversation_settings import ConversationSettings, LoginStep
from adapters.serial.profile.points import Parameter, Plain, Point

Name: TypeAlias = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]

Word: TypeAlias = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""The name of a query, a message or a command."""


OF_CONFIG = "{password}"
"""Stands in a log-in for what only the config knows."""


def _as_tuple(written: object) -> object:
    return (written,) if isinstance(written, str) else written


def _as_told(written: object) -> object:
    return {"told": written} if isinstance(written, str) else written


Templates: TypeAlias = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
"""One template, or several of which any may come."""


class LoginRule(ProfileTable):
    """One step of a log-in: what is waited for, and what is then sent."""

    expect: TextBytes = Field(min_length=1, description="what the device says, or the end of it: `Password:`")
    send: str = Field(description="what is sent then, its line end included; `{password}` stands for that of the config")


class Talk(ProfileTable):
    """How one talks with the device."""

    timeout: float = Field(default=1.0, gt=0, le=60, description="seconds within which an answer begins")
    pace: float = Field(default=0.0, ge=0, le=60, description="seconds that the device wants to be left alone after an answer")
    late: float = Field(default=0.3, ge=0, le=60, description="seconds within which an answer still comes that was given up on")
    echo: bool | None = Field(default=None, description="whether what is sent comes back first; left out: it is found out")
    prompt: TextBytes = Field(default=b"", description="what the device says when it is ready for a question: `>`")
    login: tuple[LoginRule, ...] = ()
    wake: TextBytes = Field(default=b"\r", description="what makes a device ask for the log-in again")
    login_refused: TextBytes = Field(default=b"", description="what it says when the password was wrong")

    @property
    def needs_password(self) -> bool:
        """Whether the log-in is impossible without a password."""
        return any(OF_CONFIG in step.send for step in self.login)

    def conversation_settings(self, password: SecretStr | None = None) -> ConversationSettings:
        """Return what a conversation goes by, the password put in where it belongs."""
        secret = "" if password is None else password.get_secret_value()
        return ConversationSettings(
            echo=self.echo,
            prompt=self.prompt,
            pacing_seconds=self.pace,
            late_answer_seconds=self.late,
            login=tuple(LoginStep(step.expect, SecretStr(step.send.replace(OF_CONFIG, secret))) for step in self.login),
            wake=self.wake,
            login_refused=self.login_refused,
        )


class Addresses(ProfileTable):
    """The addresses that devices have of their own where several hang on one line."""

    field: str = Field(description="the field of all templates that holds the address")
    first: int = 1
    last: int = 255
    among: tuple[str, ...] = Field(default=(), description="the addresses, where they are no numbers")
    usual: tuple[int | str, ...] = Field(min_length=1, description="those that a new device has: asked first")

    @property
    def all(self) -> Iterator[int | str]:
        """All addresses there are, the usual ones first."""
        yield from self.usual
        rest = self.among or range(self.first, self.last + 1)
        yield from (address for address in rest if address not in self.usual)

    @model_validator(mode="after")
    def _usual_ones_exist(self) -> Self:
        known = self.among or range(self.first, self.last + 1)
        if strange := [address for address in self.usual if address not in known]:
            raise ValueError(f"{strange[0]!r} is none of the addresses")
        return self


class Refusal(ProfileTable):
    """What a device answers that does not do what it is told, or does not know."""

    answer: str = Field(min_length=1)
    field: str | None = Field(default=None, description="the field with the reason")
    reasons: dict[str, str] = Field(default_factory=dict, description="what it means")
    reason: str = Field(default="the device refuses it", min_length=1, description="what is said where no reason is known")


class Query(ProfileTable):
    """A question that changes nothing, and what the answer tells."""

    name: Word
    ask: str | None = Field(default=None, description="left out: the codec knows")
    answer: Templates = Field(default=(), description="left out: the codec knows")
    group: str = "normal"
    optional: bool = Field(default=False, description="a device may refuse it; nobody needs to know")
    points: tuple[Point, ...] = ()


class Message(ProfileTable):
    """What the device says unasked."""

    name: Word
    says: Templates = Field(default=(), description="left out: the codec knows")
    points: tuple[Point, ...] = ()
    open: bool = Field(default=False, description="each other field is a metric too, called as the device calls it")


class Match(ProfileTable):
    """What proves that a device has this profile: an answer or a message."""

    ask: Word | None = Field(default=None, description="the query that is asked: one that every device may be asked without harm")
    hear: Word | None = Field(default=None, description="the message that is listened for")
    where: dict[str, str] = Field(default_factory=dict, description="field -> regular expression that it matches as a whole")
    within: float = Field(
        default=3.0, gt=0, le=60, description="seconds within which the message comes, where the device is there"
    )
    times: int = Field(default=1, ge=1, le=10, description="so many such messages are wanted, where one could be chance")
    certain: bool = Field(default=False, description="the maker says so itself, in words reserved for that")
    rank: int = Field(default=100, ge=0, le=999, description="what has the lowest is tried first: questions that confuse nobody")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        if (self.ask is None) == (self.hear is None):
            raise ValueError("a match says either what to `ask` or what to `hear`")
        if self.times > 1 and self.hear is None:
            raise ValueError("`times` belongs to what is heard")
        for pattern in self.where.values():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
        return self


class Telling(ProfileTable):
    """Where the device tells one fact about itself."""

    told: str = Field(pattern=r"^[a-z][a-z0-9_]*\..+$", description="query or message, and its field: `idn.serial`")
    hex: bool = Field(default=False, description="the field is a text written as hexadecimal digits")
    values: dict[str, str] = Field(default_factory=dict, description="what the answers mean")


Fact: TypeAlias = Annotated[Telling | None, BeforeValidator(_as_told)]


class WhoItIs(ProfileTable):
    """Where the device tells which one it is."""

    serial_number: Fact = None
    manufacturer: Fact = None
    model: Fact = None
    firmware_version: Fact = None
    sub_model: Fact = Field(default=None, description="where the profile does not say it")

    @property
    def facts(self) -> dict[str, Telling]:
        """Those that are told."""
        told = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: telling for name, telling in told.items() if telling is not None}


class CommandRule(ProfileTable):
    """A command: it is sent once, and is done when the device says or shows so."""

    name: str = Field(min_length=1, description="what the cloud calls the command")
    ask: str | None = Field(default=None, description="what is sent, with {parameters} in it; left out: the codec knows")
    parameters: dict[str, Parameter] = Field(default_factory=dict)
    answer: Templates = Field(default=(), description="what it answers when it has done it; left out: nothing is waited for")
    read_back: str | Literal[False] = Field(default=False, description="the metric that shows it afterwards; false: none does")
    shows: tuple[Plain, ...] = Field(default=(), description="what the metric shows then; left out: the only parameter's value")
    settles: float = Field(default=0.0, ge=0, le=60, description="seconds the device takes until the metric shows it")

    @model_validator(mode="before")
    @classmethod
    def _shows_one_or_several(cls, written: object) -> object:
        if isinstance(written, dict) and isinstance(written.get("shows"), bool | int | float | str):
            return {**written, "shows": (written["shows"],)}
        return written

    @model_validator(mode="after")
    def _is_checked_one_way(self) -> Self:
        if self.shows and not self.read_back:
            raise ValueError("`shows` belongs to a `read_back` that names a metric")
        if self.read_back and not self.shows and len(self.parameters) != 1:
            raise ValueError("say what the metric `shows`: the command has not exactly one parameter")
        if not self.read_back and not self.answer:
            raise ValueError("say how it is known that it was done: by an `answer`, or by the metric to `read_back`")
        return self
