"""Which serial ports there are, who they are, and which of them an entry of the config means. Nothing here waits.

A tty name says in which order things were plugged in. Who a port is, is told by its adapter's serial number, else by its link
under /dev/serial/by-id, by the address of its device server, or by being soldered in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self
from urllib.parse import urlsplit

BY_ID = "/dev/serial/by-id/"

SCHEMES = ("socket", "rfc2217")

EVERY_PORT = "*"
"""The selector that means each port that the machine itself tells of."""

_IN_PLUGGING_ORDER = re.compile(r"/dev/(tty(USB|ACM|XRUSB)|rfcomm|pts/)\d+")
_USB = re.compile(r"usb:(?P<vid>[0-9a-f]{4})(:(?P<pid>[0-9a-f]{4}|\*)(:(?P<serial>.+))?)?", re.IGNORECASE)
_WILD = re.compile(r"[*?\[]")
_MEANINGLESS_SERIALS = re.compile(r"0*1?|0?123456789?[a-f]*|\?+", re.IGNORECASE)
"""Serial numbers that a maker gave to all its adapters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPort:
    """A port as the machine tells of it right now."""

    path: str
    """`/dev/ttyUSB0`: good for opening, no name to keep."""
    links: tuple[str, ...] = ()
    """Other names of it, those of the config first: `/dev/serial/by-id/usb-FTDI_FT232R_A10K3X9Q-if00-port0`."""
    vid: int | None = None
    pid: int | None = None
    serial_number: str | None = None
    """Of the USB adapter, not of the device behind it."""
    location: str | None = None
    """Where on the USB it is: `1-1.2`, `1-1.2:1.0`."""
    manufacturer: str | None = None
    product: str | None = None
    is_told: bool = True
    """The machine itself tells of it; else somebody named it, as a pseudo-terminal has to be."""

    @property
    def usb(self) -> str | None:
        """Its kind of USB adapter: `0403:6001`; `None` when it is none."""
        return None if self.vid is None or self.pid is None else f"{self.vid:04x}:{self.pid:04x}"

    @property
    def interface(self) -> str | None:
        """Which of several interfaces of one adapter it is: `1.2` of a location `1-1:1.2`."""
        return self.location.partition(":")[2] or None if self.location else None

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it can be called by."""
        return (*self.links, self.path)


@dataclass(frozen=True, slots=True)
class PortIdentity:
    """Who a port is, whichever tty name it has today."""

    value: str
    """`usb:0403:6001:A10K3X9Q`, a by-id name, a URL; else a path."""
    is_stable: bool
    """It is the same after replugging and a restart, and no other port has it."""

    def __str__(self) -> str:
        """Return its value."""
        return self.value


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A port that can be opened, and who it is."""

    address: str
    """What to open right now."""
    identity: PortIdentity
    called: str
    """What a person calls it: as in the config, else by its adapter."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which ports an entry of the config means.

    Written as a path or a pattern (`/dev/serial/by-id/usb-FTDI*`), a URL, `usb:0403:6001` with or without a serial number
    (`usb:0403:6001:A10K*`), or `*` for each port that the machine tells of.
    """

    written: str

    @classmethod
    def parse(cls, written: str) -> Self:
        """Return the selector that somebody wrote.

        Raises:
            ValueError: it is none; the text says how one is written.
        """
        text = written.strip()
        kind = scheme(text)
        if kind is not None:
            _check_url(text, kind)
        elif text.lower().startswith("usb:"):
            if _USB.fullmatch(text) is None:
                raise ValueError(f'{written!r} is no USB adapter: write "usb:0403:6001", or "usb:0403:6001:A10K3X9Q"')
        elif text != EVERY_PORT and not text.startswith("/"):
            raise ValueError(f'{written!r} is no port: write a path, "usb:0403:6001", "socket://host:port" or "*"')
        return cls(text)

    @property
    def is_url(self) -> bool:
        """It names a device server."""
        return scheme(self.written) is not None

    @property
    def pattern(self) -> str | None:
        """The path or pattern of paths that it is; `None` when it is something else."""
        return self.written if self.written.startswith("/") else None

    @property
    def is_definite(self) -> bool:
        """It means one port, not whichever are there."""
        if self.is_url:
            return True
        return self.pattern is not None and _WILD.search(self.written) is None

    def matches(self, port: ListedPort) -> bool:
        """Say whether it means this port."""
        usb = _USB.fullmatch(self.written)
        if usb is not None:
            wanted = f"{usb['vid']}:{usb['pid'] or '*'}".lower()
            return fnmatchcase(port.usb or "", wanted) and fnmatchcase(port.serial_number or "", usb["serial"] or "*")
        if self.pattern is not None:
            return any(name == self.written or fnmatchcase(name, self.written) for name in port.names)
        return self.written == EVERY_PORT and port.is_told


