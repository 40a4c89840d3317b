"""Yield the ports that a config entry serves, each under a stable name, and track their current addresses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from adapters.serial.port.hotplug import SCAN_EVERY, PortWatcher
from adapters.serial.port.selection import PortIdentity, PortSelector, SerialPort
from adapters.serial.settings import PortRule, SerialSettings


@dataclass(frozen=True, slots=True)
class ServedPort:
    """One port that a config entry serves."""

    label: str
    """Its name, independent of its current tty name."""
    rule: PortRule
    watcher: PortWatcher
    identity: PortIdentity | None = None
    """Its identity; `None` for a port that the config names individually, whatever adapter is behind that name."""

    async def find(self) -> SerialPort | None:
        """Return the port with its current address; `None` if it does not exist now."""
        if self.identity is not None:
            return await self.watcher.find(self.identity)
        return next(iter(await self.watcher.ports()), None)

    async def reappears(self, tried: str) -> None:
        """Wait until the port, which failed at this address, has been away and back, or has another address."""
        while (found := await self.find()) is not None and found.address == tried:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(SCAN_EVERY.total_seconds())
        while await self.find() is None:  # noqa: ASYNC110 - as above
            await asyncio.sleep(SCAN_EVERY.total_seconds())


def named_port(settings: SerialSettings, rule: PortRule) -> ServedPort:
    """Return the port of a config rule that names exactly one port."""
    return ServedPort(rule.name or rule.port, rule, PortWatcher([PortSelector(rule.port)], settings.excluded))


async def served_ports(settings: SerialSettings) -> AsyncIterator[ServedPort]:
    """Yield the ports that the entry names individually, existing or not, then those that match its patterns as they appear."""
    named = [rule for rule in settings.ports if _names_one(rule)]
    for rule in named:
        yield named_port(settings, rule)
    barred = [*settings.excluded, *(PortSelector(rule.port) for rule in named)]
    watched = [(rule, PortWatcher([PortSelector(rule.port)], barred)) for rule in settings.ports if rule not in named]
    known: set[str] = set()
    while watched:
        for rule, watcher in watched:
            for port in await watcher.ports():
                if port.identity.value not in known:
                    known.add(port.identity.value)
                    yield ServedPort(port.identity.value, rule, watcher, port.identity)
        await asyncio.sleep(SCAN_EVERY.total_seconds())


def _names_one(rule: PortRule) -> bool:
    return bool(rule.name) or PortSelector(rule.port).is_definite
