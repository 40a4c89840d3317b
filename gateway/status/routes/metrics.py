"""Render the state of the gateway as Prometheus metrics; the only file that imports its library.

The number of labels is bounded: they are names of buses and words of ours, never names of devices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.causes import Cause
from gateway.status.listening.connections import Connections
from gateway.status.listening.work_budget import WorkBudget
from gateway.status.open_causes import OpenCause, open_causes
from gateway.status.snapshot import BusSummary, ChildStatus, FlashSummary, Snapshot, count_by_status

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
MAX_BUSES: Final = 500
"""Further buses have no metrics of their own."""

PREFIX: Final = "xyte_gateway_"
BUS: Final = ("entry", "bus")


def render_metrics(snapshot: Snapshot, *, watchers: int, connections: Connections, work: WorkBudget) -> bytes:
    """Return the current metrics in the text format."""
    registry = CollectorRegistry()
    registry.register(_SnapshotCollector(snapshot, watchers, connections, work))
    return generate_latest(registry)


class _SnapshotCollector(Collector):
    def __init__(self, snapshot: Snapshot, watchers: int, connections: Connections, work: WorkBudget) -> None:
        self._snapshot = snapshot
        self._watchers = watchers
        self._connections = connections
        self._work = work

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from _gateway_metrics(self._snapshot)
        yield from _children_metrics(self._snapshot)
        yield from _cause_metrics(open_causes(self._snapshot))
        yield from _failure_metrics(self._snapshot.failures)
        yield from _bus_metrics(self._snapshot.buses[:MAX_BUSES])
        yield _gauge("page_watchers", "Pages that are open and live", self._watchers)
        yield _gauge("page_connections", "Connections to the page", len(self._connections))
        closed = self._connections.closed_early
        what = "Connections to the page that were closed to make room"
        yield CounterMetricFamily(f"{PREFIX}page_connections_closed_early", what, value=closed)
        what = "Requests and connections to the page that waited in vain for their turn"
        yield CounterMetricFamily(f"{PREFIX}page_requests_refused", what, value=self._work.refused)


def _gateway_metrics(snapshot: Snapshot) -> Iterator[Metric]:
    gateway, outbox = snapshot.gateway, snapshot.outbox
    info = InfoMetricFamily(f"{PREFIX[:-1]}", "The gateway")
    info.add_metric((), {"version": gateway.version})
    yield info
    yield _gauge("start_time_seconds", "Time of its start, seconds since 1970", gateway.started_at.timestamp())
    yield _gauge("registered", "1 when it is registered with the cloud", float(gateway.is_registered))
    yield _gauge("claimed", "1 when a customer has claimed it", float(bool(gateway.is_claimed)))
    yield _gauge("hub_reachable", "1 when the hub answers", float(bool(gateway.hub.is_reachable)))
    if gateway.hub.since is not None:
        yield _gauge(
            "hub_since_seconds",
            "When the hub began to answer, or stopped answering, seconds since 1970",
            gateway.hub.since.timestamp(),
        )
    yield _gauge("store_writable", "1 when the store can be written", float(gateway.store_problem is None))
    rows_set_aside = gateway.rows_set_aside
    yield CounterMetricFamily(f"{PREFIX}rows_set_aside", "Stored rows that could not be read or sent", value=rows_set_aside)
    yield from _flash_metrics(gateway.flash)
    yield _gauge("outbox_samples", "Samples that the hub has not accepted yet", outbox.depth)
    yield _gauge("outbox_capacity_samples", "Samples that fit into the outbox", outbox.capacity)
    yield _gauge("outbox_draining", "1 while a backlog is sent", float(outbox.drain is not None))
    yield _gauge(
        "outbox_refused_samples", "Samples that the hub refuses for now", outbox.refused.samples if outbox.refused else 0
    )
    yield _gauge("outbox_bytes", "What they take up in the store, about", outbox.size_bytes)
    if outbox.capacity_bytes is not None:
        yield _gauge("outbox_capacity_bytes", "What they may take up before older ones are thinned out", outbox.capacity_bytes)
    if outbox.holds_seconds is not None:
        yield _gauge("outbox_holds_seconds", "How long nothing is lost while the hub takes nothing", outbox.holds_seconds)
    if outbox.oldest_at is not None:
        yield _gauge("outbox_oldest_seconds", "Time of the oldest of them, seconds since 1970", outbox.oldest_at.timestamp())
    yield CounterMetricFamily(f"{PREFIX}samples_lost", "Samples that will never arrive", value=outbox.lost)


def _flash_metrics(flash: FlashSummary | None) -> Iterator[Metric]:
    if flash is None:
        return
    yield CounterMetricFamily(f"{PREFIX}disk_written_bytes", "Bytes sent to the disk", value=flash.written_bytes)
    if flash.bytes_per_day is not None:
        rate = flash.bytes_per_day
        yield _gauge("disk_written_bytes_per_day", "The same for a day, at the rate of the last days", rate)
    if flash.years_left is not None:
        yield _gauge("disk_years_left", "Years until the write budget of the disk is used", flash.years_left)


def _children_metrics(snapshot: Snapshot) -> Iterator[Metric]:
    counts = count_by_status(snapshot.children)
    by_status = (((status.value,), counts.get(status, 0)) for status in ChildStatus)
    yield _labelled("children", "Children by status", ("standing",), by_status)
    yield _gauge("found_devices", "Found devices that are neither children nor ignored", len(snapshot.undecided))


def _cause_metrics(causes: Iterable[OpenCause]) -> Iterator[Metric]:
    """Yield what is wrong right now; the causes are an enumeration, so their number is bounded."""
    many = list(causes)
    lines, affected = Counter(one.cause for one in many), Counter[Cause]()
    for one in many:
        affected[one.cause] += one.children
    yield _labelled("causes", "What is wrong right now, by cause", ("cause",), (((cause,), lines[cause]) for cause in Cause))
    yield _labelled(
        "cause_children", "Children that a cause keeps from working", ("cause",), (((cause,), affected[cause]) for cause in Cause)
    )


def _failure_metrics(failures: Mapping[Cause, int]) -> Iterator[Metric]:
    family = CounterMetricFamily(f"{PREFIX}failures", "Failed transactions of all children, by cause", labels=("cause",))
    for cause in Cause:
        family.add_metric((cause,), failures.get(cause, 0))
    yield family


def _bus_metrics(buses: Iterable[BusSummary]) -> Iterator[Metric]:
    by_name: Mapping[tuple[str, str], BusSummary] = {(bus.entry, bus.bus): bus for bus in buses}
    items = by_name.items()
    yield _labelled("bus_open", "1 when the bus is open", BUS, ((name, bus.problem is None) for name, bus in items))
    yield _labelled(
        "bus_plan_ratio", "Share of its time that reading takes, by plan", BUS, ((name, bus.plan) for name, bus in items)
    )
    yield _labelled(
        "bus_stretch_ratio",
        "Factor by which its intervals are longer than configured",
        BUS,
        ((name, bus.stretch) for name, bus in items),
    )
    yield _labelled("bus_waiting_commands", "Commands in its queue", BUS, ((name, bus.waiting_commands) for name, bus in items))
    refused = CounterMetricFamily(
        f"{PREFIX}bus_refused", "Readings and other data of its adapter that were refused, by reason", labels=(*BUS, "reason")
    )
    for name, bus in items:
        for reason, count in bus.refused.items():
            refused.add_metric((*name, reason), count)
    yield refused
    loads = (((*name, purpose), part) for name, bus in items for purpose, part in bus.load.items())
    yield _labelled("bus_load_ratio", "Share of its time that was used lately, by purpose", (*BUS, "purpose"), loads)
    counts = (((*name, status.value), bus.standings.get(status, 0)) for name, bus in items for status in ChildStatus)
    yield _labelled("bus_children", "Its children by status", (*BUS, "standing"), counts)


def _gauge(name: str, description: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, description, value=value)


def _labelled(name: str, description: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, description, labels=labels)
    for label_values, value in values:
        family.add_metric(label_values, float(value))
    return family
