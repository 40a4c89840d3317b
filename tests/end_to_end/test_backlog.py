"""After an outage the cloud shows first what holds now, gets everything else in order, and ends with the newest state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.models import Sample, Status
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

CHILDREN = 20
SAMPLES = 30
"""Of each child: together more than what counts as a backlog."""


def children_of(emulator):
    return [device for device in emulator.cloud.devices.values() if device.parent_id is not None]


def ends_with_newest(messages):
    return messages[-1].at == max(message.at for message in messages)


async def test_a_backlog_goes_up_with_the_newest_first_and_ends_with_it(emulator, running, until):
    bus = SyntheticBus([SyntheticDevice(f"{n:02}", f"{n:02}", poll_every=timedelta(hours=1)) for n in range(CHILDREN)])
    adapters = {"synthetic": SyntheticAdapter.on(bus)}
    async with running(adapters, {"type": "synthetic"}) as gateway:
        state = gateway.parts.state
        await until(lambda: len(children_of(emulator)) == CHILDREN and state.outbox.depth == 0)
        for child in children_of(emulator):
            await until(lambda child=child: emulator.journal.telemetry(child.id))
        await emulator.__aexit__(None, None, None)
        before = {child.id: len(emulator.journal.telemetry(child.id)) for child in children_of(emulator)}
        begin = datetime.now(UTC) - timedelta(hours=1)
        for step in range(SAMPLES):
            at = begin + timedelta(minutes=step)
            await state.outbox.put([Sample(key, at, Status.ONLINE, {"step": step}) for key in state.registry.children])
        waiting = state.outbox.depth
        await until(lambda: state.outbox.depth >= waiting + 2 * CHILDREN)  # each device has told since that it is there
        await emulator.__aenter__()
        await until(lambda: state.outbox.depth < CHILDREN, 60)
        for child in children_of(emulator):
            messages = emulator.journal.telemetry(child.id)[before[child.id] :]
            steps = [message.values["step"] for message in messages if "step" in message.values]
            assert steps == list(range(SAMPLES)), "each once, and in order"
            assert messages[0].at > begin + timedelta(minutes=SAMPLES), "what holds now comes first"
        await until(lambda: all(ends_with_newest(emulator.journal.telemetry(child.id)) for child in children_of(emulator)))
        assert all(account.is_balanced and account.lost == 0 for account in await state.outbox.accounts())
