"""The tools of Bluetooth LE at the command line: its profiles, and a profile tried on a device."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.profile.profile import Profile
from adapters.ble.session.time_estimates import checked
from gateway.adapter import CheckedProfile, NotOffered, ProfileWorkbench, Reading

ReadOnce: TypeAlias = Callable[[str, Profile], Awaitable[list[Reading]]]
"""Reads a device at an address by a profile."""


class BleWorkbench(ProfileWorkbench[Profile]):
    """The tools on one radio or, without one, those that need none.

    Args:
        library: the profiles of the entry; ours, when left out.
        read_once: reads a device by a profile, on an open radio.
    """

    def __init__(self, library: Mapping[str, Profile] | None = None, read_once: ReadOnce | None = None) -> None:
        super().__init__(PROFILE_FILES, library)
        self._read_once = read_once

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return the visits that the profile makes: for each poll group the connection and each characteristic."""
        return checked(self.read_profile(file))

    async def try_profile(self, file: Path, address: str) -> AsyncIterator[Sequence[Reading]]:
        """Read every point once."""
        if self._read_once is None:
            raise NotOffered("a profile is tried on a device, and no radio was named")
        yield await self._read_once(address, self.read_profile(file))
