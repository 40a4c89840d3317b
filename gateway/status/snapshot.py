"""What is shown of the gateway at one moment: the models behind the page and the schema of the JSON API. Nothing here waits.

No model has a field for a key or a token, so none can be shown.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from gateway.models import Confidence, Reach
from gateway.state.records import ChildState, Decision

TEXT_LENGTH: Final = 300
"""What devices and servers say is shown up to here: a name from the air may be anything."""

_BETWEEN = "\x1f"  # stands in no name that a config can hold


def readable(said: object) -> object:
    """Return a text without what could break a line, an encoding or the reading direction; anything else as it is."""
    said = without_surprises(said)
    return said if not isinstance(said, str) or len(said) <= TEXT_LENGTH else said[: TEXT_LENGTH - 1] + "…"


def without_surprises(said: object) -> object:
    """Return a text of the same length that cannot break a line, an encoding or the reading direction; anything else as it is."""
    if not isinstance(said, str) or said.isprintable():
        return said
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "\ufffd" for letter in said)


Text = Annotated[str, BeforeValidator(readable)]
"""Words that come from outside: shown, never interpreted."""


def id_of(*names: str) -> str:
    """Return the one word by which something with these names is called in addresses of the page and the API."""
    return base64.urlsafe_b64encode(_BETWEEN.join(names).encode("utf-8", "surrogatepass")).decode().rstrip("=")


def names_of(word: str) -> tuple[str, ...]:
    """Return the names that `id_of` made this word of; none if it did not make it."""
    try:
        whole = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
        return tuple(whole.decode("utf-8", "surrogatepass").split(_BETWEEN))
    except ValueError:  # not of that alphabet, or not a text
        return ()


class Standing(StrEnum):
    """How a child stands, in one word for a person; the one that most needs a person first."""

    REFUSED = "refused"
    """The cloud does not take it."""
    SILENT = "silent"
    UNREGISTERED = "unregistered"
    """The cloud does not know it yet."""
    UNASKED = "unasked"
    """Not spoken with since the start."""
    FINE = "fine"
    DELETED = "deleted"
    """Deleted in the cloud and, by setting, left at that."""

    @property
    def is_trouble(self) -> bool:
        """Something keeps its values from arriving."""
        return self in _TROUBLES


_TROUBLES: Final = frozenset({Standing.REFUSED, Standing.SILENT, Standing.UNREGISTERED})
_BY_STATE: Final = {ChildState.REFUSED: Standing.REFUSED, ChildState.DELETED: Standing.DELETED}
_BY_REACH: Final = {Reach.UNKNOWN: Standing.UNASKED, Reach.REACHABLE: Standing.FINE}


def standing_of(registration: ChildState, reach: Reach) -> Standing:
    """Return the one word for a child: the worst that is true of it."""
    if registration in _BY_STATE:
        return _BY_STATE[registration]
    if reach is Reach.SILENT:
        return Standing.SILENT
    return _BY_REACH[reach] if registration is ChildState.REGISTERED else Standing.UNREGISTERED


class Shown(BaseModel):
    """Anything that is shown: frozen, and nothing in it that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class HubContact(Shown):
    """How the cloud answers."""

    is_reachable: bool | None = Field(description="whether the hub answers; null before it was first asked")
    since: AwareDatetime | None = Field(default=None, description="since when it does, or does not")
    problem: Text | None = Field(default=None, description="why it is not spoken with, in plain words")
    next_try_at: AwareDatetime | None = Field(default=None, description="when it is asked next, while it does not answer")


class GatewayShown(Shown):
    """The gateway itself. Its key is nowhere in here."""

    name: Text
    version: str
    started_at: AwareDatetime
    serial_number: Text | None = None
    mac: str | None = None
    is_registered: bool
    is_claimed: bool | None = Field(default=None, description="whether a customer has claimed it; null before the hub has said")
    device_id: Text | None = Field(default=None, description="its id in the cloud")
    hub_url: Text | None = None
    entry_url: Text | None = None
    problem: Text | None = Field(default=None, description="why it is not registered, in plain words")
    next_try_at: AwareDatetime | None = Field(default=None, description="when registration is tried again, while it is refused")
    hub: HubContact
    notice: Text | None = Field(default=None, description="what whoever runs it should know besides")
    store_problem: Text | None = Field(default=None, description="why nothing can be stored")


class LossShown(Shown):
    """Samples that will never arrive, by reason."""

    why: Text
    samples: int
    children: int
    first_at: AwareDatetime
    last_at: AwareDatetime


class OutboxShown(Shown):
    """What the hub has not accepted yet."""

    depth: int = Field(description="how many samples wait")
    capacity: int = Field(description="how many there is room for, before older ones are thinned")
    oldest_at: AwareDatetime | None = Field(default=None, description="from when the oldest waiting sample is")
    lost: int = Field(default=0, description="how many will never arrive, since the store was made")
    losses: tuple[LossShown, ...] = ()

    @property
    def fill(self) -> float:
        """The share of its room that is taken."""
        return self.depth / self.capacity if self.capacity else 1.0


class Search(Shown):
    """How far looking for new devices has come."""

    done: int
    total: int | None = None
    note: Text


class Share(Shown):
    """What one device takes of its bus."""

    name: Text
    load: float = Field(description="share of the bus's time, by plan")


