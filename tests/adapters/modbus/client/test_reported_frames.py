"""Frames that devices in the field have sent, as they were reported in public: each is read, and never taken for another."""

import pytest

from adapters.modbus.client.late_answers import UnansweredRequest
from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.client.rtu_search import Awaited, FrameKind, RtuSearch
from adapters.modbus.client.tcp_receiver import TcpReceiver

INVERTER = (
    "ff01036000011202121200000000000000000000402008be00001388003c00000258000d0127000700050123000700030123"
    "0007000600000001000001130003bdf5006300015b310058000128f10066000160e100000000061602000000000000000000590c"
)

RTU_REPORTS = {
    # who reported it: (unit, table, how many registers, what arrived, the answer in it)
    "pyhys/minimalmodbus 61": (4, Table.HOLDING, 1, "00 04 83 02 D0F0 00", "83 02"),
    "eModbus/eModbus 40": (1, Table.HOLDING, 1, "00 01 03 02 0000 B844 00", "03 02 0000"),
    "pymodbus-dev/pymodbus 485": (
        *(2, Table.HOLDING, 9, "00 02 03 12 00000000 00000014 53F00014 53F00000 0014 6F73"),
        "03 12 00000000 00000014 53F00014 53F00000 0014",
    ),
    "s-allius/tsun-gen3-proxy 645": (1, Table.HOLDING, 48, INVERTER, INVERTER[4:-4]),
    "Apollo3zehn/FluentModbus 75": (
        1,
        Table.INPUT,
        1,
        "01 04 02 0301 7800",
        "04 02 0301",
    ),  # its first 6 bytes have a checksum, too
    "jmccrohan/pysolarmanv5 62": (1, Table.INPUT, 1, "01 04 02 0301 7800 0000", "04 02 0301"),
}


@pytest.mark.parametrize("piece", [1, 2, 6, 300])
@pytest.mark.parametrize(("unit", "table", "count", "arrived", "answer"), RTU_REPORTS.values(), ids=RTU_REPORTS.keys())
def test_an_rtu_answer_is_found_in_what_arrived(unit, table, count, arrived, answer, piece):
    search, buffer, answers, data = RtuSearch(), b"", [], bytes.fromhex(arrived)
    for at in range(0, len(data), piece):
        buffer += data[at : at + piece]
        heard = search.search(buffer, None if answers else Awaited(unit, ReadRequest(table, 0, count)), 0.0)
        buffer = buffer[heard.used :]
        answers += [frame.pdu for frame in heard.frames if frame.kind is FrameKind.AWAITED]
    assert answers == [bytes.fromhex(answer)]


def test_the_traffic_of_another_master_is_known_as_that():
    """As in stephane/libmodbus 709: polls of unit 1 by another master, heard by who asks unit 10."""
    polls = "01 04 754A 0001 0A10  01 04 02 36FD 6F11  01 04 754B 0001 5BD0  01 04 02 4BFC 8F81"
    heard = RtuSearch().search(bytes.fromhex(polls), Awaited(10, ReadRequest(Table.INPUT, 0, 1)), 0.0)
    assert [frame.kind for frame in heard.frames] == 2 * [FrameKind.FOREIGN_REQUEST, FrameKind.FOREIGN_ANSWER]
    assert heard.noise == b""


TCP_REPORTS = {
    # who reported it: (transaction, unit, how many registers, what arrived, the answer in it)
    "wlcrs/tmodbus 146": (0x1858, 1, 1, "1858 0000 0004 01 83 03", "83 03"),
    "wlcrs/tmodbus 146, another code": (0x1FC8, 1, 1, "1FC8 0000 0004 01 83 02", "83 02"),
    "steveohara/j2mod 157": (1, 0x31, 2, "0001 0000 0006 31 03 04 0000 0000", "03 04 0000 0000"),
    "emelianov/modbus-esp8266 109": (
        *(0x0208, 0xA0, 10, "0000 0000 0017 A0 03 14 415645A2 41D1DF3B 4243CE95 3F800000 00000000"),
        "03 14 415645A2 41D1DF3B 4243CE95 3F800000 00000000",
    ),
    "pymodbus-dev/pymodbus 2709": (1, 1, 2, "0100 0000 0007 01 03 04 0000 0000", "03 04 0000 0000"),
    "kellerza/sunsynk 680": (
        *(1, 1, 8, "0002 0000 0013 01 03 10 0005 0001 0104 3232 3130 3234 3931 3331"),
        "03 10 0005 0001 0104 3232 3130 3234 3931 3331",
    ),
    "ThaStealth/alfen_modbus 13": (
        *(0x03E3, 0xF7, 1, "00BF 0000 000F C8 03 0C 42000000 42150000 00010001  03E3 0000 0005 F7 03 02 000A"),
        "03 02 000A",
    ),
}


@pytest.mark.parametrize("piece", [1, 9, 300])
@pytest.mark.parametrize(("transaction", "unit", "count", "arrived", "answer"), TCP_REPORTS.values(), ids=TCP_REPORTS.keys())
def test_a_tcp_answer_is_found_in_what_arrived(transaction, unit, count, arrived, answer, piece):
    receiver, buffer, answers, data = TcpReceiver(), b"", [], bytes.fromhex(arrived)
    ask(receiver, transaction, unit, count)
    for at in range(0, len(data), piece):
        buffer += data[at : at + piece]
        heard = receiver.receive(buffer, 0.1)
        buffer = buffer[heard.used :]
        answers += [heard.pdu] if heard.pdu else []
    assert answers == [bytes.fromhex(answer)]


def test_a_late_answer_and_the_awaited_one_in_one_piece_are_told_apart():
    """As in rossmann-engineering/EasyModbusTCP.NET 56: the answers 000F and 0010 arrive together, long after the first."""
    receiver = TcpReceiver()
    ask(receiver, 0x0F, 0x32, 8)
    receiver.ended()
    ask(receiver, 0x10, 0x32, 4)
    arrived = "000F 0000 0013 32 03 10 3F73DE37 3F7541B3 3F774C57 3F757A45  0010 0000 000B 32 03 08 49311388 3A83126F"
    heard = receiver.receive(bytes.fromhex(arrived), 25.4)
    assert heard.pdu == bytes.fromhex("03 08 49311388 3A83126F")
    assert [late.unit for late in heard.late] == [0x32]


def test_answers_that_stay_one_request_behind_are_never_values_of_the_next_one():
    """As in grid-x/modbus 26 and goburrow/modbus 64: after one time-out every answer is that to the request before."""
    receiver = TcpReceiver()
    ask(receiver, 82, 1, 1)
    receiver.ended()
    for transaction in range(83, 95):
        ask(receiver, transaction, 1, 1, address=transaction)
        heard = receiver.receive(bytes.fromhex(f"{transaction - 1:04X} 0000 0005 01 03 02 {transaction - 1:04X}"), 0.1)
        assert heard.pdu == b""
        receiver.ended()


def ask(receiver, transaction, unit, count, address=0):
    request = ReadRequest(Table.HOLDING, address, count)
    packet = transaction.to_bytes(2) + bytes.fromhex("0000 0006") + bytes([unit, 3]) + address.to_bytes(2) + count.to_bytes(2)
    receiver.sent(packet, unit, UnansweredRequest(request, 0.0, 30.0))
