"""Search for devices when there is no configuration, with every adapter that can do so without settings."""

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
from gateway.field.guard.guarded_adapter import waited
from gateway.field.open_buses import list_present_buses
from gateway.plain_text import named_error, text_of_error
from gateway.tasks import closed_after

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 90.0
"""The longest time that one bus is searched."""

MAX_HOSTS: Final = 1024


@dataclass(slots=True)
class ScannedBus:
    """One bus and the devices that were found on it."""

    entry: str
    bus: str
    problem: str | None = None
    devices: dict[str, Found] = field(default_factory=dict)
    """By address."""


class FirstLook:
    """One search of all buses. It sends nothing to devices that were not named; on serial ports it only listens."""

    def __init__(
        self, adapters: Mapping[str, type[Adapter[Any]]], hosts: Sequence[str], *, on_change: Callable[[], None] = lambda: None
    ) -> None:
        """Search with these adapters, and at these hosts."""
        self._adapters = adapters
        self._hosts = hosts
        self._on_change = on_change
        self.tables: dict[str, Mapping[str, Any]] = {}
        """The `[[adapter]]` entries of the search: each adapter's own keys, by its type."""
        self.buses: list[ScannedBus] = []

    async def run(self) -> None:
        """Search all buses at the same time."""
        await asyncio.gather(*(self._search_with(kind, adapter) for kind, adapter in self._adapters.items()))

    async def _search_with(self, kind: str, adapter: type[Adapter[Any]]) -> None:
        try:
            table = await waited("first_look", lambda: adapter.first_look(self._hosts), {})
            if table is None:
                return
            self.tables[kind] = table
            settings = entry_from({**table, "type": kind}, self._adapters)
            buses = await list_present_buses(adapter, settings)
        except Exception as error:  # noqa: BLE001 - a third-party adapter may raise anything; its bug costs only its own search
            self._add(ScannedBus(kind, kind, problem=_why(error)))
            return
        await asyncio.gather(*(self._search_bus(bus, settings) for bus in buses))

    async def _search_bus(self, adapter: Adapter[Any], settings: AdapterSettings) -> None:
        scanned = ScannedBus(settings.name, adapter.bus)
        self._add(scanned)
        try:
            async with asyncio.timeout(LOOK_SECONDS) as limit, adapter, closed_after(adapter.discover()) as discovery:
                async for found in discovery:
                    if isinstance(found, Found):
                        if found.address not in scanned.devices:
                            log.info("%s: found %s at %s", adapter.bus, found.name, found.address)
                        scanned.devices[found.address] = found
                        self._on_change()
        except Exception as error:  # noqa: BLE001 - as above
            if isinstance(error, TimeoutError) and limit.expired():
                return  # the devices found so far are shown
            scanned.problem = _why(error).removeprefix(f"{adapter.bus}: ")
            log.info("%s: %s", adapter.bus, scanned.problem)
            self._on_change()

    def _add(self, scanned: ScannedBus) -> None:
        if scanned.problem is not None:
            log.info("%s: %s", scanned.bus, scanned.problem)
        self.buses.append(scanned)
        self._on_change()


def parse_hosts(texts: Sequence[str]) -> list[str]:
    """Return every host in these texts: `192.168.1.20`, `192.168.1.20:1502`, a name, or a network as `192.168.1.0/24`.

    Raises:
        ValueError: a network is invalid, or there are too many hosts.
    """
    hosts: list[str] = []
    for one in (part.strip() for text in texts for part in text.split(",")):
        if "/" not in one:
            hosts += [one] if one else []
            continue
        try:
            network = ip_network(one, strict=False)
        except ValueError as error:
            raise ValueError(f"{one!r} is not a network: write it as 192.168.1.0/24") from error
        if network.num_addresses > MAX_HOSTS:
            raise ValueError(f"{one} has {network.num_addresses} addresses: name networks of at most {MAX_HOSTS}")
        hosts += [str(address) for address in network.hosts()]
    if len(hosts) > MAX_HOSTS:
        raise ValueError(f"there are {len(hosts)} hosts: name at most {MAX_HOSTS}")
    return hosts


def _why(error: Exception) -> str:
    if isinstance(error, GatewayError):
        return text_of_error(error)
    return f"a bug in the adapter: {named_error(error)}"
