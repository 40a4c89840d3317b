"""Watch bluetoothd and its controllers over D-Bus: bleak does not report when one of them is lost.

With `passive_scan.py` the only user of dbus-fast.

After a restart of bluetoothd bleak's scanner stays silent for ever.
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

from adapters.ble.radio.open_errors import BluetoothUnusable, OpenError
from gateway.adapter import Cause

__all__ = ["AuthError", "Controller", "ControllerWatch", "bus_socket", "call_bluez", "list_controllers", "watch_controller"]

BLUEZ = "org.bluez"
ADAPTER = "org.bluez.Adapter1"
MONITORS = "org.bluez.AdvertisementMonitorManager1"
PROPERTIES = "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
DBUS = "org.freedesktop.DBus"
DBUS_PATH = "/org/freedesktop/DBus"

MATCH_RULES = (
    f"type='signal',sender='{DBUS}',interface='{DBUS}',member='NameOwnerChanged',arg0='{BLUEZ}'",
    f"type='signal',sender='{BLUEZ}',interface='{OBJECTS}',path='/'",
    f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',member='PropertiesChanged',arg0='{ADAPTER}'",
)

NO_SUCH_NAME = frozenset({f"{DBUS}.Error.{name}" for name in ("ServiceUnknown", "NameHasNoOwner", "NoReply")})
"""Nobody has the name; `NoReply`: bluetoothd stopped during a call."""
NO_SUCH_METHOD = frozenset({f"{DBUS}.Error.{name}" for name in ("UnknownObject", "UnknownInterface", "UnknownMethod")})

DAEMON_STOPPED, BUS_STOPPED = "bluetoothd stopped", "the D-Bus daemon stopped"
"""The reason of a loss, where the daemon itself has ended."""
UNPLUGGED, SWITCHED_OFF = "was unplugged", "was switched off"
"""The end of the reason, where a controller is gone."""
DEFAULT_SOCKET = Path("/var/run/dbus/system_bus_socket")

REPLY_SECONDS = 5.0
STOP_SECONDS = 1.0
"""bluetoothd switches its controllers off and removes them before it stops: otherwise it goes on for longer than this."""
DISCONNECT_SECONDS = 1.0
ASKED_AGAIN_SECONDS = 10.0


def loss_cause(reason: str) -> Cause:
    """Return the cause of a loss from the reason that a `ControllerWatch` gave."""
    if reason in (DAEMON_STOPPED, BUS_STOPPED):
        return Cause.BLUETOOTH_DOWN
    return (
        Cause.NO_PORT if reason.endswith(UNPLUGGED) else Cause.BLUETOOTH_OFF if reason.endswith(SWITCHED_OFF) else Cause.UNKNOWN
    )


class ControllerWatch:
    """Notices when a controller of this machine is lost, and when it is ready.

    Args:
        bus: a connection to the system bus.
        controller: its name, `hci0`; `None` for any controller.
    """

    def __init__(self, bus: MessageBus, controller: str | None) -> None:
        self.bus = bus
        self._path = None if controller is None else f"/org/bluez/{controller}"
        self._name = controller or "the Bluetooth controller"
        self._loss: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._pending: asyncio.TimerHandle | None = None
        """Reports that the controller is gone, unless bluetoothd itself stops."""
        self.has_crashed = False
        """bluetoothd has ended, and did not remove its controllers before, as it does when it is stopped."""
        self._is_stopping = False
        """The controller was switched off or removed, perhaps since bluetoothd is stopping."""
        self._changed = asyncio.Event()
        self.is_silent = False
        """bluetoothd did not answer the last question whether the controller is ready."""
        self.is_blocked = False
        """By the last answer, the controller is switched off by rfkill; BlueZ says so since 5.70."""

    async def wait_until_lost(self) -> str:
        """Return the reason once the controller is lost."""
        return await self._loss

    async def watch_bus(self) -> None:
        """Notice when the system bus itself ends: no signal reports that."""
        with suppress(OSError, EOFError):
            await self.bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # the library does not declare that it returns nothing
        self._report_loss(BUS_STOPPED)

    async def is_ready(self) -> bool:
        """Return whether bluetoothd is running and the controller is present and powered."""
        self.is_silent = False
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                reply = await self.bus.call(Message(destination=BLUEZ, path="/", interface=OBJECTS, member="GetManagedObjects"))
        except (OSError, EOFError, TimeoutError) as error:
            self.is_silent = isinstance(error, TimeoutError)
            return False
        if reply is None or reply.message_type is not MessageType.METHOD_RETURN:
            return False
        controllers = {
            path: unpack_variants(interfaces[ADAPTER]) for path, interfaces in reply.body[0].items() if ADAPTER in interfaces
        }
        self.is_blocked = any(
            state.get("PowerState") == "off-blocked" for path, state in controllers.items() if self._path in (None, path)
        )
        return any(state.get("Powered") for path, state in controllers.items() if self._path in (None, path))

    async def wait_until_ready(self) -> None:
        """Return when bluetoothd is running and the controller is present and powered."""
        while True:
            self._changed.clear()  # before the question: a signal that arrives during it counts
            if await self.is_ready():
                return
            with suppress(TimeoutError):  # a bluetoothd that did not answer may do so without a signal
                async with asyncio.timeout(ASKED_AGAIN_SECONDS):
                    await self._changed.wait()

    def on_signal(self, signal: Message) -> None:
        """Evaluate a signal of the bus."""
        if signal.message_type is not MessageType.SIGNAL:
            return
        self._changed.set()
        match signal.member, signal.body:
            case "NameOwnerChanged", [name, _, ""] if name == BLUEZ:
                self.has_crashed = not self._is_stopping and not self._loss.done()
                self._report_loss(DAEMON_STOPPED)
            case "InterfacesRemoved", [path, interfaces] if ADAPTER in interfaces and self._path in (None, path):
                self._is_stopping = True
                self._report_unless_stopped(f"{self._name} {UNPLUGGED}")
            case "PropertiesChanged", [interface, changed, _] if interface == ADAPTER and self._path in (None, signal.path):
                if unpack_variants(changed).get("Powered") is False:
                    self._is_stopping = True
                    self._report_unless_stopped(f"{self._name} {SWITCHED_OFF}")

    def report_end_of_scan(self) -> None:
        """Report that bluetoothd has ended the scan, unless there is another reason for that."""
        if self._pending is None:
            self._report_unless_stopped("bluetoothd ended the passive scan")

    def end(self) -> None:
        """Report nothing any more."""
        if self._pending is not None:
            self._pending.cancel()

    def _report_unless_stopped(self, reason: str) -> None:
        """Report this reason or a later one, unless it turns out that bluetoothd is stopping."""
        loop = asyncio.get_running_loop()
        reported_at = loop.time() + STOP_SECONDS if self._pending is None else self._pending.when()
        self.end()
        self._pending = loop.call_at(reported_at, self._report_loss, reason)

    def _report_loss(self, reason: str) -> None:
        if not self._loss.done():
            self._loss.set_result(reason)


@asynccontextmanager
async def watch_controller(controller: str | None) -> AsyncIterator[ControllerWatch]:
    """Watch a controller until the end of the block.

    Raises:
        OSError: there is no system bus.
        AuthError: the system bus rejects this user.
    """
    bus, watching, watch = MessageBus(bus_type=BusType.SYSTEM), set[asyncio.Task[None]](), None
    try:
        await bus.connect()
        watch = ControllerWatch(bus, controller)
        watching.add(asyncio.create_task(watch.watch_bus()))
        bus.add_message_handler(watch.on_signal)
        for rule in MATCH_RULES:
            await bus.call(
                Message(destination=DBUS, path=DBUS_PATH, interface=DBUS, member="AddMatch", signature="s", body=[rule])
            )
        yield watch
    finally:
        if watch is not None:
            watch.end()
        bus.disconnect()
        if watching:
            await asyncio.wait(watching, timeout=DISCONNECT_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """A controller as bluetoothd describes it."""

    name: str
    is_powered: bool
    is_blocked: bool
    """Switched off by rfkill, as far as bluetoothd reports it."""
    supports_low_energy: bool
    supports_passive_scanning: bool


def bus_socket() -> Path | None:
    """Return the socket file of the system bus; `None` when its address contains none."""
    address = os.environ.get("DBUS_SYSTEM_BUS_ADDRESS") or f"unix:path={DEFAULT_SOCKET}"
    found = re.search(r"unix:(?:[^;]*,)?path=([^,;]+)", address)
    return Path(unquote(found[1])) if found else None


async def list_controllers() -> list[Controller]:
    """Return the controllers that are present right now. Changes nothing, and does not start bluetoothd.

    Raises:
        BluetoothUnusable: bluetoothd cannot be reached.
    """
    async with _connected() as bus:
        reply = await call_bluez(
            bus, Message(destination=DBUS, path=DBUS_PATH, interface=DBUS, member="NameHasOwner", signature="s", body=[BLUEZ])
        )
        if not reply.body[0]:
            raise BluetoothUnusable(OpenError.NO_DAEMON)
        reply = await call_bluez(bus, Message(destination=BLUEZ, path="/", interface=OBJECTS, member="GetManagedObjects"))
    return sorted(
        (_controller(path, interfaces) for path, interfaces in reply.body[0].items() if ADAPTER in interfaces),
        key=lambda controller: controller.name,
    )


@asynccontextmanager
async def _connected() -> AsyncIterator[MessageBus]:
    bus: MessageBus | None = None
    try:
        async with asyncio.timeout(REPLY_SECONDS):
            bus = MessageBus(bus_type=BusType.SYSTEM)
            await bus.connect()
        yield bus
    except (FileNotFoundError, ConnectionRefusedError, InvalidAddressError) as error:
        raise BluetoothUnusable(OpenError.NO_SOCKET) from error
    except PermissionError as error:
        raise BluetoothUnusable(OpenError.NO_PERMISSION) from error
    except AuthError as error:
        raise BluetoothUnusable(OpenError.AUTH_REJECTED) from error
    except DBusError as error:
        raise BluetoothUnusable(_open_error(error.type, error.text)) from error
    except (OSError, EOFError, TimeoutError) as error:
        raise BluetoothUnusable(OpenError.NO_REPLY) from error
    finally:
        if bus is not None:
            bus.disconnect()


async def call_bluez(bus: MessageBus, call: Message, unknown: OpenError = OpenError.NO_CONTROLLER) -> Message:
    """Return the reply to a call of bluetoothd or of the bus.

    Args:
        bus: a connection to the system bus.
        call: the call.
        unknown: the error where there is no such object or method.

    Raises:
        BluetoothUnusable: the reply is an error.
        TimeoutError: there is no reply in time.
    """
    async with asyncio.timeout(REPLY_SECONDS):
        reply = await bus.call(call)
    if reply is None:
        raise BluetoothUnusable(OpenError.NO_REPLY)
    if reply.message_type is not MessageType.METHOD_RETURN:
        name, text = reply.error_name or "", str(reply.body[0]) if reply.body else ""
        raise BluetoothUnusable(unknown if name in NO_SUCH_METHOD else _open_error(name, text))
    return reply


def _open_error(name: str, text: str) -> OpenError:
    if "AppArmor" in text:
        return OpenError.CONFINED
    return OpenError.NO_DAEMON if name in NO_SUCH_NAME else OpenError.ACCESS_DENIED


def _controller(path: str, interfaces: Mapping[str, Any]) -> Controller:
    properties = unpack_variants(interfaces[ADAPTER])
    monitor_types = unpack_variants(interfaces.get(MONITORS, {})).get("SupportedMonitorTypes", ())
    return Controller(
        name=path.rpartition("/")[2],
        is_powered=bool(properties.get("Powered")),
        is_blocked=properties.get("PowerState") == "off-blocked",
        supports_low_energy="central" in properties.get("Roles", ("central",)),
        supports_passive_scanning="or_patterns" in monitor_types,
    )
