"""What is around a machine that has no configuration yet: looked at by every adapter that can without being told more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from gateway.adapter import Adapter, AdapterSettings, Found
from gateway.config.entries import entry_from
from gateway.errors import GatewayError
from gateway.field.open_buses import list_present_buses
from gateway.tasks import closed_after

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 90.0
"""One bus is looked at for so long at the most."""

MOST_HOSTS: Final = 1024


@dataclass(slots=True)
class Seen:
    """One bus, and who was met on it."""

    entry: str
    bus: str
    problem: str | None = None
    devices: dict[str, Found] = field(default_factory=dict)
    """By address."""


class FirstLook:
    """Looks once. Sends nothing to a device that was not named: serial ports are listened to."""

    def __init__(
        self, adapters: Mapping[str, type[Adapter[Any]]], hosts: Sequence[str], *, on_change: Callable[[], None] = lambda: None
    ) -> None:
        """Look with these adapters, and at these hosts."""
        self._adapters = adapters
        self._hosts = hosts
        self._on_change = on_change
        self.tables: dict[str, Mapping[str, Any]] = {}
        """The `[[adapter]]` entries that were looked at: each adapter's own keys, by its word in the config."""
        self.seen: list[Seen] = []

    async def run(self) -> None:
        """Look at everything, side by side."""
        await asyncio.gather(*(self._look_with(kind, adapter) for kind, adapter in self._adapters.items()))

    async def _look_with(self, kind: str, adapter: type[Adapter[Any]]) -> None:
        try:
            table = await adapter.first_look(self._hosts)
            if table is None:
                return
            self.tables[kind] = table
            settings = entry_from({**table, "type": kind}, self._adapters)
            buses = await list_present_buses(adapter, settings)
        except Exception as error:  # noqa: BLE001 - here a stranger's adapter meets us: its bug costs its own look
            self._note(Seen(kind, kind, problem=_why(error)))
            return
        await asyncio.gather(*(self._look_at(bus, settings) for bus in buses))

    async def _look_at(self, adapter: Adapter[Any], settings: AdapterSettings) -> None:
        seen = Seen(settings.name, adapter.bus)
        self._note(seen)
        try:
            async with asyncio.timeout(LOOK_SECONDS) as limit, adapter, closed_after(adapter.discover()) as discovery:
                async for met in discovery:
                    if isinstance(met, Found):
                        if met.address not in seen.devices:
                            log.info("%s: found %s at %s", adapter.bus, met.name, met.address)
                        seen.devices[met.address] = met
                        self._on_change()
        except Exception as error:  # noqa: BLE001 - as above
            if isinstance(error, TimeoutError) and limit.expired():
                return  # what was met until then is shown
            seen.problem = _why(error).removeprefix(f"{adapter.bus}: ")
            log.info("%s: %s", adapter.bus, seen.problem)
            self._on_change()

    def _note(self, seen: Seen) -> None:
        if seen.problem is not None:
            log.info("%s: %s", seen.bus, seen.problem)
        self.seen.append(seen)
        self._on_change()


def hosts_of(written: Sequence[str]) -> list[str]:
    """Return every host that is meant: `192.168.1.20`, `192.168.1.20:1502`, a name, or a network as `192.168.1.0/24`.

    Raises:
        ValueError: it is no network, or they are too many; the text says which.
    """
    hosts: list[str] = []
    for one in (part.strip() for text in written for part in text.split(",")):
        if "/" not in one:
            hosts += [one] if one else []
            continue
        try:
            network = ip_network(one, strict=False)
        except ValueError as error:
            raise ValueError(f"{one!r} is no network: write it as 192.168.1.0/24") from error
        if network.num_addresses > MOST_HOSTS:
            raise ValueError(f"{one} has {network.num_addresses} addresses: name networks of at most {MOST_HOSTS}")
        hosts += [str(address) for address in network.hosts()]
    if len(hosts) > MOST_HOSTS:
        raise ValueError(f"these are {len(hosts)} hosts: name at most {MOST_HOSTS}")
    return hosts


def _why(error: Exception) -> str:
    if isinstance(error, GatewayError):
        return str(error)
    return f"a bug in its adapter: {type(error).__name__}: {error}"
