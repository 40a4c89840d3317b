"""Define the commissioning tools that an adapter can offer: the second, optional adapter contract. Pure.

They are used at the command line, only read, and report what they saw, so that a person can judge.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

from gateway.errors import AdapterError, SettingsProblem
from gateway.models import Confidence, Found, Progress, Reading


class NotOffered(AdapterError):
    """This adapter has no such tool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """The settings of a serial line, as far as they could be found out."""

    baudrate: int
    """Bits per second."""
    parity: str
    """`N`, `E` or `O`."""
    stopbits: int
    confidence: Confidence
    toml: str
    """The line for the config."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    """What was received or asked -> the answer, so that a person can check it."""
    bytesize: int = 8
    """Data bits: 7 or 8."""
    framing: str = ""
    """The framing of the protocol, where that has several: `rtu`, `ascii`."""

    def __str__(self) -> str:
        """Return the usual notation: `9600 8N1`, `9600 7E1 ASCII`."""
        text = f"{self.baudrate} {self.bytesize}{self.parity}{self.stopbits}"
        return f"{text} ASCII" if self.framing == "ascii" else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """All that could be read from a device at one moment: opaque to all parts but its adapter."""

    cells: Mapping[str, Mapping[int, int]]
    """Table -> address -> value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One way of decoding a device that gives the values that a person saw on its display."""

    where: str
    """In words: `input 12-13, float32, low word first`."""
    score: float
    """0 to 1; the best first."""
    why: Sequence[str]
    """The reasons for and against it."""
    values: Sequence[float]
    """The decoded value of each dump, in order."""
    toml: str
    """The point for a profile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedBlock:
    """One transaction that a profile needs."""

    group: str
    every_seconds: float
    what: str
    """`holding 0-33`"""
    metrics: Sequence[str]
    seconds: float
    """Its planned time on the bus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedProfile:
    """A profile without mistakes, and the transactions that it needs."""

    name: str
    title: str
    source: str
    blocks: Sequence[PlannedBlock]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProfile:
    """A profile of an adapter, for a list of them."""

    name: str
    maker: str | None
    title: str
    family: str
    points: int
    commands: int
    is_found: bool
    """A scan recognises such devices; else a person has to name them in the config."""
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A profile that a person can finish."""

    file_name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFacts:
    """What a person says of a device for a new profile."""

    name: str
    maker: str | None
    title: str
    family: str
    document: str
    edition: str
    section: str
    points: str
    """The maker's table of points, as CSV."""
    addresses: str | None = None
    """How the table counts addresses, in the words of the adapter; `None` where nobody has said it."""
    table: str = ""
    """Where the points are, in the words of the adapter."""
    line: str | None = None
    """The settings of a serial line: `9600 8N1`."""
    end: str | None = None
    """The end mark of a message on a serial line, with escapes: `\\r`."""
    draft: str = ""
    """A draft that a scan wrote: the profile has its points, and `points` is empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProfile:
    """A profile that was written from facts."""

    text: str
    points: int
    refused: Sequence[str]
    """Each row of the table that is no point: its line, and why."""
    case: Mapping[str, str] = field(default_factory=dict)
    """The first case folder: file name -> text; empty where the adapter runs no cases."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDifference:
    """One thing that a case folder expects, and what the adapter made of the device instead."""

    what: str
    """`reading voltage_l1`"""
    expected: str
    got: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """The result of one case folder."""

    compared: int
    """How many facts, readings, settings and commands were compared."""
    differences: Sequence[CaseDifference]


