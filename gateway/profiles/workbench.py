"""Offer the profile tools of the workbench for every adapter whose device models are profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from gateway.profiles.files import ProfileError, ProfileFiles, read_text
from gateway.profiles.model import DeviceProfile
from gateway.profiles.review import CaseReadings, review, review_cases
from gateway.profiles.schema import profile_schema
from gateway.toml_text import read_toml
from gateway.workbench import KnownProfile, ProfileProblems, Workbench

ProfileT = TypeVar("ProfileT", bound=DeviceProfile)


class ProfileWorkbench(Workbench, Generic[ProfileT]):
    """The profile tools of one adapter.

    Args:
        files: the adapter's profile files.
        library: the profiles of its entry of the configuration; the built-in ones, when left out.
    """

    def __init__(self, files: ProfileFiles[ProfileT], library: Mapping[str, ProfileT] | None = None) -> None:
        self._files = files
        self._library = files.load() if library is None else library
        self._of_cases: dict[tuple[Path, ...], Mapping[str, ProfileT]] = {}

    def profiles(self) -> Sequence[KnownProfile]:
        """Return all profiles, sorted by name."""
        return [
            KnownProfile(
                name=profile.name,
                maker=profile.maker,
                title=profile.title,
                family=profile.family,
                points=profile.point_count,
                commands=sum(1 for _ in profile.all_commands),
                is_found=profile.is_found_by_scan,
                source=profile.source.edition_of_document,
            )
            for _, profile in sorted(self._library.items())
        ]

    def remarks_of(self, file: Path, cases: Path | None = None) -> Sequence[str]:
        """Return what is unusual in the profile and, with a folder of cases, which cases it lacks."""
        profile = self.read_profile(file)
        told = [f"{file}:{line}: {told}" for line, told in review(profile, file.read_text(encoding="utf-8"))]
        if cases is not None:
            told += [f"{cases}: {one}" for one in review_cases(profile, _case_readings(cases))]
        return told

    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the JSON Schema of a profile."""
        return {"profile": profile_schema(self._files)}

    def read_profile(self, file: Path) -> ProfileT:
        """Return the profile in a file that a person names.

        Raises:
            ProfileProblems: the file cannot be read or has mistakes; the text lists them.
        """
        try:
            return self._files.read(file)
        except ProfileError as error:
            raise ProfileProblems(str(error), error.problems, strangeness=error.strangeness) from error

    def library_with(self, folders: Sequence[Path]) -> Mapping[str, ProfileT]:
        """Return the built-in profiles and those of these folders by name, in which case folders are run.

        Raises:
            ProfileProblems: a profile has mistakes, or a folder cannot be read; the text lists them.
        """
        key = tuple(folders)
        if key not in self._of_cases:
            try:
                self._of_cases[key] = self._files.load(key)
            except ProfileError as error:
                raise ProfileProblems(str(error), error.problems, strangeness=error.strangeness) from error
        return self._of_cases[key]


def _case_readings(folder: Path) -> list[CaseReadings]:
    """Return what the case folders in this folder expect.

    Raises:
        ProfileProblems: a file of a case is no TOML, or cannot be read.
    """
    found = []
    for file in sorted(folder.glob("*/expected.toml")):
        try:
            readings = read_toml(read_text(file)).get("readings", {})
        except (ProfileError, ValueError) as error:
            raise ProfileProblems(f"{file}: {error}") from error
        found.append(CaseReadings(file.parent.name, readings if isinstance(readings, dict) else {}))
    return found
