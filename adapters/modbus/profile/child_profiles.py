"""Find the profile by which each child of a bus is read: its own, with the points of another map where one is in use. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from adapters.modbus.profile.profile import Profile
from adapters.modbus.profile.sunspec_models import profile_named
from gateway.adapter import ChildDevice


class ChildProfiles:
    """The profiles of the children of one bus, from this library."""

    def __init__(self, library: Mapping[str, Profile]) -> None:
        self._library = library
        self._profiles: dict[str, Profile | None] = {}
        self._maps: dict[str, Profile] = {}
        """Child key -> the profile with the points of another map than that of its own profile."""

    def of(self, child: ChildDevice) -> Profile | None:
        """Return the profile by which a child is read."""
        return self._maps.get(child.key) or self.named(child.profile)

    def named(self, name: str | None) -> Profile | None:
        """Return the profile of this name; one that is made from SunSpec models is made once."""
        if name is None:
            return None
        if name not in self._profiles:
            self._profiles[name] = profile_named(name, self._library)
        return self._profiles[name]

    def use_map(self, key: str, text: str | None) -> None:
        """Read the child with this key by the points in this text; `None`: by those of its profile."""
        if text is None:
            self._maps.pop(key, None)
        elif self._maps.get(key) is None or self._maps[key].point_map != text:
            self._maps[key] = Profile.from_point_map(text)
