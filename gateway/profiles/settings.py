"""Add a library of device profiles to the settings of an adapter. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import Field, PrivateAttr

from gateway.adapter_settings import AdapterSettings
from gateway.errors import SettingMistake
from gateway.profiles.files import ProfileError, ProfileFiles
from gateway.profiles.model import DeviceProfile
from gateway.profiles.names import unknown_name

ProfileT = TypeVar("ProfileT", bound=DeviceProfile)


class ProfileSettings(AdapterSettings, Generic[ProfileT]):
    """The settings of an adapter whose device models are profiles. An adapter inherits and names its `profile_files`."""

    profile_files: ClassVar[ProfileFiles[Any]]
    """The profile files of the adapter, with the folder of those that come with it."""

    profiles: tuple[Path, ...] = Field(
        default=(), description="folders with more profiles; one with the name of a built-in profile replaces it"
    )

    _library: dict[str, ProfileT] | None = PrivateAttr(default=None)
    _unusable: ProfileError | None = PrivateAttr(default=None)

    @property
    def library(self) -> Mapping[str, ProfileT]:
        """All profiles by name: those that come with the adapter, and those of the configured folders."""
        if self._library is None:
            try:
                self._library = dict(self.profile_files.load(self.profiles))
            except ProfileError as error:
                self._library, self._unusable = dict(self.profile_files.load(())), error
        return self._library

    def find_profile(self, name: str) -> ProfileT | None:
        """Return the profile of this name. An adapter that makes profiles on demand overrides this."""
        return self.library.get(name)

    def check_profile_name(self, name: str) -> None:
        """Check that there is a profile of this name.

        Raises:
            ValueError: there is none; the text suggests similar names.
        """
        if self.find_profile(name) is None:
            raise ValueError(unknown_name("profile", name, self.library))

    def profile_mistakes(self, *names: tuple[str, tuple[int | str, ...]]) -> Iterator[SettingMistake]:
        """Yield a mistake for each name that is none of a profile.

        Args:
            names: names of profiles, each with the location where the entry has it.
        """
        for name, location in names:
            if self.find_profile(name) is None:
                right = "`xyte-gateway profile list` shows all"
                yield SettingMistake(location, unknown_name("profile", name, self.library), right)

    def mistakes(self) -> Iterator[SettingMistake]:
        """Yield what is wrong with the configured profile files; without them the built-in profiles hold."""
        yield from super().mistakes()
        if self.library and self._unusable is not None:
            yield from (SettingMistake(("profiles",), line) for line in self._unusable.lines)
