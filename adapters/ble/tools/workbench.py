"""The tools of Bluetooth LE at the command line: its profiles, and a profile tried on a device."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from adapters.ble.profile.library import OURS, ProfileError, load, read
from adapters.ble.profile.profile import Profile
from adapters.ble.session.time_estimates import checked
from gateway.adapter import CheckedProfile, KnownProfile, NotOffered, ProfileProblems, Reading, Workbench

ReadOnce: TypeAlias = Callable[[str, Profile], Awaitable[list[Reading]]]
"""Reads a device at an address by a profile."""


class BleWorkbench(Workbench):
    """The tools on one radio or, without one, those that need none.

    Args:
        library: the profiles of the entry; ours, when left out.
        read_once: reads a device by a profile, on an open radio.
    """

    def __init__(self, library: Mapping[str, Profile] | None = None, read_once: ReadOnce | None = None) -> None:
        self._library = load([OURS]) if library is None else library
        self._read_once = read_once

    def profiles(self) -> Sequence[KnownProfile]:
        """Return our profiles and those of the entry."""
        return [
            KnownProfile(
                name=profile.name,
                maker=profile.maker,
                title=profile.title,
                family=profile.family,
                points=len(profile.points),
                commands=len(profile.commands),
                is_found=bool(profile.match),
                source=profile.source.edition_of_document,
            )
            for _, profile in sorted(self._library.items())
        ]

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return the visits that the profile makes: for each poll group the connection and each characteristic."""
        return checked(_profile_in(file))

    async def try_profile(self, file: Path, address: str) -> AsyncIterator[Sequence[Reading]]:
        """Read every point once."""
        if self._read_once is None:
            raise NotOffered("a profile is tried on a device, and no radio was named")
        yield await self._read_once(address, _profile_in(file))


def _profile_in(file: Path) -> Profile:
    try:
        return read(file)
    except ProfileError as error:
        raise ProfileProblems(str(error)) from error
