"""Put together what is wrong right now: one line for each cause, however many buses and children it concerns. Pure.

A child that is silent because of its bus is part of the line of that bus; one that is silent for a reason of its own has its own
line, unless so many on its bus are silent that one cause is likelier than as many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pydantic import AwareDatetime, Field

from gateway.causes import Cause
from gateway.status.model import StatusModel, Text
from gateway.status.snapshot import BusSummary, ChildStatus, ChildSummary, GatewaySummary, HubContact, Snapshot

MANY_SILENT: Final = 5
"""So many silent children, and at least half of all on an open bus, have one cause together."""

MOST_NAMES: Final = 5

SHARED_BY: Final[Mapping[Cause, int]] = MappingProxyType(
    {Cause.BLUETOOTH_DOWN: 2, Cause.BLUETOOTH_OFF: 2, Cause.HOST_UNREACHABLE: 3, Cause.NAME_UNKNOWN: 3}
)
"""So many buses with one of these causes share it: it is above them, in this machine or its network."""

_BY_STATUS: Final[Mapping[ChildStatus, Cause]] = MappingProxyType(
    {
        ChildStatus.REFUSED: Cause.REFUSED_BY_CLOUD,
        ChildStatus.HELD: Cause.HELD,
        ChildStatus.UNREGISTERED: Cause.NOT_REGISTERED,
        ChildStatus.UNMOVED: Cause.NOT_REGISTERED,
        ChildStatus.DELETED: Cause.DELETED_IN_CLOUD,
    }
)


REGISTERED_AGAIN_STEP: Final = (
    "Nothing needs to be done: the gateway registers it again by itself. If it is gone for good, retire it: `xyte-gateway "
    'children retire`. If it is to stay away, set `deleted_children = "leave"` in [cloud].'
)


class CauseScope(StrEnum):
    """What a cause concerns."""

    GATEWAY = "gateway"
    CLOUD = "cloud"
    BUS = "bus"
    CHILD = "child"


class OpenCause(StatusModel):
    """Something that is wrong right now."""

    id: str = Field(description="the same for as long as it lasts")
    scope: CauseScope
    cause: Cause
    subject: Text = Field(description="what does not work: a bus, a child, the cloud")
    phrase: Text = Field(description="what is the matter with it, to follow its name and a colon")
    evidence: Text | None = Field(default=None, description="what was seen, as of the last try")
    next_step: Text
    since: AwareDatetime | None = None
    children: int = Field(default=0, description="number of children that it keeps from working")
    path: str = Field(description="the page that tells more")
    tried_at: AwareDatetime | None = None
    tries: int = 0
    next_try_at: AwareDatetime | None = None
    try_path: str | None = Field(default=None, description="where to post to have it tried now; null where nothing can be tried")

    @property
    def line(self) -> str:
        """The cause in one line, without its time."""
        affected = (
            f", {_count(self.children, 'child', 'children')}" if self.children and self.scope is not CauseScope.CHILD else ""
        )
        return f"{self.subject}: {self.phrase}{affected}"


def open_causes(snapshot: Snapshot) -> tuple[OpenCause, ...]:
    """Return what is wrong right now, what concerns most first."""
    own = list(_gateway_causes(snapshot.gateway, snapshot.children))
    buses = list(_bus_causes(snapshot))
    children = list(_child_causes(snapshot, has_cloud_cause=any(one.scope is CauseScope.CLOUD for one in own)))
    return (*own, *sorted((*buses, *children), key=_order))


def child_cause(child: ChildSummary, *, next_step: str | None = None, tries: int = 0) -> OpenCause | None:
    """Return why a child is not fine, or gives no values although it answers; `None` for one without either."""
    gives_no_values = child.standing is ChildStatus.FINE and child.cause is not None
    if child.standing in (ChildStatus.FINE, ChildStatus.UNASKED) and not gives_no_values:
        return None
    is_silent = child.standing is ChildStatus.SILENT
    cause = child.cause or _BY_STATUS.get(child.standing, Cause.UNKNOWN)
    own_phrase = child.why if cause is Cause.UNKNOWN else None
    return OpenCause(
        id=f"child-{child.id}",
        scope=CauseScope.CHILD,
        cause=cause,
        subject=child.name,
        phrase=own_phrase or cause.phrase,
        evidence=None if own_phrase else child.why,
        next_step=next_step or _step(child.standing, cause),
        since=None if gives_no_values else child.since,
        children=1,
        path=f"/children/{child.id}",
        tries=tries,
        next_try_at=child.next_try_at,
        try_path=f"/children/{child.id}/try" if is_silent or child.standing is ChildStatus.REFUSED else None,
    )


def bus_cause(bus: BusSummary, children: int) -> OpenCause | None:
    """Return why a bus does not work; `None` for one that does."""
    if bus.problem is None:
        return None
    cause = bus.cause or Cause.UNKNOWN
    return OpenCause(
        id=f"bus-{bus.id}",
        scope=CauseScope.BUS,
        cause=cause,
        subject=bus.bus,
        phrase=bus.problem if cause is Cause.UNKNOWN else cause.phrase,
        evidence=None if cause is Cause.UNKNOWN else bus.problem,
        next_step=bus.next_step or cause.next_step,
        since=bus.since,
        children=children,
        path=f"/buses/{bus.id}",
        tried_at=bus.tried_at,
        tries=bus.tries,
        next_try_at=bus.next_try_at,
        try_path=f"/buses/{bus.id}/try" if bus.tried_at is not None else None,
    )


def gateway_cause(gateway: GatewaySummary) -> OpenCause | None:
    """Return why the gateway does not reach the cloud, as of its last call; `None` while it does."""
    if not gateway.is_registered:
        if gateway.problem is None:
            return None
        shown: GatewaySummary | HubContact = gateway
        identifier, subject = "registration", "Registration"
        since = gateway.tried_at
    else:
        if gateway.hub.is_reachable is not False:
            return None
        shown, identifier, subject = gateway.hub, "hub", "Connection to the cloud"
        since = gateway.hub.since
    cause = shown.cause or Cause.HUB_UNREACHABLE
    return OpenCause(
        id=identifier,
        scope=CauseScope.CLOUD,
        cause=cause,
        subject=subject,
        phrase=cause.phrase,
        evidence=shown.problem,
        next_step=shown.next_step or cause.next_step,
        since=since,
        path="/cloud",
        tried_at=shown.tried_at,
        tries=shown.tries,
        next_try_at=shown.next_try_at,
        try_path="/cloud/try",
    )


def _gateway_causes(gateway: GatewaySummary, children: Sequence[ChildSummary]) -> Iterator[OpenCause]:
    if gateway.store_problem is not None:
        yield OpenCause(
            id="store",
            scope=CauseScope.GATEWAY,
            cause=Cause.UNKNOWN,
            subject="The store",
            phrase="nothing can be stored",
            evidence=gateway.store_problem,
            next_step="Free space on its disk, or replace the disk. Readings are kept in memory until it works again.",
            path="/doctor",
        )
    if gateway.clock_problem is not None:
        yield OpenCause(
            id="clock",
            scope=CauseScope.GATEWAY,
            cause=Cause.CLOCK_WRONG,
            subject="This machine",
            phrase=Cause.CLOCK_WRONG.phrase,
            evidence=gateway.clock_problem,
            next_step=Cause.CLOCK_WRONG.next_step,
            path="/doctor",
        )
    cause = gateway_cause(gateway)
    if cause is not None:
        waiting = sum(child.standing is ChildStatus.UNREGISTERED for child in children) if not gateway.is_registered else 0
        yield cause.model_copy(update={"children": waiting})


def _bus_causes(snapshot: Snapshot) -> Iterator[OpenCause]:
    affected: defaultdict[str, int] = defaultdict(int)
    for child in snapshot.children:
        if child.standing is ChildStatus.SILENT and child.stems_from is not None:
            affected[child.stems_from] += 1
    lost = [cause for bus in snapshot.buses if (cause := bus_cause(bus, affected[bus.id])) is not None]
    for kind, same in _by_cause(lost).items():
        if len(same) >= SHARED_BY.get(kind, len(same) + 1):
            yield _shared(kind, same)
        else:
            yield from same


def _shared(kind: Cause, same: Sequence[OpenCause]) -> OpenCause:
    return OpenCause(
        id=f"shared-{kind}",
        scope=CauseScope.BUS,
        cause=kind,
        subject=f"{len(same)} buses ({_names(one.subject for one in same)})",
        phrase=kind.phrase,
        evidence=same[0].evidence,
        next_step=same[0].next_step,
        since=min((one.since for one in same if one.since is not None), default=None),
        children=sum(one.children for one in same),
        path="/#buses",
        tried_at=max((one.tried_at for one in same if one.tried_at is not None), default=None),
        tries=max(one.tries for one in same),
        next_try_at=min((one.next_try_at for one in same if one.next_try_at is not None), default=None),
    )


def _child_causes(snapshot: Snapshot, *, has_cloud_cause: bool) -> Iterator[OpenCause]:
    on_bus: defaultdict[str, list[ChildSummary]] = defaultdict(list)
    for child in snapshot.children:
        on_bus[child.bus_id].append(child)
    for bus_id, children in on_bus.items():
        own = [one for one in children if one.standing is ChildStatus.SILENT and one.stems_from is None]
        are_all = len(own) == len(children) >= 2
        if are_all or (len(own) >= MANY_SILENT and 2 * len(own) >= len(children)):
            yield _silent_bus(bus_id, own, len(children))
        else:
            yield from (cause for one in own if (cause := child_cause(one)) is not None)
    yield from _cloud_standings(snapshot.children, has_cloud_cause=has_cloud_cause)


def _silent_bus(bus_id: str, silent: Sequence[ChildSummary], count: int) -> OpenCause:
    same = {one.cause for one in silent}
    kind = next(iter(same)) if len(same) == 1 else None
    is_specific = kind is not None and kind not in (Cause.NO_ANSWER, Cause.UNKNOWN)
    cause = kind if is_specific and kind is not None else Cause.SILENT_BUS
    is_whole = len(silent) == count
    phrase = cause.phrase if is_specific or is_whole else "is open, but most devices on it do not answer"
    return OpenCause(
        id=f"silent-{bus_id}",
        scope=CauseScope.BUS,
        cause=cause,
        subject=silent[0].bus,
        phrase=phrase,
        evidence=silent[0].why,
        next_step=cause.next_step,
        since=min((one.since for one in silent if one.since is not None), default=None),
        children=len(silent),
        path=f"/buses/{bus_id}",
        next_try_at=min((one.next_try_at for one in silent if one.next_try_at is not None), default=None),
    )


def _cloud_standings(children: Sequence[ChildSummary], *, has_cloud_cause: bool) -> Iterator[OpenCause]:
    """Yield one cause for all children with the same problem in the cloud; where the cloud is away, that is the cause."""
    same: defaultdict[tuple[ChildStatus, str | None], list[ChildSummary]] = defaultdict(list)
    for child in children:
        if (
            child.standing in _BY_STATUS
            and child.standing.is_trouble
            and not (has_cloud_cause and child.standing is ChildStatus.UNREGISTERED)
        ):
            same[child.standing, child.why].append(child)
    for (standing, why), alike in same.items():
        cause = alike[0].cause or _BY_STATUS[standing]
        if len(alike) == 1 and (one := child_cause(alike[0])) is not None:
            yield one
            continue
        yield OpenCause(
            id=f"cloud-{standing}-{alike[0].id}",
            scope=CauseScope.CLOUD,
            cause=cause,
            subject=_names(one.name for one in alike),
            phrase=cause.phrase,
            evidence=why,
            next_step=_step(standing, cause),
            since=min((one.since for one in alike if one.since is not None), default=None),
            children=len(alike),
            path=f"/?show={standing}#children",
        )


def _step(standing: ChildStatus, cause: Cause) -> str:
    """Return what to do about a child with this status for this cause."""
    comes_again = cause is Cause.DELETED_IN_CLOUD and standing is not ChildStatus.DELETED
    return REGISTERED_AGAIN_STEP if comes_again else cause.next_step


def _by_cause(causes: Iterable[OpenCause]) -> Mapping[Cause, list[OpenCause]]:
    by_cause: defaultdict[Cause, list[OpenCause]] = defaultdict(list)
    for one in causes:
        by_cause[one.cause].append(one)
    return by_cause


def _order(cause: OpenCause) -> tuple[int, bool, datetime, str]:
    since = cause.since or datetime.max.replace(tzinfo=UTC)
    return -max(cause.children, 1), cause.scope is not CauseScope.BUS, since, cause.subject


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - MOST_NAMES
    return ", ".join(listed[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _count(many: int, one: str, more: str) -> str:
    return f"1 {one}" if many == 1 else f"{many} {more}"
