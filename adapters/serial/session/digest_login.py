"""Log in to a device by a hash of its greeting and the password, in front of the first request of a connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import SecretStr

from adapters.serial.profile.digest import Digest
from gateway.adapter import DeviceUnreachable, loop_time, seconds_text

GREETING_SECONDS = 2.0
"""Time limit for the greeting of a new connection; a device without one is asked after that."""

REFUSED_SECONDS = 600.0
"""A password that was refused is not sent again within this time: a device may lock who tries again and again."""


class LoginNeeded(DeviceUnreachable):
    """The device wants a password that the config does not give, or rejects the one that it gives."""

    def __init__(self, text: str, frame: bytes) -> None:
        super().__init__(text)
        self.frame = frame
        """The bytes in which it says so."""


class GreetedPort(Protocol):
    """The part of an open port that a digest log-in uses."""

    @property
    def first_bytes(self) -> bytes:
        """The bytes received on a new connection before the first request; empty for a local port."""

    async def wait_for_first_bytes(self, is_complete: Callable[[bytes], bool], seconds: float) -> None:
        """Wait until they are complete, at most for this time."""


@dataclass(slots=True)
class LoginKnowledge:
    """What is known about log-ins on a port, over several connections."""

    missing: str = "it needs a password"
    """The sentence for a device whose password the config does not give."""
    wrong: str = "it rejects the password"
    """The sentence for a device that rejects the password."""
    refused_until: float = field(default=0.0)
    """Time until which the password is not sent again."""


class DigestLogin:
    """The log-in on one connection, for one profile.

    Args:
        port: the open port.
        digest: the log-in of the profile.
        password: the password of the config; `None` if it gives none.
        knowledge: is kept over several connections.
    """

    def __init__(self, port: GreetedPort, digest: Digest, password: SecretStr | None, knowledge: LoginKnowledge) -> None:
        self._port = port
        self._digest = digest
        self._password = password
        self._knowledge = knowledge
        self._is_done = self._is_hash_sent = False
        self._refused: bytes | None = None

    async def prefix(self) -> bytes:
        """Return what has to be sent in front of the next request: the hash for the first one, nothing for the others.

        Raises:
            LoginNeeded: a password is wanted and missing, or it was refused; nothing should be sent.
        """
        if self._refused is not None:
            raise LoginNeeded(self._knowledge.wrong, self._refused)
        if self._is_done:
            return b""
        await self._port.wait_for_first_bytes(self._digest.is_greeted, GREETING_SECONDS)
        greeting = self._port.first_bytes
        random = self._digest.random_in(greeting)
        if random is None:
            self._is_done = True
            return b""
        if self._password is None:
            raise LoginNeeded(self._knowledge.missing, greeting)
        if loop_time() < self._knowledge.refused_until:
            raise LoginNeeded(self._knowledge.wrong, greeting)
        self._is_done = self._is_hash_sent = True
        return self._digest.prefix(random, self._password)

    def is_refused(self, payload: bytes) -> bool:
        """Return whether this frame rejects the log-in."""
        return self._digest.is_refused(payload)

    def check(self, received: bytes) -> None:
        """Notice that the device rejects the log-in.

        Raises:
            LoginNeeded: it does; nothing more is sent on this connection.
            DeviceUnreachable: its greeting came too late, so no password was sent; the next request has it.
        """
        if not self._digest.is_refused_in(received):
            return
        if self._password is not None and not self._is_hash_sent:
            self._is_done = False
            greeting = f"its greeting took longer than {seconds_text(GREETING_SECONDS)}"
            raise DeviceUnreachable(f"it was asked without the password, since {greeting}")
        self._refused = received
        if self._password is None:
            raise LoginNeeded(self._knowledge.missing, received)
        self._knowledge.refused_until = loop_time() + REFUSED_SECONDS
        raise LoginNeeded(self._knowledge.wrong, received)

    @property
    def needs(self) -> str | None:
        """The sentence about the missing or rejected password; `None` if none is wanted, or it is right."""
        if self._refused is not None:
            return self._knowledge.missing if self._password is None else self._knowledge.wrong
        is_wanted = not self._is_done and self._digest.random_in(self._port.first_bytes) is not None
        if is_wanted and self._password is None:
            return self._knowledge.missing
        return self._knowledge.wrong if is_wanted and loop_time() < self._knowledge.refused_until else None
