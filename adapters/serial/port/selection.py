"""Identify serial ports independently of their tty names, and select those that a config entry names. Pure.

A tty name depends on the order in which adapters were plugged in. A port is identified by its adapter's serial number, else by
its link under /dev/serial/by-id, by the address of its device server, or by its path if it is built in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self
from urllib.parse import SplitResult, urlsplit

from adapters.serial.port.telnet import TELNET_PORT
from gateway.adapter import checked_host_name

BY_ID = "/dev/serial/by-id/"

SCHEMES = ("tcp", "socket", "rfc2217")
"""`tcp`: the device itself; `socket`: a device server by plain TCP; `rfc2217`: one that takes line settings."""

PLAIN_TCP = frozenset({"tcp", "socket"})
"""Schemes of ports that send and receive bytes by TCP, and have no line settings here."""

EVERY_PORT = "*"
"""The selector of every port that the operating system lists."""

_UNSTABLE_NAME = re.compile(r"/dev/(tty(USB|ACM|XRUSB)|rfcomm|pts/)\d+")
_USB = re.compile(r"usb:(?P<vid>[0-9a-f]{4})(:(?P<pid>[0-9a-f]{4}|\*)(:(?P<serial>.+))?)?", re.IGNORECASE)
_WILDCARD = re.compile(r"[*?\[]")
_PLACEHOLDER_SERIALS = re.compile(r"0*1?|0?123456789?[a-f]*|\?+", re.IGNORECASE)
"""Serial numbers that makers give to all their adapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPort:
    """A port that exists on the machine now."""

    path: str
    """`/dev/ttyUSB0`: valid for opening, but may change when the adapter is plugged in again."""
    links: tuple[str, ...] = ()
    """Other paths of it, those of the config first: `/dev/serial/by-id/usb-FTDI_FT232R_A10K3X9Q-if00-port0`."""
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None
    """Of the USB adapter, not of the device behind it."""
    location: str | None = None
    """USB topology: `1-1.2`, `1-1.2:1.0`."""
    manufacturer: str | None = None
    product: str | None = None
    is_enumerated: bool = True
    """The operating system lists it; a pseudo-terminal, for example, is known only because the config names it."""

    @property
    def usb(self) -> str | None:
        """Vendor and product ID of the USB adapter: `0403:6001`; `None` if it is not a USB port."""
        return None if self.vid is None or self.pid is None else f"{self.vid:04x}:{self.pid:04x}"

    @property
    def interface(self) -> str | None:
        """The interface on an adapter with several ports: `1.2` of a location `1-1:1.2`."""
        return self.location.partition(":")[2] or None if self.location else None

    @property
    def names(self) -> tuple[str, ...]:
        """All paths of the port."""
        return (*self.links, self.path)


