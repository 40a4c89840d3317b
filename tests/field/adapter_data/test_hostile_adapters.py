"""Whatever an adapter returns costs what it returned, and nothing else: its neighbours keep their samples."""

import asyncio
import json
import logging
from datetime import UTC, datetime

import pytest

from gateway.field.polling.supervisor import Supervisor
from gateway.state.outbox import Outbox
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice, SyntheticSettings, found_of
from gateway.testing.hostile_adapter import BAD_ADDRESS, KINDS, hostile_adapter

GROUPS = sorted({kind.partition(":")[0] for kind in KINDS})
ELSEWHERE = "sn:synthetic/elsewhere"


def kinds_of(group):
    return [kind for kind in KINDS if kind.partition(":")[0] == group]


@pytest.fixture
async def serving(field):
    """`await serving(kind)` starts a bus with an adapter of this kind, in an entry of its own, beside a bus of a healthy one.

    Its devices are children already: one adapter finds none of them any more.
    """

    def supervise(adapter, entry):
        supervisor = Supervisor(
            adapter, entry=entry, registry=field.registry, intake=field.intake, monitor=field.monitor, in_effect=field.in_effect
        )
        field.tasks.append(asyncio.create_task(supervisor.run()))
        return supervisor

    async def serve(kind):
        bus = SyntheticBus(
            [SyntheticDevice(f"bad {kind}", BAD_ADDRESS), SyntheticDevice(f"good {kind}", "good")], label=f"bus of {kind}"
        )
        settings = SyntheticSettings(type="synthetic", name=f"entry of {kind}")
        for device in bus.devices.values():
            await field.registry.admit(found_of(device).as_child(adapter=settings.name, bus=bus.label, model_id="m-1"))
        return supervise(hostile_adapter(kind, bus)(settings, bus), settings.name), bus

    elsewhere = SyntheticBus([SyntheticDevice("elsewhere", "e1")], label="elsewhere")
    supervise(SyntheticAdapter.on(elsewhere)(SyntheticSettings(type="synthetic", name="elsewhere"), elsewhere), "elsewhere")
    return serve


@pytest.mark.parametrize("group", GROUPS)
async def test_no_kind_of_bad_adapter_ends_anything_or_costs_a_neighbour_a_sample(field, serving, caplog, group):
    caplog.set_level(logging.INFO)
    kinds = kinds_of(group)
    served = {kind: await serving(kind) for kind in kinds}
    taken = {}

    def note():
        for sample in field.sampler.collect(datetime.now(UTC)):
            taken.setdefault(sample.child, []).append(sample.values)
        return all(len([one for one in taken.get(f"sn:synthetic/good {kind}", ()) if one]) >= 3 for kind in kinds)

    await field.until(note, 600)
    assert [task for task in field.tasks if task.done()] == [], "every bus is still served"
    for kind in kinds:
        samples = [one for one in taken[f"sn:synthetic/good {kind}"] if one]
        assert samples == [{"power": 1.0}] * len(samples), kind
    assert {"power": 666.0} not in taken[ELSEWHERE]
    for kind in kinds:
        supervisor, _ = served[kind]
        entry = [record for record in caplog.messages if f"the adapter entry of {kind} " in record and "To its author" in record]
        assert len(entry) == len(set(entry)) <= 3, "each reason is told once"
        assert supervisor.status().refused or "refus" not in "".join(entry)
        json.dumps(dict(supervisor.status().refused))
    json.dumps(taken, allow_nan=False).encode()
    for message in caplog.messages:
        assert message.isprintable(), message
        assert len(message) < 2000


async def test_whatever_is_left_of_bad_readings_can_be_stored(field, serving, tmp_path):
    outbox = Outbox(field.registry._store, most_samples=100_000)
    await outbox.load()
    kinds = [kind for kind in KINDS if kind.startswith(("value:", "time:", "metric:", "read:", "heard:"))]
    for kind in kinds:
        await serving(kind)
    good = {f"sn:synthetic/good {kind}" for kind in kinds}
    stored = set()

    while not good <= stored:
        await asyncio.sleep(1)
        samples = field.sampler.collect(datetime.now(UTC))
        await outbox.put(samples)
        stored |= {sample.child for sample in samples if sample.values}
    assert outbox.depth > len(good)


async def test_a_device_with_an_identity_of_escape_sequences_becomes_a_child_with_a_printable_key(field, serving):
    await serving("discover: an identity with an escape sequence")
    await field.until(lambda: any("%1B" in key for key in field.registry.children))
    assert all(key.isprintable() for key in field.registry.children)
