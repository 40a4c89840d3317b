"""Read the cause of an outage from an error of an adapter: the one that it names, or that of the error behind it. Pure."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from gateway.causes import Cause, Reason
from gateway.errors import AdapterError, DeviceUnreachable
from gateway.plain_text import MOST_ERROR_CHARACTERS, plain_text, text_of_error

MOST_ERRORS_BEHIND: Final = 10
"""So many errors behind an error are looked at."""

_BY_NUMBER: Final[Mapping[int, Cause]] = MappingProxyType(
    {
        errno.ECONNREFUSED: Cause.HOST_REFUSES,
        errno.EHOSTUNREACH: Cause.HOST_UNREACHABLE,
        errno.EHOSTDOWN: Cause.HOST_UNREACHABLE,
        errno.ENETUNREACH: Cause.HOST_UNREACHABLE,
        errno.ENETDOWN: Cause.HOST_UNREACHABLE,
        errno.ETIMEDOUT: Cause.HOST_UNREACHABLE,
        errno.ECONNRESET: Cause.HOST_CLOSES,
        errno.ECONNABORTED: Cause.HOST_CLOSES,
        errno.EPIPE: Cause.HOST_CLOSES,
        errno.EACCES: Cause.NO_PERMISSION,
        errno.EPERM: Cause.NO_PERMISSION,
        errno.EBUSY: Cause.PORT_IN_USE,
        errno.ENOENT: Cause.NO_PORT,
        errno.ENODEV: Cause.NO_PORT,
        errno.ENXIO: Cause.NO_PORT,
    }
)


def cause_of(error: BaseException) -> Cause:
    """Return the cause of an outage: code of a third-party adapter may have put anything in its place."""
    named = _attribute(error, "cause")
    if isinstance(named, Cause) and named is not Cause.UNKNOWN:
        return named
    return next((cause for behind in _behind(error) if (cause := _cause_behind(behind, error)) is not None), Cause.UNKNOWN)


def special_step(error: BaseException) -> str | None:
    """Return the next step that an error names itself, on one line and printable; `None` without one."""
    step = _attribute(error, "next_step")
    if not isinstance(step, str):
        return None
    return plain_text(str.__str__(step), MOST_ERROR_CHARACTERS) or None


def reason_of(error: AdapterError) -> Reason:
    """Return why something does not work, from the error of a checked adapter or of the gateway itself."""
    return Reason(text_of_error(error), cause_of(error), special_step(error))


def _attribute(error: BaseException, name: str) -> object:
    try:
        return getattr(error, name, None)
    except BaseException:  # noqa: BLE001 - code of a third party, which may raise anything, even `SystemExit`
        return None


def _behind(error: BaseException) -> Iterator[BaseException]:
    behind = error.__cause__ or error.__context__
    for _ in range(MOST_ERRORS_BEHIND):
        if behind is None:
            return
        yield behind
        behind = behind.__cause__ or behind.__context__


def _cause_behind(behind: BaseException, error: BaseException) -> Cause | None:
    if isinstance(behind, AdapterError):
        named = _attribute(behind, "cause")
        return named if isinstance(named, Cause) and named is not Cause.UNKNOWN else None
    if isinstance(behind, ssl.SSLError):
        return Cause.TLS
    if not isinstance(behind, OSError):
        return None
    if type(behind).__name__ in ("gaierror", "herror"):  # of `socket`, which a pure module does not import
        return Cause.NAME_UNKNOWN
    number = _attribute(behind, "errno")
    if isinstance(number, int) and number in _BY_NUMBER:
        return _BY_NUMBER[number]
    return Cause.NO_ANSWER if isinstance(behind, TimeoutError) and isinstance(error, DeviceUnreachable) else None
