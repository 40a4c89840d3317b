"""Which ports an entry serves, each under a name that stays, and where each of them is today."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from adapters.serial.port.hotplug import LOOK_EVERY, Watcher
from adapters.serial.port.selection import PortIdentity, Selector, SerialPort
from adapters.serial.settings import PortRule, SerialSettings


@dataclass(frozen=True, slots=True)
class ServedPort:
    """One port of an entry."""

    label: str
    """What it is called, whichever tty name it has today."""
    rule: PortRule
    watcher: Watcher
    identity: PortIdentity | None = None
    """Who it is; `None` for one that the config names for itself: whatever is there is meant."""

    async def find(self) -> SerialPort | None:
        """Return the port under the address that it has today; `None` when it is not there."""
        if self.identity is not None:
            return await self.watcher.find(self.identity)
        return next(iter(await self.watcher.ports()), None)

    async def reappears(self, tried: str) -> None:
        """Return when the port, which failed at this address, is there again after it was gone, or at another address."""
        while (there := await self.find()) is not None and there.address == tried:  # noqa: ASYNC110 - nothing tells of ports
            await asyncio.sleep(LOOK_EVERY.total_seconds())
        while await self.find() is None:  # noqa: ASYNC110 - nor of those that come
            await asyncio.sleep(LOOK_EVERY.total_seconds())


def named_port(settings: SerialSettings, rule: PortRule) -> ServedPort:
    """Return the port that a rule of the config names for itself."""
    return ServedPort(rule.name or rule.port, rule, Watcher([Selector(rule.port)], settings.excluded))


async def served_ports(settings: SerialSettings) -> AsyncIterator[ServedPort]:
    """Yield the ports that the entry names, there or not, and those that it means otherwise as they appear, for ever."""
    named = [rule for rule in settings.ports if _names_one(rule)]
    for rule in named:
        yield named_port(settings, rule)
    barred = [*settings.excluded, *(Selector(rule.port) for rule in named)]
    watched = [(rule, Watcher([Selector(rule.port)], barred)) for rule in settings.ports if rule not in named]
    known: set[str] = set()
    while watched:
        for rule, watcher in watched:
            for port in await watcher.ports():
                if port.identity.value not in known:
                    known.add(port.identity.value)
                    yield ServedPort(port.identity.value, rule, watcher, port.identity)
        await asyncio.sleep(LOOK_EVERY.total_seconds())


def _names_one(rule: PortRule) -> bool:
    return bool(rule.name) or Selector(rule.port).is_definite
