"""Listen to what hosts of named networks announce by DNS-SD (RFC 6763) over multicast DNS; the only file that imports zeroconf.

The questions leave from a port of their own, as RFC 6762, section 5.1, has it for programs that ask once: each answer comes to
that port alone. So port 5353 is neither opened nor shared with a responder of this machine, and the gateway announces and answers
nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from gateway.models import Announcement
from gateway.plain_text import plain_text

if TYPE_CHECKING:
    from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

DOMAIN: Final = ".local."

MOST_SERVICES: Final = 256
"""So many instances are asked about; further ones are left out."""

MOST_TEXTS: Final = 16
MOST_NAME_CHARACTERS: Final = 63
MOST_TEXT_CHARACTERS: Final = 100


async def browse(
    services: Sequence[str], interfaces: Sequence[str], addresses: Container[str], seconds: float
) -> list[Announcement]:
    """Return what hosts with these addresses announce.

    Args:
        services: the service types, as `_modbus._tcp`.
        interfaces: the IPv4 addresses of the interfaces of this machine over which is asked.
        addresses: the addresses that count; what others announce is left out.
        seconds: how long to listen.

    Raises:
        OSError: no socket can be opened on these interfaces.
    """
    from zeroconf import DNSQuestionType, IPVersion, ServiceStateChange  # only a search needs it
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf  # as above

    names: dict[str, str] = {}
    """Each instance with its type."""

    def take(*, service_type: str, name: str, state_change: ServiceStateChange, **_: Any) -> None:  # noqa: ANN401 - zeroconf itself
        if state_change is ServiceStateChange.Added and len(names) < MOST_SERVICES:
            names[name] = service_type

    zeroconf = AsyncZeroconf(interfaces=list(interfaces), unicast=True, ip_version=IPVersion.V4Only)
    try:
        types = [f"{service}{DOMAIN}" for service in services]
        browser = AsyncServiceBrowser(zeroconf.zeroconf, types, handlers=[take], question_type=DNSQuestionType.QM)
        try:
            await asyncio.sleep(seconds * 2 / 3)
            found = await asyncio.gather(*(_details(zeroconf, kind, name, seconds / 3) for name, kind in [*names.items()]))
        finally:
            await browser.async_cancel()
    finally:
        await zeroconf.async_close()
    return [one for info in found if info is not None for one in _announcements(info, addresses)]


async def _details(zeroconf: AsyncZeroconf, kind: str, name: str, seconds: float) -> AsyncServiceInfo | None:
    """Return where an instance is and what it says; `None` where nobody answers, or what it is called is no name."""
    from zeroconf import BadTypeInNameException  # as above
    from zeroconf.asyncio import AsyncServiceInfo  # as above

    try:
        info = AsyncServiceInfo(kind, name)
    except (BadTypeInNameException, ValueError):
        return None
    return info if await info.async_request(zeroconf.zeroconf, seconds * 1000) else None


def _announcements(info: AsyncServiceInfo, addresses: Container[str]) -> Iterator[Announcement]:
    for address in dict.fromkeys(info.parsed_addresses()):
        if address in addresses and info.port:
            yield Announcement(
                service=info.type.removesuffix(DOMAIN),
                name=plain_text(info.name.removesuffix(f".{info.type}"), MOST_NAME_CHARACTERS),
                host=address,
                port=info.port,
                texts=_texts(info.decoded_properties),
            )


def _texts(properties: Mapping[str, str | None]) -> dict[str, str]:
    pairs = list(properties.items())[:MOST_TEXTS]
    return {plain_text(key, MOST_TEXT_CHARACTERS): plain_text(value or "", MOST_TEXT_CHARACTERS) for key, value in pairs}
