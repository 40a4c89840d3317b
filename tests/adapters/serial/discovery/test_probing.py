"""Who hangs on a port: in which order it is asked, when it is stopped, what the verdict says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from adapters.serial.discovery.probe_answers import describe_bytes
from adapters.serial.discovery.probing import ProbeResult, ProbeStep, ProtocolProbe
from adapters.serial.port.line_settings import LineSettings
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import Confidence

PROFILES = PROFILE_FILES.load()
SAMSUNG, LG, PJLINK, NMEA = (PROFILES[name] for name in ("samsung-mdc", "lg-display", "pjlink", "nmea-0183"))

GGA = b"$GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,*47\r\n"
RMC = b"$GPRMC,123519,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W*6A\r\n"

POWER_1, POWER_1_IS_ON = bytes.fromhex("AA 11 01 00 12"), bytes.fromhex("AA FF 01 03 41 11 01 56")
POWER_EVERYONE = bytes.fromhex("AA 11 FE 00 0F")
POWER_0, POWER_0_IS_OFF = bytes.fromhex("AA 11 00 00 11"), bytes.fromhex("AA FF 00 03 41 11 00 54")


def conducted(interview: ProtocolProbe, device: Callable[[ProbeStep], bytes]) -> tuple[ProbeResult, list[ProbeStep]]:
    """Carry the interview out on a device: what it says in each step."""
    run, steps = interview.run(), []
    try:
        step = next(run)
        while True:
            steps.append(step)
            step = run.send(device(step))
    except StopIteration as end:
        return end.value, steps


def answering(**answers: bytes) -> Callable[[ProbeStep], bytes]:
    return lambda step: answers.get(step.request.hex(), b"")


def silent(_step: ProbeStep) -> bytes:
    return b""


def test_a_probe_listens_first_and_stops_listening_when_a_port_is_silent_at_one_speed():
    verdict, steps = conducted(ProtocolProbe(PROFILES.values()), silent)
    assert not verdict.is_alive
    assert verdict.profile is None
    assert [step.request == b"" for step in steps] == [True] + [False] * (len(steps) - 1)
    assert steps[0].seconds == max(match.within for profile in PROFILES.values() for match in profile.match if match.hear)


def test_the_most_common_line_settings_come_first():
    _, steps = conducted(ProtocolProbe(PROFILES.values()), silent)
    lines = list(dict.fromkeys(step.line for step in steps))
    assert lines[0] == LineSettings(baudrate=9600)
    assert LineSettings(baudrate=2400, bytesize=7, parity="E") in lines[1:]


def test_ambiguous_queries_come_last():
    _, steps = conducted(ProtocolProbe(PROFILES.values(), lines=[LineSettings(baudrate=9600)]), silent)
    asked = [step.request for step in steps if step.request]
    assert asked.index(POWER_1) < asked.index(b"ka 01 FF\r") < asked.index(b"*IDN?\n") < asked.index(b"N")


def test_a_device_that_sends_unasked_is_never_queried():
    verdict, steps = conducted(
        ProtocolProbe(PROFILES.values()), lambda step: (GGA + RMC) * 2 if step.line == NMEA.line else b"\xff\x00"
    )
    assert verdict.profile is NMEA
    assert verdict.line == NMEA.line
    assert verdict.confidence is Confidence.LIKELY
    assert all(step.request == b"" for step in steps)
    assert steps[-1].is_complete((GGA + RMC) * 3)
    assert not steps[-1].is_complete(GGA)


def test_a_display_is_found_by_its_usual_addresses():
    answers = {POWER_0.hex(): POWER_0_IS_OFF}
    verdict, steps = conducted(ProtocolProbe(PROFILES.values()), answering(**answers))
    assert (verdict.profile, verdict.address, verdict.line) == (SAMSUNG, 0, SAMSUNG.line)
    asked = [step.request for step in steps]
    assert asked.index(POWER_0) == asked.index(POWER_1) + 1
    assert verdict.facts == {"manufacturer": "Samsung"}


def test_the_serial_number_is_queried_again_when_the_answer_is_lost():
    serial, lost = bytes.fromhex("AA 0B 01 00 0C"), []

    def device(step: ProbeStep) -> bytes:
        if step.request == serial:
            lost.append(step)
            return bytes.fromhex("AA FF 01 05 41 0B 41 42 43 17") if len(lost) == 2 else b""
        return POWER_1_IS_ON if step.request == POWER_1 else b""

    verdict, _ = conducted(ProtocolProbe(PROFILES.values()), device)
    assert len(lost) == 2
    assert verdict.facts["serial_number"] == "ABC"


def test_the_evidence_shows_bytes_and_text():
    verdict, _ = conducted(ProtocolProbe(PROFILES.values()), answering(**{POWER_1.hex(): POWER_1_IS_ON}))
    assert verdict.evidence == {r"\xaa\x11\x01\x00\x12 at 9600 8N1": r'aa ff 01 03 41 11 01 56 "\xaa\xff\x01\x03A\x11\x01V"'}
    assert describe_bytes(b"%1CLSS=1\r") == r'"%1CLSS=1\r"'
    assert describe_bytes(b"x" * 100).endswith('" and 36 bytes more')


def test_an_echo_is_not_taken_for_an_answer():
    question = b"ka 01 FF\r"
    verdict, _ = conducted(ProtocolProbe([LG]), lambda step: step.request)
    assert verdict.is_alive
    assert verdict.profile is None
    verdict, _ = conducted(ProtocolProbe([LG]), lambda step: step.request + b"a 01 OK01x" * (step.request == question))
    assert verdict.profile is LG


def test_an_answer_that_does_not_match_the_rule_proves_nothing():
    idn = b"*IDN?\n".hex()
    verdict, _ = conducted(
        ProtocolProbe(PROFILES.values()), answering(**{idn: b"KEITHLEY INSTRUMENTS INC.,MODEL 2110,1311126,01.00-01-01\n"})
    )
    assert verdict.is_alive
    assert verdict.profile is None
    assert any("MODEL 2110" in told for told in verdict.evidence.values())


def test_two_profiles_with_the_same_query_send_it_once_per_line_setting():
    twin = SAMSUNG.model_copy(update={"name": "samsung-twin"})
    _, steps = conducted(ProtocolProbe([SAMSUNG, twin]), silent)
    assert [step.request for step in steps if step.request] == [POWER_1, POWER_0, POWER_EVERYONE]


def test_a_probe_ends_when_its_time_is_up():
    _, steps = conducted(ProtocolProbe(PROFILES.values(), budget_seconds=20), silent)
    assert sum(step.seconds for step in steps) <= 20
    assert len(steps) > 2


def test_a_port_that_is_only_listened_to_gets_no_query():
    verdict, steps = conducted(ProtocolProbe(PROFILES.values(), may_ask=False), silent)
    assert not verdict.is_alive
    assert all(step.request == b"" for step in steps)


def test_a_configured_device_is_queried_at_its_address_and_line_settings_only():
    line = LineSettings(baudrate=19200)
    interview = ProtocolProbe(PROFILES.values(), SAMSUNG, lines=[line], address=7)
    answer = bytes.fromhex("AA FF 07 03 41 11 01 5C")
    verdict, steps = conducted(interview, lambda step: answer if step.request[1:2] == b"\x11" else b"")
    assert (verdict.profile, verdict.address, verdict.line) == (SAMSUNG, 7, line)
    assert {step.line for step in steps} == {line}
    assert {step.request[2] for step in steps} == {7}


def test_a_configured_device_that_refuses_the_query_is_found():
    verdict, _ = conducted(ProtocolProbe([], PJLINK), lambda step: b"%1CLSS=ERR3\r" if b"CLSS" in step.request else b"")
    assert verdict.profile is PJLINK


def test_a_refusal_proves_a_device_only_where_its_profile_says_so():
    verdict, _ = conducted(ProtocolProbe([PJLINK]), lambda step: b"%1CLSS=ERR3\r" if b"CLSS" in step.request else b"")
    assert verdict.profile is PJLINK
    verdict, _ = conducted(ProtocolProbe([LG]), lambda step: b"a 01 NG00x" if step.request.startswith(b"ka") else b"")
    assert verdict.profile is None


def test_what_a_device_refuses_to_tell_about_itself_is_missing_and_no_fact():
    answers = {b"%1CLSS ?\r": b"%1CLSS=1\r", b"%1INF1 ?\r": b"%1INF1=ERR3\r", b"%1INFO ?\r": b"%1INFO=\r"}
    verdict, steps = conducted(ProtocolProbe([PJLINK]), lambda step: answers.get(step.request, b""))
    assert verdict.facts == {}
    assert verdict.missing == {"manufacturer", "model", "sub_model"}
    assert not any(step.request.startswith(b"%2") for step in steps), "class 1 is not asked questions of class 2"


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_a_configured_profile_is_looked_for_at_all_its_settings(name):
    profile = PROFILES[name]
    _, steps = conducted(ProtocolProbe([], profile), lambda step: b"\xf8" if not step.request else b"")
    assert {step.line for step in steps} == set(profile.lines)


def test_garbage_shows_that_a_device_is_alive_but_unknown():
    verdict, _ = conducted(ProtocolProbe(PROFILES.values()), lambda _step: b"\x00\xf8\x80")
    assert verdict.is_alive
    assert verdict.profile is None
    assert verdict.facts == {}


def test_a_device_that_sends_endlessly_is_identified_by_its_latest_bytes():
    noise = b"\x00\xff" * 10_000
    verdict, _ = conducted(ProtocolProbe([NMEA]), lambda _step: noise + (GGA + RMC) * 2)
    assert verdict.profile is NMEA
    verdict, _ = conducted(ProtocolProbe([NMEA]), lambda _step: (GGA + RMC) * 2 + noise)
    assert verdict.profile is None


@pytest.mark.parametrize("received", [bytes(range(256)), b"\xff" * 5000, b"x" * 5000, b"\\" * 5000, b"x" * 60 + b"\x80" * 60])
def test_evidence_is_as_short_as_the_gateway_takes_it(received):
    shown = describe_bytes(received)
    assert len(shown) <= 300
    assert shown.endswith(" bytes more")
