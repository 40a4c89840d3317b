"""Turn requests into the PDUs of pymodbus, and what it decodes into responses that keep their bytes."""

from __future__ import annotations

from collections.abc import Mapping

from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu import ExceptionResponse as ExceptionPDU
from pymodbus.pdu.bit_message import (
    ReadCoilsRequest,
    ReadDiscreteInputsRequest,
    WriteMultipleCoilsRequest,
    WriteSingleCoilRequest,
)
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest, ReadDeviceInformationResponse
from pymodbus.pdu.other_message import ReportDeviceIdRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from adapters.modbus.client.pdu import ReadDeviceIdentification, ReadRequest, ReportServerId, Request, Table, WriteRequest
from adapters.modbus.client.responses import ResponsePDU


class ResponseDecoder(DecodePDU):
    """Decodes responses, and never fails: an exception here would cost the connection."""

    def __init__(self) -> None:
        super().__init__(False)  # noqa: FBT003 - pymodbus wants it so: this is no server
        for response in _RESPONSES:
            self.register(response)

    def decode(self, frame: bytes) -> ModbusPDU:
        """Return what pymodbus makes of the frame, or a PDU without content."""
        return super().decode(frame) or _Undecodable()


def request_pdu(unit: int, request: Request) -> ModbusPDU:
    """Return the PDU that pymodbus sends for a request."""
    match request:
        case ReadRequest(table, address, count):
            return _READ_PDUS[table](address=address, count=count, dev_id=unit)
        case ReadDeviceIdentification(level, object_id):
            return ReadDeviceInformationRequest(read_code=level, object_id=object_id, dev_id=unit)
        case ReportServerId():
            return ReportDeviceIdRequest(dev_id=unit)
        case WriteRequest(Table.COIL, address, (value,)):
            return WriteSingleCoilRequest(address=address, bits=[bool(value)], dev_id=unit)
        case WriteRequest(Table.COIL, address, values):
            return WriteMultipleCoilsRequest(address=address, bits=[bool(value) for value in values], dev_id=unit)
        case WriteRequest(_, address, (value,)):
            return WriteSingleRegisterRequest(address=address, registers=[value], dev_id=unit)
        case WriteRequest(_, address, values):
            return WriteMultipleRegistersRequest(address=address, registers=list(values), dev_id=unit)


def response_pdu(response: ModbusPDU) -> ResponsePDU:
    """Return what a PDU contains that `ResponseDecoder` made."""
    if isinstance(response, ExceptionPDU):
        return ResponsePDU(response.function_code, exception_code=response.exception_code)
    if isinstance(response, _RawPDU):
        return ResponsePDU(response.function_code, response.payload, response.announced)
    return ResponsePDU(0)


class _RawPDU(ModbusPDU):
    """A response kept as bytes with its stated byte count; pymodbus would make a list of numbers of it."""

    rtu_byte_count_pos = 2

    def __init__(self) -> None:
        super().__init__()
        self.announced = 0
        self.payload = b""

    def decode(self, data: bytes) -> None:
        self.announced = data[0] if data else 0
        self.payload = data[1:]


class _Coils(_RawPDU):
    function_code = ReadCoilsRequest.function_code


class _DiscreteInputs(_RawPDU):
    function_code = ReadDiscreteInputsRequest.function_code


class _HoldingRegisters(_RawPDU):
    function_code = ReadHoldingRegistersRequest.function_code


class _InputRegisters(_RawPDU):
    function_code = ReadInputRegistersRequest.function_code


class _ServerId(_RawPDU):
    function_code = ReportDeviceIdRequest.function_code


class _UncountedPDU(_RawPDU):
    """A response that does not begin with a byte count."""

    def decode(self, data: bytes) -> None:
        self.announced, self.payload = len(data), data


class _DeviceIdentification(_UncountedPDU):
    function_code = ReadDeviceInformationRequest.function_code

    @classmethod
    def calculateRtuFrameSize(cls, data: bytes) -> int:  # noqa: N802 - pymodbus calls it so
        return ReadDeviceInformationResponse.calculateRtuFrameSize(data)


class _WriteConfirmation(_UncountedPDU):
    """The response to a write: the address, and the value or how many."""

    rtu_frame_size = 8
    rtu_byte_count_pos = 0


class _CoilWritten(_WriteConfirmation):
    function_code = WriteSingleCoilRequest.function_code


class _RegisterWritten(_WriteConfirmation):
    function_code = WriteSingleRegisterRequest.function_code


class _CoilsWritten(_WriteConfirmation):
    function_code = WriteMultipleCoilsRequest.function_code


class _RegistersWritten(_WriteConfirmation):
    function_code = WriteMultipleRegistersRequest.function_code


class _Undecodable(ModbusPDU):
    """A frame that is not a response to anything."""


_RESPONSES = (
    *(_Coils, _DiscreteInputs, _HoldingRegisters, _InputRegisters, _ServerId, _DeviceIdentification),
    *(_CoilWritten, _RegisterWritten, _CoilsWritten, _RegistersWritten),
)

_READ_PDUS: Mapping[Table, type[ModbusPDU]] = {
    Table.COIL: ReadCoilsRequest,
    Table.DISCRETE: ReadDiscreteInputsRequest,
    Table.INPUT: ReadInputRegistersRequest,
    Table.HOLDING: ReadHoldingRegistersRequest,
}
