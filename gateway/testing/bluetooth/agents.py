"""Keep the pairing agents of BlueZ's clients, and pair a device as BlueZ does: by the agent of the client that asks for it.

What a device or a read starts by itself goes to the default agent; without one it is rejected (bluetoothd 5.66, `src/device.c`).
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple

from dbus_fast import MessageType

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.dbus_errors import OperationFailed
from gateway.testing.bluetooth.dbus_service import DBusService, MethodCall, MethodReply
from gateway.testing.bluetooth.pairing import NO_CAPABILITY, PairingMethod
from gateway.testing.bluetooth.peripheral import Peripheral

AGENT: Final = "org.bluez.Agent1"
AGENT_MANAGER: Final = "org.bluez.AgentManager1"
MANAGER_PATH: Final = "/org/bluez"

PAIRING_TIMEOUT_SECONDS = 30.0
"""After so long without an answer, a pairing fails (Core Specification, volume 3, part H, 3.4)."""

_CAPABILITIES = frozenset({"DisplayOnly", "DisplayYesNo", "KeyboardOnly", NO_CAPABILITY, "KeyboardDisplay"})
_CANCELED = f"{dbus_errors.PREFIX}.Canceled"


class Agent(NamedTuple):
    """An agent of a client."""

    client: str
    path: str
    capability: str


class Agents:
    """The agents of one bluetoothd: one per client, and the one that is asked for everything that no client has started.

    Args:
        service: asks the agents.
    """

    def __init__(self, service: DBusService) -> None:
        self._service = service
        self._agents: dict[str, Agent] = {}
        self._defaults: list[str] = []

    def __len__(self) -> int:
        return len(self._agents)

    @property
    def default(self) -> Agent | None:
        """The agent that asked last to be the default one."""
        return self._agents[self._defaults[-1]] if self._defaults else None

    def of(self, client: str) -> Agent | None:
        """Return the agent of this client, else the default one."""
        return self._agents.get(client, self.default)

    def forget_client(self, client: str) -> None:
        """Remove the agent of a client that has left the bus."""
        self._agents.pop(client, None)
        if client in self._defaults:
            self._defaults.remove(client)

    def release_all(self) -> None:
        """Tell every agent that bluetoothd stops."""
        for agent in self._agents.values():
            self._service.call(agent.client, agent.path, AGENT, "Release")
        self._agents.clear()
        self._defaults.clear()

    def serve(self, call: MethodCall) -> MethodReply:
        """Execute a call on the agent manager.

        Raises:
            OperationFailed: the call fails.
        """
        match call.member, call.body:
            case "RegisterAgent", [str(path), str(capability)]:
                self._register(Agent(call.client, path, capability or "KeyboardDisplay"))
            case "UnregisterAgent", [str(path)]:
                self._own(call.client, path)
                self.forget_client(call.client)
            case "RequestDefaultAgent", [str(path)]:
                self._own(call.client, path)
                self._defaults = [client for client in self._defaults if client != call.client] + [call.client]
            case _:
                raise OperationFailed(dbus_errors.UNKNOWN_METHOD)
        return MethodReply()

    async def pair(self, peripheral: Peripheral, device: str, agent: Agent | None, *, is_asked_for: bool) -> None:
        """Go through the pairing up to the point where the peripheral accepts it.

        Args:
            peripheral: the device.
            device: its path.
            agent: the agent that is asked; `None` when there is none.
            is_asked_for: a client has called Pair; otherwise a read or a write has started the pairing.

        Raises:
            OperationFailed: it is rejected, refused, or not answered.
        """
        faults, pairing = peripheral.faults, peripheral.pairing
        if faults.ignores_pairing or (faults.keeps_its_bond and peripheral.is_paired):
            await asyncio.sleep(PAIRING_TIMEOUT_SECONDS)
            raise OperationFailed(dbus_errors.PAIRING_TIMED_OUT)
        method = pairing.method_with(NO_CAPABILITY if agent is None else agent.capability)
        if method is PairingMethod.JUST_WORKS:
            if pairing.method is not PairingMethod.JUST_WORKS:
                raise OperationFailed(dbus_errors.PAIRING_REFUSED)
            if not is_asked_for:
                await self._ask(agent, "RequestAuthorization", ("o", device))
        elif method is PairingMethod.PASSKEY_ENTRY:
            if await self._ask(agent, "RequestPasskey", ("o", device)) != [pairing.passkey]:
                raise OperationFailed(dbus_errors.PAIRING_REFUSED)
        elif method is PairingMethod.COMPARISON:
            await self._ask(agent, "RequestConfirmation", ("o", device), ("u", pairing.passkey))
        else:
            await self._ask(agent, "DisplayPasskey", ("o", device), ("u", pairing.passkey), ("q", 0))

    def cancel(self, agent: Agent | None) -> None:
        """Tell an agent that the pairing about which it was asked has ended."""
        if agent is not None:
            self._service.call(agent.client, agent.path, AGENT, "Cancel")

    async def _ask(self, agent: Agent | None, member: str, *arguments: tuple[str, object]) -> list[object]:
        if agent is None:
            raise OperationFailed(dbus_errors.PAIRING_REFUSED)
        reply = await self._service.ask(agent.client, agent.path, AGENT, member, *arguments)
        if reply is None or reply.message_type is not MessageType.METHOD_RETURN:
            is_canceled = reply is not None and reply.error_name == _CANCELED
            raise OperationFailed(dbus_errors.PAIRING_CANCELED if is_canceled else dbus_errors.PAIRING_REFUSED)
        return [*reply.body]

    def _register(self, agent: Agent) -> None:
        if agent.capability not in _CAPABILITIES:
            raise OperationFailed(dbus_errors.INVALID_ARGUMENTS)
        if agent.client in self._agents:
            raise OperationFailed(dbus_errors.ALREADY_EXISTS)
        self._agents[agent.client] = agent

    def _own(self, client: str, path: str) -> Agent:
        agent = self._agents.get(client)
        if agent is None or agent.path != path:
            raise OperationFailed(dbus_errors.DOES_NOT_EXIST)
        return agent
