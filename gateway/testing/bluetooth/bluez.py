"""Emulate bluetoothd: `org.bluez` on a private bus, complete enough for bleak's own BlueZ backend, with faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Self

from dbus_fast import Message, Variant

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.agents import AGENT_MANAGER, MANAGER_PATH, Agents
from gateway.testing.bluetooth.controller import ADAPTER, Controller
from gateway.testing.bluetooth.dbus_errors import OperationFailed
from gateway.testing.bluetooth.dbus_service import DBusService, MethodCall, MethodReply
from gateway.testing.bluetooth.monitors import MONITOR
from gateway.testing.bluetooth.object_tree import OBJECT_MANAGER, PROPERTIES, ObjectTree
from gateway.testing.bluetooth.remote_device import DEVICE

NAME = "org.bluez"
_SETTABLE = {(ADAPTER, "Powered"), (ADAPTER, "Alias"), (DEVICE, "Trusted"), (DEVICE, "Blocked"), (DEVICE, "Alias")}


class EmulatedBlueZ:
    """An emulated bluetoothd with its adapters, running while entered.

        environment = RadioEnvironment([Peripheral("A4:C1:38:00:00:01", name="LYWSD03MMC")])
        async with PrivateBus() as bus, EmulatedBlueZ(bus.address, [Controller(environment)]):
            monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
            devices = await BleakScanner.discover(timeout=0.3)

    Set the address of the bus before bleak connects for the first time in its event loop: it keeps one connection per loop.
    """

    def __init__(self, bus_address: str, controllers: Iterable[Controller]) -> None:
        self.controllers = [*controllers]
        """The adapters that are plugged in."""
        self.crashes = 0
        """How often a client has crashed it: a monitor with more than `MOST_PATTERNS` patterns does."""
        self.agents: Agents | None = None
        """The pairing agents of its clients, while it runs."""
        self._bus_address = bus_address
        self._crashing: asyncio.Task[None] | None = None
        self._tree: ObjectTree | None = None
        self._service: DBusService | None = None

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop, if it runs."""
        await self._end_of_crash()
        await self.stop()

    @property
    def is_running(self) -> bool:
        """Whether it is on the bus."""
        return self._service is not None

    async def start(self) -> None:
        """Start like the daemon: request the name, then export the adapters.

        Raises:
            RuntimeError: it is running already.
        """
        await self._end_of_crash()
        if self._service is not None:
            raise RuntimeError("bluetoothd is running already")
        service = DBusService(self._bus_address, NAME, self._serve, self._on_signal)
        tree = ObjectTree(service.signal)
        self._tree = tree
        await service.start()
        self._service = service
        self.agents = Agents(service)
        tree.add(MANAGER_PATH, {AGENT_MANAGER: {}})
        for controller in self.controllers:
            controller.agents = self.agents
            controller.attach(tree, service, self._crash_at_once)
        await service.settle()

    async def stop(self) -> None:
        """Stop in order: the controllers are switched off, every object is removed, then the name is released."""
        if self._service is not None:
            service, self._service = self._service, None
            if self.agents is not None:
                self.agents.release_all()
            for controller in self.controllers:
                is_powered = controller.is_powered
                controller.power_off()
                controller.detach()
                controller.is_powered = is_powered  # bluetoothd switches on what is switched off when it starts
            await service.settle()
            await service.stop()
            self._tree = None

    async def crash(self) -> None:
        """Crash: the name is lost, and no signal reports the loss of objects and connections."""
        if self._service is not None:
            service, self._service = self._service, None
            await service.stop()
            for controller in self.controllers:
                controller.detach()
            self._tree = None

    def _crash_at_once(self) -> None:
        if self._crashing is None or self._crashing.done():
            self.crashes += 1
            self._crashing = asyncio.create_task(self.crash())

    async def _end_of_crash(self) -> None:
        if self._crashing is not None:
            await self._crashing

    async def unplug(self, controller: Controller) -> None:
        """Unplug an adapter, with all its devices and connections."""
        self.controllers.remove(controller)
        controller.detach()
        await self.settle()

    async def plug_in(self, controller: Controller) -> None:
        """Plug in an adapter, a new one or an earlier one."""
        self.controllers.append(controller)
        controller.agents = self.agents
        if self._service is not None and self._tree is not None:
            controller.attach(self._tree, self._service, self._crash_at_once)
        await self.settle()

    async def settle(self) -> None:
        """Return once all clients have received everything sent so far; at once when it is not running."""
        if self._service is not None:
            await self._service.settle()

    async def _serve(self, call: MethodCall) -> MethodReply:
        if self._tree is None:
            raise OperationFailed(dbus_errors.UNKNOWN_OBJECT)
        if (call.interface, call.member) == (OBJECT_MANAGER, "GetManagedObjects"):
            return MethodReply("a{oa{sa{sv}}}", (self._tree.managed,))
        if call.interface == PROPERTIES:
            return self._serve_properties(self._tree, call)
        self._tree.properties(call.path, call.interface)
        if call.path == MANAGER_PATH and self.agents is not None:
            return self.agents.serve(call)
        return await self._controller(call.path).serve(call)

    def _serve_properties(self, tree: ObjectTree, call: MethodCall) -> MethodReply:
        match call.member, call.body:
            case "GetAll", [str(interface)]:
                return MethodReply("a{sv}", (tree.properties(call.path, interface),))
            case "Get", [str(interface), str(name)]:
                return MethodReply("v", (_property(tree, call.path, interface, name),))
            case "Set", [str(interface), str(name), Variant() as value]:
                _property(tree, call.path, interface, name)
                self._set(tree, call.path, interface, name, value)
                return MethodReply()
        raise OperationFailed(dbus_errors.UNKNOWN_METHOD)

    def _set(self, tree: ObjectTree, path: str, interface: str, name: str, value: Variant) -> None:
        if (interface, name) not in _SETTABLE:
            raise OperationFailed(dbus_errors.READ_ONLY)
        if (interface, name) != (ADAPTER, "Powered"):
            tree.change(path, interface, {name: value})
        elif value.value:
            self._controller(path).power_on()
        else:
            self._controller(path).power_off()

    def _controller(self, path: str) -> Controller:
        for controller in self.controllers:
            if path == controller.path or path.startswith(f"{controller.path}/"):
                return controller
        raise OperationFailed(dbus_errors.UNKNOWN_OBJECT)

    def _on_signal(self, signal: Message) -> None:
        if signal.member == "NameOwnerChanged":
            name, _, new_owner = signal.body
            if not new_owner:
                if self.agents is not None:
                    self.agents.forget_client(name)
                for controller in self.controllers:
                    controller.forget_client(name)
        elif signal.member == "InterfacesAdded" and signal.sender is not None:
            path, interfaces = signal.body
            if MONITOR in interfaces:
                for controller in self.controllers:
                    controller.monitor_appeared(signal.sender, path, interfaces[MONITOR])


def _property(tree: ObjectTree, path: str, interface: str, name: str) -> Variant:
    known = tree.properties(path, interface)
    if name not in known:
        raise OperationFailed(dbus_errors.UNKNOWN_PROPERTY)
    return known[name]
