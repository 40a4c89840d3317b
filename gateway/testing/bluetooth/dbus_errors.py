"""Define the D-Bus errors of BlueZ with which simulated devices and controllers fail. Pure."""

from __future__ import annotations

from dataclasses import dataclass

PREFIX = "org.bluez.Error"
"""The beginning of the names of BlueZ's own errors."""
_DBUS = "org.freedesktop.DBus.Error"


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error reply on D-Bus."""

    name: str
    """The name of the error: `org.bluez.Error.Failed`."""
    text: str
    """The error message. Clients evaluate some of these texts, so they are BlueZ's own."""


class OperationFailed(Exception):
    """An operation failed with an error reply."""

    def __init__(self, reply: ErrorReply) -> None:
        super().__init__(f"{reply.name}: {reply.text}")
        self.reply = reply


def failed(text: str) -> ErrorReply:
    """Return the error that BlueZ uses for everything without an error name of its own."""
    return ErrorReply(f"{PREFIX}.Failed", text)


def att_error(code: int) -> ErrorReply:
    """Return the error for an error code of the attribute protocol (Core Specification, volume 3, part F, 3.4.1.1).

    Codes for which BlueZ has an error name use that name, as in BlueZ.
    """
    return _NAMED_ATT_ERRORS.get(code) or failed(f"Operation failed with ATT error: 0x{code:02x}")


ABORTED = failed("le-connection-abort-by-local")
"""The connection failed while it was established; clients retry at once."""
CONNECT_TIMED_OUT = failed("le-connection-abort-by-timeout")
TOO_MANY_CONNECTIONS = failed("le-connection-concurrent-connection-limit")
CANCELLED = failed("Cancelled")
NOT_CONNECTED = failed("Not connected")
NO_DISCOVERY = failed("No discovery started")
CONNECTION_LOST = failed("Operation failed with ATT error: 0x0e")
"""The result of an operation whose connection is lost before the response."""

IN_PROGRESS = ErrorReply(f"{PREFIX}.InProgress", "Operation already in progress")
NOT_READY = ErrorReply(f"{PREFIX}.NotReady", "Resource Not Ready")
DOES_NOT_EXIST = ErrorReply(f"{PREFIX}.DoesNotExist", "Does Not Exist")
ALREADY_EXISTS = ErrorReply(f"{PREFIX}.AlreadyExists", "Already Exists")
INVALID_ARGUMENTS = ErrorReply(f"{PREFIX}.InvalidArguments", "Invalid arguments in method call")
INVALID_OFFSET = ErrorReply(f"{PREFIX}.InvalidArguments", "Invalid offset")
INVALID_LENGTH = ErrorReply(f"{PREFIX}.InvalidArguments", "Invalid Length")
READ_NOT_PERMITTED = ErrorReply(f"{PREFIX}.NotPermitted", "Read not permitted")
WRITE_NOT_PERMITTED = ErrorReply(f"{PREFIX}.NotPermitted", "Write not permitted")
NOT_PAIRED = ErrorReply(f"{PREFIX}.NotPermitted", "Not paired")
NOT_AUTHORIZED = ErrorReply(f"{PREFIX}.NotAuthorized", "Operation Not Authorized")
NOT_SUPPORTED = ErrorReply(f"{PREFIX}.NotSupported", "Operation is not supported")
PAIRING_REFUSED = ErrorReply(f"{PREFIX}.AuthenticationFailed", "Authentication Failed")
PAIRING_CANCELED = ErrorReply(f"{PREFIX}.AuthenticationCanceled", "Authentication Canceled")
PAIRING_TIMED_OUT = ErrorReply(f"{PREFIX}.AuthenticationTimeout", "Authentication Timeout")

ACCESS_DENIED = ErrorReply(f"{_DBUS}.AccessDenied", "Rejected send message: the policy of the bus does not allow it")
"""The reply of the system bus to a user without permission to use bluetoothd."""
UNKNOWN_OBJECT = ErrorReply(f"{_DBUS}.UnknownObject", "There is no such object")
UNKNOWN_METHOD = ErrorReply(f"{_DBUS}.UnknownMethod", "There is no such method on this object")
UNKNOWN_PROPERTY = ErrorReply(f"{_DBUS}.UnknownProperty", "There is no such property")
READ_ONLY = ErrorReply(f"{_DBUS}.PropertyReadOnly", "This property cannot be set")

_NAMED_ATT_ERRORS = {
    0x02: READ_NOT_PERMITTED,
    0x03: WRITE_NOT_PERMITTED,
    0x05: NOT_PAIRED,
    0x06: NOT_SUPPORTED,
    0x07: INVALID_OFFSET,
    0x08: NOT_AUTHORIZED,
    0x0C: NOT_PAIRED,
    0x0D: INVALID_LENGTH,
    0x0F: NOT_PAIRED,
}
