"""How a Bluetooth device or its host says no: the D-Bus errors of BlueZ, which bleak understands. Nothing here waits."""

from __future__ import annotations

from dataclasses import dataclass

_BLUEZ = "org.bluez.Error"
_DBUS = "org.freedesktop.DBus.Error"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as it stands in an answer on D-Bus."""

    error: str
    """The name of the error: `org.bluez.Error.Failed`."""
    text: str
    """What is said with it. Clients read some of these texts, so they are BlueZ's own."""


class Refused(Exception):
    """What was asked for was refused."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.error}: {refusal.text}")
        self.refusal = refusal


def failed(text: str) -> Refusal:
    """Return the refusal that BlueZ has for everything without a name of its own."""
    return Refusal(f"{_BLUEZ}.Failed", text)


def att_error(code: int) -> Refusal:
    """Return the refusal that passes on an error code of the attribute protocol (Core Specification, volume 3, part F, 3.4.1.1).

    Codes that BlueZ has a name for are told by that name, as it does.
    """
    return _NAMED_ATT_ERRORS.get(code) or failed(f"Operation failed with ATT error: 0x{code:02x}")


ABORTED = failed("le-connection-abort-by-local")
"""The connection broke off while it was made; clients try again at once."""
CONNECT_TIMED_OUT = failed("le-connection-abort-by-timeout")
TOO_MANY_CONNECTIONS = failed("le-connection-concurrent-connection-limit")
CANCELLED = failed("Cancelled")
NOT_CONNECTED = failed("Not connected")
NO_DISCOVERY = failed("No discovery started")
LINK_LOST = failed("Operation failed with ATT error: 0x0e")
"""What becomes of an operation whose link is lost before the answer."""

IN_PROGRESS = Refusal(f"{_BLUEZ}.InProgress", "Operation already in progress")
NOT_READY = Refusal(f"{_BLUEZ}.NotReady", "Resource Not Ready")
DOES_NOT_EXIST = Refusal(f"{_BLUEZ}.DoesNotExist", "Does Not Exist")
ALREADY_EXISTS = Refusal(f"{_BLUEZ}.AlreadyExists", "Already Exists")
INVALID_ARGUMENTS = Refusal(f"{_BLUEZ}.InvalidArguments", "Invalid arguments in method call")
INVALID_OFFSET = Refusal(f"{_BLUEZ}.InvalidArguments", "Invalid offset")
INVALID_LENGTH = Refusal(f"{_BLUEZ}.InvalidArguments", "Invalid Length")
READ_NOT_PERMITTED = Refusal(f"{_BLUEZ}.NotPermitted", "Read not permitted")
WRITE_NOT_PERMITTED = Refusal(f"{_BLUEZ}.NotPermitted", "Write not permitted")
NOT_PAIRED = Refusal(f"{_BLUEZ}.NotPermitted", "Not paired")
NOT_AUTHORIZED = Refusal(f"{_BLUEZ}.NotAuthorized", "Operation Not Authorized")
NOT_SUPPORTED = Refusal(f"{_BLUEZ}.NotSupported", "Operation is not supported")
PAIRING_REFUSED = Refusal(f"{_BLUEZ}.AuthenticationFailed", "Authentication Failed")

ACCESS_DENIED = Refusal(f"{_DBUS}.AccessDenied", "Rejected send message: the policy of the bus does not allow it")
"""What the system bus answers to somebody who may not speak to bluetoothd."""
UNKNOWN_OBJECT = Refusal(f"{_DBUS}.UnknownObject", "There is no such object")
UNKNOWN_METHOD = Refusal(f"{_DBUS}.UnknownMethod", "There is no such method on this object")
UNKNOWN_PROPERTY = Refusal(f"{_DBUS}.UnknownProperty", "There is no such property")
READ_ONLY = Refusal(f"{_DBUS}.PropertyReadOnly", "This property cannot be set")

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
