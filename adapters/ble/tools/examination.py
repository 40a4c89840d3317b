"""What can be said of Bluetooth on this machine before a radio is opened: for `doctor`."""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from adapters.ble.radio.bluez import Controller, bus_socket, controllers
from adapters.ble.radio.open_errors import Trouble, Unusable, mending
from adapters.ble.settings import BleSettings
from gateway.adapter import Finding, FindingState

SWITCHES = Path("/sys/class/rfkill")

WHAT = {
    Trouble.NO_DAEMON: "bluetoothd",
    Trouble.NOT_ALLOWED: "bluetoothd",
}
"""What was looked at when this was met; else it was D-Bus."""


async def examined(settings: BleSettings | None) -> AsyncIterator[Finding]:
    """Yield what there is to say: of the controllers that an entry wants, or, without one, of those that there are."""
    if settings is not None and settings.backend is not None:
        yield Finding.not_looked_at("radio", f"{settings.backend.scanner.__name__} stands in for the system's Bluetooth")
        return
    async for finding in _findings(settings):
        yield finding if settings is not None else _of_no_need(finding)


async def _findings(settings: BleSettings | None) -> AsyncIterator[Finding]:
    socket = bus_socket()
    try:
        there = await controllers()
    except Unusable as error:
        yield _no_way(error.trouble, socket)
        return
    yield Finding.fine("D-Bus", f"lets this user in, at {socket}" if socket else "lets this user in")
    yield Finding.fine("bluetoothd", "runs, and answers this user")
    wanted = () if settings is None else settings.controllers
    for finding in _of_controllers(there, wanted, is_passive=settings is not None and settings.scanning == "passive"):
        yield finding


def _no_way(trouble: Trouble, socket: Path | None) -> Finding:
    wrong, right = mending(trouble, None)
    if trouble is Trouble.NO_SOCKET and socket is not None:
        if socket.is_dir():  # what Docker makes of a path that is to be mounted and is not there
            wrong = f"{socket} is a folder, since the host had no such socket when the container was made"
            right = "start dbus on the host, remove the folder there, and make the container anew"
        else:
            wrong = (
                f"there is no D-Bus socket at {socket}" if not socket.exists() else f"nobody listens at the D-Bus socket {socket}"
            )
    elif trouble is Trouble.NO_PERMISSION and socket is not None:
        wrong, right = f"this user may not open the D-Bus socket {socket}", f"run the gateway as a user that may open {socket}"
    elif trouble is Trouble.NOT_ALLOWED:
        right = right.replace("USER", _user())
    return Finding.fault(WHAT.get(trouble, "D-Bus"), wrong, right)


def _of_controllers(there: Sequence[Controller], wanted: Sequence[str], *, is_passive: bool) -> Iterator[Finding]:
    if wanted:
        known = {controller.name: controller for controller in there}
        for name in wanted:
            yield _of_controller(known.get(name), name, there, is_passive=is_passive)
        return
    powered = next((controller for controller in there if controller.is_powered), None)
    first = powered or next(iter(there), None)
    yield _of_controller(first, None if first is None else first.name, there, is_passive=is_passive)


def _of_controller(controller: Controller | None, name: str | None, there: Sequence[Controller], *, is_passive: bool) -> Finding:
    what = name or "controller"
    trouble = _trouble_with(controller, is_passive=is_passive)
    if trouble is None:
        return Finding.fine(
            what, f"is switched on and speaks Bluetooth Low Energy{', passive scanning too' if is_passive else ''}"
        )
    wrong, right = mending(trouble, name)
    if trouble is Trouble.NO_CONTROLLER and there:
        names = ", ".join(f'"{one.name}"' for one in there)
        wrong, right = f"{wrong}; there is {names}", f"write in this entry of the config: controllers = [{names}]"
    return Finding.fault(what, wrong, right)


def _trouble_with(controller: Controller | None, *, is_passive: bool) -> Trouble | None:
    if controller is None:
        return Trouble.NO_CONTROLLER
    if not controller.is_powered:
        return Trouble.BLOCKED if controller.is_blocked or is_switched_off() else Trouble.SWITCHED_OFF
    if not controller.speaks_low_energy:
        return Trouble.NOT_LOW_ENERGY
    return Trouble.NOT_PASSIVE if is_passive and not controller.listens_passively else None


def is_switched_off(switches: Path = SWITCHES) -> bool:
    """Whether rfkill keeps Bluetooth off, as far as this machine tells."""
    for switch in sorted(switches.glob("*")):
        try:
            kind, soft, hard = ((switch / name).read_text(encoding="ascii").strip() for name in ("type", "soft", "hard"))
        except (OSError, ValueError):
            continue
        if kind == "bluetooth" and "1" in (soft, hard):
            return True
    return False


def _of_no_need(finding: Finding) -> Finding:
    """Return a finding about what no entry of the config needs: never a fault."""
    if finding.state is not FindingState.FAULT:
        return finding
    return Finding.not_looked_at(finding.what, f"no entry of the config uses Bluetooth; {finding.meaning}", finding.fix)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
