"""Check that children tell their cause as it is now: the bus that a child is silent because of, and its latest reason."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from gateway.causes import Cause, Reason
from gateway.field.children.availability import Availability
from gateway.field.polling.bus_health import BusOutage
from gateway.models import ChildDevice
from gateway.runtime.summaries.children import ASKED_SOON, ChildSummaries
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.status.model import encode_id
from gateway.status.snapshot import ChildStatus

BUS = ("modbus", "house 3")
LOST_AT = datetime(2026, 11, 29, 8, 11, tzinfo=UTC)


class Bus:
    """The supervisor of a bus, as far as summaries ask it."""

    def __init__(self):
        self.outage = None

    def next_try_seconds(self, key):
        return None if self.outage else 7.0

    def child_status(self, key):
        return None


@asynccontextmanager
async def site(tmp_path):
    """A registered child on a bus, and its summaries."""
    async with Store(tmp_path / "s.sqlite3") as store:
        registry = Registry(store)
        await registry.load()
        await registry.admit(
            ChildDevice(
                key="c1", adapter=BUS[0], bus=BUS[1], address="1", profile=None, family=None, model_id="m", sub_model=None,
                firmware_version=None, name="Meter 1",
            )
        )  # fmt: skip
        availability, bus = Availability(), Bus()
        quiet = SimpleNamespace(alarms_of=lambda key: (), evidence_of=lambda key: {})
        field = SimpleNamespace(
            availability=availability, intake=quiet, fleet=SimpleNamespace(supervisors={BUS: bus}),
            in_effect=SimpleNamespace(remarks=lambda key: ()),
            monitor=SimpleNamespace(last_answer=lambda key: None, why_no_values=lambda key: None),
        )  # fmt: skip
        yield SimpleNamespace(availability=availability, bus=bus, registry=registry, summaries=ChildSummaries(registry, field))


def lose(made, reason):
    made.bus.outage = BusOutage(reason=reason, since=LOST_AT, tried_at=LOST_AT, tries=2, wait_seconds=4)
    made.availability.record_bus_loss("c1", LOST_AT, Reason(f"its bus house 3 does not work: {reason.text}", reason.cause))


async def test_a_child_names_the_bus_that_it_is_silent_because_of(tmp_path):
    async with site(tmp_path) as made:
        lose(made, Reason("10.0.0.3: Connection refused", Cause.HOST_REFUSES))
        (line,) = made.summaries.all(LOST_AT)

        assert (line.standing, line.cause, line.stems_from) == (ChildStatus.SILENT, Cause.HOST_REFUSES, encode_id(*BUS))
        assert line.since == LOST_AT


async def test_another_reason_of_the_bus_is_told_at_once_and_the_time_stays(tmp_path):
    async with site(tmp_path) as made:
        lose(made, Reason("10.0.0.3: Connection refused", Cause.HOST_REFUSES))
        made.summaries.all(LOST_AT)
        lose(made, Reason("10.0.0.3: No route to host", Cause.HOST_UNREACHABLE))
        (line,) = made.summaries.all(LOST_AT + timedelta(minutes=5))

        assert (line.cause, line.since) == (Cause.HOST_UNREACHABLE, LOST_AT)
        assert "No route to host" in line.why


async def test_a_child_whose_bus_works_again_is_not_said_to_be_without_one(tmp_path):
    async with site(tmp_path) as made:
        lose(made, Reason("10.0.0.3: Connection refused", Cause.HOST_REFUSES))
        made.bus.outage = None
        (line,) = made.summaries.all(LOST_AT)

        assert (line.why, line.cause) == (ASKED_SOON, Cause.UNKNOWN)


async def test_a_child_with_a_reason_of_its_own_tells_that_with_its_next_step(tmp_path):
    async with site(tmp_path) as made:
        for _ in range(3):
            made.availability.record_miss("c1", LOST_AT, Reason("no answer within 0.5 s", Cause.NO_ANSWER, "Press its button."))
        details = made.summaries.details("c1")

        assert (details.line.cause, details.line.stems_from) == (Cause.NO_ANSWER, None)
        assert (details.next_step, details.tries) == ("Press its button.", 3)
        assert details.line.next_try_at is not None


class WalkedChildren(dict):
    walks = 0

    def values(self):
        self.walks += 1
        return super().values()

    def items(self):
        self.walks += 1
        return super().items()


async def test_a_snapshot_of_many_children_walks_over_them_a_few_times_and_not_once_for_each(tmp_path):
    async with site(tmp_path) as made:
        (record,) = made.registry.children.values()
        children = WalkedChildren(
            {f"c{number}": replace(record, child=replace(record.child, key=f"c{number}")) for number in range(50)}
        )
        made.registry._children = children
        assert len(made.summaries.all(LOST_AT)) == 50
        assert children.walks <= 3
