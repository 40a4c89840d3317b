"""Whatever an adapter does instead of returning, its neighbours are read on, its bus comes back, and it can be stopped."""

import asyncio
import logging

import pytest

from gateway.backoff import Backoff
from gateway.testing.devices import SyntheticBus, SyntheticDevice
from gateway.testing.hostile_control_flow import BAD_ADDRESS, EXITS, HANGS, hang_again, let_go, misbehaving_adapter


@pytest.fixture(autouse=True)
def ends_at_last(monkeypatch):
    """Nothing could end the loop of a test in which something hangs for ever."""
    monkeypatch.setattr("gateway.field.guard.guarded_adapter.MOST_DISCOVERY_STEPS", 500)
    hang_again()
    yield
    let_go()


IN_REAL_TIME = {
    kind for kind in (*EXITS, *HANGS) if "thread" in kind or "callback" in kind or "loop is stopped" in kind or "freed" in kind
}
"""What needs the loop of the real process, or real threads; see tests/end_to_end/test_hostile_adapters.py."""


@pytest.mark.parametrize("kind", sorted({*EXITS, *HANGS} - IN_REAL_TIME - {"a task raises SystemExit"}))
async def test_neighbours_are_read_on_and_a_stop_is_in_time(field, caplog, kind):
    caplog.set_level(logging.INFO)
    bad, good = SyntheticDevice("1", BAD_ADDRESS), SyntheticDevice("2", "a2")
    bus = SyntheticBus([bad, SyntheticDevice("3", "a3")], label="bad bus")
    field.serve(bus, misbehaving_adapter(kind, bus), backoff=Backoff(1, 60))
    field.serve(SyntheticBus([good], label="good bus"))
    await asyncio.sleep(100)
    assert good.reads > 95
    assert not any(task.done() for task in field.tasks), "both are served on"
    assert len(caplog.records) < 60, caplog.text
    for task in field.tasks:
        task.cancel()
    _, left = await asyncio.wait(field.tasks, timeout=12)
    let_go()
    assert not left
