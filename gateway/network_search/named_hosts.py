"""Read the hosts and networks that a person allows to be searched, and bound their number. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from gateway.host_names import checked_host_name
from gateway.models import Announcement, NamedNetworks

MOST_HOSTS: Final = 1024
HIGHEST_PORT: Final = 65_535

Network: TypeAlias = IPv4Network | IPv6Network

_HOST: Final = re.compile(r"(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class NamedHosts:
    """What a person has named."""

    networks: tuple[Network, ...] = ()
    single: tuple[str, ...] = ()
    """Hosts as they were written: `192.168.1.20`, `192.168.1.20:1502`, `meter.local`."""

    @property
    def all(self) -> list[str]:
        """Every host, those of the networks by their addresses, in the order in which they are searched."""
        return list(
            dict.fromkeys([*(_written(address) for network in self.networks for address in network.hosts()), *self.single])
        )

    @property
    def names(self) -> list[str]:
        """The names among the single hosts, which have to be looked up."""
        return list(dict.fromkeys(host for one in self.single if _address(host := host_part(one)) is None))

    def scope(
        self,
        known_names: Mapping[str, Sequence[str]],
        own_networks: Iterable[IPv4Network],
        announcements: Sequence[Announcement] = (),
        answer_seconds: float = 10.0,
    ) -> NamedNetworks:
        """Return the networks as an adapter gets them.

        A broadcast is sent to a network of this machine that lies within a named one as a whole: it would else reach hosts that
        nobody has named, or be a host itself.

        Args:
            known_names: the addresses of each name.
            own_networks: those to which this machine has an interface.
            announcements: what hosts with these addresses announce.
            answer_seconds: how long answers to a broadcast are waited for.
        """
        inside = [own for own in own_networks if own.prefixlen < 31 and any(_is_within(own, named) for named in self.networks)]
        addresses = dict.fromkeys(self.addresses(known_names))
        return NamedNetworks(
            hosts=tuple(self.all),
            addresses=frozenset(addresses),
            broadcast_addresses=tuple(dict.fromkeys(str(own.broadcast_address) for own in inside)),
            single_addresses=tuple(one for one in addresses if not any(ip_address(one) in own for own in inside)),
            announcements=tuple(announcements),
            answer_seconds=answer_seconds,
        )

    def addresses(self, known_names: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Yield the address of every host."""
        for network in self.networks:
            yield from map(str, network.hosts())
        for one in self.single:
            host = host_part(one)
            address = _address(host)
            yield from known_names.get(host, ()) if address is None else (str(address),)

    def is_faced_by(self, interface: IPv4Interface, known_names: Mapping[str, Sequence[str]]) -> bool:
        """Return whether hosts that were named are in the network of this interface."""
        if any(network.version == 4 and interface.network.overlaps(network) for network in self.networks):
            return True
        singles = NamedHosts(single=self.single).addresses(known_names)
        return any(ip_address(one) in interface.network for one in singles)


def parse_networks(texts: Sequence[str]) -> NamedHosts:
    """Return the hosts and networks in these texts, each `192.168.1.20`, `192.168.1.20:1502`, a name, or `192.168.1.0/24`.

    Raises:
        ValueError: one is none, or there are too many hosts; the sentence names it.
    """
    networks: list[Network] = []
    single: list[str] = []
    for one in (part.strip() for text in texts for part in text.split(",")):
        if "/" in one:
            networks.append(_parse_network(one))
        elif one:
            single.append(_checked_host(one))
    named = NamedHosts(tuple(dict.fromkeys(networks)), tuple(single))
    count = sum(network.num_addresses for network in named.networks) + len(named.single)
    if count > MOST_HOSTS:
        raise ValueError(f"there are {count:,} hosts: name at most {MOST_HOSTS:,}")
    return named


def host_part(written: str) -> str:
    """Return a host as it was written, without its port and brackets."""
    matched = _HOST.fullmatch(written)
    return written if matched is None else matched["v6"] or matched["host"]


def _parse_network(written: str) -> Network:
    try:
        network = ip_network(written, strict=False)
    except ValueError as error:
        raise ValueError(f"{written!r} is not a network: write it as 192.168.1.0/24") from error
    if network.num_addresses > MOST_HOSTS:
        raise ValueError(f"{written} has {network.num_addresses:,} addresses: name networks of at most {MOST_HOSTS:,}")
    return network


def _checked_host(written: str) -> str:
    address = _address(written)
    if address is not None:
        return _written(address)
    matched = _HOST.fullmatch(written)
    if matched is None or not 0 < int(matched["port"] or 1) <= HIGHEST_PORT or not _is_host(matched["v6"] or matched["host"]):
        raise ValueError(f"{written[:80]!r} is neither a host nor a network: write 192.168.1.20, meter.local or 192.168.1.0/24")
    return written


def _is_host(name: str) -> bool:
    try:
        checked_host_name(name)
    except ValueError:
        return False
    return True


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _written(address: IPv4Address | IPv6Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def _is_within(own: IPv4Network, named: Network) -> bool:
    return isinstance(named, IPv4Network) and own.subnet_of(named)
