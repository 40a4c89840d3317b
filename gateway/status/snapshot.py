"""Define the models behind the status page and the schema of the JSON API: the state of the gateway at one moment. Pure.

No model has a field for a key or a token, so none can be shown by mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from pydantic import AwareDatetime, Field

from gateway.causes import Cause
from gateway.models import Confidence, Reach
from gateway.state.child_states import ChildState
from gateway.state.records import Decision
from gateway.status.cloud_activity import CloudActivity
from gateway.status.languages.texts import gettext_noop
from gateway.status.model import StatusModel, Text
from gateway.status.series.levels import BIN_SECONDS, Kind, Range


class ChildStatus(StrEnum):
    """The status of a child in one word, the one that most needs a person first."""

    REFUSED = "refused"
    """The cloud refuses to register it."""
    HELD = "held"
    """A person has to say whether it replaces another child."""
    SILENT = "silent"
    UNREGISTERED = "unregistered"
    """It is not registered with the cloud yet."""
    UNMOVED = "unmoved"
    """It lives in the cloud under a former registration of the gateway."""
    UNASKED = "unasked"
    """It has not been read since the gateway started."""
    FINE = "fine"
    DELETED = "deleted"
    """It was deleted in the cloud, and the settings say not to register it again."""

    @property
    def is_trouble(self) -> bool:
        """Whether something keeps its values from arriving in the cloud."""
        return self in _TROUBLE


_TROUBLE: Final = frozenset(
    {ChildStatus.REFUSED, ChildStatus.HELD, ChildStatus.SILENT, ChildStatus.UNREGISTERED, ChildStatus.UNMOVED}
)
_BY_STATE: Final = {
    ChildState.REFUSED: ChildStatus.REFUSED,
    ChildState.HELD: ChildStatus.HELD,
    ChildState.DELETED: ChildStatus.DELETED,
}
_BY_REACH: Final = {Reach.UNKNOWN: ChildStatus.UNASKED, Reach.REACHABLE: ChildStatus.FINE}


def child_status(registration: ChildState, reach: Reach) -> ChildStatus:
    """Return the status of a child: the worst one that applies."""
    if registration in _BY_STATE:
        return _BY_STATE[registration]
    if reach is Reach.SILENT:
        return ChildStatus.SILENT
    if registration is ChildState.UNMOVED:
        return ChildStatus.UNMOVED
    return _BY_REACH[reach] if registration is ChildState.REGISTERED else ChildStatus.UNREGISTERED


class HubContact(StatusModel):
    """The connection to the hub."""

    is_reachable: bool | None = Field(description="whether the hub answers; null before the first call")
    since: AwareDatetime | None = Field(default=None, description="when it began to answer, or stopped answering")
    problem: Text | None = Field(default=None, description="why it cannot be used, in plain words, as of the last try")
    cause: Cause | None = Field(default=None, description="what kind of outage it is")
    next_step: Text | None = Field(default=None, description="what to do about it")
    tried_at: AwareDatetime | None = Field(default=None, description="time of the last call")
    tries: int = Field(default=0, description="number of calls in a row that failed")
    next_try_at: AwareDatetime | None = Field(default=None, description="time of the next try, while it does not answer")


class RecoverySummary(StatusModel):
    """Something that was lost with the store or a part of it, and how the gateway went on."""

    at: AwareDatetime
    text: Text


class FlashSummary(StatusModel):
    """What the gateway writes to its disk."""

    written_bytes: int = Field(description="bytes sent to the disk since the store was created, as the kernel counts them")
    bytes_per_day: float | None = Field(default=None, description="at the rate of the last days; null in the first five minutes")
    budget_bytes: float = Field(description="how many may be written in all: [store] write_budget_tb")
    years_left: float | None = Field(default=None, description="until the budget is used, at this rate")


class UpdateWay(StrEnum):
    """How the gateway is updated."""

    COMMAND = "command"
    CONTAINER = "container"
    BY_HAND = "by hand"


THE_CLOUD: Final = gettext_noop("the cloud")
UPDATE_STEPS: Final[Mapping[UpdateWay, str]] = {
    UpdateWay.COMMAND: gettext_noop("To install it, send the gateway the command `update_firmware` in the cloud."),
    UpdateWay.CONTAINER: gettext_noop(
        "To install it, on its host, in the folder of docker-compose.yml: `git pull`, then `docker compose up --build --detach`."
    ),
    UpdateWay.BY_HAND: gettext_noop("To install it, follow the README, then restart it: `sudo systemctl restart xyte-gateway`."),
}
"""What to do about a newer version."""


class UpdateNotice(StatusModel):
    """A newer version of the gateway."""

    version: Text
    told_by: Text = Field(description="who says that there is one: the cloud, or the host of [status] update_check")
    what_to_do: Text


class GatewaySummary(StatusModel):
    """The gateway itself, without its key."""

    name: Text
    version: str
    started_at: AwareDatetime
    serial_number: Text | None = None
    mac: str | None = None
    is_registered: bool
    is_claimed: bool | None = Field(default=None, description="whether a customer has claimed it; null until the hub has said so")
    claim_url: Text | None = Field(default=None, description="where it is claimed, as configured; null once it is claimed")
    claim_text: Text | None = Field(
        default=None, description="what the QR code contains by which it is claimed; null without one"
    )
    device_id: Text | None = Field(default=None, description="its id in the cloud")
    hub_url: Text | None = None
    entry_url: Text | None = None
    problem: Text | None = Field(default=None, description="why it is not registered, in plain words")
    is_key_refused: bool = Field(default=False, description="whether the cloud refuses its hardware key")
    cause: Cause | None = Field(default=None, description="what keeps it from being registered")
    next_step: Text | None = Field(default=None, description="what to do about it")
    tried_at: AwareDatetime | None = Field(default=None, description="time of the last registration that failed")
    tries: int = Field(default=0, description="number of registrations in a row that failed")
    next_try_at: AwareDatetime | None = Field(default=None, description="time of the next registration, while it is refused")
    hub: HubContact
    update: UpdateNotice | None = Field(default=None, description="a newer version; null where none is known")
    notice: Text | None = Field(default=None, description="something else that its operator should know")
    store_problem: Text | None = Field(default=None, description="why nothing can be stored")
    clock_problem: Text | None = Field(default=None, description="how far the clock is from that of the cloud, if too far")
    recoveries: tuple[RecoverySummary, ...] = Field(
        default=(), description="what happened to the store within the last week, and what was lost, the latest first"
    )
    identity_question: Text | None = Field(
        default=None, description="what a person has to decide, since the store comes from another machine"
    )
    flash: FlashSummary | None = Field(
        default=None, description="what it writes to its disk; null where the kernel does not tell"
    )
    mirror_problem: Text | None = Field(default=None, description="why the copy of the identities is not up to date")
    rows_set_aside: int = Field(
        default=0, description="number of stored rows that could not be read or sent, since the store was created"
    )


class LossSummary(StatusModel):
    """Samples that will never arrive in the cloud, for one reason."""

    why: Text
    samples: int
    children: int
    first_at: AwareDatetime
    last_at: AwareDatetime


class DrainSummary(StatusModel):
    """A backlog that is being sent, after an outage for example."""

    since: AwareDatetime
    sent: int = Field(description="samples that were sent since then, also newer ones")
    left: int = Field(description="samples that still wait")
    seconds_left: float | None = Field(
        default=None, description="how long that takes, at the speed so far; null while it is not known"
    )


class RefusalSummary(StatusModel):
    """Samples that the hub refuses without a reason of its documentation: they are kept, and sent again later."""

    samples: int
    children: int
    why: Text | None = Field(default=None, description="the hub's latest reason")


class OutboxSummary(StatusModel):
    """The samples that the hub has not accepted yet."""

    depth: int = Field(description="number of samples in the outbox")
    capacity: int = Field(description="number of samples that fit before older ones are thinned out")
    oldest_at: AwareDatetime | None = Field(default=None, description="time of the oldest sample in it")
    lost: int = Field(default=0, description="number of samples that will never arrive, since the store was created")
    losses: tuple[LossSummary, ...] = ()
    size_bytes: int = Field(default=0, description="what they take up in the store, about")
    capacity_bytes: int | None = Field(
        default=None, description="what they may take up before older ones are thinned out, by the settings and the free disk"
    )
    bytes_a_day: int | None = Field(default=None, description="bytes that are put in a day, as of the last hours")
    holds_seconds: float | None = Field(
        default=None,
        description="how long nothing is lost at that rate while the hub takes nothing; null while that is not known",
    )
    drain: DrainSummary | None = Field(default=None, description="the backlog that is being sent; null without one")
    refused: RefusalSummary | None = Field(
        default=None, description="the samples that the hub refuses for now; null when there are none"
    )

    waits_for_clock: bool = Field(
        default=False, description="samples were taken before the clock was set; they are sent when the time is known"
    )

    @property
    def fill(self) -> float:
        """The share of its capacity that is used, in samples or bytes, whichever is more."""
        of_bytes = self.size_bytes / self.capacity_bytes if self.capacity_bytes else 0.0
        return max(self.depth / self.capacity, of_bytes) if self.capacity else 1.0


class DiscoveryProgress(StatusModel):
    """The progress of a search for new devices."""

    done: int
    total: int | None = None
    note: Text


class DeviceLoad(StatusModel):
    """The share of a bus that one device takes."""

    name: Text
    load: float = Field(description="share of the bus's time, by plan")


class BusSummary(StatusModel):
    """One bus: its planned load and its measured load."""

    id: str = Field(description="its id in addresses of this API")
    entry: Text = Field(description="the name of its [[adapter]] entry")
    bus: Text
    problem: Text | None = Field(default=None, description="why it is not open, in plain words, as of the last try")
    cause: Cause | None = Field(default=None, description="what kind of outage it is")
    next_step: Text | None = Field(default=None, description="what to do about it")
    since: AwareDatetime | None = Field(default=None, description="when it failed first")
    tried_at: AwareDatetime | None = Field(default=None, description="time of the last try to open it, while it is not open")
    tries: int = Field(default=0, description="number of tries that failed since then")
    next_try_at: AwareDatetime | None = Field(default=None, description="time of the next try, while it is not open")
    plan: float = Field(description="share of its time that reading takes, by plan")
    limit: float = Field(description="share of its time that reading may take")
    stretch: float = Field(default=1.0, description="factor by which all intervals are longer than configured")
    load: dict[str, float] = Field(default_factory=dict, description="shares of its time that were used lately, by purpose")
    heaviest: tuple[DeviceLoad, ...] = Field(default=(), description="the devices that take the largest shares, by plan")
    discovery: DiscoveryProgress | None = None
    waiting_commands: int = 0
    refused: dict[str, int] = Field(
        default_factory=dict, description="readings and other data of its adapter that were refused since the start, by reason"
    )
    remarks: tuple[Text, ...] = Field(default=(), description="what an operator should know about it besides, in plain words")
    standings: dict[ChildStatus, int] = Field(default_factory=dict, description="number of its children by status")

    @property
    def live_load(self) -> float:
        """The share of its time that was used lately, for all purposes together."""
        return min(sum(self.load.values()), 1.0)


class ChildSummary(StatusModel):
    """One child, as a row of a list."""

    id: str = Field(description="its id in addresses of this API")
    key: Text = Field(description="its stable local identity")
    name: Text
    found_as: Text | None = Field(default=None, description="the name it was found under, if a person has renamed it")
    entry: Text
    bus: Text
    bus_id: str
    address: Text
    kind: Text | None = Field(default=None, description="maker and model")
    family: Text | None = None
    serial_number: Text | None = None
    standing: ChildStatus
    since: AwareDatetime | None = Field(default=None, description="when it got this status")
    why: Text | None = Field(default=None, description="why it is not fine, or gives no values although it answers, in words")
    cause: Cause | None = Field(default=None, description="the same as one of the known causes")
    stems_from: str | None = Field(default=None, description="id of the bus that does not work, where that is the cause")
    next_try_at: AwareDatetime | None = Field(default=None, description="time of the next try, while it is silent")
    answered_at: AwareDatetime | None = Field(
        default=None, description="when it last answered, also before the start of the gateway; null while it answers"
    )
    is_from_before: bool = Field(
        default=False, description="it has not been asked since the start: what is said of it is of the time before"
    )
    alarms: tuple[Text, ...] = Field(default=(), description="what a person has to look at, and what to do")


class ChildDetails(StatusModel):
    """Everything that is known about one child except its values and its key."""

    line: ChildSummary
    identity_kind: Text = Field(description="what its identity is based on")
    evidence: dict[Text, Text] = Field(default_factory=dict, description="the questions of its identification, and the answers")
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
    can_take_commands: bool = Field(default=True, description="false when its key was lost with a response of the cloud")
    registration: ChildState
    registered_since: AwareDatetime | None = None
    reach: Reach
    next_step: Text | None = Field(default=None, description="what to do while it is not fine, or gives no values")
    tries: int = Field(default=0, description="number of unanswered tries in a row")
    load: float = Field(default=0.0, description="share of the bus's time that it used lately")
    is_slow: bool = False
    remarks: tuple[Text, ...] = ()


class LatestValue(StatusModel):
    """The last value of one metric."""

    metric: Text
    value: bool | int | float | Text | None
    unit: Text | None = None
    at: AwareDatetime
    has_history: bool = False
    title: Text | None = Field(default=None, description="what its profile calls it; null to make it from the name")
    decimals: int | None = Field(default=None, description="the decimals that its profile wants a person to be shown")
    is_headline: bool = Field(default=False, description="its profile names it as one of the two values for lists")
    kind: Kind | None = Field(default=None, description="what its values are; null when no values over time are kept")
    is_unkept: bool = Field(default=False, description="its values over time would be kept if there were fewer metrics")


class NoChart(StrEnum):
    """Why there are no values of a metric over time."""

    UNKNOWN = "unknown"
    """The device has sent no such metric since the gateway started, and none is kept from before."""
    NOT_DRAWN = "not_drawn"
    """It has sent nothing that can be drawn: no number, no switch, no word."""
    FULL = "full"
    """There are more metrics than the memory for charts takes."""
    NOT_KEPT = "not_kept"
    """There are more metrics than the history file takes, or there is no such file; the last hour is there."""


class MetricHistory(StatusModel):
    """The values of one metric in a range of time, one point for each bin; a point of nulls marks a gap."""

    metric: Text
    unit: Text | None = None
    kind: Kind = Field(default=Kind.NUMBER, description="of a `switch`, a mean is the share of the time in which it was on")
    words: tuple[Text, ...] = Field(
        default=(), description="of `words`: what the numbers in low, mean (the last one) and high mean"
    )
    range: Range = Range.HOUR
    step_seconds: int = Field(default=BIN_SECONDS, description="the length of a bin")
    at: tuple[int, ...] = Field(description="seconds since 1970, the middle of each bin")
    low: tuple[float | None, ...]
    mean: tuple[float | None, ...]
    high: tuple[float | None, ...]
    missing: NoChart | None = Field(default=None, description="why there are no points, or fewer than the range could have")
    why: Text | None = Field(default=None, description="the same in words")


class AvailabilityChange(StatusModel):
    """A child stopped answering, or answers again."""

    at: AwareDatetime
    reach: Reach
    why: Text | None = None


class FailureCount(StatusModel):
    """Failed transactions of one kind."""

    kind: Text = Field(description="what failed, without the numbers in it")
    cause: Cause
    times: int
    last_at: AwareDatetime
    last_text: Text = Field(description="what was seen the last time, such as the limit that was exceeded")


class ChildReport(StatusModel):
    """One child with its last values, its errors and its availability."""

    child: ChildDetails
    values: tuple[LatestValue, ...] = ()
    errors: dict[Text, int] = Field(default_factory=dict, description="failed transactions by kind, over restarts")
    failures: tuple[FailureCount, ...] = Field(default=(), description="the same with cause and details, the most frequent first")
    changes: tuple[AvailabilityChange, ...] = Field(
        default=(), description="when it stopped answering and answered again, latest first"
    )


class WaitingDevice(StatusModel):
    """A device that was found and is not a child."""

    id: str = Field(description="its id in addresses of this API")
    key: Text
    name: Text
    found_as: Text | None = Field(default=None, description="the name it was found under, if a person has renamed it")
    entry: Text
    bus: Text
    address: Text
    found_at: AwareDatetime
    why: Text = Field(description="why it is not a child, and what would make it one")
    decision: Decision | None = None
    profile: Text | None = Field(default=None, description="the profile that would be used to read it")
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
    says: dict[Text, Text] = Field(default_factory=dict, description="the values that it sends unasked right now")


class Snapshot(StatusModel):
    """The state of the whole gateway at one moment, without the details of single children."""

    at: AwareDatetime
    gateway: GatewaySummary
    outbox: OutboxSummary
    buses: tuple[BusSummary, ...] = ()
    children: tuple[ChildSummary, ...] = ()
    waiting: tuple[WaitingDevice, ...] = ()
    cloud: CloudActivity = CloudActivity()
    failures: dict[Cause, int] = Field(
        default_factory=dict, description="failed transactions of all children since the start, by cause"
    )

    @property
    def undecided(self) -> tuple[WaitingDevice, ...]:
        """The found devices that no person has chosen to ignore."""
        return tuple(one for one in self.waiting if one.decision is not Decision.IGNORE)


def count_by_status(children: Iterable[ChildSummary]) -> dict[ChildStatus, int]:
    """Return the number of children by status, the worst status first; statuses without children are left out."""
    counts = Counter(child.standing for child in children)
    return {status: counts[status] for status in ChildStatus if counts[status]}
