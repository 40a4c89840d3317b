"""Describe why Bluetooth cannot be used on this machine, and how to fix it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from gateway.adapter import BusUnavailable, Cause


class OpenError(StrEnum):
    """A reason why a Bluetooth controller cannot be opened."""

    NO_SOCKET = "no D-Bus socket"
    NO_PERMISSION = "no permission for the D-Bus socket"
    AUTH_REJECTED = "D-Bus rejects this user"
    NO_DAEMON = "no bluetoothd"
    ACCESS_DENIED = "D-Bus denies access to bluetoothd"
    NO_CONTROLLER = "no controller"
    NOT_LOW_ENERGY = "no controller for Bluetooth Low Energy"
    POWERED_OFF = "powered off"
    BUSY = "busy"
    NO_PASSIVE_SCANNING = "no passive scanning"
    PASSIVE_REFUSED = "passive scan refused"
    SCAN_DOES_NOT_START = "the scan does not start"
    BLOCKED = "blocked"
    CONFINED = "confined"
    NO_REPLY = "no reply"


class ErrorText(NamedTuple):
    """An error and its fix, for the operator; `{controller}` stands for the controller's name."""

    problem: str
    fix: str


ERROR_TEXTS: Mapping[OpenError, ErrorText] = {
    OpenError.NO_SOCKET: ErrorText(
        "there is no D-Bus socket",
        "install and start dbus and bluez on the host, and in a container mount it: "
        "-v /run/dbus/system_bus_socket:/run/dbus/system_bus_socket",
    ),
    OpenError.NO_PERMISSION: ErrorText(
        "no permission for the D-Bus socket", "run the gateway as a user that may open /run/dbus/system_bus_socket"
    ),
    OpenError.AUTH_REJECTED: ErrorText(
        "the D-Bus daemon rejects this user",
        "run the gateway as a user that the host knows, in a container: "
        "sudo useradd --system --uid 10001 --no-create-home xyte-gateway",
    ),
    OpenError.CONFINED: ErrorText(
        "AppArmor denies this program access to D-Bus", "in a container, run it with: --security-opt apparmor=unconfined"
    ),
    OpenError.NO_REPLY: ErrorText("D-Bus or bluetoothd does not answer", "restart it with: systemctl restart bluetooth"),
    OpenError.NO_DAEMON: ErrorText("bluetoothd is not running", "start it with: systemctl start bluetooth"),
    OpenError.ACCESS_DENIED: ErrorText(
        "D-Bus does not allow this user to use bluetoothd", "add the user to the group bluetooth: usermod -aG bluetooth USER"
    ),
    OpenError.NO_CONTROLLER: ErrorText("{controller} is missing", "plug it in, and check its name with: bluetoothctl list"),
    OpenError.NOT_LOW_ENERGY: ErrorText("{controller} does not support Bluetooth Low Energy", "use another one"),
    OpenError.POWERED_OFF: ErrorText("{controller} is switched off", "switch it on with: bluetoothctl power on"),
    OpenError.BLOCKED: ErrorText("{controller} is switched off by rfkill", "switch it on with: rfkill unblock bluetooth"),
    OpenError.BUSY: ErrorText("{controller} is busy with another program's scan", "stop that program, or wait"),
    OpenError.NO_PASSIVE_SCANNING: ErrorText(
        "bluetoothd does not offer passive scanning",
        'start it with --experimental, or set in this entry of the config: scanning = "active"',
    ),
    OpenError.PASSIVE_REFUSED: ErrorText(
        "bluetoothd refuses every list of patterns for the passive scan, for example since {controller} has no room for them",
        'set in this entry of the config: scanning = "active"',
    ),
    OpenError.SCAN_DOES_NOT_START: ErrorText(
        "{controller} did not start to scan", "restart it with: bluetoothctl power off && bluetoothctl power on"
    ),
}


CAUSES: Mapping[OpenError, Cause] = {
    OpenError.NO_SOCKET: Cause.BLUETOOTH_DOWN,
    OpenError.NO_PERMISSION: Cause.NO_PERMISSION,
    OpenError.AUTH_REJECTED: Cause.NO_PERMISSION,
    OpenError.CONFINED: Cause.NO_PERMISSION,
    OpenError.ACCESS_DENIED: Cause.NO_PERMISSION,
    OpenError.NO_REPLY: Cause.BLUETOOTH_DOWN,
    OpenError.NO_DAEMON: Cause.BLUETOOTH_DOWN,
    OpenError.NO_CONTROLLER: Cause.NO_PORT,
    OpenError.NOT_LOW_ENERGY: Cause.NO_PORT,
    OpenError.POWERED_OFF: Cause.BLUETOOTH_OFF,
    OpenError.BLOCKED: Cause.BLUETOOTH_OFF,
    OpenError.BUSY: Cause.PORT_IN_USE,
}
"""The kind of outage; the others are unknown, but for their texts."""


class BluetoothUnusable(Exception):
    """Bluetooth cannot be used on this machine. Never leaves this adapter."""

    def __init__(self, open_error: OpenError) -> None:
        super().__init__(open_error)
        self.open_error = open_error


def error_text(open_error: OpenError, controller: str | None) -> ErrorText:
    """Return the problem and its fix for this controller."""
    name = controller or "the Bluetooth controller"
    return ErrorText(*(text.format(controller=name) for text in ERROR_TEXTS[open_error]))


def not_open(open_error: OpenError | None, controller: str | None, raw_error: str) -> BusUnavailable:
    """Return the error for a controller that cannot be used, with its cause and what to do."""
    if open_error is None:
        return BusUnavailable(error_message(None, controller, raw_error))
    text = error_text(open_error, controller)
    return BusUnavailable(
        "; ".join(text), cause=CAUSES.get(open_error, Cause.UNKNOWN), next_step=f"{text.fix[:1].upper()}{text.fix[1:]}"
    )


def error_message(open_error: OpenError | None, controller: str | None, raw_error: str) -> str:
    """Return the problem and its fix in one sentence; for an unknown error, the text of the error itself."""
    if open_error is None:
        return f"{controller or 'the Bluetooth controller'} cannot be used: {raw_error}"
    return "; ".join(error_text(open_error, controller))
