"""Define what page and API show of the actions on devices: declared commands, their checks, their refusals. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, Field

from gateway.models import Confidence
from gateway.status.model import StatusModel, Text


class DeclaredCommand(StatusModel):
    """One command that a child declares."""

    name: str
    title: Text
    description: Text = ""
    parameters: dict[str, Any] = Field(description="the JSON Schema of its parameters")
    is_proven: bool = Field(description="the device is read back, so `done` means that it has acted")
    is_dangerous: bool = Field(description="it may harm people, equipment or supply, and needs the right to administer")
    needs_confirmation: bool = Field(description="it is carried out only when the request says that a person has confirmed it")
    metrics: tuple[Text, ...] = Field(default=(), description="the metrics that it sets")
    refusal: Text | None = Field(default=None, description="why it cannot be sent, by the configuration of the gateway")


class DeclaredCommands(StatusModel):
    """The commands that a child declares."""

    commands: tuple[DeclaredCommand, ...] = ()
    problem: Text | None = Field(default=None, description="why the device cannot be asked for them")

    def find(self, name: str) -> DeclaredCommand | None:
        """Return the command of this name."""
        return next((one for one in self.commands if one.name == name), None)


class Problem(StrEnum):
    """What kind of problem an action meets."""

    UNKNOWN = "unknown"
    """There is no such device or command (any more)."""
    INVALID = "invalid"
    """What was given is wrong."""
    REFUSED = "refused"
    """It cannot be done, or not now."""

    @property
    def http_status(self) -> int:
        """The status of the response that tells it."""
        return {Problem.UNKNOWN: 404, Problem.INVALID: 422, Problem.REFUSED: 409}[self]


class ActionProblem(StatusModel):
    """Why an action was not begun. Nothing was sent to a device."""

    kind: Problem
    error: Text
    fields: dict[Text, Text] = Field(default_factory=dict, description="what is wrong with each parameter, by name")


class CommandPlan(StatusModel):
    """What a command would do."""

    parameters: dict[Text, Text] = Field(default_factory=dict, description="as they would be sent; secret ones are masked")
    writes: tuple[Text, ...] = Field(default=(), description="what would be sent, one sentence a step; empty where unknown")


class LookKind(StrEnum):
    """What a look at a device asks."""

    IDENTIFY = "identify"
    """Who it is."""
    READ = "read"
    """Who it is, and all of its values."""


class LookState(StrEnum):
    """How far a look is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class FoundFacts(StatusModel):
    """What a device says about itself now."""

    name: Text
    address: Text
    identity: Text = Field(description="the local key that follows from it")
    is_same: bool = Field(description="it is the device that was looked for, and not another one at its address")
    profile: Text | None = None
    family: Text | None = None
    sub_model: Text | None = None
    confidence: Confidence = Confidence.POSSIBLE
    manufacturer: Text | None = None
    model: Text | None = None
    serial_number: Text | None = None
    mac: Text | None = None
    firmware_version: Text | None = None
    evidence: dict[Text, Text] = Field(default_factory=dict, description="the questions of its identification, and the answers")
    says: dict[Text, Text] = Field(default_factory=dict, description="the values that it sends unasked right now")


class ReadValue(StatusModel):
    """One value that was read once."""

    metric: Text
    value: bool | int | float | Text | None
    unit: Text | None = None
    title: Text | None = Field(default=None, description="what a person calls it, where the device has said so")
    decimals: int | None = Field(default=None, description="how many decimals a person reads, where the device has said so")
    at: AwareDatetime


class Look(StatusModel):
    """The last look of a person at a device."""

    kind: LookKind
    state: LookState
    started_at: AwareDatetime
    ended_at: AwareDatetime | None = None
    progress: Text | None = None
    problem: Text | None = Field(default=None, description="why it failed, in plain words")
    found: FoundFacts | None = None
    values: tuple[ReadValue, ...] = ()
    sends_by_itself: bool = Field(default=False, description="the device is never asked for values: it sends them")
    has_no_profile: bool = Field(default=False, description="no profile fits, so its values cannot be read")


class AskedOfChild(StatusModel):
    """What a person asks to be done with a child: it is done when the cloud answers."""

    what: Text = Field(description="`retire`, `retire_here`, `replace` or `register`")
    at: AwareDatetime
    successor: Text | None = Field(default=None, description="the name of the device that takes its place")


class Successor(StatusModel):
    """A device that could go on as a child whose device is gone."""

    id: str = Field(description="its id in addresses of this API")
    key: Text
    name: Text
    place: Text
    serial_number: Text | None = None
    profile: Text | None = None
    is_at_its_address: bool = Field(description="it answers where the child was")
    is_alike: bool = Field(description="it is read by the same profile")


class Frame(StatusModel):
    """One frame between the gateway and a device."""

    at: str | None = Field(default=None, description="the time of day in UTC")
    time: AwareDatetime | None = Field(default=None, description="when it was sent or began to arrive, by the gateway's clock")
    direction: str | None = Field(default=None, description="`sent` or `received`, by the gateway")
    bytes: str = Field(description="as hex digits; a note where it may contain a secret")
    text: str | None = Field(default=None, description="the bytes as characters, where most of them are printable")
    meaning: Text | None = Field(default=None, description="what it says, in words, where the adapter knows the protocol")
    is_wrong: bool = Field(default=False, description="it is damaged, an error, or not what was asked for")


class Frames(StatusModel):
    """The last frames of a device, the oldest first."""

    frames: tuple[Frame, ...] = ()
    is_of_bus: bool = Field(default=False, description="they are those of the whole bus, since the adapter names no addresses")
    problem: Text | None = Field(default=None, description="why there are none")
