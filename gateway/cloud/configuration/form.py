"""Check the outer form of a configuration from the cloud before anything else looks at it: its size and its depth. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gateway import strict_json
from gateway.errors import ConfigurationRejected, SettingsProblem

MOST_CHARACTERS = 256 * 1024
"""The largest configuration, as JSON."""

MOST_LEVELS = 16
"""The deepest configuration: no setting has more levels of lists and tables."""


def check_form(content: Mapping[str, object]) -> None:
    """Check that a configuration can be compared, logged and stored.

    Raises:
        ConfigurationRejected: it is too large or too deep; the text says what is allowed.
    """
    if _is_deeper_than(content, MOST_LEVELS):
        raise _rejected("it is nested too deep", f"Use at most {MOST_LEVELS} levels of lists and tables")
    if (length := len(strict_json.dumps(content))) > MOST_CHARACTERS:
        raise _rejected(f"it has {length} characters", f"Use at most {MOST_CHARACTERS}")


def _rejected(wrong: str, right: str) -> ConfigurationRejected:
    return ConfigurationRejected([SettingsProblem("the configuration", wrong, right)])


def _is_deeper_than(content: object, levels: int) -> bool:
    """Return whether a value has more levels, level by level: a recursion would fail at what is to be found."""
    level: list[object] = [content]
    for _ in range(levels + 1):
        inner: list[object] = []
        for value in level:
            inner += value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        if not inner:
            return False
        level = inner
    return True
