"""The nouns: what every part of the gateway talks about. Frozen, complete when made, and nothing here waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Self, TypeAlias, overload

Value: TypeAlias = bool | int | float | str | None
"""What a metric can be. `None` means that the device itself says "not available"; the cloud then drops the key."""

RESERVED_METRICS = frozenset({"status"})
"""Keys that the cloud writes itself into a device's state (device API reference, section 5.1)."""

NAME_LENGTH = 100
"""A name that a person gives has at most so many characters."""


def parse_name(text: str) -> str:
    """Return what a person typed as the name of a device, its spaces tidied.

    Raises:
        ValueError: nobody could read it; the text says why, in words for that person.
    """
    name = " ".join(text.split())
    if not 1 <= len(name) <= NAME_LENGTH:
        raise ValueError(f"a name has 1 to {NAME_LENGTH} characters, this one has {len(name)}")
    if not name.isprintable():
        raise ValueError(
            "a name holds nothing but letters, digits, signs and spaces; this one holds something that cannot be seen"
        )
    return name


class Reduce(StrEnum):
    """How the values of one metric within one telemetry interval become the one that is sent."""

    LAST = "last"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"


@dataclass(frozen=True, slots=True)
class Metric:
    """What is measured: one object for each point of a profile, shared by all its readings.

    Raises:
        ValueError: the name is empty or one that the cloud keeps for itself.
    """

    name: str
    unit: str | None = None
    urgent: bool = False
    """A changed value is told at once instead of at the next telemetry interval."""
    reduce: Reduce = Reduce.LAST
    dead_band: float | None = None
    """A number that is at least so far from what was last told is told at once; `None` when it can always wait."""
    is_event: bool = False
    """Something that happens, like a press of a button: urgent each time, also when it is the same again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "urgent", self.urgent or self.is_event)
        if not self.name or self.name in RESERVED_METRICS:
            raise ValueError(f"a metric cannot be called {self.name!r}: the cloud keeps that key for itself")


class Reading(NamedTuple):
    """One value of one metric of one child at one moment."""

    child: str
    """The child's local key."""
    metric: Metric
    value: Value
    at: datetime
    """Aware, UTC."""


class MetricRow:
    """The metrics that are always read together, in the order of their values: made once, for many blocks."""

    __slots__ = ("metrics", "names", "plain")

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self.metrics = tuple(metrics)
        self.names = tuple(metric.name for metric in self.metrics)
        self.plain = all(
            metric.reduce is Reduce.LAST and not metric.urgent and metric.dead_band is None for metric in self.metrics
        )
        """Only the latest value counts and none is ever urgent, so that a block can be taken in as a whole."""


class Block(Sequence[Reading]):
    """The readings of one transaction, kept as columns: a sequence of readings that costs no object for each of them."""

    __slots__ = ("at", "child", "row", "values")

    def __init__(self, child: str, row: MetricRow, values: Sequence[Value], at: datetime) -> None:
        self.child = child
        self.row = row
        self.values = values
        """One for each metric of the row."""
        self.at = at

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Reading]:
        for metric, value in zip(self.row.metrics, self.values, strict=True):
            yield Reading(self.child, metric, value, self.at)

    @overload
    def __getitem__(self, index: int) -> Reading: ...
    @overload
    def __getitem__(self, index: slice) -> list[Reading]: ...
    def __getitem__(self, index: int | slice) -> Reading | list[Reading]:
        if isinstance(index, slice):
            return list(self)[index]
        return Reading(self.child, self.row.metrics[index], self.values[index], self.at)


class IdentityKind(StrEnum):
    """What an identity rests on, the strongest first."""

    SERIAL_NUMBER = "sn"
    MAC = "mac"
    FINGERPRINT = "fingerprint"
    """A constant of the device that no other unit on the site shares, found in its own registers or adverts."""
    PLACE = "place"
    """Nothing in the device tells it from its twin, so where it hangs is all there is: does not survive a move."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a device is, whichever port, address or host it is met at."""

    kind: IdentityKind
    value: str
    """Unique within its kind on the site. A serial number is prefixed by its maker: `schneider-electric/123456`."""

    @property
    def key(self) -> str:
        """The stable local key of the child with this identity."""
        return f"{self.kind}:{self.value}"


