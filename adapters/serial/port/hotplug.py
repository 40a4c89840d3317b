"""Scan the machine's serial ports, watch them appear and disappear, and find those that a config entry selects."""

from __future__ import annotations

import asyncio
import glob
import os
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from adapters.serial.port.blocking_io import run_in_thread
from adapters.serial.port.port import listed_ports
from adapters.serial.port.selection import (
    BY_ID,
    ListedPort,
    PortIdentity,
    PortSelector,
    SerialPort,
    select_ports,
)

SCAN_EVERY = timedelta(seconds=0.3)
SETTLE_DELAY = timedelta(seconds=0.15)
"""A scan is repeated after this delay when a name has just appeared: links and permissions of the device follow later."""

MAX_SETTLE_SCANS = 4
"""An adapter with a loose contact never settles; after so many scans its current state is used."""

_TTY = re.compile(r"(tty[A-Z]|rfcomm)")


class MachinePorts:
    """The serial ports of this machine: those that the operating system lists, and paths named by selectors.

    Args:
        selectors: selectors whose paths and patterns are looked up.
        list_ports: returns the ports that the operating system lists.
        devices: the folder of the device files.
        by_id: the folder of the links that are named after USB adapters.
    """

    def __init__(
        self,
        selectors: Iterable[PortSelector] = (),
        *,
        list_ports: Callable[[], Sequence[ListedPort]] = listed_ports,
        devices: Path = Path("/dev"),
        by_id: Path = Path(BY_ID),
    ) -> None:
        self._patterns = [selector.pattern for selector in selectors if selector.pattern is not None]
        self._list_ports = list_ports
        self._devices = devices
        self._by_id = by_id

    def names(self) -> Hashable:
        """Return a value that changes when ports appear, disappear or are renamed. Cheap."""
        links = [(name, os.path.realpath(name)) for name in self._configured_names()]
        return (*sorted(name for name in _names_in(self._devices) if _TTY.match(name)), *sorted(links))

    def scan(self) -> tuple[ListedPort, ...]:
        """Return the ports that exist now, each once. Slow: queries the operating system about each port.

        Raises:
            OSError: the ports change while they are listed.
        """
        ports = {os.path.realpath(port.path): port for port in self._list_ports()}
        links: dict[str, list[str]] = {}
        for name in self._configured_names():
            links.setdefault(os.path.realpath(name), []).append(name)
        for path, names in links.items():
            if path in ports or Path(path).exists():
                known = ports.setdefault(path, ListedPort(path=path, is_enumerated=False))
                ports[path] = replace(known, links=tuple(name for name in dict.fromkeys(names) if name != path))
        return tuple(ports.values())

    def _configured_names(self) -> list[str]:
        """Return every path by which the config or /dev/serial/by-id names a port."""
        configured = [name for pattern in self._patterns for name in sorted(glob.glob(pattern))]  # noqa: PTH207 - from the root on
        return configured + [str(self._by_id / name) for name in sorted(_names_in(self._by_id))]


class PortWatcher:
    """Keeps the list of existing ports that a config entry selects. Device servers count as always existing."""

    def __init__(
        self,
        selectors: Iterable[PortSelector],
        excluded: Iterable[PortSelector] = (),
        *,
        machine: MachinePorts | None = None,
    ) -> None:
        self._selectors = tuple(selectors)
        self._excluded = tuple(excluded)
        self._machine = machine or MachinePorts((*self._selectors, *self._excluded))
        self._ports: tuple[SerialPort, ...] = ()
        self._names: Hashable = None

    async def ports(self) -> tuple[SerialPort, ...]:
        """Return the selected ports that exist now."""
        await self._refresh()
        return self._ports

    async def find(self, identity: PortIdentity) -> SerialPort | None:
        """Return the port with its current address; `None` if it does not exist now."""
        return next((port for port in await self.ports() if port.identity.value == identity.value), None)

    async def _refresh(self) -> None:
        """Rescan the ports if their names have changed, once the changes have settled."""
        names = self._machine.names()
        if names == self._names:
            return
        for _ in range(MAX_SETTLE_SCANS if self._names is not None else 0):
            before, names = names, await self._names_after_delay()
            if names == before:
                break
        try:
            listed = await run_in_thread(self._machine.scan)
        except OSError:
            return  # the previous list stays valid until the ports can be listed again
        self._ports, self._names = select_ports(listed, self._selectors, self._excluded), names

    async def _names_after_delay(self) -> Hashable:
        await asyncio.sleep(SETTLE_DELAY.total_seconds())
        return self._machine.names()


def _names_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []
