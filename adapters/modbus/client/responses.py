"""Check whether a response answers its request, and turn an exception code into the error that it means. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.modbus.client.pdu import (
    ABSENT_UNIT_CODES,
    EXCEPTION_BIT,
    EXCEPTION_NAMES,
    TARGET_DID_NOT_RESPOND,
    ExceptionResponse,
    NoSuchUnit,
    Request,
)
from gateway.adapter import Cause, DeviceUnreachable


@dataclass(frozen=True, slots=True)
class ResponsePDU:
    """A response as it arrived; an undecodable one has function 0."""

    function: int
    payload: bytes = b""
    announced: int = 0
    """The byte count that the response states."""
    exception_code: int | None = None


def checked_response(unit: int, request: Request, response: ResponsePDU) -> ResponsePDU:
    """Return a response that answers this request.

    Raises:
        NoSuchUnit: a gateway answered that it does not reach the unit.
        ExceptionResponse: the unit answered with another exception.
        DeviceUnreachable: this is no answer to the request.
    """
    if response.exception_code is not None and response.function == request.function | EXCEPTION_BIT:
        if response.exception_code in ABSENT_UNIT_CODES:
            raise NoSuchUnit(
                f"unit {unit}: {EXCEPTION_NAMES[response.exception_code]}",
                was_forwarded=response.exception_code == TARGET_DID_NOT_RESPOND,
            )
        raise ExceptionResponse(response.exception_code)
    if response.exception_code is not None or not response.function:
        raise DeviceUnreachable(
            f"unit {unit} answered {request} with something that is no answer to it", cause=Cause.WRONG_ANSWER
        )
    if response.function != request.function:
        raise DeviceUnreachable(
            f"unit {unit} answered function {response.function} to function {request.function}", cause=Cause.WRONG_ANSWER
        )
    return response
