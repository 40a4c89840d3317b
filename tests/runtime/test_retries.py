"""Check that what a person asks for is tried once and not again and again, and that the outcome is told."""

from types import SimpleNamespace

import pytest

from gateway.causes import Cause, Reason
from gateway.models import ChildDevice
from gateway.runtime.retries import CLOUD_EVERY_SECONDS, FIELD_EVERY_SECONDS, Retries
from gateway.state.child_states import ChildState
from gateway.testing.clock import simulated

BUS = ("modbus", "house 3")


class Bus:
    """The supervisor of a bus, as far as it is asked here."""

    def __init__(self, outcome):
        self.outage, self.outcome, self.tried = object(), outcome, []

    async def try_now(self):
        self.tried.append("bus")
        return self.outcome

    async def try_child(self, key):
        self.tried.append(key)
        return self.outcome


class Session:
    """The conversation with the cloud."""

    def __init__(self):
        self.outcome, self.tried = None, []

    async def try_now(self):
        self.tried.append("cloud")
        return self.outcome

    def try_child(self, key):
        self.tried.append(key)


def made(*, outcome=None, state=ChildState.REGISTERED):
    child = ChildDevice(
        key="c1", adapter="modbus", bus="house 3", address="1", profile=None, family=None, model_id="m", sub_model=None,
        firmware_version=None, name="Meter 1",
    )  # fmt: skip
    bus, session = Bus(outcome), Session()
    registry = SimpleNamespace(children={"c1": SimpleNamespace(child=child, state=state)})
    field = SimpleNamespace(fleet=SimpleNamespace(supervisors={BUS: bus}))
    return SimpleNamespace(retries=Retries(registry, field, SimpleNamespace(session=session)), bus=bus, session=session)


def test_the_cloud_is_not_called_more_often_than_its_limits_bear():
    async def main():
        site = made()
        told = [await site.retries.try_cloud() for _ in range(200)]
        assert site.session.tried == ["cloud"]
        assert told[0].works
        assert told[1].text == f"it was tried a moment ago; try again in {CLOUD_EVERY_SECONDS:.0f} s"
        assert told[1].wait_seconds == pytest.approx(CLOUD_EVERY_SECONDS)

    simulated(main())


def test_a_bus_and_a_child_are_tried_again_after_a_moment():
    async def main():
        site = made(outcome=Reason("10.0.0.3:502: Connection refused.", Cause.HOST_REFUSES))
        first = await site.retries.try_bus(*BUS)
        assert (first.works, first.text) == (False, "10.0.0.3:502: Connection refused")
        assert (await site.retries.try_bus(*BUS)).wait_seconds == pytest.approx(FIELD_EVERY_SECONDS)
        site.bus.outage = None
        assert not (await site.retries.try_child("c1")).works
        assert site.bus.tried == ["bus", "c1"]

    simulated(main())


def test_a_child_whose_bus_does_not_work_has_its_bus_tried():
    async def main():
        site = made()
        assert (await site.retries.try_child("c1")).text == "house 3 is open now, and its devices are asked"
        assert site.bus.tried == ["bus"]

    simulated(main())


def test_a_child_that_the_cloud_refused_is_registered_again():
    async def main():
        site = made(state=ChildState.REFUSED)
        assert "registered again now" in (await site.retries.try_child("c1")).text
        assert (site.session.tried, site.bus.tried) == (["c1"], [])

    simulated(main())


def test_what_is_not_there_or_works_is_said_and_not_tried():
    async def main():
        site = made()
        site.bus.outage = None
        assert (await site.retries.try_bus(*BUS)).works
        assert not (await site.retries.try_bus("modbus", "gone")).works
        assert not (await site.retries.try_child("gone")).works
        assert site.bus.tried == []

    simulated(main())
