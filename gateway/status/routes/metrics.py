"""Everything countable for Prometheus; the only file that knows its library. Labels are bounded: buses and words of ours."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.status.snapshot import BusShown, Snapshot, Standing, count_standings

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
BUSES_TOLD: Final = 500
"""Of so many buses each is told; a gateway with more is looked at by its page."""

PREFIX: Final = "xyte_gateway_"
BUS: Final = ("entry", "bus")


def exposition(snapshot: Snapshot, *, watchers: int) -> bytes:
    """Return the metrics of this moment in the text format."""
    registry = CollectorRegistry()
    registry.register(_Moment(snapshot, watchers))
    return generate_latest(registry)


class _Moment(Collector):
    def __init__(self, snapshot: Snapshot, watchers: int) -> None:
        self._snapshot = snapshot
        self._watchers = watchers

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield from _of_gateway(self._snapshot)
        yield from _of_children(self._snapshot)
        yield from _of_buses(self._snapshot.buses[:BUSES_TOLD])
        yield _gauge("page_watchers", "Pages that are open and live", self._watchers)


def _of_gateway(snapshot: Snapshot) -> Iterator[Metric]:
    gateway, outbox = snapshot.gateway, snapshot.outbox
    info = InfoMetricFamily(f"{PREFIX[:-1]}", "The gateway")
    info.add_metric((), {"version": gateway.version})
    yield info
    yield _gauge("start_time_seconds", "When it started, seconds since 1970", gateway.started_at.timestamp())
    yield _gauge("registered", "1 when the cloud knows it", float(gateway.is_registered))
    yield _gauge("claimed", "1 when a customer has claimed it", float(bool(gateway.is_claimed)))
    yield _gauge("hub_reachable", "1 when the hub answers", float(bool(gateway.hub.is_reachable)))
    if gateway.hub.since is not None:
        yield _gauge(
            "hub_since_seconds", "Since when the hub answers, or does not, seconds since 1970", gateway.hub.since.timestamp()
        )
    yield _gauge("store_writable", "1 when something can be stored", float(gateway.store_problem is None))
    yield _gauge("outbox_samples", "Samples that the hub has not accepted yet", outbox.depth)
    yield _gauge("outbox_capacity_samples", "Samples that there is room for", outbox.capacity)
    if outbox.oldest_at is not None:
        yield _gauge("outbox_oldest_seconds", "From when the oldest of them is, seconds since 1970", outbox.oldest_at.timestamp())
    yield CounterMetricFamily(f"{PREFIX}samples_lost", "Samples that will never arrive", value=outbox.lost)


def _of_children(snapshot: Snapshot) -> Iterator[Metric]:
    counts = count_standings(snapshot.children)
    standings = ((word.value, counts.get(word, 0)) for word in Standing)
    yield _labelled("children", "Children by how they stand", ("standing",), (((word,), many) for word, many in standings))
    yield _gauge("found_devices", "Found devices that are no children and not ignored", len(snapshot.undecided))


def _of_buses(buses: Iterable[BusShown]) -> Iterator[Metric]:
    by_name: Mapping[tuple[str, str], BusShown] = {(bus.entry, bus.bus): bus for bus in buses}
    told = by_name.items()
    yield _labelled("bus_open", "1 when the bus is open", BUS, ((name, bus.problem is None) for name, bus in told))
    yield _labelled(
        "bus_plan_ratio", "Share of its time that reading takes by plan", BUS, ((name, bus.plan) for name, bus in told)
    )
    yield _labelled(
        "bus_stretch_ratio", "How much longer than configured its intervals are", BUS, ((n, b.stretch) for n, b in told)
    )
    yield _labelled(
        "bus_waiting_commands", "Commands that wait for it", BUS, ((name, bus.waiting_commands) for name, bus in told)
    )
    loads = (((*name, purpose), part) for name, bus in told for purpose, part in bus.load.items())
    yield _labelled("bus_load_ratio", "Share of its time that was taken lately, by purpose", (*BUS, "purpose"), loads)
    counts = (((*name, word.value), bus.standings.get(word, 0)) for name, bus in told for word in Standing)
    yield _labelled("bus_children", "Its children by how they stand", (*BUS, "standing"), counts)


def _gauge(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, says, value=value)


def _labelled(name: str, says: str, labels: tuple[str, ...], values: Iterable[tuple[tuple[str, ...], float]]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, says, labels=labels)
    for words, value in values:
        family.add_metric(words, float(value))
    return family
