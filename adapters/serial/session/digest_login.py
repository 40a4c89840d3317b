"""Log in to a device by a hash of its greeting and the password, in front of the first request of a connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from adapters.serial.framing.frames import Frame
from adapters.serial.profile.conversation_settings import Credentials
from adapters.serial.profile.digest import Digest, Greeting
from gateway.adapter import BusUnavailable, Cause, DeviceUnreachable, loop_time

GREETING_SECONDS = 2.0
"""Time limit for the greeting of a new connection; a device without one is asked after that."""

LATE_GREETING_SECONDS = 10.0
"""The same for the greeting of a device that turned out to want a password, and had not greeted by then."""

ANSWER_SECONDS = 5.0
"""Time limit for the answer to a hash that has one."""

REFUSED_SECONDS = 600.0
"""A password that was refused is not sent again within this time: a device may lock who tries again and again."""


class LoginNeeded(DeviceUnreachable):
    """The device wants a password that the config does not give, or rejects the one that it gives."""

    def __init__(self, text: str, frame: bytes) -> None:
        super().__init__(text, cause=Cause.LOGIN_REFUSED)
        self.frame = frame
        """The bytes in which it says so."""


class GreetedPort(Protocol):
    """The part of an open port that a digest log-in uses."""

    may_end: bool
    """The end of a connection is no loss."""

    @property
    def first_bytes(self) -> bytes:
        """The first bytes received on a new connection; empty for a local port."""

    @property
    def is_unused(self) -> bool:
        """Whether this is a new connection, on which nothing was written yet."""

    async def renew(self) -> None:
        """Replace the connection by a new one."""

    async def write(self, data: bytes) -> None:
        """Write the data."""

    async def wait_for_first_bytes(self, is_complete: Callable[[bytes], bool], seconds: float) -> None:
        """Wait until they are complete, at most for this time."""


@dataclass(slots=True)
class LoginKnowledge:
    """The knowledge about log-ins on a port, over several connections."""

    missing: str = "it needs a password"
    """The sentence for a device whose password the config does not give."""
    wrong: str = "it rejects the password"
    """The sentence for a device that rejects the password."""
    refused_until: float = field(default=0.0)
    """Time until which the password is not sent again."""
    greeting_seconds: float = field(default_factory=lambda: GREETING_SECONDS)
    """Time limit for the greeting of a new connection."""


class DigestLogin:
    """The log-in on one connection, for one profile.

    Args:
        port: the open port.
        digest: the log-in of the profile.
        credentials: what the config gives: a password, and maybe a user.
        knowledge: is kept over several connections.
    """

    def __init__(self, port: GreetedPort, digest: Digest, credentials: Credentials, knowledge: LoginKnowledge) -> None:
        self._port = port
        self._digest = digest
        self._credentials = credentials
        self._password = credentials.password
        self._knowledge = knowledge
        self._is_done = self._is_hash_sent = self._was_asked_early = False
        self._greeting: Greeting | None = None
        """The latest one; another one may come in the middle of a connection, as from a device that restarts behind a server."""
        self._refused: bytes | None = None

    async def prefix(self) -> bytes:
        """Return what has to be sent in front of the next request: the hash for the first one, nothing for the others.

        Raises:
            LoginNeeded: a password is wanted and missing, or it was refused; nothing should be sent.
            BusUnavailable: the device wants a password, and does not greet this connection.
        """
        if self._refused is not None:
            raise LoginNeeded(self._sentence, self._refused)
        if self._digest.one_request:
            await self._use_new_connection()
        if self._is_done:
            return b""
        if self._greeting is None:
            await self.wait_for_greeting()
            self._greeting = self._digest.greeting_in(self._port.first_bytes)
        if self._greeting is None and self._was_asked_early:
            raise BusUnavailable(
                "its device wants a password, but did not greet this connection, so nothing is sent on it",
                cause=Cause.WRONG_ANSWER,
            )
        if self._greeting is None:
            self._is_done = True
            return b""
        random, greeting = self._greeting
        if self._password is None:
            raise LoginNeeded(self._knowledge.missing, greeting)
        if loop_time() < self._knowledge.refused_until:
            raise LoginNeeded(self._knowledge.wrong, greeting)
        self._is_done = self._is_hash_sent = True
        hashed = self._digest.prefix(random, self._credentials)
        if not self._digest.has_answer:
            return hashed
        await self._send_alone(hashed)
        return b""

    async def _use_new_connection(self) -> None:
        """Make sure that nothing was sent on the connection: it takes one request.

        Raises:
            BusUnavailable: no new connection can be opened.
        """
        self._port.may_end = True
        if not self._port.is_unused:
            await self._port.renew()
            self._greeting, self._is_done, self._is_hash_sent = None, False, False

    async def _send_alone(self, hashed: bytes) -> None:
        """Send the hash as a message of its own, and wait for its answer.

        Raises:
            LoginNeeded: the device rejects it.
        """
        before = len(self._port.first_bytes)
        await self._port.write(hashed)
        await self._port.wait_for_first_bytes(lambda received: self._digest.is_answered_in(received[before:]), ANSWER_SECONDS)
        self.check(self._port.first_bytes[before:])

    async def wait_for_greeting(self) -> None:
        """Wait until the device has greeted this connection, at most for the time that such devices take."""
        is_awaited = self._is_greeted_with_password if self._was_asked_early else self._digest.is_greeted
        await self._port.wait_for_first_bytes(is_awaited, self._knowledge.greeting_seconds)

    def _is_greeted_with_password(self, received: bytes) -> bool:
        return self._digest.greeting_in(received) is not None

    def is_refused(self, payload: bytes) -> bool:
        """Return whether this frame rejects the log-in."""
        return self._digest.is_refused(payload)

    def note_greeting(self, frame: Frame) -> bool:
        """Return whether this frame is a greeting that asks for a log-in; the next request has the hash then."""
        if self._digest.only_first or not self._digest.is_greeting(frame.payload):
            return False
        greeting = self._digest.greeting_in(frame.raw)
        if greeting != self._greeting:  # one that comes twice asks for one log-in
            self._greeting, self._refused, self._is_done, self._is_hash_sent = greeting, None, False, False
        return True

    def check(self, received: bytes) -> None:
        """Notice that the device rejects the log-in.

        Raises:
            LoginNeeded: it does; nothing more is sent on this connection.
            DeviceUnreachable: its greeting came too late, so no password was sent; the next request has it.
        """
        if not self._digest.is_refused_in(received):
            return
        if self._password is not None and not self._is_hash_sent:
            self._is_done, self._was_asked_early = False, True
            self._knowledge.greeting_seconds = LATE_GREETING_SECONDS
            raise DeviceUnreachable("it was asked before its greeting, so without the password: the next request has it")
        self._refused = received
        if self._password is not None:
            self._knowledge.refused_until = loop_time() + REFUSED_SECONDS
        raise LoginNeeded(self._sentence, received)

    @property
    def _sentence(self) -> str:
        return self._knowledge.missing if self._password is None else self._knowledge.wrong

    @property
    def needs(self) -> str | None:
        """The sentence about the missing or rejected password; `None` if none is wanted, or it is right."""
        if self._refused is not None:
            return self._sentence
        is_wanted = not self._is_done and self._is_greeted_with_password(self._port.first_bytes)
        if is_wanted and self._password is None:
            return self._knowledge.missing
        return self._knowledge.wrong if is_wanted and loop_time() < self._knowledge.refused_until else None
