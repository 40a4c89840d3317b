"""Tell the addresses where no hub is: those of the local link, and those of the metadata services of clouds. Pure.

A hub's address comes over the network. One that points to the metadata service of the machine's own cloud (169.254.169.254) would
have the gateway fetch, and perhaps pass on, the keys of that machine.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network

REASON = "an address of the local link or of a cloud's metadata service, where no hub and no file server is"

_NETWORKS_V4 = tuple(
    IPv4Network(network)
    for network in (
        "169.254.0.0/16",  # link-local (RFC 3927); the metadata of most clouds is 169.254.169.254
        "100.100.100.200/32",  # the metadata of Alibaba Cloud
        "192.0.0.192/32",  # the metadata of Oracle Cloud, its older form
        "168.63.129.16/32",  # the platform address of Azure
    )
)
_NETWORKS_V6 = tuple(
    IPv6Network(network)
    for network in (
        "fe80::/10",  # link-local (RFC 4291)
        "fd00:ec2::/32",  # the metadata and other services of AWS
        "fd20:ce::/32",  # the metadata of Google Cloud
    )
)
_NAMES = frozenset({"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"})

_NAT64 = IPv6Network("64:ff9b::/96")
_V4_COMPATIBLE = IPv6Network("::/96")


def is_refused_host(host: str) -> bool:
    """Return whether a host name or an address in any notation is one where no hub is."""
    name = host.lower().rstrip(".")
    return name in _NAMES or is_refused_address(name)


def is_refused_address(text: str) -> bool:
    """Return whether an address is one where no hub is: also inside of an IPv6 address, and as `0xa9fea9fe` or `2852039166`."""
    if ":" not in text:
        number = _number(text)
        return number is not None and _is_refused(IPv4Address(number))
    try:
        address = IPv6Address(text.partition("%")[0].strip("[]"))
    except AddressValueError:
        return False
    inner = _inner(address)
    return any(address in network for network in _NETWORKS_V6) or (inner is not None and _is_refused(inner))


def _is_refused(address: IPv4Address) -> bool:
    return any(address in network for network in _NETWORKS_V4)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address that packets to an IPv6 address end at (RFC 4291, 3056, 4380 and 6052)."""
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in _V4_COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _number(text: str) -> int | None:
    """Return the number of an IPv4 address as `inet_aton` reads it: one to four parts, each decimal, hexadecimal or octal."""
    parts = [_part(part) for part in text.split(".")]
    if len(parts) > 4 or None in parts:
        return None
    *heads, last = [part for part in parts if part is not None]
    if any(head > 0xFF for head in heads) or last >= 256 ** (4 - len(heads)):
        return None
    return sum(head << 8 * (3 - place) for place, head in enumerate(heads)) + last


def _part(text: str) -> int | None:
    digits, base = (text[2:] or "0", 16) if text.startswith("0x") else (text, 8 if text.startswith("0") else 10)
    if not digits.isascii() or not digits.isalnum() or len(digits) > 20:
        return None
    try:
        return int(digits, base)
    except ValueError:
        return None
