"""Provide a target for configurations in memory that refuses, fails and gets worse on request, for tests of their flow."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.errors import ConfigurationRejected, SettingsProblem
from gateway.models import PlannedChange

REFUSED_KEY = "refused"
"""A configuration with this key is refused when it is planned."""


@dataclass
class FakeWatch:
    """Reports what the target says."""

    target: FakeConfigurationTarget
    looks: int = 0
    """How often it was asked."""

    def begin(self) -> None:
        """See `Watch`."""
        self.target.begun.append(dict(self.target.contents))

    def problem(self, *, at_end: bool) -> str | None:
        """See `Watch`."""
        self.looks += 1
        return self.target.problem_at_end if at_end and self.target.problem is None else self.target.problem


class FakeConfigurationTarget:
    """Implements `gateway.cloud.configuration.target.ConfigurationTarget`: each key of a configuration touches one bus."""

    def __init__(self) -> None:
        self.contents: dict[str | None, Mapping[str, object]] = {}
        """What is in effect, by device."""
        self.applied: list[tuple[str | None, Mapping[str, object]]] = []
        """Every configuration that was applied, in order."""
        self.failures: list[Exception] = []
        """What the next calls of `apply` raise."""
        self.problem: str | None = None
        """What has become worse."""
        self.problem_at_end: str | None = None
        """What has not recovered in the end."""
        self.watches: list[FakeWatch] = []
        self.begun: list[dict[str | None, Mapping[str, object]]] = []
        """What was in effect when each watch began."""
        self.apply_seconds = 0.0
        self.is_watched = True
        self.on_site: dict[str | None, Mapping[str, object]] = {}
        """Values that a person has set, by device."""

    def schema(self, child: str | None) -> Mapping[str, object]:
        """See `ConfigurationTarget`."""
        return {"type": "object"}

    def plan(self, child: str | None, content: Mapping[str, object]) -> Sequence[PlannedChange]:
        """See `ConfigurationTarget`."""
        if REFUSED_KEY in content:
            raise ConfigurationRejected([SettingsProblem(REFUSED_KEY, "is not known here", "Leave it out")])
        before = self.contents.get(child, {})
        return [
            PlannedChange(key=key, before=before.get(key), after=content.get(key), buses=frozenset({("entry", "bus")}))
            for key in sorted(before.keys() | content.keys())
            if before.get(key) != content.get(key)
        ]

    def watch(self, child: str | None, changes: Sequence[PlannedChange]) -> FakeWatch | None:
        """See `ConfigurationTarget`."""
        if not changes or not self.is_watched:
            return None
        self.watches.append(FakeWatch(self))
        return self.watches[-1]

    async def apply(self, child: str | None, content: Mapping[str, object]) -> None:
        """See `ConfigurationTarget`."""
        await asyncio.sleep(self.apply_seconds)
        if self.failures:
            raise self.failures.pop(0)
        self.contents[child] = content
        self.applied.append((child, content))

    def restore(self, child: str | None, content: Mapping[str, object]) -> None:
        """See `ConfigurationTarget`."""
        self.contents[child] = content

    def forget(self, child: str) -> None:
        """See `ConfigurationTarget`."""
        self.contents.pop(child, None)

    def in_effect(self, child: str | None, content: Mapping[str, object]) -> Mapping[str, object]:
        """See `ConfigurationTarget`."""
        return {**content, **{key: value for key, value in self.on_site.get(child, {}).items() if key in content}}
