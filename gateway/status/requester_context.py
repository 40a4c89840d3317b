"""Know on whose behalf the page carries out an action, so that the timeline can name them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_requester: Final[ContextVar[str | None]] = ContextVar("requester", default=None)


@contextmanager
def acting_for(token_name: str | None) -> Iterator[None]:
    """Run the block on behalf of the holder of this token; `None` for nobody in particular."""
    before = _requester.set(token_name)
    try:
        yield
    finally:
        _requester.reset(before)


def asked_by() -> str | None:
    """Return who asks for what is done now, to follow what was done: `by the token office`; `None` where that is not known."""
    name = _requester.get()
    return None if name is None else f"by the token {name}"


def with_asker(what: str) -> str:
    """Return a sentence about what is done, with who asks for it where that is known."""
    asker = asked_by()
    return what if asker is None else f"{what}, {asker}"
