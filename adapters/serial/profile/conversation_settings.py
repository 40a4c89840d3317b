"""Settings of the conversation with a device: timing, echo, prompt, log-in. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from pydantic import SecretStr


class Credentials(NamedTuple):
    """What the config gives for the log-in to one device."""

    user: str = ""
    """Empty: the one of the profile."""
    password: SecretStr | None = None


@dataclass(frozen=True, slots=True)
class LoginStep:
    """One step of a log-in: the prompt to wait for, and the text to send."""

    expect: bytes
    """`login: `, or the end of it."""
    send: SecretStr
    """The text to send, including its line end; one byte per character up to ÿ."""
    is_password_missing: bool = False
    """Whether it contains a password that the config does not give."""
    is_user_missing: bool = False
    """Whether it contains a user that neither the config nor the profile gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationSettings:
    """Timing, echo, prompt and log-in of one device."""

    echo: bool | None = None
    """Whether sent bytes are echoed by the device or its line; `None`: to be detected."""
    prompt: bytes = b""
    """The prompt that the device sends when it is ready for the next command: `> `. It is not part of a frame."""
    pacing_seconds: float = 0.0
    """Pause that the device needs after an answer, or after a command without an answer."""
    late_answer_seconds: float = 0.3
    """Time within which the answer to a request that timed out may still come. A different request waits that long, since the two
    answers could not be distinguished."""
    login: tuple[LoginStep, ...] = ()
    wake: bytes = b"\r"
    """Bytes that make the device ask for the log-in again, if it did so before the port was opened."""
    login_refused: bytes = b""
    """The text with which the device rejects a log-in: `Login incorrect`; empty if unknown."""
    login_seconds: float = 5.0
    """Time limit of each log-in step."""