class Confidence(StrEnum):
    """How sure an adapter is of what it says a device is."""

    CERTAIN = "certain"
    """The device says so itself, in words or numbers that its maker reserves for that."""
    LIKELY = "likely"
    """What it answers fits, and nothing else that is known does."""
    POSSIBLE = "possible"
    """It answers, and a person has said what it is, or has to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device that an adapter met on a bus."""

    address: str
    """How its adapter reaches it on this bus: a unit id, a MAC. Opaque to everybody else."""
    identity: Identity
    name: str
    """What a person would call it before anybody has named it."""
    profile: str | None = None
    """The profile that fits; `None` when none does."""
    family: str | None = None
    """The profile's family, which the `[models]` table of the config maps to a Xyte model id."""
    sub_model: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial_number: str | None = None
    mac: str | None = None
    firmware_version: str | None = None
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was asked -> what the device answered, for a person who doubts."""
    says: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What it tells unasked right now, for a person: `temperature` -> `21.5 °C`. Says nothing of who it is."""
    confidence: Confidence = Confidence.POSSIBLE
    """How sure it is that the profile fits."""

    def as_child(self, *, adapter: str, bus: str, model_id: str = "") -> ChildDevice:
        """Return the child that it becomes; without a model id, one that is read and never registered.

        Args:
            adapter: the name of the `[[adapter]]` entry that found it.
            bus: the label of the bus that it was met on.
            model_id: the Xyte model that it is registered under.
        """
        return ChildDevice(
            key=self.identity.key,
            adapter=adapter,
            bus=bus,
            address=self.address,
            profile=self.profile,
            family=self.family,
            model_id=model_id,
            sub_model=self.sub_model,
            firmware_version=self.firmware_version,
            name=self.name,
            serial_number=self.serial_number,
            mac=self.mac,
            manufacturer=self.manufacturer,
            model=self.model,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a discovery has come."""

    done: int
    total: int | None
    """`None` when nobody can know."""
    note: str
    """What was just tried, for a person: `unit 17`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildDevice:
    """An admitted device: one that the gateway speaks for."""

    key: str
    """`Identity.key`: the same for the life of the device."""
    adapter: str
    """The name of the `[[adapter]]` entry that found it."""
    bus: str
    """The label of the bus that it was last met on."""
    address: str
    profile: str | None
    family: str | None
    model_id: str
    """The Xyte model that it is registered under."""
    sub_model: str | None
    firmware_version: str | None
    name: str
    found_as: str | None = None
    """The name under which it was found, while a person has given it another."""
    serial_number: str | None = None
    mac: str | None = None
    manufacturer: str | None = None
    model: str | None = None

    def with_name(self, name: str | None) -> ChildDevice:
        """Return it under the name that a person has given it; `None` is the one under which it was found."""
        found_as = self.name if self.found_as is None else self.found_as
        return replace(self, name=found_as, found_as=None) if name is None else replace(self, name=name, found_as=found_as)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRead:
    """What reading one poll group of one device costs its bus, by plan."""

    address: str
    name: str
    """What a person calls the device."""
    group: str
    every: timedelta
    seconds: float
    """How long the bus is taken each time."""
    transactions: int

    @property
    def load(self) -> float:
        """The share of the bus's time that it takes."""
        return self.seconds / self.every.total_seconds()


class Reach(StrEnum):
    """Whether a child can be spoken with."""

    UNKNOWN = "unknown"
    """Not asked since the start."""
    REACHABLE = "reachable"
    SILENT = "silent"


class Status(StrEnum):
    """The status words of a telemetry message (device API reference, section 5.1)."""

    ONLINE = "online"
    OFFLINE = "offline"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Sample:
    """What the cloud is to learn of one child for one moment."""

    child: str
    at: datetime
    """Aware, UTC."""
    status: Status
    values: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Command:
    """What the hub wants one child, or the gateway itself, to do."""

    id: int | str
    """Opaque: given back exactly as it came."""
    child: str | None
    """The child's local key; `None` for the gateway itself."""
    name: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """How a command ended."""

    command_id: int | str
    succeeded: bool
    message: str | None
    """For the operator in the cloud; always there when it failed."""


class FindingState(StrEnum):
    """How something that `doctor` looked at stands."""

    FINE = "fine"
    WARNING = "warning"
    """It works, or nobody needs it now; what it says will matter one day."""
    FAULT = "fault"
    """Something that the configuration wants cannot work like this."""
    NOT_LOOKED_AT = "not looked at"
    """It could not be, or need not be: the meaning says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `doctor` looked at, what that means, and the one line that mends it.

    What is said is made printable and put into one line: some of it comes from devices, programs and servers. No secret is in it.

    Raises:
        ValueError: a warning or a fault says nothing that mends it.
    """

    what: str
    """What was looked at, in a word or two: `disk space`."""
    state: FindingState
    meaning: str
    """In plain words, for who runs this machine."""
    fix: str | None = None
    """What to do: the command to type, or the line to write into the config."""

    def __post_init__(self) -> None:
        for name in ("what", "meaning", "fix"):
            if (said := getattr(self, name)) is not None:
                object.__setattr__(self, name, _in_one_line(said))
        if not self.fix and self.state in (FindingState.WARNING, FindingState.FAULT):
            raise ValueError(f"{self.what}: a {self.state} has to say what mends it")

    @classmethod
    def fine(cls, what: str, meaning: str) -> Self:
        """Return that it is as it should be."""
        return cls(what, FindingState.FINE, meaning)

    @classmethod
    def warning(cls, what: str, meaning: str, fix: str) -> Self:
        """Return that it will matter one day."""
        return cls(what, FindingState.WARNING, meaning, fix)

    @classmethod
    def fault(cls, what: str, meaning: str, fix: str) -> Self:
        """Return that something cannot work like this."""
        return cls(what, FindingState.FAULT, meaning, fix)

    @classmethod
    def not_looked_at(cls, what: str, meaning: str, fix: str | None = None) -> Self:
        """Return that it was not looked at, and why."""
        return cls(what, FindingState.NOT_LOOKED_AT, meaning, fix)

    def within(self, entry: str) -> Finding:
        """Return the same, named as a thing of this entry of the config."""
        return replace(self, what=f"{entry}: {self.what}")


def _in_one_line(said: str) -> str:
    """Return a text without what could break a line or steer a terminal."""
    words = " ".join(said.split())
    return words if words.isprintable() else "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
