"""Probes without a bus: which requests are sent, when they end, and what is concluded from the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from adapters.modbus.client.pdu import (
    ExceptionResponse,
    NoResponse,
    NoSuchUnit,
    ReadDeviceIdentification,
    ReadRequest,
    ReportServerId,
    Request,
    Response,
    Table,
)
from adapters.modbus.discovery.identify import (
    IDENTITY_TRIES,
    NO_RESPONSE_BOUND,
    ProbeResult,
    UnitProbe,
    describe,
    plausible_mac,
    plausible_serial_number,
    run_probe,
)
from adapters.modbus.discovery.long_reads import SILENCES_BOUND
from adapters.modbus.profile.library import PROFILE_FILES
from gateway.adapter import DeviceUnreachable

PROFILES = PROFILE_FILES.load()
ALL = tuple(PROFILES.values())


def probed(answers: Mapping[Request, Response], otherwise: Response, profiles=ALL, configured=None, in_turn=None):
    """Run a probe on a table of answers; return the result and the requests."""
    steps = UnitProbe(profiles, configured).run()
    asked: list[Request] = []
    try:
        request = next(steps)
        while True:
            asked.append(request)
            answer = in_turn[request].pop(0) if in_turn and request in in_turn else answers.get(request, otherwise)
            request = steps.send(answer)
    except StopIteration as end:
        return end.value, asked


SILENT = NoResponse("no answer")


def test_a_silent_unit_is_asked_twice_and_is_not_there():
    result, asked = probed({}, SILENT)
    assert not result.alive
    assert asked == [ReadDeviceIdentification(), ReadRequest(Table.HOLDING, 0, 1)]


def test_a_unit_that_a_gateway_does_not_find_is_asked_once():
    result, asked = probed({}, NoResponse("gateway target did not respond", is_absent=True))
    assert not result.alive
    assert len(asked) == 1


@pytest.mark.parametrize("code", [0x01, 0x02, 0x04, 0x06])
def test_a_unit_that_only_answers_exceptions_is_alive_but_reported_nothing(code):
    result, asked = probed({}, ExceptionResponse(code))
    assert result.alive
    assert not result.has_data
    assert result.profile is None
    assert len(asked) == len(set(asked)), "nothing is asked twice"


def test_a_unit_that_ignores_unknown_functions_is_found_by_its_first_register():
    result, _ = probed({ReadRequest(Table.HOLDING, 0, 1): b"\0\1"}, SILENT)
    assert result.alive
    assert result.has_data


def test_a_unit_that_is_silent_to_most_requests_is_not_asked_them_all():
    _, asked = probed({ReadDeviceIdentification(): ExceptionResponse(1)}, SILENT)
    assert 1 + NO_RESPONSE_BOUND <= len(asked) <= 1 + NO_RESPONSE_BOUND + SILENCES_BOUND


def test_a_lost_answer_to_the_request_of_identity_makes_no_other_device_of_it():
    eastron = PROFILES["eastron-sdm120"]
    serial = ReadRequest(Table.HOLDING, 0xFC00, 2)
    answers = {
        ReadDeviceIdentification(): ExceptionResponse(1),
        ReportServerId(): ExceptionResponse(1),
        ReadRequest(Table.HOLDING, 0xFC02, 1): b"\x00\x20",
    }
    for losses in range(IDENTITY_TRIES):
        heard = [SILENT] * losses + [b"\x01\x23\x45\x67"]
        result, asked = probed(answers, ExceptionResponse(2), [eastron], in_turn={serial: heard})
        assert result.serial_number == str(0x01234567)
        assert asked.count(serial) == losses + 1
    result, asked = probed(answers | {serial: SILENT}, ExceptionResponse(2), [eastron])
    assert result.serial_number is None, "who never tells one has none"
    assert asked.count(serial) == IDENTITY_TRIES


def test_an_identification_that_fits_spares_all_other_requests_of_matching():
    iem = {ReadDeviceIdentification(): {0: b"Schneider Electric", 1: b"A9MEM3155", 2: b"001.300"}}
    result, asked = probed(iem, ExceptionResponse(2))
    assert result.profile is PROFILES["schneider-iem3000"]
    assert result.firmware_version == "001.300"
    assert asked == [ReadDeviceIdentification(), ReadRequest(Table.HOLDING, 129, 2), ReadRequest(Table.HOLDING, 49, 20)]


def test_what_no_profile_fits_is_still_reported_by_its_own_words():
    result, _ = probed(
        {ReadDeviceIdentification(): {0: b"Acme", 1: b"X1", 2: b"3.4"}, ReportServerId(): b"\x01\xff"}, ExceptionResponse(2)
    )
    assert (result.vendor, result.product, result.firmware_version, result.profile) == ("Acme", "X1", "3.4", None)
    assert result.evidence["identification (43/14)"] == 'vendor "Acme", product "X1", revision "3.4"'
    assert result.evidence["server id (17)"] == "01ff"
    assert result.evidence["holding 64514"] == "exception 02 illegal data address"


def made(match: str, **more: str):
    text = f"""