@dataclass(frozen=True, slots=True)
class PortIdentity:
    """Identity of a port, independent of its current tty name."""

    value: str
    """`usb:0403:6001:A10K3X9Q`, a by-id name, a URL; else a path."""
    is_stable: bool
    """It survives replugging and a restart, and no other port has it."""

    def __str__(self) -> str:
        """Return its value."""
        return self.value


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A port that can be opened, with its identity."""

    address: str
    """Current path or URL to open."""
    identity: PortIdentity
    label: str
    """Name for people: as in the config, else the name of its adapter."""


@dataclass(frozen=True, slots=True)
class PortSelector:
    """Selects the ports that a config entry names.

    Written as a path or a pattern (`/dev/serial/by-id/usb-FTDI*`), a URL, `usb:0403:6001` with or without a serial number
    (`usb:0403:6001:A10K*`), or `*` for every port that the operating system lists. `tcp://host` may lack its TCP port.
    """

    written: str

    @classmethod
    def parse(cls, written: str) -> Self:
        """Parse a selector.

        Raises:
            ValueError: the text is not a selector; the message says how to write one.
        """
        text = written.strip()
        kind = url_scheme(text)
        if kind is not None:
            _check_url(text, kind)
        elif text.lower().startswith("usb:"):
            if _USB.fullmatch(text) is None:
                raise ValueError(f'{written!r} is not a USB adapter: write "usb:0403:6001", or "usb:0403:6001:A10K3X9Q"')
        elif re.fullmatch(r"COM[0-9]+:?", text, re.IGNORECASE):
            raise ValueError(f"{written!r} is a port of Windows: write /dev/ttyUSB0 or /dev/serial/by-id/...")
        elif text != EVERY_PORT and not text.startswith("/"):
            raise ValueError(f'{written!r} is not a port: write a path, "usb:0403:6001", "tcp://host:port" or "*"')
        return cls(text)

    @property
    def is_url(self) -> bool:
        """Whether it names a device server, or a device on the network."""
        return url_scheme(self.written) is not None

    @property
    def lacks_tcp_port(self) -> bool:
        """Whether it names a device on the network without its TCP port: `tcp://host`."""
        return self.is_url and tcp_port_of(self.written) is None

    @property
    def pattern(self) -> str | None:
        """The path or pattern of paths; `None` for a URL, a USB ID or `*`."""
        return self.written if self.written.startswith("/") else None

    @property
    def is_definite(self) -> bool:
        """Whether it names exactly one port, whether that exists now or not."""
        if self.is_url:
            return True
        return self.pattern is not None and _WILDCARD.search(self.written) is None

    def matches(self, port: ListedPort) -> bool:
        """Return whether it selects this port."""
        usb = _USB.fullmatch(self.written)
        if usb is not None:
            wanted = f"{usb['vid']}:{usb['pid'] or '*'}".lower()
            return fnmatchcase(port.usb or "", wanted) and fnmatchcase(port.serial_number or "", usb["serial"] or "*")
        if self.pattern is not None:
            return any(name == self.written or fnmatchcase(name, self.written) for name in port.names)
        return self.written == EVERY_PORT and port.is_enumerated


def url_scheme(address: str) -> str | None:
    """Return `tcp` of `tcp://host:port`; `None` for a path."""
    kind, separator, _ = address.partition("://")
    return kind.lower() if separator else None


def tcp_port_of(address: str) -> int | None:
    """Return 4352 of `tcp://host:4352`; `None` for a path, and for a URL without a port."""
    return None if url_scheme(address) is None else urlsplit(address).port


def is_plain_tcp(address: str) -> bool:
    """Return whether this port is reached by plain TCP, so that no line settings can be applied to it."""
    return url_scheme(address) in PLAIN_TCP


def is_telnet(address: str) -> bool:
    """Return whether this is a device on the port of Telnet, whose options are not part of what it says."""
    return url_scheme(address) == "tcp" and address.rpartition(":")[2] == str(TELNET_PORT)


def identify_ports(ports: Iterable[ListedPort]) -> Mapping[str, PortIdentity]:
    """Return the identities of the existing ports, by path.

    An identity that two ports share identifies neither: such ports are identified by the socket they are plugged into.
    """
    listed = list(ports)
    claims = Counter(_own_identity(port).value for port in listed)
    kinds = Counter(port.usb for port in listed if _usable_serial(port) is None)
    known: dict[str, PortIdentity] = {}
    for port in listed:
        claim = _own_identity(port)
        is_twin = claims[claim.value] > 1 or (_usable_serial(port) is None and port.usb is not None and kinds[port.usb] > 1)
        known[port.path] = _location_identity(port) if is_twin else claim
    return known


def select_ports(
    ports: Sequence[ListedPort], selectors: Iterable[PortSelector], excluded: Iterable[PortSelector] = ()
) -> tuple[SerialPort, ...]:
    """Return the selected ports that are not excluded, each once: device servers always, other ports if they exist."""
    known, excluded_selectors, wanted = identify_ports(ports), list(excluded), list(selectors)
    found: dict[str, SerialPort] = {}
    for selector in wanted:
        if selector.is_url:
            if not any(fnmatchcase(selector.written, one.written) for one in excluded_selectors):
                found.setdefault(selector.written, device_server_port(selector.written))
            continue
        for port in ports:
            if selector.matches(port) and not any(one.matches(port) for one in excluded_selectors):
                found.setdefault(port.path, SerialPort(port.path, known[port.path], _label(port, selector)))
    return tuple(found.values())


def device_server_port(url: str) -> SerialPort:
    """Return the port of a device server."""
    return SerialPort(url, PortIdentity(url, is_stable=True), url)


def _own_identity(port: ListedPort) -> PortIdentity:
    """Return the identity of a port by its own properties, valid if no other port has the same."""
    if (number := _usable_serial(port)) is not None:
        parts = ("usb", port.usb, number, port.interface)
        return PortIdentity(":".join(part for part in parts if part), is_stable=True)
    if port.links:
        by_id = [link for link in port.links if link.startswith(BY_ID)]
        return PortIdentity((by_id or list(port.links))[0], is_stable=True)
    return PortIdentity(port.path, is_stable=_UNSTABLE_NAME.fullmatch(port.path) is None)


def _location_identity(port: ListedPort) -> PortIdentity:
    """Return the identity of a port by its place in the USB topology, for one whose own identity is not unique."""
    if port.usb is not None and port.location is not None:
        return PortIdentity(f"usb:{port.usb}@{port.location}", is_stable=False)
    return PortIdentity(port.path, is_stable=False)


def _usable_serial(port: ListedPort) -> str | None:
    number = (port.serial_number or "").strip()
    return None if port.usb is None or _PLACEHOLDER_SERIALS.fullmatch(number) else number


def _label(port: ListedPort, selector: PortSelector) -> str:
    if selector.is_definite:
        return selector.written
    by_id = [link for link in port.links if link.startswith(BY_ID)]
    return (by_id or [*port.links, port.path])[0]


def _check_url(text: str, kind: str) -> None:
    if kind not in SCHEMES:
        raise ValueError(f"{kind}:// does not lead to a port: write tcp://host:port, socket://host:port or rfc2217://host:port")
    if "@" in text:
        raise ValueError(f"a device server takes no user and no password here: write {kind}://host:port")
    try:
        parts = urlsplit(text)
        is_complete = bool(parts.hostname) and (parts.port is not None or _is_only_host(parts, text))
    except ValueError:
        is_complete = False
    if not is_complete:
        raise ValueError(f"{text!r} does not name a device server: write {kind}://host:port")
    checked_host_name(parts.hostname or "")


def _is_only_host(parts: SplitResult, text: str) -> bool:
    """Return whether a URL is `tcp://host` without a TCP port, which the profile of the device may give."""
    return parts.scheme == "tcp" and text.partition("://")[2] == parts.netloc and not parts.netloc.endswith(":")
