"""Serial ports as they come and go: a look at the machine, and which of its ports an entry means."""

from __future__ import annotations

import asyncio
import glob
import os
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from adapters.serial.port.blocking_io import aside
from adapters.serial.port.port import listed_ports
from adapters.serial.port.selection import (
    BY_ID,
    ListedPort,
    PortIdentity,
    Selector,
    SerialPort,
    chosen,
)

LOOK_EVERY = timedelta(seconds=0.3)
SETTLES_WITHIN = timedelta(seconds=0.15)
"""A name that has just come is looked at again after so long: its other names and its rights follow it."""

SETTLING_LOOKS = 4
"""An adapter with a bad contact never settles; it is taken as it is then."""

_TTY = re.compile(r"(tty[A-Z]|rfcomm)")


class Machine:
    """The ports of this machine: those that it tells of, and those that the selectors name.

    Args:
        selectors: whose paths and patterns are looked for.
        listed: what the machine tells of.
        devices: where device files lie.
        by_id: where links to them lie that are named after their adapters.
    """

    def __init__(
        self,
        selectors: Iterable[Selector] = (),
        *,
        listed: Callable[[], Sequence[ListedPort]] = listed_ports,
        devices: Path = Path("/dev"),
        by_id: Path = Path(BY_ID),
    ) -> None:
        self._patterns = [selector.pattern for selector in selectors if selector.pattern is not None]
        self._listed = listed
        self._devices = devices
        self._by_id = by_id

    def names(self) -> Hashable:
        """Return something that changes when ports come, go or are named otherwise. Cheap."""
        links = [(name, os.path.realpath(name)) for name in self._named()]
        return (*sorted(name for name in _inside(self._devices) if _TTY.match(name)), *sorted(links))

    def look(self) -> tuple[ListedPort, ...]:
        """Return the ports that are there now, each once. Asks the system about each of them, which takes its time.

        Raises:
            OSError: they change too quickly.
        """
        ports = {os.path.realpath(port.path): port for port in self._listed()}
        links: dict[str, list[str]] = {}
        for name in self._named():
            links.setdefault(os.path.realpath(name), []).append(name)
        for path, names in links.items():
            if path in ports or Path(path).exists():
                known = ports.setdefault(path, ListedPort(path=path, is_told=False))
                ports[path] = replace(known, links=tuple(name for name in dict.fromkeys(names) if name != path))
        return tuple(ports.values())

    def _named(self) -> list[str]:
        """Return every name that the config or /dev/serial/by-id has for a port."""
        configured = [name for pattern in self._patterns for name in sorted(glob.glob(pattern))]  # noqa: PTH207 - from the root on
        return configured + [str(self._by_id / name) for name in sorted(_inside(self._by_id))]


class Watcher:
    """Tells which ports an entry means there are, as they come and go. Device servers are always there."""

    def __init__(
        self,
        selectors: Iterable[Selector],
        excluded: Iterable[Selector] = (),
        *,
        machine: Machine | None = None,
    ) -> None:
        self._selectors = tuple(selectors)
        self._excluded = tuple(excluded)
        self._machine = machine or Machine((*self._selectors, *self._excluded))
        self._ports: tuple[SerialPort, ...] = ()
        self._names: Hashable = None

    async def ports(self) -> tuple[SerialPort, ...]:
        """Return the ports that are there now."""
        await self._look()
        return self._ports

    async def find(self, identity: PortIdentity) -> SerialPort | None:
        """Return the port under the address that it has today; `None` when it is not there."""
        return next((port for port in await self.ports() if port.identity.value == identity.value), None)

    async def _look(self) -> None:
        """Take in what is there, once it has settled."""
        names = self._machine.names()
        if names == self._names:
            return
        for _ in range(SETTLING_LOOKS if self._names is not None else 0):
            before, names = names, await self._names_later()
            if names == before:
                break
        try:
            listed = await aside(self._machine.look)
        except OSError:
            return  # what was there before holds until they can be told
        self._ports, self._names = chosen(listed, self._selectors, self._excluded), names

    async def _names_later(self) -> Hashable:
        await asyncio.sleep(SETTLES_WITHIN.total_seconds())
        return self._machine.names()


def _inside(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []
