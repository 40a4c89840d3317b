"""Turn errors of opening or using a port into sentences for the operator: which port, why, and how to fix it. Pure."""

from __future__ import annotations

import errno
from collections.abc import Mapping

from gateway.adapter import BusUnavailable, Cause, FindingState, examine_port

_ADVICE_BY_ERRNO: Mapping[int, str] = {
    errno.ENOENT: "there is no such port: is the adapter plugged in? `ls -l /dev/serial/by-id` lists the ports",
    errno.ENODEV: "its adapter is gone: is it plugged in? `ls -l /dev/serial/by-id` lists the ports",
    errno.ENXIO: "there is no hardware behind it: is the adapter plugged in? `ls -l /dev/serial/by-id` lists the ports",
    errno.EACCES: "permission denied: add the user to the group that owns it, usually dialout: usermod -aG dialout USER",
    errno.EPERM: "permission denied: in a container, pass it in with --device=/dev/ttyUSB0; under systemd: DeviceAllow=",
    errno.EAGAIN: "it is in use by another program",
    errno.EBUSY: "it is in use by another program",
    errno.ENOTTY: "it is not a serial port",
    errno.EISDIR: "it is not a serial port but a folder",
    errno.EIO: "it does not work, or has no hardware behind it: `dmesg` shows the driver's messages",
    errno.EINVAL: "it does not support these settings: check speed, parity and stop bits",
    errno.ECONNREFUSED: "the device server refuses the connection: is this TCP port enabled there, and free?",
    errno.EHOSTUNREACH: "the device server cannot be reached: is it switched on and on this network?",
    errno.ENETUNREACH: "the device server cannot be reached: this machine has no route to that network",
}

_CAUSE_BY_ERRNO: Mapping[int, Cause] = {
    errno.ENOENT: Cause.NO_PORT,
    errno.ENODEV: Cause.NO_PORT,
    errno.ENXIO: Cause.NO_PORT,
    errno.EIO: Cause.NO_PORT,
    errno.ENOTTY: Cause.NO_PORT,
    errno.EISDIR: Cause.NO_PORT,
    errno.EACCES: Cause.NO_PERMISSION,
    errno.EPERM: Cause.NO_PERMISSION,
    errno.EAGAIN: Cause.PORT_IN_USE,
    errno.EBUSY: Cause.PORT_IN_USE,
    errno.ECONNREFUSED: Cause.HOST_REFUSES,
    errno.ECONNRESET: Cause.HOST_CLOSES,
    errno.EHOSTUNREACH: Cause.HOST_UNREACHABLE,
    errno.ENETUNREACH: Cause.HOST_UNREACHABLE,
    errno.ETIMEDOUT: Cause.HOST_UNREACHABLE,
}

_CAUSE_BY_TEXT: Mapping[str, Cause] = {
    "timed out": Cause.HOST_UNREACHABLE,
    "Name or service not known": Cause.NAME_UNKNOWN,
    "No address associated with hostname": Cause.NAME_UNKNOWN,
    "Name does not resolve": Cause.NAME_UNKNOWN,
    "Temporary failure in name resolution": Cause.NAME_UNKNOWN,
}
"""Texts without an error number -> causes; a name is told in the words of the C library, glibc or musl."""

_ADVICE_BY_TEXT: Mapping[str, str] = {
    "timed out": "the device server does not accept the connection: is it switched on and reachable from here?",
    "Name or service not known": "its host name is unknown: check its spelling and the name server",
    "No address associated with hostname": "its host name has no address: check its spelling and the name server",
    "Name does not resolve": "its host name is unknown: check its spelling and the name server",
    "Temporary failure in name resolution": "its host name cannot be looked up: the name server does not answer",
    "does not seem to support RFC2217": "the server there does not support RFC 2217: for plain TCP, write socket:// instead",
    "does not accept parameter change": "the device server rejects these settings: its port may not support this speed",
    "Invalid baud rate": "it does not support this speed",
}
"""Texts of pyserial's errors without an error number -> advice."""

_GONE_ERRNOS = frozenset({errno.EIO, errno.ENODEV, errno.ENXIO, errno.EBADF, errno.EPIPE, errno.ECONNRESET})

