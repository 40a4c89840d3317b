"""Build the tree of cloud, gateway, buses and devices: trouble first, each cause at the one part that it belongs to. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import urlencode

from gateway.status.model import decode_id
from gateway.status.open_causes import CauseScope, OpenCause, open_causes
from gateway.status.render.paging import child_order
from gateway.status.snapshot import BusSummary, ChildStatus, ChildSummary, Snapshot, count_by_status

MOST_UNFOLDED: Final = 60
"""With so many children in all, or fewer, each is shown; with more, a bus shows how many it has of each status."""
MOST_OWN: Final = 10
"""Devices that need a person for a reason of their own, which a folded bus shows."""
MOST_DEVICES: Final = 300
"""Devices that an unfolded bus shows: more than a line with 247 units has."""
MOST_BUSES: Final = 200
MOST_OPEN: Final = 20
"""Buses that one address may unfold."""

FindLoads: TypeAlias = Callable[[str, str], Mapping[str, float]]
"""Entry and bus -> the share of the bus's time that each device used in the last minute, by key."""


class WrongBus(ValueError):
    """An address unfolds something that cannot be a bus; the text says what, for the caller."""


@dataclass(frozen=True, slots=True)
class TopologyQuery:
    """Which buses are unfolded, as it stands in an address."""

    unfolded: tuple[str, ...] = ()
    """The ids of the buses."""

    @classmethod
    def parse(cls, parameters: Mapping[str, str]) -> TopologyQuery:
        """Read the query parameters of an address.

        Raises:
            WrongBus: `open` is not a list of ids of buses.
        """
        words = [word for word in parameters.get("open", "").split(",") if word]
        if len(words) > MOST_OPEN:
            raise WrongBus(f"open: at most {MOST_OPEN} buses")
        if any(len(decode_id(word)) != 2 for word in words):
            raise WrongBus("open: the ids of buses, with commas between them")
        return cls(tuple(dict.fromkeys(words)))

    def toggled(self, bus_id: str) -> str:
        """Return the address of the page with this bus unfolded, or folded if it is not."""
        is_open = bus_id in self.unfolded
        ids = [one for one in self.unfolded if one != bus_id] if is_open else [*self.unfolded, bus_id][-MOST_OPEN:]
        return f"{TopologyQuery(tuple(ids)).path}#node-{bus_id}"

    @property
    def path(self) -> str:
        """The address of the page."""
        return f"/topology?{urlencode({'open': ','.join(self.unfolded)}, safe=',')}" if self.unfolded else "/topology"


@dataclass(frozen=True, slots=True)
class BusBranch:
    """A bus with its devices."""

    id: str
    entry: str
    bus: str
    summary: BusSummary | None
    """`None` when children belong to a bus that is not there any more."""
    children: Sequence[ChildSummary]
    """The ones that most need a person first."""
    causes: Sequence[OpenCause]

    @property
    def standings(self) -> Mapping[ChildStatus, int]:
        """The number of its children by status, the worst first."""
        return count_by_status(self.children)


@dataclass(frozen=True, slots=True)
class Tree:
    """The whole topology; every open cause is at exactly one part of it."""

    cloud_causes: Sequence[OpenCause]
    gateway_causes: Sequence[OpenCause]
    branches: Sequence[BusBranch]
    """Those with trouble first."""
    child_causes: Mapping[str, OpenCause]
    """The causes of single children, by the id of the child."""


@dataclass(frozen=True, slots=True)
class ShownDevice:
    """One device on the page."""

    child: ChildSummary
    cause: OpenCause | None
    load: float


@dataclass(frozen=True, slots=True)
class ShownBus:
    """One bus on the page."""

    branch: BusBranch
    devices: Sequence[ShownDevice]
    more_own: int
    """Devices with a reason of their own for which a folded bus has no room."""
    more: int
    """Devices for which an unfolded bus has no room."""
    can_toggle: bool
    is_unfolded: bool


def tree(snapshot: Snapshot) -> Tree:
    """Return the topology of a snapshot."""
    cloud: list[OpenCause] = []
    gateway: list[OpenCause] = []
    of_bus: defaultdict[str, list[OpenCause]] = defaultdict(list)
    of_child: dict[str, OpenCause] = {}
    for cause in open_causes(snapshot):
        if cause.scope is CauseScope.CHILD:
            of_child[cause.path.removeprefix("/children/")] = cause
        elif cause.scope is CauseScope.CLOUD:
            cloud.append(cause)
        elif cause.path.startswith("/buses/"):
            of_bus[cause.path.removeprefix("/buses/")].append(cause)
        else:  # of the gateway, or of several buses at once, which stands above them
            gateway.append(cause)
    branches = sorted(_branches(snapshot, of_bus), key=lambda one: _branch_order(one, of_child))
    return Tree(cloud, gateway, branches, of_child)


def shown_buses(whole: Tree, query: TopologyQuery, loads: FindLoads) -> list[ShownBus]:
    """Return what the page shows of each bus and its devices."""
    folds = sum(len(branch.children) for branch in whole.branches) > MOST_UNFOLDED
    return [
        _shown_bus(branch, whole, loads, can_fold=folds, is_open=branch.id in query.unfolded)
        for branch in whole.branches[:MOST_BUSES]
    ]


def _shown_bus(branch: BusBranch, whole: Tree, loads: FindLoads, *, can_fold: bool, is_open: bool) -> ShownBus:
    own: list[ChildSummary] = []
    others: list[ChildSummary] = []
    for child in branch.children:
        (own if child.id in whole.child_causes or child.alarms else others).append(child)
    can_toggle = can_fold and len(others) > 0
    is_unfolded = is_open or not can_toggle
    shown = [*own, *others][:MOST_DEVICES] if is_unfolded else own[:MOST_OWN]
    used = loads(branch.entry, branch.bus) if shown else {}
    return ShownBus(
        branch=branch,
        devices=[ShownDevice(child, whole.child_causes.get(child.id), used.get(child.key, 0.0)) for child in shown],
        more_own=0 if is_unfolded else len(own) - len(shown),
        more=len(branch.children) - len(shown) if is_unfolded else 0,
        can_toggle=can_toggle,
        is_unfolded=is_unfolded,
    )


def _branches(snapshot: Snapshot, causes: Mapping[str, Sequence[OpenCause]]) -> Iterable[BusBranch]:
    on_bus: defaultdict[str, list[ChildSummary]] = defaultdict(list)
    for child in snapshot.children:
        on_bus[child.bus_id].append(child)
    for bus in snapshot.buses:
        children = sorted(on_bus.pop(bus.id, ()), key=child_order)
        yield BusBranch(bus.id, bus.entry, bus.bus, bus, children, causes.get(bus.id, ()))
    for bus_id, left in on_bus.items():
        yield BusBranch(bus_id, left[0].entry, left[0].bus, None, sorted(left, key=child_order), causes.get(bus_id, ()))


def _branch_order(branch: BusBranch, of_child: Mapping[str, OpenCause]) -> tuple[int, str, str]:
    """Return the place of a bus: lost, with a cause, with devices that need a person, overloaded, all others."""
    summary = branch.summary
    signs = (
        summary is None or summary.problem is not None,
        bool(branch.causes),
        any(child.id in of_child or child.alarms for child in branch.children),
        any(child.standing.is_trouble for child in branch.children),
        summary is not None and summary.stretch > 1,
        True,
    )
    return signs.index(True), branch.entry, branch.bus
