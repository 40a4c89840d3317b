"""Why there is no radio, in words that name what mends it. Nothing here waits."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


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


MENDING: Mapping[Trouble, str] = {
    Trouble.NO_SOCKET: (
        "there is no D-Bus socket; install and start dbus and bluez on the host, and in a container mount it: "
        "-v /run/dbus/system_bus_socket:/run/dbus/system_bus_socket"
    ),
    Trouble.NO_PERMISSION: (
        "no permission for the D-Bus socket; run the gateway as a user that may open /run/dbus/system_bus_socket"
    ),
    Trouble.NOT_LET_IN: (
        "the D-Bus daemon does not let this user in; in a container, run it with a user id that the host knows: --user 1000"
    ),
    Trouble.NO_DAEMON: "bluetoothd does not run; start it with: systemctl start bluetooth",
    Trouble.NOT_ALLOWED: (
        "D-Bus does not let this user speak with bluetoothd; add the user to the group bluetooth: usermod -aG bluetooth USER"
    ),
    Trouble.NO_CONTROLLER: "{controller} is not there; plug it in, and look for its name with: bluetoothctl list",
    Trouble.NOT_LOW_ENERGY: "{controller} does not speak Bluetooth Low Energy; use another one",
    Trouble.SWITCHED_OFF: "{controller} is switched off; switch it on with: bluetoothctl power on",
    Trouble.BUSY: "{controller} is busy with another program's scan; end that program, or wait",
    Trouble.NOT_PASSIVE: (
        "bluetoothd offers no passive scanning; start it with --experimental, or set in this entry of the config: "
        'scanning = "active"'
    ),
    Trouble.HANGS: "{controller} did not begin to scan; restart it with: bluetoothctl power off && bluetoothctl power on",
}
"""Each with the line that mends it."""


def in_words(trouble: Trouble | None, controller: str | None, error: str) -> str:
    """Return what is wrong and what mends it; for what nobody has met yet, what the error says."""
    named = controller or "the Bluetooth controller"
    return f"{named} cannot be used: {error}" if trouble is None else MENDING[trouble].format(controller=named)
