"""What a page shows, as HTML: regions that are sent anew when they change, and the shell around them. Nothing here waits.

Whatever comes from outside is escaped by the templates; none of them marks anything as safe but the regions made here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from markupsafe import Markup

from gateway.status.auth.tokens import Rights
from gateway.status.doctor_cache import Findings
from gateway.status.history import History
from gateway.status.render import formatting
from gateway.status.render.paging import Wanted, list_children, list_waiting
from gateway.status.render.templates import Documents
from gateway.status.snapshot import BusShown, Child, ChildReport, Snapshot, count_standings, names_of

TROUBLES_SHOWN: Final = 20
BUSES_SHOWN: Final = 100
PICTURES_SHOWN: Final = 200
"""So many values of a child have their last hour beside them; that of the others is drawn when it is chosen."""

ChildOf: TypeAlias = Callable[[str], Child | None]


@dataclass(frozen=True, slots=True)
class Topic:
    """What one page is about; whoever looks at the same thing has the same topic."""

    kind: str
    """`overview`, `buses`, `children`, `waiting` or `doctor`."""
    id: str = ""
    wanted: Wanted = field(default_factory=Wanted)

    @classmethod
    def at(cls, address: str) -> Topic | None:
        """Return what the page at this address, path and query, is about; `None` when there is no such page."""
        try:
            parts = urlsplit(address)
            wanted = Wanted.of(dict(parse_qsl(parts.query, max_num_fields=20)))
        except ValueError:
            return None
        match parts.path.split("/"):
            case ["", ""]:
                return cls("overview", wanted=wanted)
            case ["", "waiting"]:
                return cls("waiting", wanted=wanted)
            case ["", "doctor"]:
                return cls("doctor")
            case ["", ("buses" | "children") as kind, word] if names_of(word):
                return cls(kind, word, wanted if kind == "buses" else Wanted())
        return None


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is at one moment."""

    title: str
    regions: Mapping[str, str]
    """HTML by the id of the element that holds it."""

    @property
    def version(self) -> str:
        """A word that is the same as long as the page shows the same."""
        whole = hashlib.blake2s(digest_size=9)
        for name, html in self.regions.items():
            whole.update(f"{name}\0{html}\0".encode())
        return whole.hexdigest()


class Pages:
    """Makes pages of snapshots."""

    def __init__(self, documents: Documents, history: History, child_of: ChildOf) -> None:
        self._history = history
        self._child_of = child_of
        self._documents = documents
        self._render = documents.render
        self._makers: Mapping[str, Callable[[Topic, Snapshot], Page | None]] = {
            "overview": self._overview,
            "buses": self._bus,
            "children": self._child,
            "waiting": self._waiting,
        }

    def page(self, topic: Topic, snapshot: Snapshot) -> Page | None:
        """Return the page on this topic, `None` when what it is about is not there (any more)."""
        return self._makers[topic.kind](topic, snapshot)

    def doctor(self, found: Findings) -> Page:
        """Return the page on what can keep the gateway from working."""
        return Page("Doctor", {"findings": self._documents.findings(found)})

    def whole(self, topic: Topic, page: Page, snapshot: Snapshot, *, rights: Rights, address: str) -> str:
        """Return the document around a page."""
        return self._render(
            f"{topic.kind}.html",
            page=page,
            topic=topic,
            gateway=snapshot.gateway,
            region=lambda name: Markup(page.regions[name]),  # noqa: S704 - made by these templates, which escape
            now=snapshot.at,
            may_act=rights is Rights.ACT,
            address=address,
        )

    def report(self, key: str) -> ChildReport | None:
        """Return one child with its values and what became of it; `None` when there is no such child."""
        child = self._child_of(key)
        if child is None:
            return None
        history = self._history
        return ChildReport(
            child=child, values=history.latest(key), errors=dict(history.errors(key)), changes=history.changes(key)
        )

    def _overview(self, topic: Topic, snapshot: Snapshot) -> Page:
        troubles = list_children(snapshot.children, Wanted(show="trouble"))
        buses = sorted(snapshot.buses, key=_bus_order)
        is_rest = troubles.total > 0 and not topic.wanted.search and not topic.wanted.show
        rest, word = (
            list_children(snapshot.children, topic.wanted, without_trouble=is_rest),
            "The others" if troubles.total and not topic.wanted.search else "All",
        )
        return Page(
            snapshot.gateway.name,
            {
                "glance": self._glance(snapshot),
                "troubles": self._render("_problems.html", rows=troubles.rows[:TROUBLES_SHOWN], total=troubles.total),
                "buses": self._render("_buses.html", buses=buses[:BUSES_SHOWN], more=len(buses[BUSES_SHOWN:])),
                "children": self._render("_children.html", listing=rest, on_bus=False, rest_word=word),
            },
        )

    def _bus(self, topic: Topic, snapshot: Snapshot) -> Page | None:
        bus = next((bus for bus in snapshot.buses if bus.id == topic.id), None)
        if bus is None:
            return None
        listing = list_children(snapshot.children, topic.wanted, bus_id=bus.id)
        return Page(
            bus.bus,
            {
                "bus": self._render("_bus.html", bus=bus),
                "children": self._render("_children.html", listing=listing, on_bus=True, rest_word="All"),
            },
        )

    def _child(self, topic: Topic, snapshot: Snapshot) -> Page | None:
        key = names_of(topic.id)[0]
        report = self.report(key)
        if report is None:
            return None
        history, at = self._history, snapshot.at
        drawn = [value.metric for value in report.values if value.has_history][:PICTURES_SHOWN]
        outlines = {metric: history.outline(key, metric, until=at) for metric in drawn}
        return Page(
            report.child.line.name,
            {
                "name": self._render("_child_name.html", line=report.child.line),
                "standing": self._render("_child_status.html", child=report.child, line=report.child.line),
                "values": self._render(
                    "_latest_values.html", values=report.values, outlines=outlines, is_full=history.is_full(key)
                ),
                "facts": self._render("_child_details.html", child=report.child, line=report.child.line),
                "past": self._render("_availability.html", report=report),
            },
        )

    def _waiting(self, topic: Topic, snapshot: Snapshot) -> Page:
        listing = list_waiting(snapshot.waiting, topic.wanted)
        ignored = len(snapshot.waiting) - len(snapshot.undecided)
        return Page("Found devices", {"waiting": self._render("_waiting.html", listing=listing, ignored=ignored)})

    def _glance(self, snapshot: Snapshot) -> str:
        return self._render(
            "_summary.html",
            gateway=snapshot.gateway,
            outbox=snapshot.outbox,
            counts=count_standings(snapshot.children),
            children=len(snapshot.children),
            buses=snapshot.buses,
            undecided=snapshot.undecided,
            headline=formatting.headline(snapshot),
        )


def _bus_order(bus: BusShown) -> tuple[bool, bool, str, str]:
    return bus.problem is None, bus.stretch <= 1, bus.entry, bus.bus
