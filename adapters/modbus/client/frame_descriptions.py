"""Say in words what recorded Modbus frames mean: function, registers and values, exception, and whether the checksum is right.

pymodbus decodes the requests and the responses; what it cannot decode is told by its function code. Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from pymodbus import ModbusException
from pymodbus.pdu import DecodePDU, ModbusPDU

from adapters.modbus.client import ascii_frames
from adapters.modbus.client.pdu import EXCEPTION_BIT, EXCEPTION_NAMES
from adapters.modbus.client.rtu_frames import CHECKSUM_BYTES, SHORTEST_FRAME_BYTES, crc16, is_intact
from gateway.adapter import RecordedFrame

Framing: TypeAlias = Literal["tcp", "rtu", "ascii"]

MOST_VALUES: Final = 20
"""Registers whose values are told; of more, how many more there are."""

MOST_BITS: Final = 32

MOST_STRAY_BYTES: Final = 3
"""A frame is looked for behind so many bytes that belong to none."""

HEADER_BYTES: Final = 7
"""Transaction id, protocol id, length and unit id of Modbus TCP (Messaging on TCP/IP Implementation Guide V1.0b, 3.1.3)."""

TABLES: Final = {1: ("coil", "coils"), 2: ("discrete input", "discrete inputs"), 3: ("holding register", "holding registers")} | {
    4: ("input register", "input registers")
}
WRITES: Final = {5: TABLES[1], 15: TABLES[1], 6: TABLES[3], 16: TABLES[3]}
OTHER_FUNCTIONS: Final = {
    7: "read exception status",
    8: "diagnostics",
    17: "read server id",
    22: "mask write register",
    23: "read and write registers",
    43: "read device identification",
}

_REQUESTS: Final = DecodePDU(True)  # noqa: FBT003 - pymodbus wants it so: requests are what a server decodes
_RESPONSES: Final = DecodePDU(False)  # noqa: FBT003 - as above


@dataclass(frozen=True, slots=True)
class _Words:
    text: str
    is_wrong: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    """A frame among the received bytes, or bytes that are none."""

    start: int
    end: int
    words: _Words


def explained(frames: Sequence[RecordedFrame], framing: Framing) -> list[RecordedFrame]:
    """Return the frames with what each means; pieces of one answer are put together, and answers in one piece taken apart."""
    told: list[RecordedFrame] = []
    requests: dict[int, bytes] = {}  # of Modbus TCP, by transaction
    sent, waiting = b"", list[RecordedFrame]()
    for frame in frames:
        if frame.content is None or frame.direction is None:
            told += [*_answers(waiting, sent, requests, framing), frame]
            waiting, sent = [], b""
        elif frame.direction == "<":
            waiting.append(frame)
        else:
            told += _answers(waiting, sent, requests, framing)
            waiting, sent = [], frame.content
            words = _words_of_sent(sent, framing)
            if framing == "tcp" and len(sent) > HEADER_BYTES:
                requests[int.from_bytes(sent[:2])] = sent[HEADER_BYTES:]
            told.append(replace(frame, meaning=words.text, is_wrong=words.is_wrong))
    return told + _answers(waiting, sent, requests, framing)


def _answers(waiting: Sequence[RecordedFrame], sent: bytes, requests: dict[int, bytes], framing: Framing) -> list[RecordedFrame]:
    """Return what was received after one request, a frame each."""
    if not waiting:
        return []
    if any(frame.is_cut for frame in waiting):
        return [replace(frame, meaning="longer than any frame", is_wrong=True) for frame in waiting]
    starts, received = [], b""
    for frame in waiting:
        starts.append((len(received), frame))
        received += frame.content or b""
    if framing == "tcp":
        pieces = list(_tcp_pieces(received, requests))
    elif framing == "rtu":
        pieces = list(_rtu_pieces(received, sent))
    else:
        pieces = [_Piece(0, len(received), _ascii_words(received, sent))]
    return [
        replace(
            next(frame for start, frame in reversed(starts) if start <= piece.start),
            text=received[piece.start : piece.end].hex(" "),
            meaning=piece.words.text,
            is_wrong=piece.words.is_wrong,
        )
        for piece in pieces
    ]


def _words_of_sent(frame: bytes, framing: Framing) -> _Words:
    if framing == "tcp":
        if len(frame) <= HEADER_BYTES:
            return _Words("not a whole request", is_wrong=True)
        return _Words(f"{_of_unit(frame[6])}{request_words(frame[HEADER_BYTES:])}; transaction {int.from_bytes(frame[:2])}")
    if framing == "ascii":
        found = ascii_frames.frames_in(frame)
        return _Words(f"{_of_unit(found[0].unit)}{request_words(found[0].pdu)}") if found else _Words("not a whole request")
    if len(frame) < SHORTEST_FRAME_BYTES:
        return _Words("not a whole request", is_wrong=True)
    return _Words(f"{_of_unit(frame[0])}{request_words(frame[1:-CHECKSUM_BYTES])}")


# framings ---------------------------------------------------------------------------------------------------------------


def _tcp_pieces(received: bytes, requests: dict[int, bytes]) -> Iterator[_Piece]:
    at = 0
    while at < len(received):
        header = received[at : at + HEADER_BYTES]
        if len(header) < HEADER_BYTES or header[2:4] != b"\0\0":
            text = "not Modbus TCP" if header[2:4].strip(b"\0") else f"only {len(received) - at} bytes of an answer"
            yield _Piece(at, len(received), _Words(text, is_wrong=True))
            return
        end = at + HEADER_BYTES - 1 + int.from_bytes(header[4:6])
        transaction = int.from_bytes(header[:2])
        if end > len(received) or end <= at + HEADER_BYTES:
            missing = (
                f"the answer ended {end - len(received)} bytes early" if end > len(received) else "an answer without content"
            )
            yield _Piece(at, len(received), _Words(f"{missing}; transaction {transaction}", is_wrong=True))
            return
        words = response_words(received[at + HEADER_BYTES : end], requests.get(transaction, b""))
        text = f"{_of_unit(header[6])}{words.text}; transaction {transaction}"
        is_known = transaction in requests
        yield _Piece(at, end, _Words(text if is_known else f"{text}, of no request here", words.is_wrong or not is_known))
        at = end


def _rtu_pieces(received: bytes, sent: bytes) -> Iterator[_Piece]:
    at = 0
    if sent and received.startswith(sent):
        yield _Piece(0, len(sent), _Words("echo of the request"))
        at = len(sent)
    while at < len(received):
        start, end = _rtu_frame(received, at)
        if end == 0:
            yield _Piece(at, len(received), _damaged(received[at:]))
            return
        if start > at:
            yield _Piece(at, start, _Words("bytes that belong to no frame", is_wrong=True))
        unit, pdu = received[start], received[start + 1 : end - CHECKSUM_BYTES]
        words = response_words(pdu, sent[1:-CHECKSUM_BYTES])
        is_other = bool(sent) and unit != sent[0]
        text = f"{_of_unit(unit)}{words.text}; checksum right" + (f", but unit {sent[0]} was asked" if is_other else "")
        yield _Piece(start, end, _Words(text, words.is_wrong or is_other))
        at = end


def _rtu_frame(received: bytes, at: int) -> tuple[int, int]:
    """Return where the next frame with a right checksum begins and ends; two zeros without one."""
    for start in range(at, min(at + MOST_STRAY_BYTES + 1, len(received) - SHORTEST_FRAME_BYTES + 1)):
        if is_intact(received[start:]):
            return start, len(received)
        crc = 0xFFFF
        for end in range(start + SHORTEST_FRAME_BYTES, len(received)):
            crc = crc16(received[start:end]) if end == start + SHORTEST_FRAME_BYTES else crc16(received[end - 1 : end], crc)
            if crc == 0:  # the checksum of a frame with its own checksum
                return start, end
    return 0, 0


def _damaged(frame: bytes) -> _Words:
    if len(frame) < SHORTEST_FRAME_BYTES:
        return _Words(f"only {len(frame)} byte{'' if len(frame) == 1 else 's'} of an answer", is_wrong=True)
    seems = "exception" if frame[1] & EXCEPTION_BIT else f"answer to {_function_text(frame[1])}"
    was, right = frame[-CHECKSUM_BYTES:].hex(), crc16(frame[:-CHECKSUM_BYTES]).to_bytes(CHECKSUM_BYTES, "little").hex()
    return _Words(f"{_of_unit(frame[0])}{seems}; checksum wrong: {was}, and would be {right}", is_wrong=True)


def _ascii_words(received: bytes, sent: bytes) -> _Words:
    asked = next(iter(ascii_frames.frames_in(sent)), None)
    found = [one for one in ascii_frames.frames_in(received) if asked is None or one != asked or received.count(sent) == 0]
    if not found:
        is_echo = bool(sent) and received == sent
        return _Words("echo of the request") if is_echo else _Words("no frame with a right checksum", is_wrong=True)
    words = [response_words(one.pdu, b"" if asked is None else asked.pdu) for one in found]
    texts = [f"{_of_unit(one.unit)}{word.text}; checksum right" for one, word in zip(found, words, strict=True)]
    return _Words("; then ".join(texts), any(word.is_wrong for word in words))


# requests and responses -------------------------------------------------------------------------------------------------


def request_words(pdu: bytes) -> str:
    """Return what a request asks for: `read holding registers 0 to 9`."""
    function = pdu[0] if pdu else 0
    decoded = _decoded(_REQUESTS, pdu)
    if decoded is None:
        return _function_text(function)
    if function in TABLES:
        return f"read {_places(TABLES[function], decoded.address, decoded.count)}"
    if function in WRITES:
        values = _values(decoded, function)
        return f"write {_places(WRITES[function], decoded.address, len(values))}: {_listed(values)}"
    return _function_text(function)


def response_words(pdu: bytes, request: bytes) -> _Words:
    """Return what a response says, beside the request that it answers; an empty one where that is not known."""
    function, asked = pdu[0] if pdu else 0, request[0] if request else 0
    if function & EXCEPTION_BIT:
        code = pdu[1] if len(pdu) > 1 else 0
        to = f" to {_function_text(function & ~EXCEPTION_BIT)}"
        return _Words(f"exception {code:02X}, {EXCEPTION_NAMES.get(code, 'defined by the maker')},{to}", is_wrong=True)
    if asked and function != asked:
        return _Words(f"answer to {_function_text(function)}, which was not asked for", is_wrong=True)
    decoded = _decoded(_RESPONSES, pdu)
    if decoded is None:
        return _Words(f"answer to {_function_text(function)}, not as the specification has it", is_wrong=True)
    if function in TABLES:
        return _read_words(decoded, pdu, request)
    if function in WRITES:
        return _Words("confirms the write", is_wrong=bool(request) and pdu[1:5] != request[1:5])
    texts = [part.decode("ascii", "replace") for part in getattr(decoded, "information", {}).values() if isinstance(part, bytes)]
    return _Words(f"answer to {_function_text(function)}" + (f": {', '.join(texts)}" if texts else ""))


def _read_words(decoded: ModbusPDU, pdu: bytes, request: bytes) -> _Words:
    function = pdu[0]
    names, values = TABLES[function], _values(decoded, function)
    if pdu[1] != len(pdu) - 2:
        return _Words(f"{pdu[1]} bytes of {names[1]} are announced, and {len(pdu) - 2} are there", is_wrong=True)
    asked = _decoded(_REQUESTS, request)
    if asked is None:
        return _Words(f"{names[1]} = {_listed(values)}")
    wanted = asked.count if function > 2 else (asked.count + 7) // 8 * 8  # bits come as whole bytes
    if len(values) != wanted:
        return _Words(f"{len(values)} {names[1]}, and {asked.count} were asked for: {_listed(values)}", is_wrong=True)
    return _Words(f"{_places(names, asked.address, asked.count)} = {_listed(values[: asked.count])}")


def _decoded(decoder: DecodePDU, pdu: bytes) -> ModbusPDU | None:
    """Return what pymodbus makes of a PDU; `None` where it knows nothing like it. Its own `decode` would log that."""
    if not pdu:
        return None
    try:
        kind = decoder.lookupPduClass(b"\0" + pdu)
        decoded = None if kind is None else kind()
        if decoded is not None:
            decoded.decode(pdu[1:])
    except (ModbusException, ValueError, IndexError, TypeError, struct.error):
        return None
    return decoded


def _values(decoded: ModbusPDU, function: int) -> list[int]:
    is_bits = function in (1, 2, 5, 15)
    return [int(value) for value in (decoded.bits if is_bits else decoded.registers)]


def _places(names: tuple[str, str], address: int, count: int) -> str:
    return f"{names[0]} {address}" if count == 1 else f"{names[1]} {address} to {address + count - 1}"


def _listed(values: Sequence[int]) -> str:
    most = MOST_BITS if set(values) <= {0, 1} else MOST_VALUES
    more = f" and {len(values) - most} more" if len(values) > most else ""
    return ", ".join(map(str, values[:most])) + more


def _function_text(function: int) -> str:
    """Return what a function does, in words."""
    if function in TABLES:
        return f"read {TABLES[function][1]}"
    if function in WRITES:
        return f"write {WRITES[function][1]}"
    return OTHER_FUNCTIONS.get(function, f"function {function}")


def _of_unit(unit: int) -> str:
    return f"unit {unit}: "
