"""Compute the log-in of devices that want a hash of their greeting and the password before the first request. Pure."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from pydantic import SecretStr

from adapters.serial.framing.framer import framer_for
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
        self._framing = profile.framing
        self._hash = rule.hash
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
        for payload in reversed(self._payloads(received)):
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

    def prefix(self, random: str, password: SecretStr) -> bytes:
        """Return the bytes to send directly before the first request: 32 lower-case hexadecimal digits for MD5."""
        hashed = hashlib.new(self._hash, (random + password.get_secret_value()).encode(), usedforsecurity=False)
        return hashed.hexdigest().encode()

    def _payloads(self, received: bytes) -> list[bytes]:
        return [frame.payload for frame in framer_for(self._framing).feed(received)]
