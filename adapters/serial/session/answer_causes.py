"""Find out why a device does not answer as it should, from what arrived instead of an answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.serial.framing.framer import framer_for
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.profile import Profile
from gateway.adapter import Cause, DeviceUnreachable

AROUND_TEXT = b"\t\r\n\x01\x02\x03\x04\x06\x15\x17"
"""White space, and the control characters of ASCII around a message: SOH, STX, ETX, EOT, ACK, NAK, ETB."""

LEAST_LETTERS = 4
"""Fewer readable characters may be an accident."""

LATER_SECONDS = 3600.0
"""By then a silence has ended every frame."""

_UNANSWERED_CONNECTION = (
    "The device takes the connection and answers nothing: check that control over the network is switched on in its menu, and"
    " that this is the TCP port of the protocol of its profile; restart it if it has answered before"
)

_NETWORK_STEPS: Mapping[Cause, str] = {
    Cause.SILENT_BUS: _UNANSWERED_CONNECTION,
    Cause.NO_ANSWER: _UNANSWERED_CONNECTION,
    Cause.OTHER_DEVICE: (
        "Something answers, but not as this profile expects: check the address and the TCP port, and the profile; a device"
        " server in front of a serial line is written as socket://host:port"
    ),
}
"""What to do about a device on the network that does not answer as it should."""


@dataclass(frozen=True, slots=True)
class LineInUse:
    """How a device is connected, as far as the advice depends on it."""

    settings: LineSettings | None = None
    """The settings of a local port; `None` for a device server, which has them, and for a device on the network."""
    is_network: bool = False
    """The device itself is on the network, `tcp://`: TCP loses and damages nothing, and there is no cable to it."""


def unanswered(text: str, profile: Profile, received: bytes, *, line: LineInUse, was_heard: bool) -> DeviceUnreachable:
    """Return the error for a device that does not answer as it should.

    Args:
        text: what was seen.
        profile: what the device is expected to speak.
        received: what arrived instead, without an echo.
        line: how it is connected.
        was_heard: anything has arrived on this port before.
    """
    cause = cause_of(profile, received, line=line, was_heard=was_heard)
    return DeviceUnreachable(text, cause=cause, next_step=next_step(cause, line))


def cause_of(profile: Profile, received: bytes, *, line: LineInUse, was_heard: bool) -> Cause:
    """Return the cause; the arguments are those of `unanswered`."""
    if not received:
        return Cause.NO_ANSWER if was_heard else Cause.SILENT_BUS
    if line.is_network:
        return Cause.OTHER_DEVICE
    framer = framer_for(profile.framing)
    frames = [*framer.feed(received, 0.0), *framer.expire(LATER_SECONDS)]
    is_text = profile.notation == "text"
    if (frames and (not is_text or all(byte < 0x80 for byte in received))) or is_readable(received):
        return Cause.OTHER_DEVICE
    return Cause.CHECKSUM_ERRORS


def is_readable(received: bytes) -> bool:
    """Return whether this is text, with or without the control characters that frame messages; damage hardly looks like it."""
    letters = sum(0x20 <= byte < 0x7F for byte in received)
    return letters >= LEAST_LETTERS and all(0x20 <= byte < 0x7F or byte in AROUND_TEXT for byte in received)


def next_step(cause: Cause, line: LineInUse) -> str | None:
    """Return what to do in this very case, in the right order; `None` where the general step of the cause says it."""
    if line.is_network:
        return _NETWORK_STEPS.get(cause)
    settings = "speed, parity and stop bits" + (" of its device server" if line.settings is None else f" (here {line.settings})")
    match cause:
        case Cause.CHECKSUM_ERRORS:
            return f"What arrives is damaged, or in another format: compare {settings} with the device; then check its cable"
        case Cause.SILENT_BUS:
            return (
                "Check that the device has power, that its cable fits (RS-232: crossed or straight), and that it may be"
                f" controlled over this port; then compare {settings} with the device"
            )
        case Cause.OTHER_DEVICE:
            return "Something answers, but not as this profile expects: check which device is connected, and the profile"
        case _:
            return None
