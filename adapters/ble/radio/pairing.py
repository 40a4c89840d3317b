"""Pair devices through bluetoothd, with an agent that enters the passkey. A user of dbus-fast, as `bluez.py` is.

bluetoothd asks the agent of the client that calls Pair (BlueZ, doc/org.bluez.AgentManager), so the agent exists only while a
pairing runs, on a connection of its own, and is never the default agent of the host: what other programs pair stays theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from dbus_fast import AuthError, BusType, DBusError, InvalidAddressError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from pydantic import SecretStr

BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
DEVICE = "org.bluez.Device1"
AGENT = "org.bluez.Agent1"
AGENT_MANAGER = "org.bluez.AgentManager1"
MANAGER_PATH = "/org/bluez"
PROPERTIES = "org.freedesktop.DBus.Properties"

AGENT_PATH = "/xyte_gateway/pairing_agent"

REPLY_SECONDS = 5.0

PAIR_SECONDS = 20.0
"""The longest pairing, with the connection for it: a device that waits for no person takes some seconds."""

CONNECT_SECONDS = 20.0

RESOLVE_CHECKS, RESOLVE_CHECK_SECONDS = 100, 0.1
"""The number of checks, and the seconds between two, that a connected device stays so until its services are known."""

BROKEN_OFF = "it breaks the connection off at once"
ABORTED = ("abort-by-local", "abort-by-remote")
"""Parts of BlueZ's errors of such a connection."""

REASONS: Mapping[str, str] = {
    "AuthenticationFailed": "the device refuses it: the passkey is wrong or missing, or the device waits for no pairing",
    "AuthenticationRejected": "the device refuses it",
    "AuthenticationCanceled": "the device or another program ended it",
    "AuthenticationTimeout": "the device does not answer it: it waits for no pairing, or is paired with this machine already",
    "ConnectionAttemptFailed": "the device accepts no connection",
    "InProgress": "another program is pairing it",
    "NotReady": "the Bluetooth controller is switched off",
    "org.freedesktop.DBus.Error.NoReply": "bluetoothd stopped meanwhile",
    "org.freedesktop.DBus.Error.ServiceUnknown": "bluetoothd is not running",
    "org.freedesktop.DBus.Error.UnknownObject": "the Bluetooth controller was removed, or has not received the device",
}
"""The errors of BlueZ and of the bus -> what they mean."""

ENTERS_PASSKEY, ENTERS_NOTHING = "KeyboardOnly", "NoInputNoOutput"
"""The capabilities of the agent: with a passkey, the device shows it or has it printed on it; without one it can show none."""


class PairingFailed(Exception):
    """A device cannot be paired; the text says why. Never leaves this adapter."""


class _Agent:
    """Answers bluetoothd about one device.

    Args:
        device: the path of the device.
        passkey: its passkey.
        bluetoothd: the unique name of bluetoothd, to whom alone the passkey is told.
    """

    def __init__(self, device: str, passkey: SecretStr | None, bluetoothd: str) -> None:
        self._device = device
        self._passkey = passkey
        self._bluetoothd = bluetoothd

    def answer(self, call: Message) -> Message | None:
        """Return the reply to a call of the agent; `None` for any other message."""
        if call.message_type is not MessageType.METHOD_CALL or call.interface != AGENT:
            return None
        if call.sender != self._bluetoothd or (call.body and call.body[0] != self._device):
            return Message.new_error(call, f"{BLUEZ}.Error.Rejected", "this agent is for another device")
        match call.member, self._passkey:
            case "RequestPasskey", SecretStr() as passkey:
                return Message.new_method_return(call, "u", [int(passkey.get_secret_value())])
            case "RequestPinCode", SecretStr() as passkey:
                return Message.new_method_return(call, "s", [passkey.get_secret_value()])
            case "RequestConfirmation", SecretStr() as passkey if call.body[1:] == [int(passkey.get_secret_value())]:
                return Message.new_method_return(call)
            case "RequestAuthorization" | "AuthorizeService" | "Cancel" | "Release", _:
                return Message.new_method_return(call)
        return Message.new_error(call, f"{BLUEZ}.Error.Rejected", "the passkey is not configured")


async def pair(device: str, passkey: SecretStr | None) -> None:
    """Pair with a device and trust it; bluetoothd remembers that over restarts. Does nothing for one that is paired.

    Args:
        device: the path of the device in bluetoothd.
        passkey: six digits that the device shows or that are printed on it; `None` for a device that wants none.

    Raises:
        PairingFailed: it cannot be paired.
    """
    async with _system_bus() as bus, _agent(bus, device, passkey):
        try:
            async with asyncio.timeout(PAIR_SECONDS):
                reply = await bus.call(Message(destination=BLUEZ, path=device, interface=DEVICE, member="Pair"))
        except TimeoutError:
            await _call(bus, device, DEVICE, "CancelPairing")
            raise PairingFailed(f"the device did not finish it within {PAIR_SECONDS:.0f} s") from None
        if (error := _error_of(reply)) is not None and error[0] != f"{BLUEZ}.Error.AlreadyExists":
            raise PairingFailed(_reason(*error))
        trusted = Variant("b", True)  # noqa: FBT003 - a value, not a switch
        await _call(bus, device, PROPERTIES, "Set", "ssv", [DEVICE, "Trusted", trusted])


