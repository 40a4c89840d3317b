"""Answer function 43/14 (device identification, page by page) and function 17 (server id). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from gateway.testing.modbus.exception_codes import ExceptionCode, ExceptionResponse

READ_DEVICE_ID = 0x0E
"""The MEI type of Read Device Identification (Modbus Application Protocol V1.1b3, section 6.21)."""
PDU_BYTES = 253
"""The longest PDU (Modbus Application Protocol V1.1b3, section 4.1)."""
_HEADER_BYTES = 7
_OBJECT_HEADER_BYTES = 2
_INDIVIDUAL = 4
_LAST_OBJECT_OF_LEVEL = {1: 0x02, 2: 0x7F, 3: 0xFF}


class Conformity(IntEnum):
    """The categories that a device supports, and whether it returns single objects (V1.1b3, section 6.21)."""

    BASIC_STREAM = 0x01
    REGULAR_STREAM = 0x02
    EXTENDED_STREAM = 0x03
    BASIC = 0x81
    REGULAR = 0x82
    EXTENDED = 0x83

    @property
    def level(self) -> int:
        """1 basic, 2 regular, 3 extended."""
        return self.value & 0x0F

    @property
    def gives_single_objects(self) -> bool:
        """Whether read device id code 04 is answered."""
        return bool(self.value & 0x80)


@dataclass(frozen=True, slots=True)
class Identification:
    """The objects that function 43/14 returns.

    Raises:
        ValueError: one of the three basic objects is missing, or an object does not fit into any answer.
    """

    objects: Mapping[int, bytes]
    """0 vendor name, 1 product code, 2 revision, 3 vendor URL, 4 product name, 5 model name, 6 application, 0x80+ the maker's."""
    conformity: Conformity = Conformity.REGULAR
    page_bytes: int = PDU_BYTES
    """The longest answer of this device; real ones often page earlier than necessary."""

    def __post_init__(self) -> None:
        if not {0, 1, 2} <= set(self.objects):
            raise ValueError("vendor name, product code and revision are mandatory (V1.1b3, section 6.21)")
        longest = max(map(len, self.objects.values()))
        if _HEADER_BYTES + _OBJECT_HEADER_BYTES + longest > min(self.page_bytes, PDU_BYTES):
            raise ValueError(f"an object of {longest} bytes does not fit into one answer")

    def answer(self, request: bytes) -> bytes:
        """Return what follows the function code in the answer to what followed it in the request.

        Raises:
            Refusal: 01 another MEI type, 02 no such object, 03 a bad length or read device id code.
        """
        if request[:1] != bytes([READ_DEVICE_ID]):
            raise ExceptionResponse(ExceptionCode.ILLEGAL_FUNCTION)
        if len(request) != 3:
            raise ExceptionResponse(ExceptionCode.ILLEGAL_DATA_VALUE)
        code, wanted = request[1], request[2]
        page, following = self._single(wanted) if code == _INDIVIDUAL else self._stream_from(code, wanted)
        header = bytes([READ_DEVICE_ID, code, self.conformity, 0xFF if following else 0x00, following or 0x00, len(page)])
        return header + b"".join(bytes([number, len(value)]) + value for number, value in page.items())

    def _single(self, wanted: int) -> tuple[dict[int, bytes], None]:
        if not self.conformity.gives_single_objects:
            raise ExceptionResponse(ExceptionCode.ILLEGAL_DATA_VALUE)
        if wanted not in self.objects:
            raise ExceptionResponse(ExceptionCode.ILLEGAL_DATA_ADDRESS)
        return {wanted: self.objects[wanted]}, None

    def _stream_from(self, code: int, wanted: int) -> tuple[dict[int, bytes], int | None]:
        """Return the objects of one answer and the number of the first that no longer fitted."""
        if code not in _LAST_OBJECT_OF_LEVEL:
            raise ExceptionResponse(ExceptionCode.ILLEGAL_DATA_VALUE)
        last = _LAST_OBJECT_OF_LEVEL[min(code, self.conformity.level)]
        numbers = sorted(number for number in self.objects if number <= last)
        first = wanted if wanted in numbers else numbers[0]  # an unknown start means from the beginning (section 6.21)
        return self._fitting([number for number in numbers if number >= first])

    def _fitting(self, numbers: list[int]) -> tuple[dict[int, bytes], int | None]:
        page: dict[int, bytes] = {}
        room = self.page_bytes - _HEADER_BYTES
        for number in numbers:
            room -= _OBJECT_HEADER_BYTES + len(self.objects[number])
            if room < 0:
                return page, number
            page[number] = self.objects[number]
        return page, None


@dataclass(frozen=True, slots=True)
class ServerId:
    """The content of function 17 (Modbus Application Protocol V1.1b3, section 6.13)."""

    server_id: bytes
    is_running: bool = True
    additional: bytes = field(default=b"")

    def answer(self, request: bytes) -> bytes:
        """Return what follows the function code in the answer.

        Raises:
            Refusal: 03 the request has a body.
        """
        if request:
            raise ExceptionResponse(ExceptionCode.ILLEGAL_DATA_VALUE)
        content = self.server_id + (b"\xff" if self.is_running else b"\x00") + self.additional
        return bytes([len(content)]) + content
