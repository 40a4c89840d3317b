"""Find out why a device does not answer as it should, from what arrived instead of an answer. Pure."""

from __future__ import annotations

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


def unanswered(text: str, profile: Profile, received: bytes, *, line: LineSettings | None, was_heard: bool) -> DeviceUnreachable:
    """Return the error for a device that does not answer as it should.

    Args:
        text: what was seen.
        profile: what the device is expected to speak.
        received: what arrived instead, without an echo.
        line: the settings of a local port; `None` for one whose device server has them.
        was_heard: anything has arrived on this port before.
    """
    cause = cause_of(profile, received, was_heard=was_heard)
    return DeviceUnreachable(text, cause=cause, next_step=next_step(cause, line))


def cause_of(profile: Profile, received: bytes, *, was_heard: bool) -> Cause:
    """Return the cause; the arguments are those of `unanswered`."""
    if not received:
        return Cause.NO_ANSWER if was_heard else Cause.SILENT_BUS
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


def next_step(cause: Cause, line: LineSettings | None) -> str | None:
    """Return what to do in this very case, in the right order; `None` where the general step of the cause says it."""
    settings = "speed, parity and stop bits" + (" of its device server" if line is None else f" (here {line})")
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
