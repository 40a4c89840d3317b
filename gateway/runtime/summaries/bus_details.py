"""Summarise one bus: how it is set, and what each device takes of its time, by plan and as measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from gateway.field.fleet import Fleet
from gateway.field.polling.supervisor import Supervisor
from gateway.status.buses_view import BusDetails, BusFactSummary, DeviceBusLoad
from gateway.status.model import encode_id


def bus_details(fleet: Fleet, entry: str, bus: str) -> BusDetails:
    """Return the details of a bus; none of a bus that is not there (any more)."""
    supervisor = fleet.supervisors.get((entry, bus))
    if supervisor is None:
        return BusDetails()
    facts = (BusFactSummary(name=fact.name, value=fact.value, source=fact.source) for fact in supervisor.facts)
    loads = sorted(_loads(supervisor), key=lambda one: (-max(one.plan, one.load), one.name))
    return BusDetails(facts=tuple(facts), devices=tuple(loads), measured_seconds=supervisor.measured_seconds)


def _loads(supervisor: Supervisor) -> Iterator[DeviceBusLoad]:
    """Yield the load of each child, then that of configured devices that are not children yet."""
    planned: defaultdict[str, float] = defaultdict(float)
    names: dict[str, str] = {}
    for read in supervisor.planned_reads:
        planned[read.address] += read.load
        names[read.address] = read.name
    measured = supervisor.device_loads
    for key, child in supervisor.children.items():
        plan = planned.pop(child.address, 0.0)
        yield DeviceBusLoad(id=encode_id(key), name=child.name, address=child.address, plan=plan, load=measured.get(key, 0.0))
    for address, plan in planned.items():
        yield DeviceBusLoad(name=names[address], address=address, plan=plan)
