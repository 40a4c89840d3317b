"""The second, optional contract towards wires: what an adapter can do for a person who puts a device into service.

Everything here is asked for at the command line, only reads, and tells what it saw, so that a person can judge.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from gateway.errors import AdapterError
from gateway.models import Confidence, Found, Progress, Reading


class NotOffered(AdapterError):
    """This adapter has no such tool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """How a serial line is set, as far as it could be found out."""

    baudrate: int
    """Bits per second."""
    parity: str
    """`N`, `E` or `O`."""
    stopbits: int
    confidence: Confidence
    toml: str
    """The line as it belongs into the config."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was heard or asked -> what came, for a person who doubts."""

    def __str__(self) -> str:
        """Return it as people write it: `9600 8N1`."""
        return f"{self.baudrate} 8{self.parity}{self.stopbits}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """Everything that a device let be read at one moment: opaque to all but the adapter that took it."""

    cells: Mapping[str, Mapping[int, int]]
    """Table -> address -> what stood there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One way to read a device that gives the values that a person saw on its display."""

    where: str
    """As people say it: `input 12-13, float32, low word first`."""
    score: float
    """0 to 1; the best first."""
    why: Sequence[str]
    """What speaks for and against it."""
    values: Sequence[float]
    """What it gives for each dump, in order."""
    toml: str
    """The point as it belongs into a profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBlock:
    """One transaction that a profile makes."""

    group: str
    every_seconds: float
    what: str
    """`holding 0-33`"""
    metrics: Sequence[str]
    seconds: float
    """How long it takes on the bus by plan."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedProfile:
    """A profile without mistakes, and what it makes of a bus."""

    name: str
    title: str
    source: str
    blocks: Sequence[PlannedBlock]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProfile:
    """One of the profiles that an adapter has."""

    name: str
    maker: str | None
    title: str
    family: str
    points: int
    commands: int
    is_found: bool
    """A scan finds such devices by themselves; else a person has to name them in the config."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A profile that a person can finish."""

    file_name: str
    text: str


class Workbench(ABC):  # noqa: B024 - each tool is optional: a method that an adapter leaves out is told as not offered
    """The tools of one adapter for one bus. Every method that is left out says that there is no such tool."""

    def detect_line(self, *, thorough: bool = False) -> AsyncIterator[Progress | LineSettings]:
        """Find out how the serial line is set; the bus must not be open. Ends without settings when none fits.

        Args:
            thorough: ask every address that the config allows, and wait longer.

        Raises:
            BusUnavailable: the port cannot be opened.
        """
        raise NotOffered("this adapter knows no serial line whose settings could be found out")

    def take_dump(self, address: str, where: Sequence[str] = ()) -> AsyncIterator[Progress | Dump]:
        """Read all that a device lets be read, on an open bus; yields after each transaction, the dump last.

        Args:
            address: the device's.
            where: ranges to read, in the adapter's own words; its own choice, when empty.

        Raises:
            DeviceUnreachable: nobody answers there.
        """
        raise NotOffered("this adapter cannot look for a value in a device")

    def explain(self, seen: Sequence[tuple[Dump, Decimal]], *, tolerance: float) -> Sequence[Explanation]:
        """Return how the values that a person saw may stand in the device, the likeliest first.

        Args:
            seen: a dump, and what the display showed when it was taken, with as many decimals; more of them rule more out.
            tolerance: how far the device may have moved on in between, as a share of what was shown.
        """
        raise NotOffered("this adapter cannot look for a value in a device")

    def draft(self, found: Found) -> AsyncIterator[Progress | Draft]:
        """Write a draft profile of a device that no profile fits, on an open bus; yields after each transaction.

        Raises:
            DeviceUnreachable: it does not answer any more.
        """
        raise NotOffered("this adapter writes no drafts")

    def profiles(self) -> Sequence[KnownProfile]:
        """Return the profiles that the adapter has."""
        raise NotOffered("this adapter has no profiles")

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return what this profile makes of the bus.

        Raises:
            ProfileProblems: it has mistakes.
        """
        raise NotOffered("this adapter has no profiles")

    def try_profile(self, file: Path, address: str) -> AsyncIterator[Sequence[Reading]]:
        """Read a device once by this profile, on an open bus; yields after each transaction.

        Raises:
            ProfileProblems: it has mistakes.
            DeviceUnreachable: the device does not answer.
        """
        raise NotOffered("this adapter has no profiles")


class ProfileProblems(AdapterError):
    """A profile cannot be used; each line of the text names the file, the place and what would be right."""
