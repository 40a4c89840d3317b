"""What each device takes of its bus: by plan and as measured, joined by address, also of devices that are not children yet."""

from datetime import timedelta
from types import SimpleNamespace

from gateway.models import BusFact, FactSource, PlannedRead
from gateway.runtime.summaries.bus_details import bus_details
from gateway.status.buses_view import BusDetails
from gateway.status.model import encode_id


def read(address, name, seconds, group="all"):
    return PlannedRead(address=address, name=name, group=group, every=timedelta(seconds=10), seconds=seconds, transactions=1)


def fleet_of(**supervisor):
    return SimpleNamespace(supervisors={("line", "tty"): SimpleNamespace(**supervisor)})


def test_plan_and_measured_load_stand_together_and_the_largest_first():
    details = bus_details(
        fleet_of(
            facts=[BusFact("speed", "9600 baud", FactSource.CONFIGURED)],
            planned_reads=[read("1", "Meter", 0.5), read("1", "Meter", 0.5, "slow"), read("9", "Oven", 0.2)],
            device_loads={"k1": 0.08, "k2": 0.3},
            children={"k1": SimpleNamespace(name="Meter", address="1"), "k2": SimpleNamespace(name="Sensor", address="AA:BB")},
            measured_seconds=70.0,
        ),
        "line",
        "tty",
    )
    assert [(one.id, one.name, one.plan, one.load) for one in details.devices] == [
        (encode_id("k2"), "Sensor", 0.0, 0.3),
        (encode_id("k1"), "Meter", 0.1, 0.08),
        (None, "Oven", 0.02, 0.0),
    ]
    assert (details.facts[0].name, details.facts[0].source, details.measured_seconds) == ("speed", FactSource.CONFIGURED, 70)


def test_a_bus_that_is_not_there_has_no_details():
    assert bus_details(fleet_of(), "line", "gone") == BusDetails()