class BusShown(Shown):
    """One bus, its plan beside its life."""

    id: str = Field(description="what it is called in addresses of this API")
    entry: Text = Field(description="the name of its [[adapter]] entry")
    bus: Text
    problem: Text | None = Field(default=None, description="why it is not open, in plain words")
    plan: float = Field(description="share of its time that reading takes by plan")
    limit: float = Field(description="share of its time that reading may take")
    stretch: float = Field(default=1.0, description="how much longer than configured all intervals are")
    load: dict[str, float] = Field(default_factory=dict, description="what its time went into lately, in shares")
    heaviest: tuple[Share, ...] = Field(default=(), description="the devices that take most of it by plan")
    discovery: Search | None = None
    waiting_commands: int = 0
    standings: dict[Standing, int] = Field(default_factory=dict, description="how many of its children stand how")

    @property
    def live_load(self) -> float:
        """The share of its time that was taken lately, for whatever purpose."""
        return min(sum(self.load.values()), 1.0)


class ChildLine(Shown):
    """One child in one line."""

    id: str = Field(description="what it is called in addresses of this API")
    key: Text = Field(description="its stable local identity")
    name: Text
    found_as: Text | None = Field(default=None, description="the name it was found under, where a person has given it another")
    entry: Text
    bus: Text
    bus_id: str
    address: Text
    kind: Text | None = Field(default=None, description="maker and model")
    standing: Standing
    since: AwareDatetime | None = Field(default=None, description="since when it stands like this")
    why: Text | None = Field(default=None, description="why it is not fine, in plain words")
    next_try_at: AwareDatetime | None = Field(default=None, description="when it is asked again, while it is silent")


class Child(Shown):
    """Everything that is known of one child but its values. Its key is nowhere in here."""

    line: ChildLine
    identity_kind: Text = Field(description="what its identity rests on")
    evidence: dict[Text, Text] = Field(default_factory=dict, description="what was asked, and what the device answered")
    manufacturer: Text | None = None
    model: Text | None = None
    serial_number: Text | None = None
    mac: Text | None = None
    firmware_version: Text | None = None
    profile: Text | None = None
    family: Text | None = None
    model_id: Text = Field(description="the Xyte model that it is registered under")
    sub_model: Text | None = None
    device_id: Text | None = Field(default=None, description="its id in the cloud")
    can_take_commands: bool = Field(default=True, description="false when its key was lost with the cloud's answer")
    registration: ChildState
    registered_since: AwareDatetime | None = None
    reach: Reach
    load: float = Field(default=0.0, description="share of the bus's time that it took lately")
    is_slow: bool = False
    remarks: tuple[Text, ...] = ()


class ValueShown(Shown):
    """The last value of one metric."""

    metric: Text
    value: bool | int | float | Text | None
    unit: Text | None = None
    at: AwareDatetime
    has_history: bool = False


class Series(Shown):
    """The last hour of one metric, a point each half minute; a point of nulls where there is a gap."""

    metric: Text
    unit: Text | None = None
    at: tuple[int, ...] = Field(description="seconds since 1970, the middle of each half minute")
    low: tuple[float | None, ...]
    mean: tuple[float | None, ...]
    high: tuple[float | None, ...]


class ChangeShown(Shown):
    """A child fell silent, or was back."""

    at: AwareDatetime
    reach: Reach
    why: Text | None = None


class ChildReport(Shown):
    """One child with its last values and what became of it."""

    child: Child
    values: tuple[ValueShown, ...] = ()
    errors: dict[Text, int] = Field(default_factory=dict, description="unanswered transactions since the start, by reason")
    changes: tuple[ChangeShown, ...] = Field(default=(), description="when it fell silent and was back, the latest first")


class WaitingDevice(Shown):
    """A device that was found and is no child."""

    id: str = Field(description="what it is called in addresses of this API")
    key: Text
    name: Text
    found_as: Text | None = Field(default=None, description="the name it was found under, where a person has given it another")
    entry: Text
    bus: Text
    address: Text
    found_at: AwareDatetime
    why: Text = Field(description="why it is no child, and what would make it one")
    decision: Decision | None = None
    profile: Text | None = Field(default=None, description="the profile by which it would be read")
    family: Text | None = None
    model_id: Text | None = Field(default=None, description="the Xyte model that it would be registered under")
    sub_model: Text | None = None
    confidence: Confidence = Confidence.POSSIBLE
    manufacturer: Text | None = None
    model: Text | None = None
    serial_number: Text | None = None
    mac: Text | None = None
    firmware_version: Text | None = None
    evidence: dict[Text, Text] = Field(default_factory=dict)
    says: dict[Text, Text] = Field(default_factory=dict, description="what it tells unasked right now")


class Snapshot(Shown):
    """Everything but the details of single children, at one moment."""

    at: AwareDatetime
    gateway: GatewayShown
    outbox: OutboxShown
    buses: tuple[BusShown, ...] = ()
    children: tuple[ChildLine, ...] = ()
    waiting: tuple[WaitingDevice, ...] = ()

    @property
    def undecided(self) -> tuple[WaitingDevice, ...]:
        """The devices of which a person has not said that they are to be ignored."""
        return tuple(one for one in self.waiting if one.decision is not Decision.IGNORE)


def count_standings(children: Iterable[ChildLine]) -> dict[Standing, int]:
    """Return how many children stand how, the worst first; without those that none stands like."""
    counts = Counter(child.standing for child in children)
    return {standing: counts[standing] for standing in Standing if counts[standing]}
