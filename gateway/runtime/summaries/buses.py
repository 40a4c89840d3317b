"""Summarise the buses: what reading them costs, whether they are open, and the children on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from gateway.causes import Cause
from gateway.field.fleet import Fleet
from gateway.field.polling.supervisor import Supervisor
from gateway.status.model import encode_id
from gateway.status.snapshot import BusSummary, ChildSummary, DeviceLoad, DiscoveryProgress, count_by_status

HEAVIEST_DEVICES_SHOWN = 5

NEVER_APPEARED = "it has not appeared since the start: is it plugged in, and named in the configuration?"


def bus_summaries(fleet: Fleet, children: Sequence[ChildSummary], at: datetime) -> Iterator[BusSummary]:
    """Yield a summary of every bus that has appeared, then of those that have children but have not appeared."""
    by_bus: defaultdict[tuple[str, str], list[ChildSummary]] = defaultdict(list)
    for child in children:
        by_bus[child.entry, child.bus].append(child)
    for (entry, bus), supervisor in fleet.supervisors.items():
        yield _bus_summary(entry, bus, supervisor, by_bus.pop((entry, bus), []), at)
    for (entry, bus), on_bus in by_bus.items():
        yield BusSummary(
            id=encode_id(entry, bus),
            entry=entry,
            bus=bus,
            problem=NEVER_APPEARED,
            cause=Cause.NO_PORT,
            next_step=Cause.NO_PORT.next_step,
            plan=0.0,
            limit=1.0,
            standings=count_by_status(on_bus),
        )


def _bus_summary(entry: str, bus: str, supervisor: Supervisor, children: Sequence[ChildSummary], at: datetime) -> BusSummary:
    status = supervisor.status()
    budget, discovery = status.budget, status.discovery
    outage, wait_seconds = supervisor.outage, supervisor.next_opening_seconds
    heaviest = [DeviceLoad(name=name, load=load) for name, load in budget.by_device.items() if load > 0]
    return BusSummary(
        id=encode_id(entry, bus),
        entry=entry,
        bus=bus,
        problem=None if outage is None else outage.reason.text,
        cause=None if outage is None else outage.reason.cause,
        next_step=None if outage is None else outage.reason.next_step,
        since=None if outage is None else outage.since,
        tried_at=None if outage is None else outage.tried_at,
        tries=0 if outage is None else outage.tries,
        next_try_at=None if outage is None or wait_seconds is None else at + timedelta(seconds=wait_seconds),
        plan=budget.load,
        limit=budget.limit,
        stretch=status.stretch,
        load={str(purpose): share for purpose, share in status.load.items()},
        heaviest=tuple(heaviest[:HEAVIEST_DEVICES_SHOWN]),
        discovery=None
        if discovery is None
        else DiscoveryProgress(done=discovery.done, total=discovery.total, note=discovery.note),
        waiting_commands=status.waiting_commands,
        remarks=tuple(status.remarks),
        refused=dict(status.refused),
        standings=count_by_status(children),
    )
