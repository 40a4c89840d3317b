"""A gateway whose store is lost goes on as the same gateway, and a person is told what is lost."""

from datetime import timedelta

import pytest

from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}


def device(number):
    return SyntheticDevice(f"{number}", f"a{number}", poll_every=timedelta(milliseconds=100))


def children_of(emulator):
    return {one.sn: one for one in emulator.cloud.devices.values() if one.parent_id is not None}


def is_told(emulator, *numbers):
    children = children_of(emulator)
    return all(f"{number}" in children and emulator.journal.telemetry(children[f"{number}"].id) for number in numbers)


def remove(path):
    for file in path.parent.glob("gateway.sqlite3*"):
        if not file.name.endswith(".identity"):
            file.unlink()


def damage(path):
    path.write_bytes(b"\0" * 10_000)


@pytest.mark.parametrize("lose", [remove, damage])
async def test_a_lost_store_costs_no_registration_and_repeats_no_command(emulator, running, until, tmp_path, lose):
    bus = SyntheticBus([device(1), device(2)])
    adapters = {"synthetic": SyntheticAdapter.on(bus)}
    async with running(adapters, SYNTHETIC, cloud={"commands_every": timedelta(seconds=0.2)}):
        await until(lambda: is_told(emulator, 1, 2))
    ids = {one.sn: one.id for one in children_of(emulator).values()}
    begun = emulator.cloud.queue_command(ids["1"], "set", {"power": 42.5})
    lose(tmp_path / "gateway.sqlite3")
    told = {number: len(emulator.journal.telemetry(ids[number])) for number in ids}
    async with running(adapters, SYNTHETIC, cloud={"commands_every": timedelta(seconds=0.2)}) as gateway:
        await until(lambda: not begun.is_open)
        await until(lambda: all(len(emulator.journal.telemetry(ids[number])) > told[number] for number in ids))
        snapshot = await gateway.parts.view.snapshot()
        assert "goes on as" in snapshot.gateway.recoveries[0].text
        await until(lambda: "store_recovered" in gateway.parts.state.incidents.wanted)
        next_one = emulator.cloud.queue_command(ids["1"], "set", {"power": 1.5})
        await until(lambda: not next_one.is_open)
    assert {one.sn: one.id for one in children_of(emulator).values()} == ids
    calls = emulator.journal.calls()
    assert calls["Register Child Device"] == 2
    assert calls["Register Device"] == 1
    assert (begun.status, next_one.status) == ("failed", "done")
    assert "has lost its record of commands" in begun.message
    assert len(bus.devices["a1"].executed) == 1
