"""How a device wants to be talked to. Nothing here waits."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class LoginStep:
    """What a device asks before it obeys, and what it is told."""

    expect: bytes
    """`login: `, or the end of it, as it comes."""
    send: SecretStr
    """What is sent then, its line end included; one byte for each character up to ÿ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a device wants to be talked to."""

    echo: bool | None = None
    """Whether it, or its line, repeats what is sent; `None`: to be found out."""
    prompt: bytes = b""
    """What it says when it is ready for the next command: `> `. It belongs to no frame."""
    pacing_seconds: float = 0.0
    """How long it wants to be left alone after an answer, or after a command that has none."""
    late_seconds: float = 0.3
    """How long the answer to a question that was given up on may still come. Another question waits for so long: its answer could
    not be told from that one."""
    login: tuple[LoginStep, ...] = ()
    wake: bytes = b"\r"
    """What makes it ask again for the log-in, if it did so before anybody listened."""
    refused: bytes = b""
    """What it says when the log-in was wrong: `Login incorrect`; empty when that is not known."""
    login_seconds: float = 5.0
    """How long each step of the log-in may take."""
