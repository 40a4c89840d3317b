"""Add a library of device profiles to the settings of an adapter. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import Field, PrivateAttr, model_validator

from gateway.adapter_settings import AdapterSettings
from gateway.profiles.files import ProfileFiles
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

    _library: dict[str, ProfileT] = PrivateAttr(default_factory=dict)

    @property
    def library(self) -> Mapping[str, ProfileT]:
        """All profiles by name: those that come with the adapter, and those of the configured folders."""
        return self._library

    def find_profile(self, name: str) -> ProfileT | None:
        """Return the profile of this name. An adapter that makes profiles on demand overrides this."""
        return self._library.get(name)

    def check_profile_name(self, name: str) -> None:
        """Check that there is a profile of this name.

        Raises:
            ValueError: there is none; the text suggests similar names.
        """
        if self.find_profile(name) is None:
            raise ValueError(unknown_name("profile", name, self._library))

    @model_validator(mode="after")
    def _load_library(self) -> Self:
        self._library.update(self.profile_files.load(self.profiles))
        return self
