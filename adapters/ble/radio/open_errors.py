"""Why there is no radio, in words that name what mends it. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Trouble(StrEnum):
    """What can keep a radio from being used."""

    NO_SOCKET = "no D-Bus socket"
    NO_PERMISSION = "no permission for the D-Bus socket"
    NOT_LET_IN = "not let in by D-Bus"
    NO_DAEMON = "no bluetoothd"
    NOT_ALLOWED = "not allowed to speak with bluetoothd"
    NO_CONTROLLER = "no controller"
    NOT_LOW_ENERGY = "no controller for Bluetooth Low Energy"
    SWITCHED_OFF = "switched off"
    BUSY = "busy"
    NOT_PASSIVE = "no passive scanning"
    HANGS = "hangs"
    BLOCKED = "blocked"
    CONFINED = "confined"
    NO_ANSWER = "no answer"


class Mending(NamedTuple):
    """What is wrong, and what mends it; `{controller}` stands for the controller's name."""

    wrong: str
    right: str


MENDING: Mapping[Trouble, Mending] = {
    Trouble.NO_SOCKET: Mending(
        "there is no D-Bus socket",
        "install and start dbus and bluez on the host, and in a container mount it: "
        "-v /run/dbus/system_bus_socket:/run/dbus/system_bus_socket",
    ),
    Trouble.NO_PERMISSION: Mending(
        "no permission for the D-Bus socket", "run the gateway as a user that may open /run/dbus/system_bus_socket"
    ),
    Trouble.NOT_LET_IN: Mending(
        "the D-Bus daemon does not let this user in",
        "make it one that the host knows, in a container: sudo useradd --system --uid 10001 --no-create-home xyte-gateway",
    ),
    Trouble.CONFINED: Mending(
        "AppArmor keeps this program from D-Bus", "in a container, run it with: --security-opt apparmor=unconfined"
    ),
    Trouble.NO_ANSWER: Mending("D-Bus or bluetoothd does not answer", "restart it with: systemctl restart bluetooth"),
    Trouble.NO_DAEMON: Mending("bluetoothd does not run", "start it with: systemctl start bluetooth"),
    Trouble.NOT_ALLOWED: Mending(
        "D-Bus does not let this user speak with bluetoothd", "add the user to the group bluetooth: usermod -aG bluetooth USER"
    ),
    Trouble.NO_CONTROLLER: Mending("{controller} is not there", "plug it in, and look for its name with: bluetoothctl list"),
    Trouble.NOT_LOW_ENERGY: Mending("{controller} does not speak Bluetooth Low Energy", "use another one"),
    Trouble.SWITCHED_OFF: Mending("{controller} is switched off", "switch it on with: bluetoothctl power on"),
    Trouble.BLOCKED: Mending("{controller} is switched off by rfkill", "switch it on with: rfkill unblock bluetooth"),
    Trouble.BUSY: Mending("{controller} is busy with another program's scan", "end that program, or wait"),
    Trouble.NOT_PASSIVE: Mending(
        "bluetoothd offers no passive scanning",
        'start it with --experimental, or set in this entry of the config: scanning = "active"',
    ),
    Trouble.HANGS: Mending(
        "{controller} did not begin to scan", "restart it with: bluetoothctl power off && bluetoothctl power on"
    ),
}


class Unusable(Exception):
    """Bluetooth of this machine cannot be used. Never leaves this adapter."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble = trouble


def mending(trouble: Trouble, controller: str | None) -> Mending:
    """Return what is wrong with this controller, and what mends it."""
    named = controller or "the Bluetooth controller"
    return Mending(*(text.format(controller=named) for text in MENDING[trouble]))


def in_words(trouble: Trouble | None, controller: str | None, error: str) -> str:
    """Return what is wrong and what mends it; for what nobody has met yet, what the error says."""
    if trouble is None:
        return f"{controller or 'the Bluetooth controller'} cannot be used: {error}"
    return "; ".join(mending(trouble, controller))
