"""Look for devices in named networks: projectors that answer a search, and devices that announce themselves by DNS-SD.

Each service type stands in two public sources: `_pjlink` at IANA, as the name of port 4352, and in open-avc/openavc (discovery);
`_videohub` in Sfouasnon/VIDEOHUB-CNTRL (README) and chadlittlepage/VideohubController (VIDEOHUB_BONJOUR_TYPE).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Final

from adapters.serial.discovery.pjlink_search import PROFILE, search_projectors
from gateway.adapter import NamedNetworks, NetworkHost, Progress, SearchSummary

ANNOUNCED_AS: Final = {"_pjlink._tcp": ("PJLink", PROFILE), "_videohub._tcp": ("Blackmagic Videohub", "blackmagic-videohub")}
"""Service type -> what it is for a person, and the profile of these devices."""

MOST_ANNOUNCED: Final = 256


async def look_for_devices(networks: NamedNetworks) -> AsyncIterator[NetworkHost | Progress | SearchSummary]:
    """Yield each device once: projectors as they answer, then what is only announced.

    Raises:
        BusUnavailable: as `search_projectors`.
    """
    yielded: set[str] = set()
    async with aclosing(search_projectors(networks)) as search:
        async for step in search:
            if isinstance(step, NetworkHost):
                yielded.add(port_of(step))
            yield step
    for host in _announced_hosts(networks):
        if port_of(host) not in yielded:
            yielded.add(port_of(host))
            yield host


def port_of(host: NetworkHost) -> str:
    """Return the port at which a device was found: `tcp://192.168.1.40:4352`."""
    return str(host.entry["ports"][0]["port"])


def _announced_hosts(networks: NamedNetworks) -> Iterator[NetworkHost]:
    announced = [one for one in networks.announcements if one.service in ANNOUNCED_AS and one.host in networks.addresses]
    for one in announced[:MOST_ANNOUNCED]:
        kind, profile = ANNOUNCED_AS[one.service]
        yield NetworkHost(
            host=one.host, kind=kind, entry={"ports": [{"port": f"tcp://{one.host}:{one.port}", "profiles": [profile]}]}
        )
