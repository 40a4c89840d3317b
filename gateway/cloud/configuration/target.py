"""Define what a configuration from the cloud is given to: the gateway itself or one of its children. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from gateway.models import PlannedChange


class Watch(Protocol):
    """Compares what a configuration has touched with how it was when the watch was made."""

    def begin(self) -> None:
        """Record that the configuration is in effect now."""

    def problem(self, *, at_end: bool) -> str | None:
        """Return what is worse now than before the configuration was applied; `None` while nothing is.

        Args:
            at_end: this is the last look: what has not recovered by now does not count as recovering any more.
        """


class ConfigurationTarget(Protocol):
    """Checks and applies configurations; `gateway.runtime` implements it.

    `child` is the local key of a child, `None` for the gateway itself. `content` is the configuration as the cloud has it,
    without the server's own fields. Only one call of `apply` runs at a time for each child.
    """

    def schema(self, child: str | None) -> Mapping[str, object]:
        """Return the JSON Schema of the configurations that this device accepts, with titles, units and ranges."""

    def plan(self, child: str | None, content: Mapping[str, object]) -> Sequence[PlannedChange]:
        """Return what this configuration would change in comparison with what is in effect. Changes nothing, waits for nothing.

        Raises:
            ConfigurationRejected: it cannot be applied, with every problem: the key, what is wrong, the right form.
        """

    def watch(self, child: str | None, changes: Sequence[PlannedChange]) -> Watch | None:
        """Return a watch that has recorded how the touched buses are now, before these changes; `None` if none is touched."""

    async def apply(self, child: str | None, content: Mapping[str, object]) -> None:
        """Put a configuration into effect in place of the one that is; `{}` is what the device has without the cloud.

        Applying what is in effect already changes nothing. When it raises or is cancelled, the former one is in effect.

        Raises:
            ConfigurationRejected: it cannot be applied after all, such as when the device refuses a value.
        """

    def restore(self, child: str | None, content: Mapping[str, object]) -> None:
        """Begin with a configuration that an earlier run has applied, before the field starts. Waits for nothing.

        Raises:
            ConfigurationRejected: it does not fit any more.
        """

    def forget(self, child: str) -> None:
        """Drop what is in effect for a device that is no child any more. Waits for nothing."""

    def in_effect(self, child: str | None, content: Mapping[str, object]) -> Mapping[str, object]:
        """Return this configuration with the values that a person on site has set instead: they go up to the cloud.

        It returns `content` itself, or an equal one, where nobody has changed anything on site.
        """


class ReportEvent(Protocol):
    """Tells the cloud of something that happened to a device."""

    def __call__(self, child: str | None, name: str, category: str, text: str) -> None:
        """Have an event sent: `name` and `category` are short words, `text` is for a person. Neither waits nor fails."""


def no_event(child: str | None, name: str, category: str, text: str) -> None:
    """Send no event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuring:
    """The way to the devices, and the limits."""

    target: ConfigurationTarget
    refusal: Callable[[str | None], str | None] = lambda child: None
    """Return why the cloud may not configure a device, by local key; `None` when it may. The cloud cannot change it."""
    watch_for: timedelta = timedelta(minutes=3)
    """How long the touched buses are watched after a configuration was applied."""
    report_event: ReportEvent = no_event
