import asyncio
from types import SimpleNamespace

import pytest

from gateway.backoff import Backoff
from gateway.config.settings import Policy
from gateway.field.children.availability import Availability
from gateway.field.children.child_configuration import ConfigurationsInEffect
from gateway.field.children.intake import DeviceIntake
from gateway.field.polling.supervisor import Supervisor
from gateway.field.telemetry.child_monitor import ChildMonitor
from gateway.field.telemetry.sampling import Sampler
from gateway.state.registry import Registry
from gateway.state.store import Store
from gateway.testing.clock import SimulatedLoop
from gateway.testing.devices import SyntheticAdapter, SyntheticSettings


def pytest_asyncio_loop_factories(config, item):
    """Every test of the field runs in simulated time: a busy machine makes none of its waits too short."""
    return {"simulated": SimulatedLoop}


@pytest.fixture
async def field(tmp_path):
    """The field wing on a real store, with `serve(bus)` to start a supervisor for a synthetic bus and `until(...)` to wait."""
    async with Store(tmp_path / "store.sqlite3") as store:
        registry, availability, sampler = Registry(store), Availability(), Sampler()
        await registry.load()
        made = SimpleNamespace(registry=registry, availability=availability, sampler=sampler, tasks=[], urgent_reports=0)
        made.intake = DeviceIntake(registry, availability, policy=Policy.MATCHED, models={"meter": "m-1"})

        def report_soon():
            made.urgent_reports += 1

        made.in_effect = ConfigurationsInEffect()
        made.monitor = ChildMonitor(availability, sampler, report_soon=report_soon, in_effect=made.in_effect)

        def serve(bus, adapter_class=None, backoff=None, **settings):
            backoff = backoff or Backoff(0.01, 0.05)
            adapter_class = adapter_class or SyntheticAdapter.on(bus)
            adapter = adapter_class(SyntheticSettings(type="synthetic", name="entry", **settings), bus)
            supervisor = Supervisor(
                adapter, entry="entry", registry=registry, intake=made.intake, monitor=made.monitor, backoff=backoff,
                in_effect=made.in_effect,
            )  # fmt: skip
            made.tasks.append(asyncio.create_task(supervisor.run()))
            return supervisor

        async def until(claim, seconds=60.0):
            async with asyncio.timeout(seconds):
                while not claim():  # noqa: ASYNC110 - a claim about anything, not an event
                    await asyncio.sleep(0.005)

        made.serve, made.until = serve, until
        yield made
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
