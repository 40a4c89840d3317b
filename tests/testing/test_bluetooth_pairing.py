"""Test how the emulated bluetoothd pairs: agents, methods, bonds on both sides, and reads that wait for a pairing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from gateway.testing.bluetooth import Characteristic, Pairing, PairingMethod, Peripheral, RadioEnvironment, Service, agents
from gateway.testing.bluetooth.bluez import EmulatedBlueZ
from gateway.testing.bluetooth.controller import Controller
from gateway.testing.bluetooth.private_bus import PrivateBus, dbus_daemon_or_skip

pytestmark = pytest.mark.enable_socket

ADDRESS = "C0:00:00:00:00:02"
DEVICE = f"/org/bluez/hci0/dev_{ADDRESS.replace(':', '_')}"
CHARACTERISTIC = f"{DEVICE}/service0001/char0002"
PATH = "/agent"


class Client:
    """A client of bluetoothd with an agent that answers as it is told and remembers what it was asked."""

    def __init__(self, bus):
        self.bus, self.asked, self.answers = bus, [], {}
        bus.add_message_handler(self._on_call)

    def _on_call(self, call):
        if call.message_type is not MessageType.METHOD_CALL or call.interface != "org.bluez.Agent1":
            return None
        self.asked.append((call.member, *call.body))
        answer = self.answers.get(call.member, ("", []))
        if isinstance(answer, str):
            return Message.new_error(call, f"org.bluez.Error.{answer}", "no")
        return Message.new_method_return(call, *answer)

    async def ask(self, path, interface, member, signature="", *body):
        reply = await self.bus.call(
            Message(destination="org.bluez", path=path, interface=interface, member=member, signature=signature, body=[*body])
        )
        return reply.error_name.rpartition(".")[2] if reply.message_type is MessageType.ERROR else reply.body

    async def register(self, capability="", *, default=False):
        result = await self.ask("/org/bluez", "org.bluez.AgentManager1", "RegisterAgent", "os", PATH, capability)
        if default:
            await self.ask("/org/bluez", "org.bluez.AgentManager1", "RequestDefaultAgent", "o", PATH)
        return result

    async def pair(self):
        return await self.ask(DEVICE, "org.bluez.Device1", "Pair")

    async def paired(self):
        (value,) = await self.ask(DEVICE, "org.freedesktop.DBus.Properties", "Get", "ss", "org.bluez.Device1", "Paired")
        return value.value

    async def read(self):
        return await self.ask(CHARACTERISTIC, "org.bluez.GattCharacteristic1", "ReadValue", "a{sv}", {})


@pytest.fixture
async def world(monkeypatch):
    dbus_daemon_or_skip()
    locked = Characteristic("fff1", ["read", "write"], b"secret", needs_pairing=True)
    device = Peripheral(ADDRESS, address_type="random", services=[Service("fff0", [locked])], advertises_every=None)
    controller = Controller(RadioEnvironment([device]), connect_timeout_seconds=0.3)
    clients = []
    async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [controller]) as daemon:

        async def client():
            one = Client(await MessageBus(bus_address=bus.address, bus_type=BusType.SYSTEM).connect())
            clients.append(one)
            return one

        first = await client()
        await first.ask("/org/bluez/hci0", "org.bluez.Adapter1", "StartDiscovery")
        device.advertise()
        yield SimpleNamespace(device=device, controller=controller, daemon=daemon, client=client, first=first)
        for one in clients:
            one.bus.disconnect()


async def connect_and_resolve(world):
    await world.first.ask(DEVICE, "org.bluez.Device1", "Connect")
    async with asyncio.timeout(60):
        while await world.first.ask(CHARACTERISTIC, "org.freedesktop.DBus.Properties", "GetAll", "s", "x") == "UnknownObject":  # noqa: ASYNC110 - objects of another process
            await asyncio.sleep(0.005)


PASSKEY = Pairing(method=PairingMethod.PASSKEY_ENTRY, passkey=42)
COMPARISON = Pairing(method=PairingMethod.COMPARISON, passkey=42)
DISPLAY = Pairing(method=PairingMethod.PASSKEY_DISPLAY, passkey=42)


@pytest.mark.parametrize(
    ("pairing", "capability", "answers", "result", "asked"),
    [
        (Pairing(), None, {}, [], []),
        (Pairing(), "NoInputNoOutput", {}, [], []),
        (PASSKEY, "KeyboardOnly", {"RequestPasskey": ("u", [42])}, [], [("RequestPasskey", DEVICE)]),
        (PASSKEY, "", {"RequestPasskey": ("u", [42])}, [], [("RequestPasskey", DEVICE)]),
        (PASSKEY, "KeyboardOnly", {"RequestPasskey": ("u", [43])}, "AuthenticationFailed", [("RequestPasskey", DEVICE)]),
        (PASSKEY, "KeyboardOnly", {"RequestPasskey": "Rejected"}, "AuthenticationFailed", [("RequestPasskey", DEVICE)]),
        (PASSKEY, "KeyboardOnly", {"RequestPasskey": "Canceled"}, "AuthenticationCanceled", [("RequestPasskey", DEVICE)]),
        (PASSKEY, "NoInputNoOutput", {}, "AuthenticationFailed", []),
        (PASSKEY, None, {}, "AuthenticationFailed", []),
        (COMPARISON, "DisplayYesNo", {}, [], [("RequestConfirmation", DEVICE, 42)]),
        (COMPARISON, "KeyboardOnly", {"RequestPasskey": ("u", [42])}, [], [("RequestPasskey", DEVICE)]),
        (COMPARISON, "DisplayYesNo", {"RequestConfirmation": "Rejected"}, "AuthenticationFailed", None),
        (DISPLAY, "DisplayOnly", {}, [], [("DisplayPasskey", DEVICE, 42, 0)]),
    ],
)
async def test_the_agent_of_the_client_is_asked_what_the_method_wants(world, pairing, capability, answers, result, asked):
    world.device.pairing, world.first.answers = pairing, answers
    if capability is not None:
        assert await world.first.register(capability) == []
    assert await world.first.pair() == result
    assert asked is None or world.first.asked == asked
    assert (await world.first.paired(), world.device.is_paired) == (result == [], result == [])


async def test_only_the_agent_of_the_client_or_else_the_default_one_is_asked(world):
    world.device.pairing = PASSKEY
    other = await world.client()
    other.answers = {"RequestPasskey": ("u", [42])}
    assert await other.register("KeyboardOnly") == []
    assert await world.first.pair() == "AuthenticationFailed"
    assert await other.ask("/org/bluez", "org.bluez.AgentManager1", "RequestDefaultAgent", "o", PATH) == []
    assert await world.first.pair() == []
    assert other.asked == [("RequestPasskey", DEVICE)]


async def test_an_agent_is_registered_once_and_ends_with_its_client(world):
    other = await world.client()
    assert await other.register("KeyboardOnly", default=True) == []
    assert await other.register("KeyboardOnly") == "AlreadyExists"
    assert await other.ask("/org/bluez", "org.bluez.AgentManager1", "RegisterAgent", "os", PATH, "Mind") == "InvalidArguments"
    assert await other.ask("/org/bluez", "org.bluez.AgentManager1", "UnregisterAgent", "o", "/other") == "DoesNotExist"
    other.bus.disconnect()
    await other.bus.wait_for_disconnect()
    await world.daemon.settle()
    assert len(world.daemon.agents) == 0


async def test_a_read_that_needs_a_pairing_has_no_end_while_nobody_pairs(world, monkeypatch):
    monkeypatch.setattr("gateway.testing.bluetooth.remote_device.PAIRING_AGAIN_SECONDS", 0.02)
    await connect_and_resolve(world)
    reading = asyncio.create_task(world.first.read())
    done, _ = await asyncio.wait({reading}, timeout=0.3)
    assert not done
    assert not world.device.is_paired
    assert await world.first.read() == "InProgress"
    world.device.drop_connection()
    assert await reading == "Failed"


async def test_a_read_pairs_by_the_default_agent_where_the_host_has_one(world, monkeypatch):
    monkeypatch.setattr("gateway.testing.bluetooth.remote_device.PAIRING_AGAIN_SECONDS", 0.02)
    await connect_and_resolve(world)
    desktop = await world.client()
    desktop.answers["RequestAuthorization"] = "Rejected"
    await desktop.register("DisplayYesNo", default=True)
    reading = asyncio.create_task(world.first.read())
    async with asyncio.timeout(60):
        while len(desktop.asked) < 2:  # noqa: ASYNC110 - a claim about another client
            await asyncio.sleep(0.005)
    desktop.answers.clear()
    assert await reading == [b"secret"]
    assert set(desktop.asked) == {("RequestAuthorization", DEVICE)}


async def test_a_bond_survives_restarts_of_bluetoothd_and_is_paired_no_second_time(world):
    assert await world.first.pair() == []
    assert await world.first.pair() == "AlreadyExists"
    await world.daemon.crash()
    await world.daemon.start()
    await world.first.ask("/org/bluez/hci0", "org.bluez.Adapter1", "StartDiscovery")
    world.device.advertise()
    assert await world.first.paired()
    await connect_and_resolve(world)
    assert await world.first.read() == [b"secret"]


async def test_a_device_that_was_reset_breaks_each_connection_off_until_its_bond_is_removed(world):
    assert await world.first.pair() == []
    world.device.reset()
    assert await world.first.ask(DEVICE, "org.bluez.Device1", "Connect") == []
    async with asyncio.timeout(60):
        while world.device.is_connected:  # noqa: ASYNC110 - a claim about another program
            await asyncio.sleep(0.005)
    assert await world.first.paired(), "bluetoothd does not know"
    assert await world.first.ask("/org/bluez/hci0", "org.bluez.Adapter1", "RemoveDevice", "o", DEVICE) == []
    world.device.advertise()
    assert not await world.first.paired()
    assert await world.first.pair() == []


async def test_a_device_that_keeps_its_bond_does_not_answer_a_host_that_has_removed_it(world, monkeypatch):
    monkeypatch.setattr(agents, "PAIRING_TIMEOUT_SECONDS", 0.05)
    assert await world.first.pair() == []
    world.device.faults.keeps_its_bond = True
    assert await world.first.ask("/org/bluez/hci0", "org.bluez.Adapter1", "RemoveDevice", "o", DEVICE) == []
    world.device.advertise()
    assert await world.first.pair() == "AuthenticationTimeout"


async def test_a_pairing_can_be_cancelled(world):
    assert await world.first.ask(DEVICE, "org.bluez.Device1", "CancelPairing") == "DoesNotExist"
    world.device.faults.ignores_pairing = True
    pairing = asyncio.create_task(world.first.pair())
    async with asyncio.timeout(60):
        while await world.first.ask(DEVICE, "org.bluez.Device1", "CancelPairing") != []:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.005)
    assert await pairing == "AuthenticationCanceled"


async def test_a_bluetoothd_that_stops_releases_the_agents(world):
    await world.first.register("KeyboardOnly")
    await world.daemon.stop()
    async with asyncio.timeout(60):
        while ("Release",) not in world.first.asked:  # noqa: ASYNC110 - a claim about another client
            await asyncio.sleep(0.005)
