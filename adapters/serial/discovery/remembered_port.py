"""Remember between restarts which protocol a port had last, at which line settings, and which child sends from it. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, MutableMapping

from pydantic import ValidationError

from adapters.serial.discovery.consoles import Console
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.profile import Profile
from gateway.adapter import FactSource


class RememberedPort:
    """Knowledge about one port before it is probed. The config takes precedence over the memory.

    Args:
        bus: the label of the port.
        library: the profiles of the entry, by name.
        configured: the profile of the device that the config names for this port; `None` if it names none.
        line: the line settings of the config; `None` if it gives none.
        memory: returns the adapter's memory, whose keys and texts stay the same between releases.
    """

    def __init__(
        self,
        bus: str,
        library: Mapping[str, Profile],
        configured: Profile | None,
        line: LineSettings | None,
        memory: Callable[[], MutableMapping[str, str]],
    ) -> None:
        self._bus = bus
        self._library = library
        self._configured = configured
        self._line = line
        self._memory = memory

    def last_protocol(self) -> tuple[Profile | None, LineSettings]:
        """Return the profile that was used on this port last, also before a restart, and the line settings then."""
        try:
            name, line = json.loads(self._memory().get(f"spoken on {self._bus}", '["", {}]'))
            profile = self._library.get(name)
            if profile is not None and (self._configured is None or profile.name == self._configured.name):
                return profile, self._line or LineSettings.model_validate(line)
        except (ValueError, TypeError, ValidationError):
            pass  # a text of another release: the memory is only a hint
        return self._configured, self._line or (LineSettings() if self._configured is None else self._configured.line)

    def line_for(self, profile: Profile) -> LineSettings:
        """Return the line settings for a device with this profile: the last working ones, else those of config or profile."""
        last_profile, line = self.last_protocol()
        if last_profile is not None and last_profile.name == profile.name:
            return line
        return self._line or profile.line

    def sources(self, profile: Profile | None, line: LineSettings) -> tuple[FactSource, FactSource]:
        """Return where the protocol on this port and its line settings come from."""
        if profile is None:
            return FactSource.USUAL, FactSource.USUAL if self._line is None else FactSource.CONFIGURED
        of_protocol = FactSource.FOUND if self._configured is None else FactSource.CONFIGURED
        if self._line is not None:
            return of_protocol, FactSource.CONFIGURED
        is_of_profile = self._configured is not None and line == profile.line
        return of_protocol, FactSource.PROFILE if is_of_profile else FactSource.FOUND

    def remember_protocol(self, profile: Profile, line: LineSettings) -> None:
        """Remember which profile works on this port, at which line settings."""
        self._memory()[f"spoken on {self._bus}"] = json.dumps([profile.name, line.model_dump()], allow_nan=False)

    def remember_child(self, address: str, child: str) -> None:
        """Remember the key of the child at this address."""
        self._memory()[self._child_key(address)] = child

    def child_at(self, address: str) -> str | None:
        """Return the key of the child at this address."""
        return self._memory().get(self._child_key(address))

    def remember_facts(self, address: str, facts: Mapping[str, str]) -> None:
        """Remember what the device at this address has told about itself; written only when it changes."""
        text = json.dumps(dict(sorted(facts.items())), allow_nan=False)
        if facts and self._memory().get(self._facts_key(address)) != text:
            self._memory()[self._facts_key(address)] = text

    def facts_at(self, address: str) -> dict[str, str]:
        """Return what the device at this address told about itself earlier; empty if unknown."""
        try:
            facts = json.loads(self._memory().get(self._facts_key(address), "{}"))
        except ValueError:
            return {}
        return {str(name): str(text) for name, text in facts.items()} if isinstance(facts, dict) else {}

    def remember_console(self, console: Console | None, now: float) -> None:
        """Remember that a console answers on this port, at this time in seconds since 1970; `None`: none does any more."""
        key = f"console on {self._bus}"
        if console is not None:
            self._memory()[key] = json.dumps([console.kind, console.shown, int(now)], allow_nan=False)
        elif key in self._memory():
            del self._memory()[key]

    def console_since(self) -> tuple[Console, float] | None:
        """Return the console that answered on this port, and when it was asked last; `None` if none is known."""
        try:
            kind, shown, at = json.loads(self._memory().get(f"console on {self._bus}", "null"))
            return Console(str(kind), str(shown)), float(at)
        except (ValueError, TypeError):
            return None

    def _facts_key(self, address: str) -> str:
        return f"told on {self._bus} as {address}"

    def _child_key(self, address: str) -> str:
        return f"speaks on {self._bus} as {address}"
