"""The tools of serial devices at the command line: their profiles, and a profile tried on a device."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from adapters.serial.profile.library import OURS, ProfileError, load, read
from adapters.serial.profile.profile import Profile
from gateway.adapter import CheckedProfile, KnownProfile, NotOffered, PlannedBlock, ProfileProblems, Reading, Workbench

USUAL_BYTES = 36
"""A question and its answer together, as a plan reckons with them."""

ReadBy: TypeAlias = Callable[[str, Profile], AsyncIterator[Sequence[Reading]]]
"""Reads a device at an address by a profile; yields after each transaction."""


class SerialWorkbench(Workbench):
    """The tools on one port or, without one, those that need none.

    Args:
        library: the profiles of the entry; ours, when left out.
        read_by: reads a device by a profile, on an open port.
    """

    def __init__(self, library: Mapping[str, Profile] | None = None, read_by: ReadBy | None = None) -> None:
        self._library = load([OURS]) if library is None else library
        self._read_by = read_by

    def profiles(self) -> Sequence[KnownProfile]:
        """Return our profiles and those of the entry."""
        return [
            KnownProfile(
                name=profile.name,
                maker=profile.maker,
                title=profile.title,
                family=profile.family,
                points=sum(len(part.points) for part in profile.parts),
                commands=len(profile.commands),
                is_found=bool(profile.match),
                source=profile.source.edition_of_document,
            )
            for _, profile in sorted(self._library.items())
        ]

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return the questions that the profile asks, and what it listens for."""
        profile = _profile_in(file)
        source = profile.source
        return CheckedProfile(
            name=profile.name,
            title=profile.title,
            source=str(source),
            blocks=list(_blocks(profile)),
        )

    async def try_profile(self, file: Path, address: str) -> AsyncIterator[Sequence[Reading]]:
        """Read every point once."""
        if self._read_by is None:
            raise NotOffered("a profile is tried on a device, and no port was named")
        async for readings in self._read_by(address, _profile_in(file)):
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
                seconds=USUAL_BYTES * profile.line.character_seconds + profile.talk.pace,
            )
    for message in profile.messages:
        yield PlannedBlock(
            group="heard",
            every_seconds=profile.may_be_quiet or max(every.values()).total_seconds(),
            what=f"hears {message.name}, {'this often or oftener' if profile.may_be_quiet else 'whenever it is said'}",
            metrics=[point.metric for point in message.points],
            seconds=0.0,
        )


def _profile_in(file: Path) -> Profile:
    try:
        return read(file)
    except ProfileError as error:
        raise ProfileProblems(str(error)) from error
