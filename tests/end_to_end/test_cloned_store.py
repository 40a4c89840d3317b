"""A store that wakes up on another machine asks before it speaks to the cloud; meanwhile devices are read and samples stored."""

import asyncio
import shutil
from datetime import timedelta

import pytest

from gateway.config.settings import StoreSection
from gateway.errors import BeginAnew
from gateway.state.recovery.hardware import Hardware
from gateway.state.recovery.recoveries import RecoveryKind
from gateway.status.health import readiness
from gateway.testing.devices import SyntheticAdapter, SyntheticBus, SyntheticDevice

pytestmark = pytest.mark.enable_socket

SYNTHETIC = {"type": "synthetic"}


def device(number):
    return SyntheticDevice(f"{number}", f"a{number}", poll_every=timedelta(milliseconds=100))


def children_of(emulator, parent=None):
    return {one.sn: one for one in emulator.cloud.devices.values() if one.parent_id and parent in (None, one.parent_id)}


def parents_of(emulator):
    return [one for one in emulator.cloud.devices.values() if one.parent_id is None]


@pytest.fixture
def board(monkeypatch):
    """Let the gateway see a board with this serial number."""

    def use(serial):
        seen = Hardware(boards=(("proc/device-tree/serial-number", serial),))
        monkeypatch.setattr("gateway.runtime.hardware.Hardware.of_machine", lambda given, *, is_in_container: seen)

    return use


@pytest.fixture
async def cloned(emulator, running, until, tmp_path, board):
    """Run a gateway with two devices, and return the section of a copy of its store on another machine."""
    board("one")
    path = tmp_path / "gateway.sqlite3"
    async with running({"synthetic": SyntheticAdapter.on(SyntheticBus([device(1), device(2)]))}, SYNTHETIC):
        await until(lambda: {"1", "2"} <= children_of(emulator).keys())
        await until(lambda: all(emulator.journal.telemetry(one.id) for one in children_of(emulator).values()))
    copy = tmp_path / "clone" / "gateway.sqlite3"
    copy.parent.mkdir()
    for file in tmp_path.glob("gateway.sqlite3*"):
        shutil.copyfile(file, copy.with_name(file.name))
    assert path.exists()
    board("two")
    return StoreSection(path=copy)


async def test_nothing_goes_to_the_cloud_until_a_person_says_that_this_machine_replaces_the_other(
    emulator, running, until, cloned, caplog
):
    calls = sum(emulator.journal.calls().values())
    adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([device(1), device(2)]))}
    async with running(adapters, SYNTHETIC, store=cloned) as gateway:
        state, view = gateway.parts.state, gateway.parts.view
        before = state.outbox.depth
        await until(lambda: state.outbox.depth > before + 2)
        assert sum(emulator.journal.calls().values()) == calls
        snapshot = await view.snapshot()
        assert "/proc/device-tree/serial-number is two, and was one" in snapshot.gateway.identity_question
        assert "xyte-gateway identity keep" in caplog.text
        ready = readiness(snapshot, None, hub_gone_limit=None)
        assert "comes from another machine" in ready.reasons[0]
        assert await view.decide_identity("keep") is None
        await until(lambda: state.outbox.depth == 0)
        assert state.recoveries.all[-1].kind is RecoveryKind.KEPT_IDENTITY
        assert (await view.snapshot()).gateway.identity_question is None
    assert len(parents_of(emulator)) == 1
    assert len(children_of(emulator)) == 2
    async with running(adapters, SYNTHETIC, store=cloned) as gateway:
        assert gateway.parts.state.hardware.question is None, "it is asked once"


async def test_a_gateway_that_stops_before_the_decision_has_said_nothing_and_asks_again(emulator, running, cloned):
    calls = sum(emulator.journal.calls().values())
    for _ in range(2):
        adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([device(1)]))}
        async with running(adapters, SYNTHETIC, store=cloned) as gateway:
            assert gateway.parts.state.hardware.question is not None
    assert sum(emulator.journal.calls().values()) == calls


async def test_a_person_says_that_this_is_another_gateway(emulator, running, until, cloned):
    adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([device(2), device(3)]))}
    ids = {one.id for one in emulator.cloud.devices.values()}
    with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012 - the gateway ends by itself
        async with running(adapters, SYNTHETIC, store=cloned) as gateway:
            state = gateway.parts.state
            await until(lambda: state.outbox.depth > 0)
            await gateway.parts.field.reporter.report()
            assert await gateway.parts.view.decide_identity("new") is None
            await asyncio.sleep(30)
    assert caught.group_contains(BeginAnew)
    told = {one.id: len(emulator.journal.telemetry(one.id)) for one in emulator.cloud.devices.values()}
    async with running(adapters, SYNTHETIC, store=cloned) as gateway:
        await until(lambda: len(parents_of(emulator)) == 2)
        new = next(one for one in parents_of(emulator) if one.id not in ids)
        await until(lambda: {"2", "3"} <= children_of(emulator, new.id).keys())
        await until(lambda: all(emulator.journal.telemetry(one.id) for one in children_of(emulator, new.id).values()))
        assert set(gateway.parts.state.registry.children) == {"sn:synthetic/2", "sn:synthetic/3"}
        assert gateway.parts.state.registry.gateway.serial_number != parents_of(emulator)[0].sn
    assert all(len(emulator.journal.telemetry(one)) == number for one, number in told.items()), "nothing goes by the former keys"


async def test_a_configured_serial_number_of_the_former_gateway_keeps_it_from_becoming_another(running, cloned, until, emulator):
    (parent,) = parents_of(emulator)
    adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([device(1)]))}
    async with running(adapters, SYNTHETIC, store=cloned, gateway_keys={"serial_number": parent.sn}) as gateway:
        assert "remove gateway.serial_number" in await gateway.parts.view.decide_identity("new")
        assert gateway.parts.state.hardware.question is not None


@pytest.mark.parametrize(("decision", "gateways"), [("keep", 1), ("new", 2)])
async def test_the_configuration_decides_where_no_person_can(emulator, running, until, cloned, decision, gateways):
    adapters = {"synthetic": SyntheticAdapter.on(SyntheticBus([device(1)]))}
    async with running(adapters, SYNTHETIC, store=cloned, gateway_keys={"on_other_hardware": decision}) as gateway:
        parent = lambda: gateway.parts.state.registry.gateway.credentials  # noqa: E731 - read again and again
        await until(lambda: parent() and emulator.journal.telemetry(parent().device_id))
        await until(lambda: "1" in children_of(emulator, parent().device_id))
    assert len(parents_of(emulator)) == gateways
