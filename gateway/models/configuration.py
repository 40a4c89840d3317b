"""Define what a configuration from the cloud would change, before it is applied. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway import strict_json

SHOWN_LENGTH = 80
"""The most characters of a value in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedChange:
    """One value that a configuration changes. Never a secret: it is logged and shown."""

    key: str
    """The key as the configuration has it, with dots between its steps: `cloud.telemetry_every`."""
    before: object
    """The value in effect, as JSON has it; `None` where there is none."""
    after: object
    buses: frozenset[tuple[str, str]] = frozenset()
    """The buses that it touches, by entry and label: they are watched for a while after it was applied."""

    def __str__(self) -> str:
        """Return the change as a person reads it."""
        return f"{self.key}: {_shown(self.before)} becomes {_shown(self.after)}"


def _shown(value: object) -> str:
    text = "not set" if value is None else strict_json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 3]}..."