class Workbench(ABC):  # noqa: B024 - each tool is optional: a method that an adapter leaves out raises NotOffered
    """The tools of one adapter for one bus. A tool that an adapter leaves out raises `NotOffered`."""

    table_columns: ClassVar[str] = ""
    """The columns of a table for `new_profile`, in words."""
    table_questions: ClassVar[Mapping[str, str]] = {}
    """What a table does not say, each a field of `ProfileFacts` that the adapter uses -> the question to a person."""

    def detect_line(self, *, thorough: bool = False) -> AsyncIterator[Progress | LineSettings]:
        """Find the settings of the serial line; the bus must not be open. Ends without settings when none fits.

        Args:
            thorough: ask every address that the config allows, and wait longer.

        Raises:
            BusUnavailable: the port cannot be opened.
        """
        raise NotOffered("this adapter has no serial line whose settings could be found")

    def take_dump(self, address: str, where: Sequence[str] = ()) -> AsyncIterator[Progress | Dump]:
        """Read all readable values of a device, on an open bus; yields after each transaction, the dump last.

        Args:
            address: the device's.
            where: ranges to read, in the notation of the adapter; the adapter chooses when empty.

        Raises:
            DeviceUnreachable: no device answers there.
        """
        raise NotOffered("this adapter cannot look for a value in a device")

    def explain(self, seen: Sequence[tuple[Dump, Decimal]], *, tolerance: float) -> Sequence[Explanation]:
        """Return the ways in which the device may encode the values that a person saw, the most likely first.

        Args:
            seen: a dump, and the value on the display when it was taken, with as many decimals; more of them exclude more.
            tolerance: how much the value may have changed in between, as a share of the shown value.
        """
        raise NotOffered("this adapter cannot look for a value in a device")

    def draft(self, found: Found) -> AsyncIterator[Progress | Draft]:
        """Write a draft profile of a device that no profile fits, on an open bus; yields after each transaction.

        Raises:
            DeviceUnreachable: it does not answer any more.
        """
        raise NotOffered("this adapter writes no drafts")

    def new_profile(self, facts: ProfileFacts) -> NewProfile:
        """Return a new profile, with the points of a table or of a draft, and its first case folder.

        Raises:
            ProfileProblems: the table or the draft is none, or how it counts is not clear; the text says what to do.
        """
        raise NotOffered("this adapter writes no profiles from a table of points")

    def profiles(self) -> Sequence[KnownProfile]:
        """Return the profiles that the adapter has."""
        raise NotOffered("this adapter has no profiles")

    def remarks_of(self, file: Path, cases: Path | None = None) -> Sequence[str]:
        """Return what is unusual in a profile without mistakes, each with its line; `profile check --strict` refuses it.

        Args:
            file: the profile.
            cases: the folder with its case folders, which are then looked through for those that it lacks.

        Raises:
            ProfileProblems: a file cannot be read or has mistakes.
        """
        raise NotOffered("this adapter has no profiles")

    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the JSON Schema of each file that authors write: `profile`, `device` and `expected` of a case folder."""
        raise NotOffered("this adapter has no profiles")

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return the transactions that this profile needs.

        Raises:
            ProfileProblems: it has mistakes.
        """
        raise NotOffered("this adapter has no profiles")

    def run_case(self, folder: Path, profiles: Sequence[Path] = ()) -> Awaitable[CaseResult]:
        """Find and read the device of a case folder, and compare it with what the case expects.

        Args:
            folder: the case folder; the folder above it has the name of the profile.
            profiles: folders with more profiles, as in an entry of the configuration.

        Raises:
            ProfileProblems: a file of the case, or a profile, has mistakes.
        """
        raise NotOffered("this adapter runs no case folders")

    def try_profile(self, file: Path, address: str) -> AsyncIterator[Sequence[Reading]]:
        """Read a device once by this profile, on an open bus; yields after each transaction.

        Raises:
            ProfileProblems: it has mistakes.
            DeviceUnreachable: the device does not answer.
        """
        raise NotOffered("this adapter has no profiles")


class ProfileProblems(AdapterError):
    """A profile cannot be used; each line of the text names the file, the place and what would be right.

    Args:
        text: the text.
        problems: the same for a program; empty where the file could not be read.
        strangeness: how many values are at no place of the grammar, or missing: most of them in a profile for another adapter.
    """

    def __init__(self, text: str, problems: Sequence[SettingsProblem] = (), *, strangeness: int = 0) -> None:
        super().__init__(text)
        self.problems = tuple(problems)
        self.strangeness = strangeness
