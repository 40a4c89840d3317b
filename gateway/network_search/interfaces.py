"""List the IPv4 interfaces of this machine; the only file that imports ifaddr."""

from __future__ import annotations

from ipaddress import IPv4Interface


def own_interfaces() -> list[IPv4Interface]:
    """Return the address and network of each interface that has one.

    Raises:
        OSError: the operating system does not say.
    """
    import ifaddr  # only a search needs it

    return [
        IPv4Interface((one.ip, one.network_prefix))
        for adapter in ifaddr.get_adapters()
        for one in adapter.ips
        if isinstance(one.ip, str) and 0 < one.network_prefix <= 32
    ]