COMMANDS = ("docker ", "sudo ")
"""A step that begins with one of them is a command, and keeps its small letter."""

UNPLUGGED = "the port is gone: its adapter was unplugged, or another program reads from it"
CLOSED_BY_PEER = "the device server closed the connection"
STUCK = "it accepts no more characters: flow control, or the device server, blocks the output"


def not_open(address: str, error: BaseException, ours: int = 0) -> BusUnavailable:
    """Return the error for a port that could not be opened, with its cause and what to do; `ours` as in `describe_loss`.

    It looks at a local port and at who has it open.
    """
    return BusUnavailable(describe_open_error(address, error, ours), cause=_cause(error), next_step=_step(address))


def in_use(address: str, holder: str) -> BusUnavailable:
    """Return the error for a port that another program has open."""
    return BusUnavailable(describe_holder(address, holder), cause=Cause.PORT_IN_USE, next_step=_step(address))


def lost(why: str | None) -> BusUnavailable:
    """Return the error for a port that is lost, from the sentence of `describe_loss`."""
    text = why or "the port is not open"
    if text.endswith(UNPLUGGED):
        return BusUnavailable(text, cause=Cause.NO_PORT)
    return BusUnavailable(text, cause=Cause.HOST_CLOSES if "://" in text else Cause.UNKNOWN)


def _step(address: str) -> str | None:
    """Return what to do about a local port that cannot be used."""
    if "://" in address:
        return None
    faults = (finding for finding in examine_port(address, for_config=False) if finding.state is FindingState.FAULT)
    step = next((finding.fix for finding in faults), None)
    return None if step is None else step if step.startswith(COMMANDS) else f"{step[:1].upper()}{step[1:]}"


def _cause(error: BaseException) -> Cause:
    number = _error_number(error)
    if number in _CAUSE_BY_ERRNO:
        return _CAUSE_BY_ERRNO[number]
    text = str(error)
    return next((cause for words, cause in _CAUSE_BY_TEXT.items() if words in text), Cause.UNKNOWN)


def describe_open_error(address: str, error: BaseException, ours: int = 0) -> str:
    """Return a sentence for a port that could not be opened; `ours` as in `describe_loss`."""
    if _error_number(error) == errno.ECONNRESET:
        return _sentence(address, _closed_unanswered(ours))
    return _sentence(address, _advice(error))


def describe_loss(address: str, error: BaseException, *, was_served: bool = True, ours: int = 0) -> str:
    """Return a sentence for a port that failed while it was open.

    Args:
        address: the port.
        error: what ended it.
        was_served: the device server has used this connection before it closed it.
        ours: how many other connections to the same device server this gateway has open.
    """
    text = str(error)
    if "returned no data" in text or "reader thread died" in text or _error_number(error) in _GONE_ERRNOS:
        if "://" not in address:
            return f"{address}: {UNPLUGGED}"
        return _sentence(address, CLOSED_BY_PEER if was_served else _closed_unanswered(ours))
    return f"{address}: it failed: {text or type(error).__name__}"


def _sentence(address: str, said: str) -> str:
    """Return what is said of this port; a device by `tcp://` has no device server."""
    is_device = address.lower().startswith("tcp://")
    return f"{address}: {said.replace('device server', 'device') if is_device else said}"


def describe_holder(address: str, holder: str) -> str:
    """Return a sentence for a port that another program has open."""
    return f"{address}: it is in use by {holder}"


def _closed_unanswered(ours: int) -> str:
    own = f"{ours} of ours" if ours else "none of them ours"
    return (
        f"the device server closes the connection without an answer: its connections may all be in use ({own}); "
        "end other programs' connections to it, or allow this machine there"
    )


def _advice(error: BaseException) -> str:
    number = _error_number(error)
    if number in _ADVICE_BY_ERRNO:
        return _ADVICE_BY_ERRNO[number]
    text = str(error)
    return next((advice for words, advice in _ADVICE_BY_TEXT.items() if words in text), f"it cannot be opened: {text}")


def _error_number(error: BaseException) -> int:
    """Return the error number, also if pyserial gives it in the text only: `[Errno 11] Resource`, `(25, 'Inappropriate`."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    return next((one for one in errno.errorcode if f"[Errno {one}]" in text or f"({one}, " in text), 0)
