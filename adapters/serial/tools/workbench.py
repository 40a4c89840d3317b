"""Command-line tools for serial devices: list and check profiles, and try a profile on a device."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.repeated_tables import with_repetition
from adapters.serial.tools.case_files import DeviceFile, ExpectedFile, read_case
from adapters.serial.tools.case_runner import run_case
from adapters.serial.tools.new_profile import new_profile
from gateway.adapter import (
    CaseResult,
    CheckedProfile,
    NewProfile,
    NotOffered,
    PlannedBlock,
    ProfileFacts,
    ProfileProblems,
    ProfileWorkbench,
    Reading,
    case_schema,
)

USUAL_EXCHANGE_BYTES = 36
"""Assumed length of a request and its answer together."""

ReadWith: TypeAlias = Callable[[str, Profile], AsyncIterator[Sequence[Reading]]]
"""Reads the device at an address with a profile; yields after each transaction."""


class SerialWorkbench(ProfileWorkbench[Profile]):
    """The tools for one port or, without one, those that need no port.

    Args:
        library: the profiles of the entry; left out, the built-in ones.
        read_with: reads a device with a profile, on an open port.
    """

    table_columns = "ask, answer (a template such as PWR={power:d}), name, and maybe field, unit, scale, values (0=off, 1=on)"
    table_questions = MappingProxyType(
        {
            "line": "How the serial line is set, such as 9600 8N1",
            "end": r"What ends each message: \r, \n or \r\n",
        }
    )

    def __init__(self, library: Mapping[str, Profile] | None = None, read_with: ReadWith | None = None) -> None:
        super().__init__(PROFILE_FILES, library)
        self._read_with = read_with

    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the JSON Schema of a profile, whose tables may stand for several, and of the two files of a case folder."""
        schemas = super().schemas()
        return {
            "profile": with_repetition(schemas["profile"]),
            "device": case_schema(DeviceFile[str]),
            "expected": case_schema(ExpectedFile[str]),
        }

    async def run_case(self, folder: Path, profiles: Sequence[Path] = ()) -> CaseResult:
        """Interview the device of a case folder among all profiles, read and command it, all in memory."""
        library = self.library_with(profiles)
        return run_case(read_case(folder, library), library)

    def new_profile(self, facts: ProfileFacts) -> NewProfile:
        """Return a new profile with the points of a table of requests and answers."""
        if facts.draft:
            raise NotOffered("only a scan for Modbus devices writes drafts: write a table of requests and answers")
        try:
            return new_profile(facts)
        except ValueError as error:
            raise ProfileProblems(str(error)) from error

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return the queries that the profile sends, and the messages that it listens for."""
        profile = self.read_profile(file)
        source = profile.source
        return CheckedProfile(
            name=profile.name,
            title=profile.title,
            source=str(source),
            blocks=list(_blocks(profile)),
        )

    async def try_profile(self, file: Path, address: str) -> AsyncIterator[Sequence[Reading]]:
        """Read every point once."""
        if self._read_with is None:
            raise NotOffered("a profile can only be tried on a device: name its port")
        async for readings in self._read_with(address, self.read_profile(file)):
            yield readings


def _blocks(profile: Profile) -> Iterator[PlannedBlock]:
    every = profile.intervals
    for query in profile.queries:
        if query.points:
            yield PlannedBlock(
                group=query.group,
                every_seconds=every[query.group].total_seconds(),
                what=f"asks {query.name}",
                metrics=[point.metric for point in query.points],
                seconds=USUAL_EXCHANGE_BYTES * profile.line.character_seconds + profile.talk.pace,
            )
    for message in profile.messages:
        yield PlannedBlock(
            group="heard",
            every_seconds=profile.may_be_quiet or max(every.values()).total_seconds(),
            what=f"receives {message.name}, {'at least this often' if profile.may_be_quiet else 'whenever the device sends it'}",
            metrics=[point.metric for point in message.points],
            seconds=0.0,
        )
