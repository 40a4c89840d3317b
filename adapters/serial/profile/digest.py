"""Compute the log-in of devices that want a hash of their greeting and the password before the first request. Pure."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from adapters.serial.framing.framer import framer_for
from adapters.serial.profile.conversation_settings import Credentials
from adapters.serial.profile.grammar import LOGIN_FIELD, USER_FIELD, inserted
from adapters.serial.profile.profile import RANDOM_FIELD, Profile


class Greeting(NamedTuple):
    """The greeting of a device with a password."""

    random: str
    frame: bytes
    """With its end mark."""


class Digest:
    """The digest log-in of devices with this profile.

    Args:
        profile: a profile with a `talk.digest` table.
    """

    def __init__(self, profile: Profile) -> None:
        rule = profile.talk.digest
        if rule is None:
            raise ValueError(f"{profile.name} has no digest log-in")
        self.only_first = rule.only_first
        """Whether only the first message of a connection can be the greeting."""
        self.one_request = rule.one_request
        """Whether a connection takes one request."""
        self._framing = profile.framing
        self._rule = rule
        self._user = profile.talk.user
        self._accepted = None if rule.accepted is None else profile.template(rule.accepted)
        self._greeting, self._unsecured, self._refused = (
            profile.template(written) for written in (rule.greeting, rule.unsecured, rule.refused)
        )

    def is_greeted(self, received: bytes) -> bool:
        """Return whether these first bytes of a connection contain a greeting, with or without a password."""
        return self.greeting_in(received) is not None or any(
            self._unsecured.match(payload) is not None for payload in self._payloads(received)
        )

    def is_greeting(self, payload: bytes) -> bool:
        """Return whether this frame is the greeting of a device with a password."""
        return self._greeting.match(payload) is not None

    def greeting_in(self, received: bytes) -> Greeting | None:
        """Return the latest greeting of a device with a password in these bytes; `None` if there is none.

        A device server may send bytes of its own in front of a greeting, such as the options of Telnet.
        """
        payloads = self._payloads(received)
        for payload in payloads[:1] if self.only_first else reversed(payloads):
            if self._unsecured.match(payload) is not None:
                continue
            for at in range(len(payload)):
                if (values := self._greeting.match(payload[at:])) is not None:
                    return Greeting(str(values[RANDOM_FIELD]), self._framing.wrap(payload[at:]))
        return None

    def is_refused(self, payload: bytes) -> bool:
        """Return whether the device answers that the password is wrong, or missing."""
        return self._refused.match(payload) is not None

    def is_refused_in(self, received: bytes) -> bool:
        """Return whether one of the received frames says that the password is wrong, or missing."""
        return any(self.is_refused(payload) for payload in self._payloads(received))

    @property
    def has_answer(self) -> bool:
        """Whether the device answers the hash, before it takes a request."""
        return self._accepted is not None

    def is_answered_in(self, received: bytes) -> bool:
        """Return whether one of the received frames accepts the hash, or rejects it."""
        accepted = self._accepted
        is_accepted = accepted is not None and any(accepted.match(payload) is not None for payload in self._payloads(received))
        return is_accepted or self.is_refused_in(received)

    def prefix(self, random: str, credentials: Credentials) -> bytes:
        """Return the hash to send before the first request: 32 lower-case hexadecimal digits for MD5, and the bytes behind them.

        Raises:
            ValueError: there is no password.
        """
        if credentials.password is None:
            raise ValueError("a digest needs a password")
        texts = {
            "{random}": random,
            USER_FIELD: credentials.user or self._user,
            LOGIN_FIELD: credentials.password.get_secret_value(),
        }
        hashed = hashlib.new(self._rule.hash, inserted(self._rule.covers, texts).encode(), usedforsecurity=False)
        return hashed.hexdigest().encode() + self._rule.end

    def _payloads(self, received: bytes) -> list[bytes]:
        return [frame.payload for frame in framer_for(self._framing).feed(received)]
