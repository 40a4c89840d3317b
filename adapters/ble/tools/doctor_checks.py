"""Check D-Bus, bluetoothd and the controllers of this machine for `doctor`, without opening a radio."""

from __future__ import annotations

import os
import pwd
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from adapters.ble.radio.bluez import Controller, bus_socket, list_controllers
from adapters.ble.radio.open_errors import BluetoothUnusable, OpenError, error_text
from adapters.ble.radio.rfkill import is_blocked_by_rfkill
from adapters.ble.settings import BleSettings
from gateway.adapter import Finding, FindingState

CHECKED_PART = {
    OpenError.NO_DAEMON: "bluetoothd",
    OpenError.ACCESS_DENIED: "bluetoothd",
}
"""The part that was checked when the error occurred; for other errors it is D-Bus."""


async def examined(settings: BleSettings | None) -> AsyncIterator[Finding]:
    """Yield findings about the controllers of an entry of the config or, without one, about all that are present."""
    if settings is not None and settings.backend is not None:
        yield Finding.not_looked_at("radio", f"{settings.backend.scanner.__name__} replaces the system's Bluetooth")
        return
    async for finding in _findings(settings):
        yield finding if settings is not None else _not_needed(finding)


async def _findings(settings: BleSettings | None) -> AsyncIterator[Finding]:
    socket = bus_socket()
    try:
        present = await list_controllers()
    except BluetoothUnusable as error:
        yield _unusable(error.open_error, socket)
        return
    yield Finding.fine("D-Bus", f"accepts this user, at {socket}" if socket else "accepts this user")
    yield Finding.fine("bluetoothd", "is running, and answers this user")
    wanted = () if settings is None else settings.controllers
    for finding in _controller_findings(present, wanted, is_passive=settings is not None and settings.scanning == "passive"):
        yield finding


def _unusable(open_error: OpenError, socket: Path | None) -> Finding:
    problem, fix = error_text(open_error, None)
    if open_error is OpenError.NO_SOCKET and socket is not None:
        if socket.is_dir():  # Docker creates one for a path to mount that is missing
            problem = f"{socket} is a folder, since the host had no such socket when the container was created"
            fix = "start dbus on the host, remove the folder there, and create the container again"
        else:
            is_there = socket.exists()
            problem = f"no program listens at the D-Bus socket {socket}" if is_there else f"there is no D-Bus socket at {socket}"
    elif open_error is OpenError.NO_PERMISSION and socket is not None:
        problem, fix = f"this user may not open the D-Bus socket {socket}", f"run the gateway as a user that may open {socket}"
    elif open_error is OpenError.ACCESS_DENIED:
        fix = fix.replace("USER", _user())
    return Finding.fault(CHECKED_PART.get(open_error, "D-Bus"), problem, fix)


def _controller_findings(present: Sequence[Controller], wanted: Sequence[str], *, is_passive: bool) -> Iterator[Finding]:
    if wanted:
        known = {controller.name: controller for controller in present}
        for name in wanted:
            yield _controller_finding(known.get(name), name, present, is_passive=is_passive)
        return
    powered = next((controller for controller in present if controller.is_powered), None)
    first = powered or next(iter(present), None)
    yield _controller_finding(first, None if first is None else first.name, present, is_passive=is_passive)


def _controller_finding(
    controller: Controller | None, name: str | None, present: Sequence[Controller], *, is_passive: bool
) -> Finding:
    what = name or "controller"
    open_error = _open_error(controller, is_passive=is_passive)
    if open_error is None:
        return Finding.fine(
            what, f"is switched on and supports Bluetooth Low Energy{' and passive scanning' if is_passive else ''}"
        )
    problem, fix = error_text(open_error, name)
    if open_error is OpenError.NO_CONTROLLER and present:
        names = ", ".join(f'"{one.name}"' for one in present)
        problem, fix = f"{problem}; there is {names}", f"write in this entry of the config: controllers = [{names}]"
    return Finding.fault(what, problem, fix)


def _open_error(controller: Controller | None, *, is_passive: bool) -> OpenError | None:
    if controller is None:
        return OpenError.NO_CONTROLLER
    if not controller.is_powered:
        return OpenError.BLOCKED if controller.is_blocked or is_blocked_by_rfkill() else OpenError.POWERED_OFF
    if not controller.supports_low_energy:
        return OpenError.NOT_LOW_ENERGY
    return OpenError.NO_PASSIVE_SCANNING if is_passive and not controller.supports_passive_scanning else None


def _not_needed(finding: Finding) -> Finding:
    """Return a finding about something that no entry of the config needs: never a fault."""
    if finding.state is not FindingState.FAULT:
        return finding
    return Finding.not_looked_at(finding.what, f"no entry of the config uses Bluetooth; {finding.meaning}", finding.fix)


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
