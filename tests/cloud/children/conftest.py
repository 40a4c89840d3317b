"""Provide a registry on a real store, a fake hub with a registered parent, and a registrar between them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from pydantic import SecretStr

from gateway.cloud.child_registrar import ChildRegistrar, RegistrationPolicy
from gateway.cloud.revocation import KeyCheck, RevocationTiming
from gateway.hub import GatewayRegistration
from gateway.models import ChildDevice, Status
from gateway.state.outbox import Outbox
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.clock import simulated
from gateway.testing.hub import FakeHub

GATEWAY = GatewayRegistration(hardware_key=SecretStr("hk"), serial_number="S", firmware_version="1.0.0")


def child_device(number, **rest):
    facts = {
        "key": f"sn:acme/{number}", "adapter": "modbus", "bus": "hall", "address": str(number), "profile": "acme",
        "family": "meter", "model_id": "m-1", "sub_model": "A1", "firmware_version": "1.2.0", "name": f"Meter {number}",
        "serial_number": str(number), "manufacturer": "Acme", "model": "One",
    }  # fmt: skip
    return ChildDevice(**{**facts, **rest})


class House:
    """What a test acts on."""

    may_lack_children = False

    def __init__(self, store):
        self.events = []
        self.store, self.hub, self.outbox = store, FakeHub(), Outbox(store, most_samples=1000)

    async def start(self, deleted_children="register_again", settle=timedelta(seconds=30)):
        """Begin as after a restart: everything in memory is gone."""
        self.registry = Registry(self.store)
        await self.registry.load()
        self.registrar = ChildRegistrar(
            self.hub,
            self.registry,
            self.outbox,
            KeyCheck(self.hub, RevocationTiming()),
            policy=RegistrationPolicy(deleted_children=deleted_children, settle=settle),
            status_of=lambda key: Status.ONLINE,
            report_event=lambda *event: self.events.append(event),
            may_lack_children=lambda: self.may_lack_children,
        )

    async def live(self, seconds=0.0):
        """Take steps for so many simulated seconds; failures of the hub are retried after a second."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            try:
                wait = (await self.registrar.step(self.parent)).total_seconds()
            except Exception as error:
                if type(error).__name__ not in ("HubUnreachable", "HubBusy"):
                    raise
                wait = 1.0
            if wait and loop.time() >= end - 1e-6:
                return
            await asyncio.sleep(min(wait, max(end - loop.time(), 0)))

    async def new_parent(self):
        self.parent = await self.hub.register_device(GATEWAY)

    def record(self, number=1):
        return self.registry.children[f"sn:acme/{number}"]

    def listed(self):
        return self.hub.children_of(self.parent.device_id)


@pytest.fixture
def child():
    return child_device


@pytest.fixture
def house(tmp_path):
    """Run a test in simulated time: `house(test)` or `house(test, 1, 2)` with registered children."""

    def run(test, *registered):
        async def main():
            async with Store(tmp_path / "s.sqlite3") as store:
                house = House(store)
                await house.new_parent()
                await house.start()
                for number in registered:
                    await house.registry.admit(child_device(number))
                await house.live()
                await test(house)

        simulated(main())

    return run
