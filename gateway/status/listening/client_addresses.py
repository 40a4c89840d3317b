"""Tell who a client of the page is: its address, or behind a trusted proxy the one that the proxy names. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Networks = Sequence[IPv4Network | IPv6Network]

UNKNOWN: Final = "an unknown address"


def client_group(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or an IPv6 network of 64 bits, which one customer has for themselves."""
    parsed = _parsed(address)
    if parsed is None:
        return UNKNOWN
    return str(parsed) if parsed.version == 4 else str(ip_network((parsed, 64), strict=False))


def is_in(address: str, networks: Networks) -> bool:
    """Whether an address is in one of these networks."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def client_behind(peer: str, forwarded_for: str, trusted_proxies: Networks) -> str:
    """Return the address of the client: that of the peer, or the one for which a trusted proxy says that it asks.

    `X-Forwarded-For` is read from its end, where the proxy next to us writes. What stands before the first address that is no
    trusted proxy was written by whoever sent the request, and counts for nothing.
    """
    client = peer
    for hop in reversed(forwarded_for.split(",")):
        named = _without_port(hop.strip())
        if not is_in(client, trusted_proxies) or _parsed(named) is None:
            break
        client = named
    return client


def _without_port(hop: str) -> str:
    """Return the address in an entry of `X-Forwarded-For`; some proxies add the port: `192.0.2.1:443`, `[2001:db8::1]:443`."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return parsed if mapped is None else mapped
