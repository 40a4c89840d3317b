"""Provide the command line tools for Bluetooth LE: list, check and try profiles, and run case folders."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.requests import with_requests
from adapters.ble.session.time_estimates import check_profile
from adapters.ble.tools.case_files import DeviceFile, ExpectedFile, read_case
from adapters.ble.tools.case_runner import run_case
from adapters.ble.tools.new_profile import new_profile
from gateway.adapter import (
    CaseResult,
    CheckedProfile,
    NewProfile,
    NotOffered,
    ProfileFacts,
    ProfileProblems,
    ProfileWorkbench,
    Reading,
    case_schema,
)

ReadOnce: TypeAlias = Callable[[str, Profile], Awaitable[list[Reading]]]
"""Reads a device at an address by a profile."""


class BleWorkbench(ProfileWorkbench[Profile]):
    """The tools on one radio or, without one, those that need no radio.

    Args:
        library: the profiles of the entry; the built-in ones, when left out.
        read_once: reads a device by a profile, on an open radio.
    """

    table_columns = "service, characteristic, name, and maybe format, at, length, byte order, scale, unit, notify"

    def __init__(self, library: Mapping[str, Profile] | None = None, read_once: ReadOnce | None = None) -> None:
        super().__init__(PROFILE_FILES, library)
        self._read_once = read_once

    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the JSON Schema of a profile, in which a `request` may replace a characteristic, and of a case folder."""
        profile = with_requests(super().schemas()["profile"])
        return {"profile": profile, "device": case_schema(DeviceFile), "expected": case_schema(ExpectedFile)}

    def new_profile(self, facts: ProfileFacts) -> NewProfile:
        """Return a new profile with the points of a table of characteristics."""
        if facts.draft:
            raise NotOffered("only a scan for Modbus devices writes drafts: write a table of characteristics")
        try:
            return new_profile(facts)
        except ValueError as error:
            raise ProfileProblems(str(error)) from error

    def check_profile(self, file: Path) -> CheckedProfile:
        """Return the plan of the profile: for each poll group the connection and each characteristic."""
        return check_profile(self.read_profile(file))

    async def run_case(self, folder: Path, profiles: Sequence[Path] = ()) -> CaseResult:
        """Find, read and command the device of a case folder, without a radio."""
        return run_case(read_case(folder), self.library_with(profiles))

    async def try_profile(self, file: Path, address: str) -> AsyncIterator[Sequence[Reading]]:
        """Read every point once."""
        if self._read_once is None:
            raise NotOffered("to try a profile on a device needs a radio, and none was specified")
        yield await self._read_once(address, self.read_profile(file))
