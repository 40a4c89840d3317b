"""Define networks that a person has named to be searched, and what an adapter finds there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A service that a host announces by DNS-SD (RFC 6763): what it says of itself, believed for nothing but a question."""

    service: str
    """Its type: `_modbus._tcp`."""
    name: str
    """The name of this instance for people: `Meter 1`."""
    host: str
    """An IP address in the named networks."""
    port: int
    texts: Mapping[str, str] = field(default_factory=dict)
    """Its TXT record: key -> value, printable and bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedNetworks:
    """The hosts that a person allows to be searched. Nothing is sent to any other address, and no other answer counts."""

    hosts: Sequence[str] = ()
    """Each host, as a person has written it or out of a network: `192.168.1.20`, `meter.local`, `192.168.1.20:1502`."""
    addresses: frozenset[str] = frozenset()
    """The IP addresses of these hosts, as far as their names are known."""
    broadcast_addresses: Sequence[str] = ()
    """The directed broadcast addresses of those networks of this machine that a person has named as a whole."""
    single_addresses: Sequence[str] = ()
    """Those of the addresses that no broadcast reaches, and that can only be asked one by one."""
    announcements: Sequence[Announcement] = ()
    """What hosts with these addresses announce, of the service types that the adapter names."""
    answer_seconds: float = 10.0
    """How long answers to a broadcast are waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkHost:
    """A host in a named network that an adapter could use."""

    host: str
    """As `NamedNetworks.hosts` or `NamedNetworks.addresses` has it."""
    kind: str
    """What it was found as, for a person: `Modbus TCP`."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was asked -> what it answered."""
    was_reached: bool = False
    """It has accepted a connection. An answer by UDP and an announcement may be anybody's: such a host is proposed only when its
    bus can be opened."""
    entry: Mapping[str, Any] = field(default_factory=dict)
    """The keys of an `[[adapter]]` entry, without `type`, that would add it. Lists of several hosts are put together."""
