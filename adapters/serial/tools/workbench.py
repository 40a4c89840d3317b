"""The tools of serial devices at the command line: their profiles, and a profile tried on a device."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.profile import Profile
from gateway.adapter import CheckedProfile, NotOffered, PlannedBlock, ProfileWorkbench, Reading

USUAL_BYTES = 36
"""A question and its answer together, as a plan reckons with them."""

ReadBy: TypeAlias = Callable[[str, Profile], AsyncIterator[Sequence[Reading]]]
"""Reads a device at an address by a profile; yields after each transaction."""


class SerialWorkbench(ProfileWorkbench[Profile]):
    """The tools on one port or, without one, those that need none.

    Args:
        library: the profiles of the entry; ours, when left out.
        read_by: reads a device by a profile, on an open port.
    """

    def __init__(self, library: Mapping[str, Profile] | None = None, read_by: ReadBy | None = None) -> None:
        super().__init__(PROFILE_FILES, library)
        self._read_by = read_by

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return the questions that the profile asks, and what it listens for."""
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
        if self._read_by is None:
            raise NotOffered("a profile is tried on a device, and no port was named")
        async for readings in self._read_by(address, self.read_profile(file)):
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
