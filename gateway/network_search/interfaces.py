"""List the IPv4 interfaces of this machine; the only file that imports ifaddr."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Final

SIOCGIFADDR: Final = 0x8915
SIOCGIFNETMASK: Final = 0x891B
"""Questions about the primary address and the mask of an interface: netdevice(7)."""

INTERFACES: Final = Path("/sys/class/net")


def own_interfaces() -> list[IPv4Interface]:
    """Return the address and network of each interface that has one.

    The service of systemd may use no netlink socket, by which libraries list them; then those of the primary addresses count.

    Raises:
        OSError: the operating system does not say.
    """
    import ifaddr  # only a search needs it

    try:
        adapters = list(ifaddr.get_adapters())
    except OSError:
        return list(_primary_interfaces())
    return [
        IPv4Interface((one.ip, one.network_prefix))
        for adapter in adapters
        for one in adapter.ips
        if isinstance(one.ip, str) and 0 < one.network_prefix <= 32
    ]


def _primary_interfaces() -> Iterator[IPv4Interface]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for folder in sorted(INTERFACES.iterdir()):
            request = struct.pack("256s", os.fsencode(folder.name)[:15])
            try:
                address, mask = (fcntl.ioctl(asked, question, request)[20:24] for question in (SIOCGIFADDR, SIOCGIFNETMASK))
            except OSError:  # it has no address
                continue
            yield IPv4Interface((IPv4Address(address), str(IPv4Address(mask))))
