"""Define the base of all models that are shown, the texts in them, and the ids in addresses of the page and the API. Pure."""

from __future__ import annotations

import base64
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

from gateway import plain_text

MAX_TEXT_LENGTH: Final = 300
"""Longer texts of devices and servers are cut: a name that a device advertises may be anything."""

_SEPARATOR = "\x1f"  # no name in a config can contain it


def printable_text(value: object) -> object:
    """Return a text, cut to its maximum length, without what could break a line, an encoding or the reading direction."""
    value = replace_unprintable(value)
    return value if not isinstance(value, str) or len(value) <= MAX_TEXT_LENGTH else value[: MAX_TEXT_LENGTH - 1] + "…"


def replace_unprintable(value: object) -> object:
    """Return a text of the same length without what could break a line, an encoding or the reading direction.

    Anything that is not a text is returned unchanged.
    """
    return plain_text.replace_unprintable(value) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(printable_text)]
"""A text that comes from outside: shown, never interpreted."""


def encode_id(*names: str) -> str:
    """Return the word that stands for these names in addresses of the page and the API."""
    return base64.urlsafe_b64encode(_SEPARATOR.join(names).encode("utf-8", "surrogatepass")).decode().rstrip("=")


def decode_id(word: str) -> tuple[str, ...]:
    """Return the names that `encode_id` made this word from; none if it did not make it."""
    try:
        whole = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
        return tuple(whole.decode("utf-8", "surrogatepass").split(_SEPARATOR))
    except ValueError:  # not of that alphabet, or not a text
        return ()


class StatusModel(BaseModel):
    """Base of everything that is shown: frozen, and without undeclared fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
