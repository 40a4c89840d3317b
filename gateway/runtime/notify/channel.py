"""Define what sends notifications, and read the secrets that it signs in with."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from gateway.errors import GatewayError
from gateway.runtime.notify.messages import Message


class NotSent(GatewayError):
    """A notification could not be sent; the text says why, without secrets."""


class Channel(Protocol):
    """A way to a person."""

    name: str
    """Of a person's words: `webhook to example.com`."""

    async def send(self, message: Message) -> str:
        """Send a message, and return what the server answered, without secrets; it takes 30 s at most.

        Raises:
            NotSent: it was not accepted.
        """


async def secret_of(value: SecretStr | None, file: Path | None) -> str | None:
    """Return a secret of the settings, read anew from its file if it is in one.

    Raises:
        NotSent: the file cannot be read.
    """
    if file is None:
        return None if value is None else value.get_secret_value()
    try:
        return (await asyncio.to_thread(file.read_text, encoding="utf-8")).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise NotSent(f"{file} cannot be read: {why}") from None
