"""Describe why a bus cannot be opened and what the operator should check."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from collections.abc import Mapping

from adapters.modbus.client.buses import Bus, SerialLine, TcpHost
from adapters.modbus.client.tls_errors import NOT_YET_VALID, WANTS_TLS, is_about_our_certificate, is_tls_alert, why_failed
from adapters.modbus.client.tls_settings import TLS_PORT
from gateway.adapter import BusUnavailable, Cause, FindingState, examine_port, seconds_text

CONNECT_SECONDS = 5.0
"""How long a host may take to accept the connection."""

_ADVICE: Mapping[int, str] = {
    errno.ECONNREFUSED: "it refuses the connection: is Modbus TCP switched on there, and is it the right port?",
    errno.ECONNRESET: "it breaks the connection off at once: does its access list have this machine, and is it the right port?",
    errno.EHOSTUNREACH: "it cannot be reached: is it switched on and on this network?",
    errno.ENETUNREACH: "it cannot be reached: this machine has no route to that network",
    errno.ENODEV: "its adapter is gone: is it plugged in? `ls /dev/serial/by-id` lists the ports",
    errno.ENXIO: "there is no hardware behind it: is the adapter plugged in? `ls /dev/serial/by-id` lists the ports",
    errno.EIO: "its adapter was unplugged, or does not work: `dmesg` shows the driver's messages",
    errno.ENOENT: "there is no such serial port: is the adapter plugged in? `ls /dev/serial/by-id` lists the ports",
    errno.EACCES: "permission denied: add the user to the group that owns it, usually dialout",
    errno.EPERM: "permission denied: in a container, pass it in with --device=/dev/ttyUSB0; under systemd, with DeviceAllow=",
    errno.EAGAIN: "it is in use by another program",
    errno.EBUSY: "it is in use by another program",
    errno.ENOTTY: "it is not a serial port",
    errno.EINVAL: "it does not support these settings: check baudrate, parity and stop bits",
}


_UDP_ADVICE: Mapping[int, str] = {
    errno.ECONNREFUSED: "it refuses: nothing listens on UDP port {port} there: does it speak Modbus over UDP, on this port?",
    errno.EADDRINUSE: "UDP port {local_port} of this machine is in use by another program: end it, or set another `local_port`",
    errno.EACCES: "this machine does not let the gateway send: is `local_port` below 1024, or is it a broadcast address?",
    errno.EPERM: "the firewall of this machine does not let the gateway send",
}


COMMANDS = ("docker ", "sudo ")

_CAUSES: Mapping[int, Cause] = {
    errno.ECONNREFUSED: Cause.HOST_REFUSES,
    errno.ECONNRESET: Cause.HOST_CLOSES,
    errno.EHOSTUNREACH: Cause.HOST_UNREACHABLE,
    errno.ENETUNREACH: Cause.HOST_UNREACHABLE,
    errno.ENOENT: Cause.NO_PORT,
    errno.ENODEV: Cause.NO_PORT,
    errno.ENXIO: Cause.NO_PORT,
    errno.EIO: Cause.NO_PORT,
    errno.ENOTTY: Cause.NO_PORT,
    errno.EACCES: Cause.NO_PERMISSION,
    errno.EPERM: Cause.NO_PERMISSION,
    errno.EAGAIN: Cause.PORT_IN_USE,
    errno.EBUSY: Cause.PORT_IN_USE,
    errno.EADDRINUSE: Cause.PORT_IN_USE,
}


def not_open(bus: Bus, error: OSError | None) -> BusUnavailable:
    """Return the error for a bus that could not be opened, with its cause and what to do; `None` as in `why_not_open`.

    It looks at the port of a line and at who has it open.
    """
    text, cause, step = why_not_open(bus, error), _cause_of(error), None
    if isinstance(bus, SerialLine):
        faults = (finding for finding in examine_port(bus.port, for_config=False) if finding.state is FindingState.FAULT)
        step = next((finding.fix for finding in faults), None)
    elif cause in (Cause.TLS, Cause.CLOCK_WRONG, Cause.LOGIN_REFUSED):
        step = text.removeprefix(f"{bus.host}:{bus.port}: ").partition(": ")[2]
    elif bus.transport == "udp" and cause is Cause.NO_PERMISSION:
        step = "Set another `local_port`, and let the firewall of this machine pass what the gateway sends"
    return BusUnavailable(text, cause=cause, next_step=_as_sentence(step))


def _as_sentence(step: str | None) -> str | None:
    """Return a step with a capital letter, unless it begins with a command."""
    return step if not step or step.startswith(COMMANDS) else f"{step[:1].upper()}{step[1:]}"


def _cause_of(error: OSError | None) -> Cause:
    if error is None:
        return Cause.HOST_UNREACHABLE
    if isinstance(error, socket.gaierror):
        return Cause.NAME_UNKNOWN
    tls_error = error if isinstance(error, ssl.SSLError) else error.__cause__
    if isinstance(tls_error, ssl.SSLError):
        is_early = isinstance(tls_error, ssl.SSLCertVerificationError) and tls_error.verify_code == NOT_YET_VALID
        if is_early:
            return Cause.CLOCK_WRONG
        return Cause.LOGIN_REFUSED if is_about_our_certificate(tls_error) else Cause.TLS
    number = error.errno if error.errno in _CAUSES else _number_inside(str(error))
    return _CAUSES.get(number or 0, Cause.UNKNOWN)


def why_not_open(bus: Bus, error: OSError | None) -> str:
    """Return a sentence about a bus that failed with this error; `None` stands for a time-out."""
    where = bus.port if isinstance(bus, SerialLine) else f"{bus.host}:{bus.port}"
    if error is None:
        within = seconds_text(CONNECT_SECONDS)
        return f"{where}: it does not accept the connection within {within}: is it switched on and reachable from here?"
    if isinstance(error, socket.gaierror):
        return f"{where}: the host name is not known ({error.strerror}): check its spelling and the DNS server"
    if isinstance(bus, TcpHost) and bus.transport == "udp" and error.errno is not None and error.errno in _UDP_ADVICE:
        return f"{where}: {_UDP_ADVICE[error.errno].format(port=bus.port, local_port=bus.local_port)}"
    number = error.errno if error.errno in _ADVICE else _number_inside(str(error))
    if number is not None:
        return f"{where}: {_ADVICE[number]}"
    is_of_socket = isinstance(bus, TcpHost) and bus.tls is None and bool(error.errno)  # asyncio writes its own words into it
    return f"{where}: {os.strerror(error.errno or 0) if is_of_socket else error.strerror or error}"


def refused(bus: Bus, loss: Exception | None, received: bytes) -> BusUnavailable | None:
    """Return the error for a connection that ended, with its cause; `None` where opening it again may help.

    Args:
        bus: the host or line.
        loss: the error that ended it; `None` when the other side closed it.
        received: what arrived last.
    """
    if not isinstance(bus, TcpHost):
        return None
    if bus.transport == "udp" and isinstance(loss, OSError):
        return BusUnavailable(why_not_open(bus, loss), cause=_cause_of(loss))
    if bus.tls is not None and isinstance(loss, ssl.SSLError):  # TLS 1.3: the host judges our certificate after the handshake
        why = why_failed(loss, bus.tls)
        step = _as_sentence(why.partition(": ")[2]) or None
        return BusUnavailable(f"{bus.host}:{bus.port}: {why}", cause=_cause_of(loss), next_step=step)
    if bus.tls is None and is_tls_alert(received):
        return BusUnavailable(f"{bus.host}:{bus.port}: {WANTS_TLS}", cause=Cause.TLS)
    return None


def why_closed(bus: Bus) -> str:
    """Return what may be behind a connection that is closed instead of an answer; empty when nothing is known."""
    if not isinstance(bus, TcpHost):
        return ""
    if bus.tls is None:
        return f": port {TLS_PORT} is for Modbus over TLS; add `tls = {{ ... }}` to this host" if bus.port == TLS_PORT else ""
    return ": does it want a certificate of the gateway?" if bus.tls.certificate_file is None else ""


def why_all_closed(bus: TcpHost, ours: int, *, at_once: bool) -> str:
    """Return a sentence about a host that closes every connection.

    Args:
        bus: the host.
        ours: how many other connections to it this gateway has open.
        at_once: it closes them before anything is sent, and not instead of an answer.
    """
    when = "at once" if at_once else "instead of answering"
    own = f"{ours} of ours" if ours else "none of them ours"
    what = f"its connections may all be in use ({own}); end other programs' connections to it, or allow this machine there"
    if not at_once:
        what = f"{what}; else check that port {bus.port} is the one for Modbus"
    return f"{bus.host}:{bus.port}: it closes each connection {when}{why_closed(bus) or f': {what}'}"


def _number_inside(text: str) -> int | None:
    """Return the error number that pyserial gives only inside its text, as `[Errno 11] Resource` or `(25, 'Inappropriate`."""
    return next((number for number in _ADVICE if f"[Errno {number}]" in text or f"({number}, " in text), None)
