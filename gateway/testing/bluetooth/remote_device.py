"""Represent one device as an object of BlueZ: its advertised data, connection, pairing and services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.advertisement import Advertisement
from gateway.testing.bluetooth.agents import Agents
from gateway.testing.bluetooth.connection import PeripheralConnection
from gateway.testing.bluetooth.dbus_errors import OperationFailed
from gateway.testing.bluetooth.dbus_service import MethodCall, MethodReply
from gateway.testing.bluetooth.gatt_objects import GattObjects
from gateway.testing.bluetooth.object_tree import NO, YES, ObjectTree
from gateway.testing.bluetooth.peripheral import Peripheral

DEVICE: Final = "org.bluez.Device1"
_Key = TypeVar("_Key", int, str)

PAIRING_AGAIN_SECONDS = 1.2
"""How soon a read whose pairing failed starts the next one (github.com/bluez/bluez/issues/21)."""

RESOLVE_SECONDS = 0.005
"""The time of service discovery: with real devices, tenths of a second."""

RSSI_THRESHOLD = 8
"""In dB (src/device.c): a smaller change of the signal strength is not reported while no discovery filter is set."""

StartTask = Callable[[Coroutine[None, None, None], str], None]
"""Starts a task with a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The parts that all devices of one adapter share."""

    path: str
    """The path of the adapter."""
    bonds: set[str]
    """The addresses of the devices that it is paired with; they survive restarts."""
    agents: Agents
    connect_timeout_seconds: float
    """The time after which a connection attempt fails."""


class RemoteDevice:
    """A device object below its adapter.

    Args:
        peripheral: the simulated device.
        host: its adapter.
        tree: the tree for its objects.
        start_task: starts the tasks of service discovery.
    """

    def __init__(self, peripheral: Peripheral, host: Host, tree: ObjectTree, start_task: StartTask) -> None:
        self.peripheral = peripheral
        self.path = f"{host.path}/dev_{peripheral.address.replace(':', '_')}"
        self._host = host
        self._tree = tree
        self._start_task = start_task
        self._gatt = GattObjects(self.path, tree, self._secure)
        self._pairing: asyncio.Task[None] | None = None
        self._connection: PeripheralConnection | None = None
        self._attempt: asyncio.Task[PeripheralConnection] | None = None
        self._manufacturer_data: dict[int, Variant] = {}
        self._service_data: dict[str, Variant] = {}
        self._uuids: dict[str, None] = {}
        self.is_temporary = True
        """BlueZ removes it when it is not received for some time; one that was connected to or paired is kept."""
        self.received_at = 0.0
        """When it was received last, in seconds of the loop's clock."""

    @property
    def uses_slot(self) -> bool:
        """Whether it is connected, or being connected to."""
        return self._connection is not None or self._attempt is not None

    def receive(self, advertisement: Advertisement, *, duplicates: bool, is_active: bool, is_filtered: bool) -> None:
        """Store an advertisement, and report what BlueZ reports of it.

        BlueZ merges manufacturer and service data of all advertisements so far, unless a client has requested duplicates
        (DuplicateData); then it reports both each time. It reports a signal strength that differs from the reported one by
        `RSSI_THRESHOLD` or, while a discovery filter is set (`is_filtered`), each one. The rest is reported when it changes.
        """
        self.received_at = asyncio.get_running_loop().time()
        received = self._received(advertisement, duplicates=duplicates, is_active=is_active)
        if self.path in self._tree:
            known = self._tree.properties(self.path, DEVICE)
            self._tree.change(
                self.path,
                DEVICE,
                {name: value for name, value in received.items() if _is_reported(name, value, known, duplicates, is_filtered)},
            )
        else:
            self._tree.add(self.path, {DEVICE: {**self._initial(), **received}})

    def discovery_ended(self) -> None:
        """Invalidate the properties that are valid only during a discovery."""
        self._tree.change(self.path, DEVICE, {}, invalidated=("RSSI", "TxPower"))

    def remove(self) -> None:
        """Disconnect and remove the object with all objects below it."""
        self.disconnect()
        self._gatt.withdraw()
        self._tree.remove_below(self.path)

    def disconnect(self) -> None:
        """Close the connection, or cancel the attempt to open one."""
        if self._attempt is not None:
            self._attempt.cancel()
        if self._connection is not None:
            self._connection.close()
            self._on_disconnected()

    def forget_client(self, client: str) -> None:
        """End the subscriptions of a client that has left the bus."""
        self._gatt.forget_client(self._connection, client)

    async def serve(self, call: MethodCall) -> MethodReply:
        """Execute a call on the device or an object below it.

        Raises:
            OperationFailed: the call fails.
        """
        if call.path != self.path:
            return await self._gatt.serve(self._connection, call)
        match call.member:
            case "Connect":
                await self._connect()
            case "Disconnect":
                self.disconnect()
            case "Pair":
                await self._pair(call.client)
            case "CancelPairing":
                self._cancel_pairing()
            case _:
                raise OperationFailed(dbus_errors.UNKNOWN_METHOD)
        return MethodReply()

    async def _connect(self) -> None:
        """Connect, signal that, and start service discovery."""
        if self._connection is not None:
            return
        if self._attempt is not None:
            raise OperationFailed(dbus_errors.IN_PROGRESS)
        self.is_temporary = False
        self._connection = await self._open_connection()
        self._change(Connected=YES)
        if self.is_bonded and not self.peripheral.is_paired:
            self._start_task(self._break_off(self._connection), f"end of {self.peripheral.address}")
            return
        if not self._connection.is_open:
            self._on_disconnected()
            raise OperationFailed(dbus_errors.CONNECTION_LOST)
        self._start_task(self._resolve(self._connection), f"services of {self.peripheral.address}")

    async def _break_off(self, connection: PeripheralConnection) -> None:
        """Lose a connection because the link is encrypted at once, and the device has no key for that (bluez#433)."""
        await asyncio.sleep(RESOLVE_SECONDS)
        connection.lose()

    async def _open_connection(self) -> PeripheralConnection:
        opening = PeripheralConnection.open(
            self.peripheral, self._on_disconnected, timeout_seconds=self._host.connect_timeout_seconds
        )
        self._attempt = asyncio.create_task(opening)
        try:
            await asyncio.wait({self._attempt})
            return self._attempt.result()
        except asyncio.CancelledError:
            if self._attempt.cancelled():  # by a Disconnect in the meantime
                raise OperationFailed(dbus_errors.CANCELLED) from None
            raise
        except OperationFailed as error:
            if error.reply == dbus_errors.ABORTED:
                self._signal_short_connection()
            raise
        finally:
            self._attempt.cancel()
            self._attempt = None

    def _signal_short_connection(self) -> None:
        """Signal a connection that is lost at once: an aborted attempt looks like that, and clients wait for it."""
        self._change(Connected=YES)
        self._change(Connected=NO)

    async def _resolve(self, connection: PeripheralConnection) -> None:
        await asyncio.sleep(RESOLVE_SECONDS)
        with suppress(OperationFailed):  # the connection is lost, and that was signalled
            services = connection.discover()
            self._gatt.export(services, self.peripheral.mtu)
            self._uuids.update(dict.fromkeys(service.uuid for service in services))
            self._change(UUIDs=Variant("as", [*self._uuids]))
            self._change(ServicesResolved=YES)

    @property
    def is_bonded(self) -> bool:
        """Whether the host remembers a pairing with it."""
        return self.peripheral.address in self._host.bonds

    async def _pair(self, client: str) -> None:
        """Pair by the agent of the client, or the default agent."""
        if self.is_bonded:
            raise OperationFailed(dbus_errors.ALREADY_EXISTS)
        if self._pairing is not None:
            raise OperationFailed(dbus_errors.IN_PROGRESS)
        await self._connect()
        if self._connection is None:
            raise OperationFailed(dbus_errors.NOT_CONNECTED)
        agent = self._host.agents.of(client)
        asking = self._host.agents.pair(self.peripheral, self.path, agent, is_asked_for=True)
        self._pairing = asyncio.create_task(self._complete_pairing(self._connection, asking))
        try:
            await asyncio.wait({self._pairing})
            self._pairing.result()
        except asyncio.CancelledError:
            if not self._pairing.cancelled():
                raise
            self._host.agents.cancel(agent)
            self.disconnect()
            raise OperationFailed(dbus_errors.PAIRING_CANCELED) from None  # by CancelPairing
        except OperationFailed:
            self.disconnect()
            raise
        finally:
            self._pairing.cancel()
            self._pairing = None

    def _cancel_pairing(self) -> None:
        if self._pairing is None:
            raise OperationFailed(dbus_errors.DOES_NOT_EXIST)
        self._pairing.cancel()

    async def _complete_pairing(self, connection: PeripheralConnection, asking: Coroutine[None, None, None]) -> None:
        await asking
        await connection.pair()
        self._host.bonds.add(self.peripheral.address)
        self._change(Paired=YES, Bonded=YES)

    async def _secure(self, connection: PeripheralConnection) -> None:
        """Return once the link is encrypted: pairs with a device that it is not paired with, again and again while that fails.

        Raises:
            OperationFailed: the connection is lost.
        """
        agents = self._host.agents
        while not (self.is_bonded and self.peripheral.is_paired):
            asking = agents.pair(self.peripheral, self.path, agents.default, is_asked_for=False)
            try:
                await self._complete_pairing(connection, asking)
            except OperationFailed as error:
                if await connection.wait_until_closed(PAIRING_AGAIN_SECONDS):
                    raise OperationFailed(dbus_errors.CONNECTION_LOST) from error

    def _on_disconnected(self) -> None:
        self._connection = None
        self._gatt.connection_lost()
        self._change(ServicesResolved=NO)
        self._change(Connected=NO)

    def _change(self, **properties: Variant) -> None:
        self._tree.change(self.path, DEVICE, properties)

    def _received(self, advertisement: Advertisement, *, duplicates: bool, is_active: bool) -> dict[str, Variant]:
        if duplicates and advertisement.manufacturer_data:
            self._manufacturer_data.clear()
        if duplicates and advertisement.service_data:
            self._service_data.clear()
        self._manufacturer_data.update(_as_variants(advertisement.manufacturer_data))
        self._service_data.update(_as_variants(advertisement.service_data))
        self._uuids.update(dict.fromkeys(advertisement.service_uuids))
        received = {"RSSI": Variant("n", advertisement.rssi)}
        if advertisement.flags is not None:
            received["AdvertisingFlags"] = Variant("ay", bytes((advertisement.flags,)))
        if advertisement.name is not None and (is_active or not self.peripheral.name_on_request):
            received |= {"Name": Variant("s", advertisement.name), "Alias": Variant("s", advertisement.name)}
        if advertisement.manufacturer_data:
            received["ManufacturerData"] = Variant("a{qv}", {**self._manufacturer_data})
        if advertisement.service_data:
            received["ServiceData"] = Variant("a{sv}", {**self._service_data})
        if self._uuids:
            received["UUIDs"] = Variant("as", [*self._uuids])
        if advertisement.tx_power is not None:
            received["TxPower"] = Variant("n", advertisement.tx_power)
        return received

    def _initial(self) -> dict[str, Variant]:
        is_paired = Variant("b", self.is_bonded)
        return {
            "Address": Variant("s", self.peripheral.address),
            "AddressType": Variant("s", self.peripheral.address_type),
            "Alias": Variant("s", self.peripheral.address.replace(":", "-")),
            "Adapter": Variant("o", self._host.path),
            "Paired": is_paired,
            "Bonded": is_paired,
            "Trusted": NO,
            "Blocked": NO,
            "LegacyPairing": NO,
            "Connected": NO,
            "ServicesResolved": NO,
            "UUIDs": Variant("as", []),
        }


def _is_reported(name: str, value: Variant, known: Mapping[str, Variant], duplicates: bool, is_filtered: bool) -> bool:  # noqa: FBT001 - the two switches of a scan
    before = known.get(name)
    if name == "RSSI" and before is not None:
        return is_filtered or abs(value.value - before.value) >= RSSI_THRESHOLD
    return before != value or (duplicates and name in ("ManufacturerData", "ServiceData"))


def _as_variants(data: Mapping[_Key, bytes]) -> dict[_Key, Variant]:
    return {key: Variant("ay", value) for key, value in data.items()}
