"""One device as BlueZ knows it: what was heard of it, whether it is connected or paired, and its services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Final, TypeVar

from dbus_fast import Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.advertisement import Advertisement
from gateway.testing.bluetooth.connection import Link
from gateway.testing.bluetooth.dbus_errors import Refused
from gateway.testing.bluetooth.dbus_service import Answer, Call
from gateway.testing.bluetooth.gatt_objects import Attributes
from gateway.testing.bluetooth.object_tree import NO, YES, ObjectTree
from gateway.testing.bluetooth.peripheral import Peripheral

DEVICE: Final = "org.bluez.Device1"
_Key = TypeVar("_Key", int, str)

RESOLVE_SECONDS = 0.005
"""From a connection to its services: real devices take tenths of a second."""

Begin = Callable[[Coroutine[None, None, None], str], None]
"""Starts a task with a name."""


class RemoteDevice:
    """A device object below its adapter.

    Args:
        peripheral: who it is.
        adapter: the path of the adapter that knows it.
        tree: where its objects stand.
        begin: starts the tasks that finding its services takes.
        connect_timeout_seconds: after which an attempt to connect ends.
    """

    def __init__(
        self, peripheral: Peripheral, adapter: str, tree: ObjectTree, begin: Begin, *, connect_timeout_seconds: float
    ) -> None:
        self.peripheral = peripheral
        self.path = f"{adapter}/dev_{peripheral.address.replace(':', '_')}"
        self._adapter = adapter
        self._tree = tree
        self._begin = begin
        self._connect_timeout_seconds = connect_timeout_seconds
        self._attributes = Attributes(self.path, tree)
        self._link: Link | None = None
        self._attempt: asyncio.Task[Link] | None = None
        self._manufacturer_data: dict[int, Variant] = {}
        self._service_data: dict[str, Variant] = {}
        self._uuids: dict[str, None] = {}

    @property
    def takes_a_slot(self) -> bool:
        """It is connected, or about to be."""
        return self._link is not None or self._attempt is not None

    def hear(self, said: Advertisement, *, repeats: bool, asked: bool) -> None:
        """Take note of an advertisement.

        Like BlueZ, it keeps manufacturer and service data of all advertisements so far side by side, unless a client has asked
        for repeats (DuplicateData). The signal strength is told every time: on real air it is hardly ever the same twice.
        """
        heard = self._heard(said, repeats=repeats, asked=asked)
        if self.path in self._tree:
            known = self._tree.properties(self.path, DEVICE)
            news = {name: value for name, value in heard.items() if repeats or name == "RSSI" or known.get(name) != value}
            self._tree.change(self.path, DEVICE, news)
        else:
            self._tree.add(self.path, {DEVICE: {**self._unheard(), **heard}})

    def fade(self) -> None:
        """Withdraw what only holds while somebody listens."""
        self._tree.change(self.path, DEVICE, {}, gone=("RSSI", "TxPower"))

    def vanish(self) -> None:
        """End the link and remove the object with everything below it."""
        self.disconnect()
        self._attributes.withdraw()
        self._tree.remove_below(self.path)

    def disconnect(self) -> None:
        """End the link, or the attempt to make one."""
        if self._attempt is not None:
            self._attempt.cancel()
        if self._link is not None:
            self._link.close()
            self._is_gone()

    def forget_client(self, client: str) -> None:
        """End the subscriptions of somebody who has left the bus."""
        self._attributes.forget_client(self._link, client)

    async def serve(self, call: Call) -> Answer:
        """Answer a call on the device or something below it.

        Raises:
            Refused: it cannot be carried out.
        """
        if call.path != self.path:
            return await self._attributes.serve(self._link, call)
        match call.member:
            case "Connect":
                await self._connect()
            case "Disconnect":
                self.disconnect()
            case "Pair":
                await self._pair()
            case "CancelPairing":
                raise Refused(dbus_errors.DOES_NOT_EXIST)
            case _:
                raise Refused(dbus_errors.UNKNOWN_METHOD)
        return Answer()

    async def _connect(self) -> None:
        """Signal the connection, and let the services follow."""
        if self._link is not None:
            return
        if self._attempt is not None:
            raise Refused(dbus_errors.IN_PROGRESS)
        self._link = await self._reach()
        self._change(Connected=YES)
        if not self._link.is_open:
            self._is_gone()
            raise Refused(dbus_errors.LINK_LOST)
        self._begin(self._resolve(self._link), f"services of {self.peripheral.address}")

    async def _reach(self) -> Link:
        opening = Link.open(self.peripheral, self._is_gone, timeout_seconds=self._connect_timeout_seconds)
        self._attempt = asyncio.create_task(opening)
        try:
            await asyncio.wait({self._attempt})
            return self._attempt.result()
        except asyncio.CancelledError:
            if self._attempt.cancelled():  # by a Disconnect meanwhile
                raise Refused(dbus_errors.CANCELLED) from None
            raise
        except Refused as no:
            if no.refusal == dbus_errors.ABORTED:
                self._flicker()
            raise
        finally:
            self._attempt.cancel()
            self._attempt = None

    def _flicker(self) -> None:
        """Signal a connection that is gone at once: a broken attempt looks like that, and clients wait for it."""
        self._change(Connected=YES)
        self._change(Connected=NO)

    async def _resolve(self, link: Link) -> None:
        await asyncio.sleep(RESOLVE_SECONDS)
        with suppress(Refused):  # the link is lost, and that was signalled
            services = link.discover()
            self._attributes.export(services, self.peripheral.mtu)
            self._uuids.update(dict.fromkeys(service.uuid for service in services))
            self._change(UUIDs=Variant("as", [*self._uuids]))
            self._change(ServicesResolved=YES)

    async def _pair(self) -> None:
        if self.peripheral.is_paired:
            raise Refused(dbus_errors.ALREADY_EXISTS)
        await self._connect()
        if self._link is None:
            raise Refused(dbus_errors.NOT_CONNECTED)
        try:
            await self._link.pair()
        except Refused:
            self.disconnect()
            raise
        self._change(Paired=YES, Bonded=YES)

    def _is_gone(self) -> None:
        self._link = None
        self._attributes.link_is_gone()
        self._change(ServicesResolved=NO)
        self._change(Connected=NO)

    def _change(self, **properties: Variant) -> None:
        self._tree.change(self.path, DEVICE, properties)

    def _heard(self, said: Advertisement, *, repeats: bool, asked: bool) -> dict[str, Variant]:
        if repeats:
            self._manufacturer_data.clear()
            self._service_data.clear()
        self._manufacturer_data.update(_as_variants(said.manufacturer_data))
        self._service_data.update(_as_variants(said.service_data))
        self._uuids.update(dict.fromkeys(said.service_uuids))
        heard = {"RSSI": Variant("n", said.rssi), "AdvertisingFlags": Variant("ay", bytes((said.flags,)))}
        if said.name is not None and (asked or not self.peripheral.name_on_request):
            heard |= {"Name": Variant("s", said.name), "Alias": Variant("s", said.name)}
        if self._manufacturer_data:
            heard["ManufacturerData"] = Variant("a{qv}", {**self._manufacturer_data})
        if self._service_data:
            heard["ServiceData"] = Variant("a{sv}", {**self._service_data})
        if self._uuids:
            heard["UUIDs"] = Variant("as", [*self._uuids])
        if said.tx_power is not None:
            heard["TxPower"] = Variant("n", said.tx_power)
        return heard

    def _unheard(self) -> dict[str, Variant]:
        is_paired = Variant("b", self.peripheral.is_paired)
        return {
            "Address": Variant("s", self.peripheral.address),
            "AddressType": Variant("s", self.peripheral.address_type),
            "Alias": Variant("s", self.peripheral.address.replace(":", "-")),
            "Adapter": Variant("o", self._adapter),
            "Paired": is_paired,
            "Bonded": is_paired,
            "Trusted": NO,
            "Blocked": NO,
            "LegacyPairing": NO,
            "Connected": NO,
            "ServicesResolved": NO,
            "UUIDs": Variant("as", []),
        }


def _as_variants(said: Mapping[_Key, bytes]) -> dict[_Key, Variant]:
    return {key: Variant("ay", value) for key, value in said.items()}