async def is_paired(device: str) -> bool | None:
    """Return whether this machine is paired with the device; `None` where bluetoothd does not know it, or does not answer."""
    try:
        async with _system_bus() as bus:
            return await _property(bus, device, "Paired")
    except PairingFailed:
        return None


async def connect_error(device: str) -> str | None:
    """Connect to a device, and return why that failed; `None` once its services are known.

    A connection that is broken off at once is `BROKEN_OFF`: bluetoothd reports it as made, or as aborted.

    Raises:
        PairingFailed: bluetoothd does not answer.
    """
    async with _system_bus() as bus:
        error = _error_of(await _call(bus, device, DEVICE, "Connect", seconds=CONNECT_SECONDS))
        if error is not None:
            text = " ".join(filter(None, error))
            return BROKEN_OFF if any(part in text for part in ABORTED) else text
        for _ in range(RESOLVE_CHECKS):
            is_connected, is_resolved = [await _property(bus, device, name) for name in ("Connected", "ServicesResolved")]
            if not is_connected:
                return BROKEN_OFF
            if is_resolved:
                return None
            await asyncio.sleep(RESOLVE_CHECK_SECONDS)
    return None


async def disconnect(device: str) -> None:
    """Disconnect from a device to which nobody else holds a connection. Never raises."""
    with suppress(PairingFailed):
        async with _system_bus() as bus:
            await _call(bus, device, DEVICE, "Disconnect")


async def remove(device: str) -> None:
    """Remove a device with its pairing from bluetoothd; it is known again as soon as it is received.

    Raises:
        PairingFailed: it cannot be removed.
    """
    async with _system_bus() as bus:
        reply = await _call(bus, device.rpartition("/")[0], ADAPTER, "RemoveDevice", "o", [device])
        if (error := _error_of(reply)) is not None:
            raise PairingFailed(_reason(*error))


async def _property(bus: MessageBus, device: str, name: str) -> bool | None:
    reply = await _call(bus, device, PROPERTIES, "Get", "ss", [DEVICE, name])
    if reply is None or reply.message_type is not MessageType.METHOD_RETURN:
        return None
    return bool(reply.body[0].value)


@asynccontextmanager
async def _system_bus() -> AsyncIterator[MessageBus]:
    bus = MessageBus(bus_type=BusType.SYSTEM)
    try:
        async with asyncio.timeout(REPLY_SECONDS):
            await bus.connect()
    except (OSError, EOFError, TimeoutError, AuthError, InvalidAddressError, DBusError) as error:
        raise PairingFailed(f"bluetoothd cannot be asked: {error}") from error
    try:
        yield bus
    except (OSError, EOFError, DBusError) as error:
        raise PairingFailed(f"bluetoothd does not answer: {error}") from error
    finally:
        bus.disconnect()


@asynccontextmanager
async def _agent(bus: MessageBus, device: str, passkey: SecretStr | None) -> AsyncIterator[None]:
    """Offer an agent for this device for the duration of the block."""
    bluetoothd = await _call(bus, "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner", "s", [BLUEZ])
    if bluetoothd is None or _error_of(bluetoothd) is not None:
        raise PairingFailed("bluetoothd is not running")
    bus.add_message_handler(_Agent(device, passkey, str(bluetoothd.body[0])).answer)
    capability = ENTERS_NOTHING if passkey is None else ENTERS_PASSKEY
    reply = await _call(bus, MANAGER_PATH, AGENT_MANAGER, "RegisterAgent", "os", [AGENT_PATH, capability])
    if (error := _error_of(reply)) is not None:
        raise PairingFailed(_reason(*error))
    try:
        yield
    finally:
        with suppress(PairingFailed, OSError, EOFError):
            await _call(bus, MANAGER_PATH, AGENT_MANAGER, "UnregisterAgent", "o", [AGENT_PATH])


async def _call(
    bus: MessageBus,
    path: str,
    interface: str,
    member: str,
    signature: str = "",
    body: list[Any] | None = None,
    *,
    seconds: float = REPLY_SECONDS,
) -> Message | None:
    """Return the reply of bluetoothd or of the bus, which may be an error; `None` when there is none in time."""
    is_for_the_bus = interface == "org.freedesktop.DBus"
    message = Message(
        destination="org.freedesktop.DBus" if is_for_the_bus else BLUEZ,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=body or [],
    )
    try:
        async with asyncio.timeout(seconds):
            return await bus.call(message)
    except TimeoutError:
        return None


def _error_of(reply: Message | None) -> tuple[str, str] | None:
    """Return the name and the text of an error; `None` when the call succeeded."""
    if reply is None:
        return "", "bluetoothd does not answer"
    if reply.message_type is MessageType.METHOD_RETURN:
        return None
    return reply.error_name or "", str(reply.body[0]) if reply.body else ""


def _reason(name: str, text: str) -> str:
    """Return what an error of BlueZ means."""
    return REASONS.get(name.removeprefix(f"{BLUEZ}.Error."), " ".join(filter(None, [name, text])))
