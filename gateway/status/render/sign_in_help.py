"""Define what the sign-in page says about where one is, and how to get a token. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInHelp:
    """What somebody needs to know who has no token yet."""

    gateway: str = "Xyte gateway"
    """The name of the gateway."""
    command: str = "xyte-gateway token"
    """The command that makes a token, as it is typed on the gateway's machine."""
