"""Run the searches of the set-up: everything around this machine, again with other hosts, and each bus that a person names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.adapter import Adapter
from gateway.first_start.buses_by_hand import BusByHand, bus_from, merged_tables
from gateway.first_start.first_look import FirstLook, ScannedBus, search_entry
from gateway.models import Announcement, Found
from gateway.network_search.named_hosts import parse_networks
from gateway.network_search.service_types import service_title
from gateway.status.setup_view import (
    SHOWN_DEVICES,
    SetupAnnouncement,
    SetupBus,
    SetupDevice,
    SetupNetworkHost,
    SetupNetworkProblem,
    SetupSearch,
)
from gateway.tasks import end_tasks

log = logging.getLogger(__name__)

MOST_BY_HAND: Final = 32
SHOWN_ANNOUNCEMENTS: Final = 5
"""So many services of one host are shown."""

STOP_SECONDS: Final = 5.0


class SetupSearches:
    """What was searched before there is a configuration, and what is still being searched."""

    def __init__(self, adapters: Mapping[str, type[Adapter[Any]]], look_in: Sequence[str]) -> None:
        self._adapters = adapters
        self._look_in = list(look_in)
        self._look: FirstLook | None = None
        self._look_task: asyncio.Task[None] | None = None
        self._by_hand: dict[int, tuple[BusByHand, list[ScannedBus], asyncio.Task[None]]] = {}
        self._last_number = 0
        self.has_ended = asyncio.Event()
        """Set once the first search has ended."""

    def begin(self) -> None:
        """Begin the search of everything around this machine, if it does not run."""
        if self._look_task is not None and not self._look_task.done():
            return
        self._look = FirstLook(self._adapters, self._look_in)
        self._look_task = asyncio.create_task(self._run(self._look))

    async def _run(self, look: FirstLook) -> None:
        await look.run()
        self.has_ended.set()

    @property
    def has_begun(self) -> bool:
        """Whether anything was searched."""
        return self._look is not None

    @property
    def is_looking(self) -> bool:
        """Whether any search runs."""
        tasks = [self._look_task, *(task for _, _, task in self._by_hand.values())]
        return any(task is not None and not task.done() for task in tasks)

    def summary(self) -> SetupSearch | None:
        """Return what was searched so far; `None` while nothing was."""
        if self._look is None:
            return None
        buses = self.buses
        by_hand = {bus.label: scanned for bus, scanned, _ in self._by_hand.values() if "hosts" in bus.table}
        named = {*self._look.hosts, *by_hand}
        answering = self._look.answering_hosts | {host for host, scanned in by_hand.items() if any(map(_has_opened, scanned))}
        return SetupSearch(
            buses=len(buses),
            asked=sum(bus.asked for bus in buses),
            found=sum(len(bus.devices) for bus in buses),
            hosts=len(named),
            answering_hosts=min(len(answering), len(named)),
            seconds=None if self._look.seconds is None else round(self._look.seconds),
        )

    @property
    def buses(self) -> list[ScannedBus]:
        """All buses; those that a person has named last."""
        named = [bus for _, buses, _ in self._by_hand.values() for bus in buses]
        again = {(bus.entry, bus.bus) for bus in named}
        own = [] if self._look is None else [bus for bus in self._look.buses if (bus.entry, bus.bus) not in again]
        return own + named

    @property
    def found(self) -> Iterator[tuple[ScannedBus, Found]]:
        """Yield each found device once, with its bus."""
        seen = set()
        for bus in self.buses:
            for one in bus.devices.values():
                if one.identity.key not in seen:
                    seen.add(one.identity.key)
                    yield bus, one

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The `[[adapter]]` entries, by their type."""
        return merged_tables({} if self._look is None else self._look.tables, [bus for bus, _, _ in self._by_hand.values()])

    @property
    def kinds_by_hand(self) -> frozenset[str]:
        """The types of the entries that a person has named."""
        return frozenset(bus.kind for bus, _, _ in self._by_hand.values())

    def shown(self) -> tuple[SetupBus, ...]:
        """Return the buses as the page shows them."""
        return tuple(
            SetupBus(
                entry=bus.entry,
                bus=bus.bus,
                problem=bus.problem,
                found=len(bus.devices),
                is_done=bus.is_done,
                asked=bus.asked,
                to_ask=bus.to_ask,
                by_hand=bus.by_hand,
                devices=tuple(shown_device(one) for one in list(bus.devices.values())[:SHOWN_DEVICES]),
            )
            for bus in self.buses
        )

    def network_hosts(self) -> tuple[SetupNetworkHost, ...]:
        """Return what was found in the named networks, as the page shows it: what an adapter found first."""
        if self._look is None:
            return ()
        network = self._look.network
        hosts = [
            SetupNetworkHost(host=one.host.host, found_as=one.host.kind, announces=_shown_announcements(one.announcements))
            for one in network.found
        ]
        others: dict[str, list[Announcement]] = {}
        for announcement in network.unused_announcements:
            others.setdefault(announcement.host, []).append(announcement)
        hosts += [SetupNetworkHost(host=host, announces=_shown_announcements(said)) for host, said in others.items()]
        return tuple(hosts[:SHOWN_DEVICES])

    def network_problems(self) -> tuple[SetupNetworkProblem, ...]:
        """Return what could not be searched in the named networks."""
        problems = {} if self._look is None else self._look.network.problems
        return tuple(SetupNetworkProblem(what=what, problem=problem) for what, problem in problems.items())

    # what a person asks for --------------------------------------------------------------------------------------------

    async def again(self, hosts: str) -> None:
        """Search everything anew, and these hosts and networks as well as those that the start was given.

        Raises:
            ValueError: they are none, or too many.
        """
        added = [one for one in hosts.replace(" ", ",").replace(";", ",").split(",") if one]
        wanted = list(dict.fromkeys([*self._look_in, *added]))
        parse_networks(wanted)
        self._look_in = wanted
        await _stop([self._look_task])
        self.begin()

    def add(self, fields: Mapping[str, str]) -> None:
        """Add a bus that a person names, and search it.

        Raises:
            ValueError: a field is wrong, or there are too many.
        """
        bus = bus_from(self._last_number + 1, fields)
        if bus.kind not in self._adapters:
            raise ValueError(f"The adapter {bus.kind} is not installed.")
        if len(self._by_hand) >= MOST_BY_HAND:
            raise ValueError(f"There are {MOST_BY_HAND} already. Add further ones to the configuration later.")
        if any((bus.kind, bus.label) == (other.kind, other.label) for other, _, _ in self._by_hand.values()):
            raise ValueError(f"{bus.label} was added already.")
        self._last_number = bus.number
        if bus.port is not None and self._look is not None:
            self._look.end_search_with("serial")
        scanned: list[ScannedBus] = []
        self._by_hand[bus.number] = bus, scanned, asyncio.create_task(self._search(bus, scanned))

    async def _search(self, bus: BusByHand, scanned: list[ScannedBus]) -> None:
        def add(one: ScannedBus) -> None:
            one.by_hand = bus.number
            if one.problem is not None and one.bus == bus.kind:
                one.bus = bus.label
            scanned.append(one)

        await search_entry(bus.kind, bus.table, self._adapters, add=add)
        if not scanned:
            add(replace(ScannedBus(bus.kind, bus.label), problem=f"there is no {bus.label} on this machine", is_done=True))

    async def remove(self, number: int) -> bool:
        """Take back a bus that a person has named; whether there was one."""
        removed = self._by_hand.pop(number, None)
        if removed is None:
            return False
        await _stop([removed[2]])
        return True

    async def close(self) -> None:
        """Stop all searches, so that the gateway can open the buses."""
        await _stop([self._look_task, *(task for _, _, task in self._by_hand.values())])


def _has_opened(bus: ScannedBus) -> bool:
    return bus.problem is None and (bus.is_done or bus.asked > 0 or bool(bus.devices))


def _shown_announcements(announcements: Sequence[Announcement]) -> tuple[SetupAnnouncement, ...]:
    return tuple(
        SetupAnnouncement(service=service_title(one.service), name=one.name, port=one.port)
        for one in announcements[:SHOWN_ANNOUNCEMENTS]
    )


def shown_device(found: Found) -> SetupDevice:
    """Return a found device as the page shows it."""
    return SetupDevice(
        name=found.name,
        address=found.address,
        profile=found.profile,
        family=found.family,
        manufacturer=found.manufacturer,
        model=found.model,
        sub_model=found.sub_model,
    )


async def _stop(tasks: Sequence[asyncio.Task[None] | None]) -> None:
    """End searches; one that hangs, such as an adapter that cannot close its bus, does not keep the gateway from starting."""
    left = await end_tasks({task for task in tasks if task is not None and not task.done()}, within_seconds=STOP_SECONDS)
    if left:
        log.warning("a part of the setup did not stop within %.0f s; the gateway starts without waiting for it", STOP_SECONDS)
