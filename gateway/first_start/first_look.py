"""Search for devices when there is no configuration, with every adapter that can do so without settings."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.adapter import Adapter, AdapterSettings, Found
from gateway.config.entries import entry_from
from gateway.errors import GatewayError
from gateway.field.guard.guarded_adapter import waited
from gateway.field.open_buses import list_present_buses
from gateway.network_search.named_hosts import parse_networks
from gateway.network_search.search import ANSWER_SECONDS, FoundHost, NetworkSearch, merged_entries
from gateway.plain_text import named_error, text_of_error
from gateway.tasks import closed_after, loop_time

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 90.0
"""The longest time that one bus is searched."""


MOST_AT_ONCE: Final = 128
"""So many hosts of named networks are searched at the same time."""


@dataclass(slots=True)
class ScannedBus:
    """One bus and the devices that were found on it."""

    entry: str
    bus: str
    problem: str | None = None
    devices: dict[str, Found] = field(default_factory=dict)
    """By address."""
    by_hand: int | None = None
    """The number of the bus among those that a person has named; `None` when it was found on this machine."""
    is_done: bool = False
    """Whether its search has ended."""
    asked: int = 0
    """How many addresses were asked so far."""
    to_ask: int | None = None
    """How many there are to ask; `None` where nobody knows."""
    seconds: float = 0.0
    """How long its search took."""


class FirstLook:
    """One search of all buses. It sends nothing to devices that were not named; on serial ports it only listens."""

    def __init__(self, adapters: Mapping[str, type[Adapter[Any]]], look_in: Sequence[str]) -> None:
        """Search with these adapters, and in these hosts and networks.

        Raises:
            ValueError: as `parse_networks`.
        """
        named = parse_networks(look_in)
        self._adapters = adapters
        self._hosts = named.all
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.network = NetworkSearch(adapters, named, answer_seconds=ANSWER_SECONDS)
        """The search of the hosts that a person has named."""
        self._own_tables: dict[str, Mapping[str, Any]] = {}
        self._named_hosts: list[tuple[FoundHost, list[ScannedBus]]] = []
        self.buses: list[ScannedBus] = []
        self.began_at = loop_time()
        self.seconds: float | None = None
        """How long the search took; `None` while it runs."""

    @property
    def hosts(self) -> Sequence[str]:
        """The hosts and networks that a person has named to be searched."""
        return self._hosts

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """The `[[adapter]]` entries of what was found so far: each adapter's own keys, by its type.

        A host that was found in a named network is in them as soon as it was reached or has a device, while it is still searched.
        """
        tables = dict(self._own_tables)
        for one, buses in self._named_hosts:
            if is_worth_an_entry(one, buses):
                tables[one.adapter] = merged_entries(tables.get(one.adapter, {}), one.host.entry)
        return tables

    @property
    def answering_hosts(self) -> frozenset[str]:
        """Those that listen where an adapter asks."""
        tables = (table.get("hosts", ()) for table in self.tables.values())
        hosts = (host for table in tables if isinstance(table, list | tuple) for host in table)
        found = frozenset(one.host.host for one in self.network.found)
        return found | frozenset(str(host.get("host", "")) if isinstance(host, Mapping) else str(host) for host in hosts)

    async def run(self) -> None:
        """Search all buses at the same time."""
        self.began_at = loop_time()
        self._tasks = {kind: asyncio.create_task(self._search_with(kind, adapter)) for kind, adapter in self._adapters.items()}
        tasks = [*self._tasks.values(), asyncio.create_task(self.network.run(on_found=self._search_hosts))]
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.seconds = loop_time() - self.began_at

    def end_search_with(self, kind: str) -> None:
        """End the search of one adapter, so that its ports are free for a bus that a person has named."""
        task = self._tasks.get(kind)
        if task is not None:
            task.cancel()

    async def _search_with(self, kind: str, adapter: type[Adapter[Any]]) -> None:
        try:
            table = await waited("first_look", lambda: adapter.first_look(self._hosts), {})
        except Exception as error:  # noqa: BLE001 - a third-party adapter may raise anything; its bug costs only its own search
            self._add(ScannedBus(kind, kind, problem=_why(error), is_done=True))
            return
        if table is None:
            return
        self._own_tables[kind] = table
        await search_entry(kind, table, self._adapters, add=self._add)

    async def _search_hosts(self, hosts: Sequence[FoundHost]) -> None:
        """Search the buses of hosts that were found; one that was never reached is shown, and not proposed."""
        searched = [(one, list[ScannedBus]()) for one in hosts]
        self._named_hosts += searched

        def add(index: int, bus: ScannedBus) -> None:
            searched[index][1].append(bus)
            self._add(bus)

        await search_hosts(hosts, self._adapters, add=add)

    def _add(self, scanned: ScannedBus) -> None:
        self.buses.append(scanned)


async def search_hosts(
    hosts: Sequence[FoundHost], adapters: Mapping[str, type[Adapter[Any]]], *, add: Callable[[int, ScannedBus], None]
) -> None:
    """Search the buses of each host that was found in named networks, many at the same time.

    Args:
        hosts: the hosts.
        adapters: the adapter classes that can be used, by their type.
        add: is called with the index of a host and each of its buses; the fields of a bus change while it is searched.
    """
    free = asyncio.Semaphore(MOST_AT_ONCE)

    async def search(index: int, one: FoundHost) -> None:
        async with free:
            await search_entry(one.adapter, one.host.entry, adapters, add=lambda bus: add(index, bus))

    await asyncio.gather(*(search(index, one) for index, one in enumerate(hosts)))


def is_worth_an_entry(one: FoundHost, buses: Sequence[ScannedBus]) -> bool:
    """Return whether a host is proposed: it was reached, has a device, or one of its buses could be opened to its end."""
    return one.host.was_reached or any(bus.devices or (bus.is_done and bus.problem is None) for bus in buses)


async def search_entry(
    kind: str,
    table: Mapping[str, Any],
    adapters: Mapping[str, type[Adapter[Any]]],
    *,
    add: Callable[[ScannedBus], None],
) -> None:
    """Search every bus of one entry, and report each bus and what is found on it.

    Args:
        kind: the type of its adapter.
        table: the keys of the entry, without `type`.
        adapters: the adapter classes that can be used, by their type.
        add: is called with each bus; its fields change while it is searched.
    """
    try:
        settings = entry_from({**table, "type": kind}, adapters)
        buses = await list_present_buses(adapters[kind], settings)
    except Exception as error:  # noqa: BLE001 - as above
        problem = _why(error)
        log.info("%s: %s", kind, problem)
        add(ScannedBus(kind, kind, problem=problem, is_done=True))
        return
    await asyncio.gather(*(_search_bus(bus, settings, add) for bus in buses))


async def _search_bus(adapter: Adapter[Any], settings: AdapterSettings, add: Callable[[ScannedBus], None]) -> None:
    scanned, began_at = ScannedBus(settings.name, adapter.bus), loop_time()
    add(scanned)
    try:
        async with asyncio.timeout(LOOK_SECONDS) as limit, adapter, closed_after(adapter.discover()) as discovery:
            async for found in discovery:
                if isinstance(found, Found):
                    if found.address not in scanned.devices:
                        log.info("%s: found %s at %s", adapter.bus, found.name, found.address)
                    scanned.devices[found.address] = found
                else:
                    scanned.asked, scanned.to_ask = found.done, found.total
    except Exception as error:  # noqa: BLE001 - as above
        if not (isinstance(error, TimeoutError) and limit.expired()):  # then the devices found so far are shown
            scanned.problem = _why(error).removeprefix(f"{adapter.bus}: ")
            log.info("%s: %s", adapter.bus, scanned.problem)
    finally:
        scanned.is_done, scanned.seconds = True, loop_time() - began_at


def _why(error: Exception) -> str:
    if isinstance(error, GatewayError):
        return text_of_error(error)
    return f"a bug in the adapter: {named_error(error)}"