def scheme(address: str) -> str | None:
    """Return `socket` of `socket://host:port`; `None` for a path."""
    kind, separator, _ = address.partition("://")
    return kind.lower() if separator else None


def identities(ports: Iterable[ListedPort]) -> Mapping[str, PortIdentity]:
    """Return who the ports are that are there right now, by path.

    What two of them have in common identifies neither: such twins are told apart by where they are plugged in.
    """
    listed = list(ports)
    claims = Counter(_claim(port).value for port in listed)
    kinds = Counter(port.usb for port in listed if _serial(port) is None)
    known: dict[str, PortIdentity] = {}
    for port in listed:
        claim = _claim(port)
        is_twin = claims[claim.value] > 1 or (_serial(port) is None and port.usb is not None and kinds[port.usb] > 1)
        known[port.path] = _place(port) if is_twin else claim
    return known


def chosen(
    ports: Sequence[ListedPort], selectors: Iterable[Selector], excluded: Iterable[Selector] = ()
) -> tuple[SerialPort, ...]:
    """Return the ports that are meant and not excluded, each once: device servers always, others when they are there."""
    known, barred, wanted = identities(ports), list(excluded), list(selectors)
    found: dict[str, SerialPort] = {}
    for selector in wanted:
        if selector.is_url:
            if not any(fnmatchcase(selector.written, one.written) for one in barred):
                found.setdefault(selector.written, of_url(selector.written))
            continue
        for port in ports:
            if selector.matches(port) and not any(one.matches(port) for one in barred):
                found.setdefault(port.path, SerialPort(port.path, known[port.path], _called(port, selector)))
    return tuple(found.values())


def of_url(url: str) -> SerialPort:
    """Return the port behind a device server."""
    return SerialPort(url, PortIdentity(url, is_stable=True), url)


def _claim(port: ListedPort) -> PortIdentity:
    """Return who a port says it is, if no other says the same."""
    if (number := _serial(port)) is not None:
        parts = ("usb", port.usb, number, port.interface)
        return PortIdentity(":".join(part for part in parts if part), is_stable=True)
    if port.links:
        by_id = [link for link in port.links if link.startswith(BY_ID)]
        return PortIdentity((by_id or list(port.links))[0], is_stable=True)
    return PortIdentity(port.path, is_stable=_IN_PLUGGING_ORDER.fullmatch(port.path) is None)


def _place(port: ListedPort) -> PortIdentity:
    """Return who a port is that has a twin: the one that is plugged in here."""
    if port.usb is not None and port.location is not None:
        return PortIdentity(f"usb:{port.usb}@{port.location}", is_stable=False)
    return PortIdentity(port.path, is_stable=False)


def _serial(port: ListedPort) -> str | None:
    number = (port.serial_number or "").strip()
    return None if port.usb is None or _MEANINGLESS_SERIALS.fullmatch(number) else number


def _called(port: ListedPort, selector: Selector) -> str:
    if selector.is_definite:
        return selector.written
    by_id = [link for link in port.links if link.startswith(BY_ID)]
    return (by_id or [*port.links, port.path])[0]


def _check_url(text: str, kind: str) -> None:
    if kind not in SCHEMES:
        raise ValueError(f"{kind}:// is no way to a port: write socket://host:port or rfc2217://host:port")
    try:
        parts = urlsplit(text)
        is_complete = bool(parts.hostname) and parts.port is not None
    except ValueError:
        is_complete = False
    if not is_complete:
        raise ValueError(f"{text!r} names no device server: write {kind}://host:port")
