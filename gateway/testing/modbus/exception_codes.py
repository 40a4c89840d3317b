"""Define the exception codes of the protocol, and the exception that a simulated device answers with. Pure."""

from __future__ import annotations

from enum import IntEnum


class ExceptionCode(IntEnum):
    """The exception codes (Modbus Application Protocol V1.1b3, section 7)."""

    ILLEGAL_FUNCTION = 0x01
    ILLEGAL_DATA_ADDRESS = 0x02
    ILLEGAL_DATA_VALUE = 0x03
    SERVER_DEVICE_FAILURE = 0x04
    ACKNOWLEDGE = 0x05
    SERVER_DEVICE_BUSY = 0x06
    MEMORY_PARITY_ERROR = 0x08
    GATEWAY_PATH_UNAVAILABLE = 0x0A
    GATEWAY_TARGET_FAILED_TO_RESPOND = 0x0B


class ExceptionResponse(Exception):
    """The request is answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code:02X}")
        self.code = code


def exception_response(request: bytes, code: int) -> bytes:
    """Return the exception response to this request; the code is 0 to 255, also one that is not specified."""
    return bytes([request[0] | 0x80, code])
