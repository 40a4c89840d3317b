"""Render the pages as HTML: regions that are sent again when they change, and the document around them. Pure.

The templates escape everything that comes from outside; only the regions that they made are inserted as HTML.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from markupsafe import Markup

from gateway.state.history.timeline import TimelineEvent
from gateway.status.buses_view import BusDetails
from gateway.status.device_actions_view import DeviceActions
from gateway.status.doctor_cache import DoctorReport
from gateway.status.event_query import EventQuery
from gateway.status.history import History
from gateway.status.languages.texts import gettext as _
from gateway.status.logs_view import LogsView
from gateway.status.model import decode_id
from gateway.status.open_causes import OpenCause, bus_cause, child_cause, gateway_cause, open_causes
from gateway.status.render import formatting
from gateway.status.render.bus_line import line_of
from gateway.status.render.chart_svg import Bands, bands
from gateway.status.render.charts import why_no_chart
from gateway.status.render.device_actions import DeviceActionRenderer
from gateway.status.render.device_region import DeviceRegion
from gateway.status.render.device_table import COLUMNS, GROUPS, DeviceTable, FindIntervals, freshness, shown_columns
from gateway.status.render.events import event_page, event_rows
from gateway.status.render.logs import LogQuery, log_page
from gateway.status.render.metric_groups import GROUP_TEXTS, grouped
from gateway.status.render.metric_texts import headline_order
from gateway.status.render.paging import ListQuery, list_waiting
from gateway.status.render.several import SeveralRenderer
from gateway.status.render.several_texts import SEVERAL_TEXTS
from gateway.status.render.templates import Templates
from gateway.status.render.topology import FindLoads, TopologyQuery, shown_buses, tree
from gateway.status.rights import Rights, Visitor
from gateway.status.series.levels import Kind
from gateway.status.several import SeveralResults
from gateway.status.snapshot import BusSummary, ChildDetails, ChildReport, NoChart, Snapshot, count_by_status
from gateway.status.update_intervals import UNKNOWN_INTERVALS

MAX_PROBLEMS: Final = 20
"""Children with problems that the overview shows above the list."""
MAX_BUSES: Final = 100
MAX_COMMANDS: Final = 50
"""The latest commands that a page lists."""
MAX_SPARKLINES: Final = 120
"""Values of a child that have their last hour drawn beside them; that of the others is drawn when it is selected."""

FindChild: TypeAlias = Callable[[str], ChildDetails | None]


@dataclass(frozen=True, slots=True)
class PageAddress:
    """The address of one page, parsed; equal addresses show the same page."""

    kind: str
    """`overview`, `buses`, `children`, `waiting`, `events`, `cloud`, `doctor`, `command`, `logs`, `topology`,
    `maintenance` or `notifications`."""
    id: str = ""
    part: str = ""
    """The word of the command, on the page of a command; of the result, on that of a result."""
    query: ListQuery = field(default_factory=ListQuery)
    log: LogQuery = field(default_factory=LogQuery)
    """Which lines are shown, on the page of the log."""
    events: EventQuery = field(default_factory=EventQuery)
    """Which events are shown, on the page of the events."""
    topology: TopologyQuery = field(default_factory=TopologyQuery)
    """Which buses are unfolded, on the page of the topology."""
    language: str = "en"
    """The language in which an open page is kept up to date."""

    @classmethod
    def parse(cls, address: str) -> PageAddress | None:
        """Parse a path with its query; return `None` when there is no such page."""
        try:
            parts = urlsplit(address)
            given = parse_qsl(parts.query, max_num_fields=40)
            parameters, columns = dict(given), [value for name, value in given if name == "column"]
            if parts.path == "/logs":
                return cls("logs", log=LogQuery.parse(dict(given)))
            if parts.path == "/topology":
                return cls("topology", topology=TopologyQuery.parse(dict(given)))
        except ValueError:
            return None
        query = ListQuery.parse(parameters, columns)
        match parts.path.split("/"):
            case ["", ""]:
                return cls("overview", query=query)
            case ["", "waiting"]:
                return cls("waiting", query=query)
            case ["", "events"]:
                return cls("events", events=EventQuery.parse(parameters))
            case ["", ("cloud" | "doctor" | "maintenance") as kind]:
                return cls(kind)
            case ["", ("buses" | "children") as kind, word] if decode_id(word):
                return cls(kind, word, query=query if kind == "buses" else ListQuery())
            case ["", *parts_of_action]:
                return cls._of_action(parts_of_action)
        return None

    @classmethod
    def _of_action(cls, parts: Sequence[str]) -> PageAddress | None:
        """Return the address of a live page on which a person acts on devices."""
        match parts:
            case ["children", word, "values"] if decode_id(word):
                return cls("values", word)
            case ["devices", word, "look"] if decode_id(word):
                return cls("look", word)
            case ["several", "result", word] if word:
                return cls("several_result", part=word)
            case ["children", word, "commands", command] if decode_id(word) and decode_id(command):
                return cls("command", word, command)
        return None

    def encoded_query(self) -> str:
        """Return the query part of the address; empty without one."""
        return (self.events if self.kind == "events" else self.query).encode().rstrip("?")


_CELL_MARK: Final = re.compile("\0(\\w+)\0")


@dataclass(frozen=True, slots=True)
class RenderedPage:
    """The content of a page at one moment."""

    title: str
    regions: Mapping[str, str]
    """HTML by the id of the element that contains it, with a `cell_mark` (`device_region`) in the place of each cell."""
    cells: Mapping[str, str] = field(default_factory=dict)
    """HTML of what changes all the time, by the id of its element: it is sent alone."""
    around: Mapping[str, object] = field(default_factory=dict)
    """What else its document shows, which is not sent again."""

    def html(self, region: str) -> str:
        """Return a region with its cells."""
        return _CELL_MARK.sub(lambda mark: self.cells.get(mark[1], ""), self.regions[region])

    def changes_since(self, before: RenderedPage) -> Mapping[str, str]:
        """Return what an open page has to replace, by the id of the element: whole regions, and cells of the others."""
        regions = {name: self.html(name) for name, html in self.regions.items() if before.regions.get(name) != html}
        known = {} if "children" in regions else before.cells
        cells = {name: html for name, html in self.cells.items() if name in known and known[name] != html}
        return {**regions, **cells}

    @property
    def version(self) -> str:
        """A hash of the content."""
        content = hashlib.blake2s(digest_size=9)
        for name, html in (*self.regions.items(), *self.cells.items()):
            content.update(f"{name}\0{html}\0".encode())
        return content.hexdigest()


class PageRenderer:
    """Renders pages from snapshots."""

    def __init__(
        self,
        templates: Templates,
        history: History,
        find_child: FindChild,
        device_actions: DeviceActions | None = None,
        several: SeveralResults | None = None,
        *,
        bus_details: Callable[[str, str], BusDetails] = lambda entry, bus: BusDetails(),
        intervals: FindIntervals = lambda key: UNKNOWN_INTERVALS,
    ) -> None:
        self._intervals = intervals
        self._bus_details = bus_details
        self.device_actions = DeviceActionRenderer(templates, find_child, device_actions)
        self._several = several or SeveralResults()
        self._several_renderer = SeveralRenderer(templates, None if device_actions is None else device_actions.looks)
        self._history = history
        self._find_child = find_child
        self._table = DeviceTable(history, intervals)
        self._templates = templates
        self._render = templates.render
        self._device_region = DeviceRegion(templates)
        self._renderers: Mapping[str, Callable[[PageAddress, Snapshot], RenderedPage | None]] = {
            "overview": self._overview,
            "buses": self._bus,
            "children": self._child,
            "waiting": self._waiting,
            "cloud": self._cloud,
            "command": self._command,
            "look": self._look,
            "several": lambda _address, _snapshot: RenderedPage(_("Several devices"), {}),
            "several_result": self._several_result,
            "values": self._values,
        }

    def page(self, address: PageAddress, snapshot: Snapshot, events: Sequence[TimelineEvent] = ()) -> RenderedPage | None:
        """Return the page at this address, `None` when the child or bus that it shows does not exist (any more).

        Args:
            address: the page.
            snapshot: the state that it shows.
            events: those that belong on it, the latest first (`gateway.status.routes.page_events`).
        """
        if address.kind == "events":
            shown = event_page(address.events, events, snapshot)
            return RenderedPage(_("Events"), {"events": self._render("_events.html", shown=shown)}, around={"shown": shown})
        page = self._renderers[address.kind](address, snapshot)
        if page is None or address.kind not in ("children", "buses"):
            return page
        on_child, rows = address.kind == "children", event_rows(events, snapshot)
        latest = self._render("_latest_events.html", rows=rows, on_child=on_child, id=address.id)
        return replace(page, regions={**page.regions, "events": latest})

    def doctor_page(self, report: DoctorReport) -> RenderedPage:
        """Return the page with the findings of `doctor`."""
        return RenderedPage(_("Doctor"), {"findings": self._templates.doctor_report(report)})

    def logs_page(self, query: LogQuery, view: LogsView) -> RenderedPage:
        """Return the page with the last lines of the log."""
        listing = log_page(view.log_lines(), query)
        return RenderedPage(
            _("Logs"),
            {
                "level": self._render("_log_level.html", level=view.log_level()),
                "lines": self._render("_log_lines.html", listing=listing, query=query),
            },
        )

    def topology_page(self, query: TopologyQuery, snapshot: Snapshot, loads: FindLoads) -> RenderedPage:
        """Return the page with cloud, gateway, buses and devices."""
        whole = tree(snapshot)
        html = self._render(
            "_topology.html",
            query=query,
            gateway=snapshot.gateway,
            outbox=snapshot.outbox,
            incidents=len(snapshot.cloud.incidents),
            undecided=len(snapshot.undecided),
            children=len(snapshot.children),
            standings=count_by_status(snapshot.children),
            cloud_causes=whole.cloud_causes,
            gateway_causes=whole.gateway_causes,
            buses=shown_buses(whole, query, loads),
            many_buses=len(whole.branches),
        )
        return RenderedPage(_("Topology"), {"tree": html})

    def maintenance_page(self) -> RenderedPage:
        """Return the page for maintenance, which has nothing that changes by itself."""
        return RenderedPage(_("Maintenance"), {})

    def document(
        self, address: PageAddress, page: RenderedPage, snapshot: Snapshot, *, visitor: Visitor, path: str, **more: object
    ) -> str:
        """Return the whole HTML document of a page; `more` is what its template needs besides the regions."""
        return self._render(
            f"{address.kind}.html",
            page=page,
            page_address=address,
            gateway=snapshot.gateway,
            region=lambda name: Markup(page.html(name)),  # noqa: S704 - made by these templates, which escape
            now=snapshot.at,
            **may(visitor),
            **page.around,
            path=path,
            groups=GROUPS,
            columns=COLUMNS,
            shown_columns=shown_columns,
            **more,
        )

    def child_report(self, key: str) -> ChildReport | None:
        """Return one child with its values, errors and availability; `None` when there is no such child."""
        child = self._find_child(key)
        if child is None:
            return None
        history = self._history
        failures = history.failures(key)
        return ChildReport(
            child=child,
            values=history.latest_values(key),
            errors={failure.kind: failure.times for failure in failures},
            failures=failures,
            changes=history.changes(key),
        )

    def _overview(self, address: PageAddress, snapshot: Snapshot) -> RenderedPage:
        buses = sorted(snapshot.buses, key=_bus_order)
        causes = () if address.query.search else open_causes(snapshot)
        children, cells = self._devices(address, snapshot)
        return RenderedPage(
            snapshot.gateway.name,
            {
                "summary": self._summary(snapshot),
                "problems": self._render("_problems.html", causes=causes, most_causes=MAX_PROBLEMS),
                "buses": self._render("_buses.html", buses=buses[:MAX_BUSES], more=len(buses[MAX_BUSES:])),
                "children": children,
            },
            cells,
        )

    def _bus(self, address: PageAddress, snapshot: Snapshot) -> RenderedPage | None:
        bus = next((bus for bus in snapshot.buses if bus.id == address.id), None)
        if bus is None:
            return None
        children, cells = self._devices(address, snapshot, bus.id)
        return RenderedPage(
            bus.bus,
            {
                "bus": self._render("_bus.html", bus=bus, cause=bus_cause(bus, _affected(snapshot, bus))),
                "line": self._render("_bus_line.html", bus=bus, **line_of(self._bus_details(bus.entry, bus.bus))),
                "children": children,
            },
            cells,
        )

    def _devices(self, address: PageAddress, snapshot: Snapshot, bus_id: str | None = None) -> tuple[str, Mapping[str, str]]:
        """Return the table of devices, and its cells."""
        query = address.query
        listing, rows = self._table.page(snapshot.children, query, now=snapshot.at, bus_id=bus_id)
        columns = shown_columns(query)
        table = self._device_region.table(listing, rows, columns, bus_id)
        return table, self._device_region.cells(rows, columns)

    def _child(self, address: PageAddress, snapshot: Snapshot) -> RenderedPage | None:
        key = decode_id(address.id)[0]
        report = self.child_report(key)
        if report is None:
            return None
        history, at = self._history, snapshot.at
        values, intervals = headline_order(report.values, report.child.family), self._intervals(key)
        drawn = [value for value in values if value.has_history][:MAX_SPARKLINES]
        sparklines = {one.metric: history.sparkline_points(key, one.metric, until=at) for one in drawn if one.kind is Kind.NUMBER}
        child, line, cloud = report.child, report.child.line, snapshot.cloud
        return RenderedPage(
            line.name,
            {
                "name": self._render("_child_name.html", line=line),
                "status": self._render(
                    "_child_status.html", child=child, line=line, gateway=snapshot.gateway, **_causes_of(child, snapshot)
                ),
                "actions": self.device_actions.child_actions(line),
                "values": self._render(
                    "_latest_values.html",
                    values=values,
                    groups=grouped(values),
                    group_texts=GROUP_TEXTS,
                    freshness_of=lambda value: freshness(line.standing, value, at, intervals),
                    setters=self.device_actions.setters(line),
                    line=line,
                    sparklines=sparklines,
                    bands=self._bands(key, [one.metric for one in drawn if one.kind is not Kind.NUMBER], at),
                    why_full=why_no_chart(NoChart.FULL, history.max_metrics),
                    is_full=history.is_full(key),
                ),
                "commands": self._render("_commands.html", commands=cloud.commands_of(line.id)[:MAX_COMMANDS], on_child=True),
                "licences": self._render("_licences.html", licences=cloud.licences_of(line.id), on_child=True),
                "configurations": self._render(
                    "_configurations.html", configurations=cloud.configurations_of(line.id), settings=(), on_child=True
                ),
                "details": self._render("_child_details.html", child=child, line=line),
                "availability": self._render("_availability.html", report=report),
            },
        )

    def _command(self, address: PageAddress, snapshot: Snapshot) -> RenderedPage | None:
        found = self.device_actions.find_command(address.id, address.part)
        if found is None:
            return None
        line, command = found
        return RenderedPage(f"{command.title} · {line.name}", {"runs": self.device_actions.runs(snapshot, line, command)})

    def _look(self, address: PageAddress, snapshot: Snapshot) -> RenderedPage | None:
        device = self.device_actions.find_device(address.id, snapshot)
        return (
            None
            if device is None
            else RenderedPage(_("Read %(name)s", name=device.name), {"look": self.device_actions.look(device)})
        )

    def _several_result(self, address: PageAddress, snapshot: Snapshot) -> RenderedPage | None:
        result = self._several.get(address.part)
        if result is None:
            return None
        return RenderedPage(_(SEVERAL_TEXTS[result.action]), {"result": self._several_renderer.region(result, snapshot)})

    def _bands(self, key: str, metrics: Iterable[str], at: datetime) -> dict[str, Bands]:
        """Return the last hour of switches and words."""
        hours = {metric: self._history.metric_history(key, metric, until=at) for metric in metrics}
        width = formatting.SPARKLINE_WIDTH
        return {metric: bands(hour, at, width=width) for metric, hour in hours.items() if hour is not None and hour.at}

    def _values(self, address: PageAddress, snapshot: Snapshot) -> RenderedPage | None:
        """Return the frame of the page of values over time, which its script keeps up to date."""
        del snapshot
        child = self._find_child(decode_id(address.id)[0])
        return None if child is None else RenderedPage(child.line.name, {})

    def _waiting(self, address: PageAddress, snapshot: Snapshot) -> RenderedPage:
        listing = list_waiting(snapshot.waiting, address.query)
        ignored = len(snapshot.waiting) - len(snapshot.undecided)
        return RenderedPage(_("Found devices"), {"waiting": self._render("_waiting.html", listing=listing, ignored=ignored)})

    def _cloud(self, _address: PageAddress, snapshot: Snapshot) -> RenderedPage:
        cloud = snapshot.cloud
        return RenderedPage(
            _("Cloud"),
            {
                "incidents": self._render("_incidents.html", incidents=cloud.incidents),
                "commands": self._render("_commands.html", commands=cloud.commands[:MAX_COMMANDS], on_child=False),
                "licences": self._render("_licences.html", licences=cloud.licences, on_child=False),
                "configurations": self._render(
                    "_configurations.html", configurations=cloud.configurations, settings=cloud.settings, on_child=False
                ),
                "record": self._render("_cloud_record.html", cloud=cloud, gateway=snapshot.gateway),
            },
        )

    def _summary(self, snapshot: Snapshot) -> str:
        return self._render(
            "_summary.html",
            gateway=snapshot.gateway,
            outbox=snapshot.outbox,
            counts=count_by_status(snapshot.children),
            children=len(snapshot.children),
            buses=snapshot.buses,
            undecided=snapshot.undecided,
            incidents=snapshot.cloud.incidents,
            headline=formatting.headline(snapshot),
            cloud_cause=gateway_cause(snapshot.gateway),
        )


def may(visitor: Visitor) -> Mapping[str, object]:
    """Return what a template is told about its reader: each template that extends `base.html` needs it."""
    rights = visitor.rights
    return {
        "visitor": visitor,
        "rights": rights.name.lower(),
        "may_operate": rights >= Rights.OPERATE,
        "may_administer": rights >= Rights.ADMINISTER,
    }


def _affected(snapshot: Snapshot, bus: BusSummary) -> int:
    """Return how many children are silent because of this bus."""
    return sum(child.stems_from == bus.id for child in snapshot.children)


def _causes_of(child: ChildDetails, snapshot: Snapshot) -> Mapping[str, OpenCause | None]:
    """Return why a child is not fine: for its own reason, or because of its bus."""
    line = child.line
    bus = next((bus for bus in snapshot.buses if bus.id == line.stems_from), None)
    return {
        "cause": child_cause(line, next_step=child.next_step, tries=child.tries),
        "bus_cause": None if bus is None else bus_cause(bus, _affected(snapshot, bus)),
    }


def _bus_order(bus: BusSummary) -> tuple[bool, bool, str, str]:
    return bus.problem is None, bus.stretch <= 1, bus.entry, bus.bus
