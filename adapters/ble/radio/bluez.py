"""What BlueZ tells of its own life over D-Bus: it stopped, it is back, a controller was pulled out or switched off.

Bleak does not tell: after a restart of bluetoothd its scanner stays silent for ever. The only file that knows dbus-fast.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from dbus_fast import AuthError, BusType, DBusError, InvalidAddressError, Message, MessageType, unpack_variants
from dbus_fast.aio import MessageBus

from adapters.ble.radio.open_errors import Trouble, Unusable

__all__ = ["AuthError", "BlueZ", "Controller", "bus_socket", "controllers", "watched"]

BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
MONITORS = "org.bluez.AdvertisementMonitorManager1"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
DBUS = "org.freedesktop.DBus"
DBUS_PATH = "/org/freedesktop/DBus"

RULES = (
    f"type='signal',sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',arg0='{BLUEZ}'",
    f"type='signal',sender='{BLUEZ}',interface='{OBJECTS}',path='/'",
    f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',member='PropertiesChanged',arg0='{ADAPTER}'",
)

NO_SUCH_NAME = frozenset({f"{DBUS}.Error.ServiceUnknown", f"{DBUS}.Error.NameHasNoOwner"})
USUAL_SOCKET = Path("/var/run/dbus/system_bus_socket")

ANSWER_SECONDS = 5.0
FAREWELL_SECONDS = 1.0


class BlueZ:
    """The life of one controller of this machine, as long as somebody watches.

    Args:
        bus: a connection to the system bus.
        controller: its name, `hci0`; `None` for whichever there is.
    """

    def __init__(self, bus: MessageBus, controller: str | None) -> None:
        self._bus = bus
        self._path = None if controller is None else f"/org/bluez/{controller}"
        self._named = controller or "the Bluetooth controller"
        self._lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._changed = asyncio.Event()

    async def lost(self) -> str:
        """Return why the controller is lost, once it is."""
        return await self._lost

    async def watch_bus(self) -> None:
        """Notice when the system bus itself ends, which nobody is left to tell."""
        with suppress(OSError, EOFError):
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # the library does not say that it returns nothing
        self._lose("the D-Bus daemon stopped")

    async def is_ready(self) -> bool:
        """Whether bluetoothd runs and the controller is there and powered."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._bus.call(Message(destination=BLUEZ, path="/", interface=OBJECTS, member="GetManagedObjects"))
        except (OSError, EOFError, TimeoutError):
            return False
        if answer is None or answer.message_type is not MessageType.METHOD_RETURN:
            return False
        controllers = {
            path: unpack_variants(interfaces[ADAPTER]) for path, interfaces in answer.body[0].items() if ADAPTER in interfaces
        }
        return any(state.get("Powered") for path, state in controllers.items() if self._path in (None, path))

    async def becomes_ready(self) -> None:
        """Return when bluetoothd runs and the controller is there and powered."""
        while not await self.is_ready():
            self._changed.clear()
            await self._changed.wait()

    def hear(self, signal: Message) -> None:
        """Take in a signal of the bus."""
        if signal.message_type is not MessageType.SIGNAL:
            return
        self._changed.set()
        if (why := self._loss_in(signal)) is not None:
            self._lose(why)

    def _lose(self, why: str) -> None:
        if not self._lost.done():
            self._lost.set_result(why)

    def _loss_in(self, signal: Message) -> str | None:
        match signal.member, signal.body:
            case "NameOwnerChanged", [name, _, ""] if name == BLUEZ:
                return "bluetoothd stopped"
            case "InterfacesRemoved", [path, interfaces] if ADAPTER in interfaces and self._path in (None, path):
                return f"{self._named} was pulled out"
            case "PropertiesChanged", [interface, changed, _] if interface == ADAPTER and self._path in (None, signal.path):
                return self._loss_in_properties(unpack_variants(changed))
        return None

    def _loss_in_properties(self, changed: Mapping[str, Any]) -> str | None:
        return f"{self._named} was switched off" if changed.get("Powered") is False else None


