"""What to tell the operator when a port cannot be used: which one, why, and what mends it. Nothing here waits."""

from __future__ import annotations

import errno
from collections.abc import Mapping

_ADVICE: Mapping[int, str] = {
    errno.ENOENT: "there is no such port: is the adapter plugged in? `ls -l /dev/serial/by-id` shows what there is",
    errno.ENODEV: "its adapter is gone: is it plugged in? `ls -l /dev/serial/by-id` shows what there is",
    errno.ENXIO: "there is no hardware behind it: is the adapter plugged in? `ls -l /dev/serial/by-id` shows what there is",
    errno.EACCES: "permission denied: add the user to the group that owns it, usually dialout: usermod -aG dialout USER",
    errno.EPERM: "permission denied: in a container, hand it in: --device=/dev/ttyUSB0; under systemd: DeviceAllow=",
    errno.EAGAIN: "it is in use by another program",
    errno.EBUSY: "it is in use by another program",
    errno.ENOTTY: "it is no serial port",
    errno.EISDIR: "it is no serial port but a folder",
    errno.EIO: "it does not work, or has no hardware behind it: `dmesg` shows what its driver says",
    errno.EINVAL: "it does not take these settings: its speed, parity or stop bits are none that it knows",
    errno.ECONNREFUSED: "the device server refuses the connection: is this TCP port switched on there, and free?",
    errno.EHOSTUNREACH: "the device server cannot be reached: is it switched on and on this network?",
    errno.ENETUNREACH: "the device server cannot be reached: this machine has no way into that network",
}

_IN_WORDS: Mapping[str, str] = {
    "timed out": "the device server does not take the connection: is it switched on and reachable from here?",
    "Name or service not known": "its host name is not known: check its spelling and the name server",
    "Temporary failure in name resolution": "its host name cannot be looked up: the name server does not answer",
    "does not seem to support RFC2217": "what listens there does not speak RFC 2217: with plain TCP, write socket:// instead",
    "does not accept parameter change": "the device server does not take these settings: its port may not know this speed",
    "Invalid baud rate": "it does not know this speed",
}
"""What pyserial tells without an error number -> what to make of it."""

_ENDS = frozenset({errno.EIO, errno.ENODEV, errno.ENXIO, errno.EBADF, errno.EPIPE, errno.ECONNRESET})

UNPLUGGED = "the port is gone: its adapter was pulled out, or another program reads from it"
CLOSED_BY_PEER = "the device server closed the connection"
STUCK = "it takes no more characters: its flow control, or the device server, holds us back"


def why_not_open(address: str, error: BaseException) -> str:
    """Return a sentence about a port that could not be opened."""
    return f"{address}: {_advice(error)}"


def why_lost(address: str, error: BaseException) -> str:
    """Return a sentence about a port that was open and failed."""
    text = str(error)
    if "returned no data" in text or "reader thread died" in text or _number(error) in _ENDS:
        return f"{address}: {CLOSED_BY_PEER if '://' in address else UNPLUGGED}"
    return f"{address}: it failed: {text or type(error).__name__}"


def held_by(address: str, holder: str) -> str:
    """Return a sentence about a port that is not opened, since somebody has it open."""
    return f"{address}: it is in use by {holder}"


def _advice(error: BaseException) -> str:
    number = _number(error)
    if number in _ADVICE:
        return _ADVICE[number]
    text = str(error)
    return next((advice for words, advice in _IN_WORDS.items() if words in text), f"it cannot be opened: {text}")


def _number(error: BaseException) -> int:
    """Return the error number, also one that pyserial tells only in its text: `[Errno 11] Resource`, `(25, 'Inappropriate`."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    return next((one for one in errno.errorcode if f"[Errno {one}]" in text or f"({one}, " in text), 0)
