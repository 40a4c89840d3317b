"""Define what the form for another hardware key needs from the gateway; `gateway.runtime.key_change` implements it."""

from __future__ import annotations

from typing import Protocol


class KeyChange(Protocol):
    """Another hardware key for a gateway that the cloud does not register with the one it has."""

    def refusal(self) -> str | None:
        """Return why the key cannot be changed on the page; `None` where it can."""

    async def change(self, entered: str) -> str | None:
        """Try a key at the cloud, keep it and register with it; return why that failed, without the key."""


class KeyChangeView(Protocol):
    """A gateway whose hardware key can be changed."""

    @property
    def key_change(self) -> KeyChange:
        """The way to another hardware key."""
