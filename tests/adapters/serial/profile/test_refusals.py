"""Refusals come before facts: nothing that a device says in the form of one becomes an identity, a value or a setting."""

import pytest

from adapters.serial.framing.framer import framer_for
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol
from adapters.serial.profile.refusals import is_refusal

PROFILES = PROFILE_FILES.load()
ASKED = sorted(name for name, profile in PROFILES.items() if profile.queries)
LG, NEC, SAMSUNG = "lg-display", "nec-display", "samsung-mdc"

REFUSALS = {
    "pjlink": [b"%1POWR=ERR1\r", b"%1INF1=ERR3\r", b"%1INF2=err3\r", b"%2SNUM=ERR4\r", b"PJLINK ERRA\r"],
    "extron-in1600": [b"E10\r\n", b"E01\r\n", b"E13\r\n", b"E14\r\n", b"E17\r\n", b"E22\r\n", b"E24\r\n", b"E31\r\n"],
    SAMSUNG: [bytes.fromhex("AA FF 01 03 4E 11 01 63")],
    LG: [b"a 01 NG01x", b"y 01 NG00x", b"v 01 NGx"],
    NEC: [PROFILES[NEC].framing.wrap(b"00AB04\x02BE"), PROFILES[NEC].framing.wrap(b"00AD12\x02010060")],
    "epson-vp21": [b"ERR\r:", b":ERR\r:"],
    "visca": [
        bytes.fromhex("90 60 02 FF"),
        bytes.fromhex("90 60 03 FF"),
        bytes.fromhex("90 61 41 FF"),
        bytes.fromhex("90 62 05 FF"),
    ],
    "sony-adcp": [b"err_cmd\r\n", b"err_val\r\n", b"err_inactive\r\n", b"err_auth\r\n"],
    "benq-projector": [b"*Illegal format#\r\n", b"*Unsupported item#\r\n", b"*Block item#\r\n"],
    "panasonic-projector": [b"\x02ER401\x03", b"\x02ERR3\x03"],
    "panasonic-projector-lan": [b"ERR1\r", b"00ER401\r", b"ERRA\r", b"NTCONTROL 1 09b075be\r"],
    "panasonic-display": [b"\x02ER401\x03", b"\x02ERR1\x03"],
    "panasonic-display-lan": [b"00ER401\r", b"ERR3\r", b"NTCONTROL 1 09b075be\r"],
    "middle-atlantic-racklink": [bytes.fromhex("FE 04 00 10 10 11 33 FF"), bytes.fromhex("FE 04 00 10 10 07 29 FF")],
    "philips-sicp": [bytes.fromhex("06 01 00 00 15 12"), bytes.fromhex("06 01 00 00 18 1F")],
    "christie-projector": [b'(65535 00000 ERR00005 "ITP: Too Few Parameters")'],
    "kramer-p3000": [b"~01@ERR 002\r\n", b"~01@ROUTE ERR 002\r\n", b"~01@ROUTE 1,1,9 ERR 003\r\n"],
    "sharp-display": [b"ERR\r\n"],
    "nec-projector": [PROFILES["nec-projector"].framing.wrap(bytes.fromhex("A0 85 01 10 02 0D"))],
    "barco-pulse": [b'{"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": 3}'],
    "sony-bravia": [b"*SAPOWRFFFFFFFFFFFFFFFF\n", b"*SAINPTNNNNNNNNNNNNNNNN\n"],
    "extron-in1800": [b"E01\r\n", b"E10\r\n", b"E14\r\n"],
    "extron-matrix": [b"E12\r\n", b"E10\r\n", b"E24\r\n"],
    "blackmagic-videohub": [b"NAK\n\n"],
    "megatec-ups": [b"(NAK\r", b"NAK\r"],
    "apc-smart-ups": [b"NA\r\n"],
    "qsys-core": [b'{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found."},"id":1}\0'],
    "lightware-lw3": [b"pE /.ProductName %E002:Not exist\r\n", b"nE / %E004:Access denied\r\n"],
    "shure-ulxd": [b"< REP ERR >"],
    "biamp-tesira": [b"-ERR\r\n", b"-ERR address not found\r\n"],
    "lutron-integration": [b"~ERROR,6\r\n", b"QNET> ~ERROR,2\r\n"],
    "wattbox": [b"#Error\n"],
    "mt-sics": [b"I4 I\r\n", b"ES\r\n", b"ET\r\n", b"EL\r\n", b"SI I\r\n"],
    "scpi-power-supply": [b'-113,"Undefined header"\n', b'-100,"Command error"\n', b"ERROR -113\n", b"Undefined header\n"],
}
"""What devices with each profile answer to a request that they refuse, as their documents have it."""


@pytest.mark.parametrize("name", ASKED)
def test_every_profile_with_queries_declares_how_its_devices_refuse(name):
    assert PROFILES[name].refusals
    assert REFUSALS[name]


@pytest.mark.parametrize(("name", "raw"), [(name, raw) for name, all_raw in REFUSALS.items() for raw in all_raw])
def test_a_refusal_is_no_answer_to_any_query_and_no_message(name, raw):
    protocol = DeviceProtocol(PROFILES[name])
    (frame,) = framer_for(PROFILES[name].framing).feed(raw)
    address = PROFILES[name].addresses.usual[0] if PROFILES[name].addresses else None
    for query in PROFILES[name].queries:
        answer = protocol.query_request(query.name, address).read(frame.payload)
        assert answer is None or answer.refusal is not None, query.name
    assert protocol.read_message(frame.payload) is None


MADE = {
    "name": "made", "title": "Made", "family": "display",
    "source": {"document": "made up", "section": "all", "edition": "1"},
    "framing": {"kind": "delimiter", "end": "\r"},
    "queries": [{"name": "who", "ask": "WHO?", "answer": "{model}", "points": [{"metric": "model"}]}],
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "ERR", "ERR3", "err1", "ERRA", "ERROR", "Error 12", "NAK", "nack", "NG", "NG00", "?", "???", '-113,"Undefined header"',
        "Unknown command", "Invalid parameter", "Syntax error", "not supported", "COMMAND NOT FOUND", "%1INF1=ERR3", "ERR:",
    ],
)  # fmt: skip
def test_a_refusal_that_no_profile_declares_is_recognized_in_a_field_that_takes_any_text(text):
    answer = DeviceProtocol(Profile.model_validate(MADE)).query_request("who").read(text.encode())
    assert "it answers" in answer.refusal


NAMES = ["Erris 400", "NGC-1", "PT-RZ570", "Angus", "E10", "-1.5", "-113.2", "-113", "ZU506T-ERR", "QM55R", "-", ""]


@pytest.mark.parametrize("text", NAMES)
def test_a_name_that_only_resembles_a_refusal_is_one(text):
    assert not is_refusal(text)


def test_a_word_that_the_profile_gives_a_meaning_to_is_a_value():
    point = {"metric": "state", "values": {"ERR": "failed", "OK": "ok"}}
    query = {"name": "state", "ask": "S?", "answer": "{state}", "points": [point]}
    request = DeviceProtocol(Profile.model_validate({**MADE, "queries": [query]})).query_request("state")
    assert request.read(b"ERR").refusal is None
    assert request.read(b"NAK").refusal is not None