name = "m"
maker = "Acme"
title = "Acme M"
family = "meter"
source = {{ document = "Acme manual", edition = "1", section = "2" }}
match = [{match}]
points = [{{ metric = "power", address = 7 }}]
""" + "".join(f"{key} = {value}\n" for key, value in more.items())
    return PROFILE_FILES.parse(text, Path("m.toml"))


@pytest.mark.parametrize(
    ("match", "answers", "fits"),
    [
        ('{ server_id = "pm-7[0-9]+" }', {ReportServerId(): b"\x42\xffPM-710\0"}, True),
        ('{ server_id = "pm-7[0-9]+" }', {ReportServerId(): b"\x42\xffPM-810\0"}, False),
        ('{ server_id = "pm-7[0-9]+" }', {ReportServerId(): ExceptionResponse(1)}, False),
        ('{ identification = { vendor = "acme" } }', {ReadDeviceIdentification(): {0: b"ACME"}}, True),
        ('{ identification = { vendor = "acme" } }', {ReadDeviceIdentification(): {0: b"ACME Inc"}}, False),
        ('{ identification = { vendor = "acme", product = "m.*" } }', {ReadDeviceIdentification(): {0: b"Acme", 1: b"X"}}, False),
        ("{ registers = [{ address = 3, equals = 5 }] }", {ReadRequest(Table.HOLDING, 3, 1): b"\0\5"}, True),
        ("{ registers = [{ address = 3, equals = 5 }] }", {ReadRequest(Table.HOLDING, 3, 1): b"\0\6"}, False),
        ("{ registers = [{ address = 3, between = [5, 9] }] }", {ReadRequest(Table.HOLDING, 3, 1): b"\0\x09"}, True),
        ("{ registers = [{ address = 3, between = [5, 9] }] }", {ReadRequest(Table.HOLDING, 3, 1): b"\0\x0a"}, False),
        (
            "{ registers = [{ address = 3, equals = 5 }, { address = 4, equals = 6 }] }",
            {ReadRequest(Table.HOLDING, 3, 1): b"\0\5"},
            False,
        ),
        (
            '{ registers = [{ address = 3, type = "string", length = 2, matches = "m[0-9]+" }] }',
            {ReadRequest(Table.HOLDING, 3, 2): b"M42\0"},
            True,
        ),
        ("{ registers = [{ address = 3, equals = 5 }] }", {ReadRequest(Table.HOLDING, 3, 1): NoResponse("no answer")}, False),
    ],
)
def test_a_match_is_true_when_all_of_it_is(match, answers, fits):
    result, _ = probed(
        {ReadDeviceIdentification(): ExceptionResponse(1), **answers}, ExceptionResponse(2), profiles=[made(match)]
    )
    assert (result.profile is not None) == fits


def test_a_named_maker_goes_before_the_profile_for_any_maker(read_case, memory_transport):
    case = read_case(Path(__file__).parents[1] / "cases/solaredge-inverter/model-103")
    fitting = [name for name in ("sunspec-inverter", "solaredge-inverter") if name in PROFILES]
    assert len(fitting) == 2

    async def ask() -> ProbeResult:
        steps = run_probe(Bound(memory_transport({1: case.device})), 1, UnitProbe(ALL).run())
        return [step async for step in steps][-1]

    assert asyncio.run(ask()).profile.name == "solaredge-inverter"


class Bound:
    """A transport in memory as the sender of a probe."""

    def __init__(self, transport) -> None:
        self.transport = transport

    async def ask(self, unit, request):
        return self.transport.units[unit].answer(request)


def test_an_object_beyond_the_basic_ones_is_asked_for_by_itself():
    profile = made('{ identification = { vendor = "acme" } }', identity="{ serial_number = { object = 128 } }")
    basic, serial = ReadDeviceIdentification(), ReadDeviceIdentification(4, 128)
    result, asked = probed({basic: {0: b"Acme"}, serial: {128: b"SN-77"}}, ExceptionResponse(2), profiles=[profile])
    assert result.serial_number == "SN-77"
    assert serial in asked


def test_a_sub_model_can_be_a_number_with_a_meaning():
    profile = made("{ registers = [{ address = 3, between = [1, 9] }] }", sub_model='{ address = 3, values = { 5 = "M5 Pro" } }')
    assert probed({ReadRequest(Table.HOLDING, 3, 1): b"\0\5"}, ExceptionResponse(2), profiles=[profile])[0].sub_model == "M5 Pro"
    assert probed({ReadRequest(Table.HOLDING, 3, 1): b"\0\6"}, ExceptionResponse(2), profiles=[profile])[0].sub_model == "6"


def test_a_configured_unit_is_asked_for_what_its_profile_reads():
    configured = made("{ registers = [{ address = 3, equals = 5 }] }")
    result, asked = probed({ReadRequest(Table.HOLDING, 7, 1): b"\0\1"}, SILENT, profiles=[], configured=configured)
    assert result.profile is configured
    assert asked == [ReadDeviceIdentification(), ReadRequest(Table.HOLDING, 7, 1)]


def test_a_sunspec_chain_that_never_ends_is_left():
    marker = {ReadRequest(Table.HOLDING, 40000, 2): b"SunS"}
    result, asked = probed(marker, b"\x00\x67\x00\x00", profiles=[PROFILES["sunspec-inverter"]])
    assert not result.models
    assert len(asked) < 80


@pytest.mark.parametrize(
    "serial_number",
    [None, "", "  ", "0", "0000000", "0.0", "FFFFFFFF", "ffff", "4294967295", "65535", "-1", "????", "xxxx", "N/A"],
)
def test_what_a_device_without_a_serial_number_says_is_none(serial_number):
    assert plausible_serial_number(serial_number) is None


@pytest.mark.parametrize("serial_number", ["1", "20654321", "KX0480001001F", " 7E1A2B3C ", "F00D", "0000123"])
def test_a_serial_number_is_kept_as_it_is(serial_number):
    assert plausible_serial_number(serial_number) == serial_number.strip()


@pytest.mark.parametrize(
    ("reported", "mac"),
    [
        ("0090e83e18cc", "00:90:e8:3e:18:cc"),
        ("00-90-E8-3E-18-CC", "00:90:e8:3e:18:cc"),
        ("000000000000", None),
        ("ffffffffffff", None),
        ("0090e83e18", None),
        (None, None),
    ],
)
def test_a_mac_is_reported_in_one_way(reported, mac):
    assert plausible_mac(reported) == mac


@pytest.mark.parametrize(
    ("answer", "given"),
    [
        (b"\x00\x70", "0070"),
        (b"SPEM-003CEBEU\0\0\0", '5350 454d 2d30 3033 4345 4245 5500 0000 "SPEM-003CEBEU"'),
        (ExceptionResponse(0x0B), "exception 0B gateway target did not respond"),
        (ExceptionResponse(0x63), "exception 63 defined by the maker"),
        (NoResponse("no answer within 0.5 s"), "silence: no answer within 0.5 s"),
        ({0: b"Acme", 0x80: b"SN-1"}, 'vendor "Acme", object 128 "SN-1"'),
    ],
)
def test_an_answer_is_reported_so_that_a_person_can_read_it(answer, given):
    assert describe(answer) == given


async def test_what_goes_wrong_on_the_bus_is_only_the_answer_to_one_request():
    class Troubled:
        async def ask(self, unit, request):
            if isinstance(request, ReadDeviceIdentification):
                raise DeviceUnreachable("unit 4 answered for unit 3")
            raise NoSuchUnit("gateway target did not respond")

    steps = [step async for step in run_probe(Troubled(), 3, UnitProbe([]).run())]
    result = steps[-1]
    assert not result.alive
    assert result.evidence == {
        "identification (43/14)": "silence: unit 4 answered for unit 3",
        "holding 0": "silence: gateway target did not respond",
    }
