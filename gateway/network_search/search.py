"""Search the named networks with every adapter that can: first what hosts announce, then what each adapter finds by itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from typing import Any, Final

from gateway.adapter import Adapter, Announcement, NamedNetworks, NetworkHost, Progress, SearchSummary
from gateway.errors import GatewayError
from gateway.field.adapter_data.found_devices import checked_progress
from gateway.field.adapter_data.network_hosts import checked_network_host
from gateway.field.adapter_data.results import search_summary
from gateway.field.adapter_data.values import Unusable
from gateway.field.guard.guarded_adapter import GuardedIterator, call
from gateway.network_search.announcements import browse
from gateway.network_search.interfaces import own_interfaces
from gateway.network_search.named_hosts import NamedHosts, host_part
from gateway.network_search.service_types import MOST_TYPES, service_types
from gateway.plain_text import named_error, text_of_error
from gateway.tasks import closed_after

log = logging.getLogger(__name__)

ANSWER_SECONDS: Final = 10.0
"""How long answers to a broadcast are waited for: PJLink allows ten seconds."""

BROWSE_SECONDS: Final = 3.0
"""How long announcements are listened to, at most; hosts answer within half a second (RFC 6762, section 6)."""

LOOK_SECONDS: Final = 90.0
"""The longest time that one adapter looks."""

NAME_SECONDS: Final = 5.0
"""The longest time that the look-up of a name takes."""

MOST_FOUND: Final = 1024
"""The most hosts of one adapter."""

MOST_STEPS: Final = 100_000

NO_INTERFACE: Final = (
    "this machine has no interface in what you named, so no announcement is heard there and no broadcast arrives; "
    "a container needs the network of its host"
)


@dataclass(frozen=True, slots=True)
class FoundHost:
    """A host that an adapter found, with what it announces."""

    adapter: str
    """The type of the adapter."""
    host: NetworkHost
    announcements: tuple[Announcement, ...]


class NetworkSearch:
    """One search of what a person has named. It sends nothing to other hosts, and counts no answer of others."""

    def __init__(
        self, adapters: Mapping[str, type[Adapter[Any]]], named: NamedHosts, *, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        """Search with these adapters.

        Args:
            adapters: the adapter classes, by their type.
            named: what a person has named.
            answer_seconds: how long answers to a broadcast are waited for.
        """
        self._adapters = adapters
        self._named = named
        self._answer_seconds = answer_seconds
        self._known_names: Mapping[str, Sequence[str]] = {}
        self.announcements: tuple[Announcement, ...] = ()
        """What hosts in the networks announce, of any type that was looked for."""
        self.found: list[FoundHost] = []
        self.problems: dict[str, str] = {}
        """What could not be searched -> why: the type of an adapter, `DNS-SD`, or a name that nobody knows."""
        self.summaries: dict[str, SearchSummary] = {}
        """What each adapter asked, by its type, and what was listened to by `DNS-SD`."""

    @property
    def host_count(self) -> int:
        """How many hosts are searched: those that were named, without names that nobody knows."""
        return len(self._named.all)

    @property
    def unused_announcements(self) -> list[Announcement]:
        """What hosts announce that no adapter found."""
        used = {address for one in self.found for address in self._addresses_of(one.host.host)}
        return [one for one in self.announcements if one.host not in used]

    async def run(
        self,
        *,
        on_found: Callable[[Sequence[FoundHost]], Awaitable[None]],
        on_step: Callable[[str, Progress], None] = lambda kind, progress: None,
    ) -> None:
        """Search, all adapters at the same time.

        Args:
            on_found: is awaited with the hosts of each adapter that has found some.
            on_step: is called with the progress of each adapter.
        """
        if not self._named.all:
            return
        await self._look_up_names()
        if not self._named.all:
            return
        interfaces = self._interfaces()
        await self._listen_to_announcements(interfaces, on_step)

        async def look_with(kind: str) -> None:
            await self._look_with(kind, interfaces, on_step)
            hosts = [one for one in self.found if one.adapter == kind]
            if hosts:
                await on_found(hosts)

        tasks = [asyncio.create_task(look_with(kind)) for kind in self._adapters]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look_up_names(self) -> None:
        names = self._named.names
        addresses = await asyncio.gather(*map(_addresses_of_name, names))
        self._known_names = dict(zip(names, addresses, strict=True))
        unknown = [name for name in names if not self._known_names[name]]
        self.problems.update((name, "nobody knows an address of this name") for name in unknown)
        self._named = replace(self._named, single=tuple(one for one in self._named.single if host_part(one) not in unknown))

    def _interfaces(self) -> list[IPv4Interface]:
        try:
            return [one for one in own_interfaces() if self._named.is_faced_by(one, self._known_names)]
        except OSError as error:
            self.problems["interfaces"] = f"the interfaces of this machine cannot be listed: {text_of_error(error)}"
            return []

    async def _listen_to_announcements(
        self, interfaces: Sequence[IPv4Interface], on_step: Callable[[str, Progress], None]
    ) -> None:
        if not interfaces:
            self.summaries["DNS-SD"] = SearchSummary(0, 0, "listened to no announcement", NO_INTERFACE)
            return
        types = service_types(one for kind in self._adapters.values() for one in _announced_as(kind))
        addresses = frozenset(self._named.addresses(self._known_names))
        on_step("DNS-SD", Progress(0, None, "listening to what hosts announce"))
        try:
            found = await browse(types, [str(one.ip) for one in interfaces], addresses, min(BROWSE_SECONDS, self._answer_seconds))
        except Exception as error:  # noqa: BLE001 - the library says no type; whatever fails there costs the announcements only
            self.problems["DNS-SD"] = f"announcements cannot be listened to: {named_error(error)}"
            log.info("DNS-SD: %s", self.problems["DNS-SD"])
            return
        self.summaries["DNS-SD"] = SearchSummary(len(interfaces), len(found), _listened(len(interfaces), len(found)))
        self.announcements = tuple(sorted(found, key=lambda one: (one.host, one.service, one.name)))

    async def _look_with(self, kind: str, interfaces: Sequence[IPv4Interface], on_step: Callable[[str, Progress], None]) -> None:
        adapter = self._adapters[kind]
        own = frozenset(_announced_as(adapter))
        networks = self._named.scope(
            self._known_names,
            [one.network for one in interfaces],
            [one for one in self.announcements if one.service in own],
            self._answer_seconds,
        )
        try:
            steps = GuardedIterator(
                "look_in_networks", call("look_in_networks", lambda: adapter.look_in_networks(networks)), MOST_STEPS
            )
            async with asyncio.timeout(LOOK_SECONDS) as limit, closed_after(steps):
                async for step in steps:
                    self._take(kind, step, networks, on_step)
        except Exception as error:  # noqa: BLE001 - a third-party adapter may raise anything; its bug costs only its own search
            if not (isinstance(error, TimeoutError) and limit.expired()):  # then what was found so far counts
                self.problems[kind] = (
                    text_of_error(error) if isinstance(error, GatewayError) else f"a bug in the adapter: {named_error(error)}"
                )
                log.info("%s: %s", kind, self.problems[kind])

    def _take(self, kind: str, step: object, networks: NamedNetworks, on_step: Callable[[str, Progress], None]) -> None:
        if type(step) is Progress:
            on_step(kind, checked_progress(step))
        elif type(step) is SearchSummary:
            summary = search_summary(step)
            if summary is not None:
                self.summaries[kind] = summary
        else:
            host = checked_network_host(step, {*networks.hosts, *networks.addresses})
            if sum(one.adapter == kind for one in self.found) >= MOST_FOUND:
                raise Unusable(f"more than {MOST_FOUND} hosts")
            addresses = self._addresses_of(host.host)
            said = tuple(one for one in self.announcements if one.host in addresses)
            self.found.append(FoundHost(kind, host, said))
            log.info("%s: found %s at %s", kind, host.kind, host.host)

    def _addresses_of(self, host: str) -> set[str]:
        return set(NamedHosts(single=(host,)).addresses(self._known_names))


def _listened(interfaces: int, announcements: int) -> str:
    over = "one interface" if interfaces == 1 else f"{interfaces} interfaces"
    return f"listened to announcements over {over}: {announcements or 'none'} of the named hosts"


def entries_of(hosts: Iterable[FoundHost]) -> dict[str, dict[str, Any]]:
    """Return the `[[adapter]]` entries that would add these hosts, by the type of their adapter."""
    entries: dict[str, dict[str, Any]] = {}
    for one in hosts:
        entries[one.adapter] = merged_entries(entries.get(one.adapter, {}), one.host.entry)
    return entries


def merged_entries(table: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return one entry for what two would add: lists one behind the other, each element once; of other keys, the latter's."""
    merged = dict(table)
    for key, value in other.items():
        before = merged.get(key)
        if isinstance(value, list) and isinstance(before, list):
            merged[key] = [*before, *(one for one in value if one not in before)]
        else:
            merged[key] = value
    return merged


async def _addresses_of_name(name: str) -> list[str]:
    try:
        async with asyncio.timeout(NAME_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(name, None)
    except (OSError, UnicodeError, TimeoutError):
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _announced_as(adapter: type[Adapter[Any]]) -> Sequence[str]:
    """Return the service types that an adapter names; none where it names something else."""
    services = adapter.announced_as
    return [one for one in services[:MOST_TYPES] if type(one) is str] if type(services) in (tuple, list) else ()
