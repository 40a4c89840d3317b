"""What is kept of a port between starts: what was spoken there last, how its line was set, and who speaks from it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, MutableMapping

from pydantic import ValidationError

from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.profile import Profile


class KnownPort:
    """What is known of one port before anybody is asked. What the config says outranks what was understood.

    Args:
        bus: the label of the port.
        library: the profiles of the entry, by name.
        named: the profile of the device that the config names for this port; `None` where it names none.
        line: how the config sets the line; `None` where it leaves that open.
        memory: where notes are kept.
    """

    def __init__(
        self,
        bus: str,
        library: Mapping[str, Profile],
        named: Profile | None,
        line: LineSettings | None,
        memory: Callable[[], MutableMapping[str, str]],
    ) -> None:
        self._bus = bus
        self._library = library
        self._named = named
        self._line = line
        self._memory = memory

    def last_spoken(self) -> tuple[Profile | None, LineSettings]:
        """Return what was spoken here last, before a restart too, and how the line was set then."""
        try:
            name, line = json.loads(self._memory().get(f"spoken on {self._bus}", '["", {}]'))
            profile = self._library.get(name)
            if profile is not None and (self._named is None or profile.name == self._named.name):
                return profile, self._line or LineSettings.model_validate(line)
        except (ValueError, TypeError, ValidationError):
            pass  # an older note: a hint, no more
        return self._named, self._line or (LineSettings() if self._named is None else self._named.line)

    def line_of(self, profile: Profile) -> LineSettings:
        """Return how the line is set for a device with this profile: as it was understood with last, as said, or as usual."""
        before, line = self.last_spoken()
        if before is not None and before.name == profile.name:
            return line
        return self._line or profile.line

    def is_spoken(self, profile: Profile, line: LineSettings) -> None:
        """Keep what is spoken here."""
        self._memory()[f"spoken on {self._bus}"] = json.dumps([profile.name, line.model_dump()])

    def lives_at(self, address: str, child: str) -> None:
        """Keep the key of the child that speaks from this address."""
        self._memory()[self._note_of(address)] = child

    def resident(self, address: str) -> str | None:
        """Return the key of the child that speaks from this address."""
        return self._memory().get(self._note_of(address))

    def _note_of(self, address: str) -> str:
        return f"speaks on {self._bus} as {address}"