@asynccontextmanager
async def watched(controller: str | None) -> AsyncIterator[BlueZ]:
    """Watch a controller until the end of the block.

    Raises:
        OSError: there is no system bus.
        AuthError: it lets this user not in.
    """
    bus, watching = MessageBus(bus_type=BusType.SYSTEM), set[asyncio.Task[None]]()
    try:
        await bus.connect()
        life = BlueZ(bus, controller)
        watching.add(asyncio.create_task(life.watch_bus()))
        bus.add_message_handler(life.hear)
        for rule in RULES:
            await bus.call(
                Message(destination=DBUS, path=DBUS_PATH, interface=DBUS, member="AddMatch", signature="s", body=[rule])
            )
        yield life
    finally:
        bus.disconnect()
        if watching:
            await asyncio.wait(watching, timeout=FAREWELL_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A controller as bluetoothd tells of it."""

    name: str
    is_powered: bool
    is_blocked: bool
    """Switched off by rfkill, as far as bluetoothd tells."""
    speaks_low_energy: bool
    listens_passively: bool
    """bluetoothd offers passive scanning on it."""


def bus_socket() -> Path | None:
    """Return the file of the system bus; `None` when its address names none."""
    address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or f"unix:path={USUAL_SOCKET}"
    found = re.search(r"unix:(?:[^;]*,)?path=([^,;]+)", address)
    return Path(unquote(found[1])) if found else None


async def controllers() -> list[Controller]:
    """Return the controllers that there are right now. Changes nothing, and starts no bluetoothd.

    Raises:
        Unusable: there is no way to bluetoothd.
    """
    async with _connected() as bus:
        answer = await _asked(
            bus, Message(destination=DBUS, path=DBUS_PATH, interface=DBUS, member="NameHasOwner", signature="s", body=[BLUEZ])
        )
        if not answer.body[0]:
            raise Unusable(Trouble.NO_DAEMON)
        answer = await _asked(bus, Message(destination=BLUEZ, path="/", interface=OBJECTS, member="GetManagedObjects"))
    return sorted(
        (_controller(path, interfaces) for path, interfaces in answer.body[0].items() if ADAPTER in interfaces),
        key=lambda controller: controller.name,
    )


@asynccontextmanager
async def _connected() -> AsyncIterator[MessageBus]:
    bus: MessageBus | None = None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            bus = MessageBus(bus_type=BusType.SYSTEM)
            await bus.connect()
        yield bus
    except (FileNotFoundError, ConnectionRefusedError, InvalidAddressError) as error:
        raise Unusable(Trouble.NO_SOCKET) from error
    except PermissionError as error:
        raise Unusable(Trouble.NO_PERMISSION) from error
    except AuthError as error:
        raise Unusable(Trouble.NOT_LET_IN) from error
    except DBusError as error:
        raise Unusable(_refused(error.type, error.text)) from error
    except (OSError, EOFError, TimeoutError) as error:
        raise Unusable(Trouble.NO_ANSWER) from error
    finally:
        if bus is not None:
            bus.disconnect()


async def _asked(bus: MessageBus, question: Message) -> Message:
    async with asyncio.timeout(ANSWER_SECONDS):
        answer = await bus.call(question)
    if answer is None:
        raise Unusable(Trouble.NO_ANSWER)
    if answer.message_type is not MessageType.METHOD_RETURN:
        raise Unusable(_refused(answer.error_name or "", str(answer.body[0]) if answer.body else ""))
    return answer


def _refused(name: str, text: str) -> Trouble:
    if "AppArmor" in text:
        return Trouble.CONFINED
    return Trouble.NO_DAEMON if name in NO_SUCH_NAME else Trouble.NOT_ALLOWED


def _controller(path: str, interfaces: Mapping[str, Any]) -> Controller:
    told = unpack_variants(interfaces[ADAPTER])
    kinds = unpack_variants(interfaces.get(MONITORS, {})).get("SupportedMonitorTypes", ())
    return Controller(
        name=path.rpartition("/")[2],
        is_powered=bool(told.get("Powered")),
        is_blocked=told.get("PowerState") == "off-blocked",
        speaks_low_energy="central" in told.get("Roles", ("central",)),
        listens_passively="or_patterns" in kinds,
    )
