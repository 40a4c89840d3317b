"""Case folders: each has the bytes that a device sends, and the readings, facts and commands that must result."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.serial.discovery.probing import ProbeResult, ProtocolProbe
from adapters.serial.framing.framer import framer_for
from adapters.serial.framing.notation import hex_bytes, text_bytes
from adapters.serial.profile.commands import prepare_command
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol, Request
from gateway.adapter import Command, Reading

CASES = Path(__file__).parents[1] / "cases"
PROFILES = PROFILE_FILES.load()
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
LONG_AGO = 1e9

NONE = "<none>"
"""Stands for a missing value in a case: TOML has no word for it."""

FEWEST_UNITS, FEWEST_REFUSALS, FEWEST_COMMANDS = 44, 28, 81
"""Numbers of the expectations in all cases: fewer would mean that some are not read any more."""


@dataclass
class Case:
    """A device in memory, and what is expected of it."""

    profile: str
    origin: str
    address: int | str | None
    answers: dict[bytes, bytes]
    talks: bytes
    expected: dict[str, Any]

    @property
    def protocol(self) -> DeviceProtocol:
        return DeviceProtocol(PROFILES[self.profile])

    def as_bytes(self, written: str) -> bytes:
        return as_bytes(self.profile, written)

    def frames(self, raw: bytes) -> list[bytes]:
        framer = framer_for(PROFILES[self.profile].framing)
        frames = [*framer.feed(raw), *framer.expire(LONG_AGO)]
        assert not framer.discards.by_reason
        return [frame.payload for frame in frames]

    def asked(self, question: Request) -> Any:
        answers = [question.read(payload) for payload in self.frames(self.answers.get(question.raw, b""))]
        return next((answer for answer in answers if answer is not None), None)


def as_bytes(profile: str, written: str) -> bytes:
    return hex_bytes(written) if PROFILES[profile].notation == "binary" else text_bytes(written)


def read_case(folder: Path) -> Case:
    device, expected = (tomllib.loads((folder / f"{name}.toml").read_text("utf-8")) for name in ("device", "expected"))
    profile = folder.parent.name
    answers = {as_bytes(profile, asked): as_bytes(profile, answered) for asked, answered in device.get("answers", {}).items()}
    talks = b"".join(as_bytes(profile, said) for said in device.get("talks", []))
    return Case(profile, device["origin"], device.get("address"), answers, talks, expected)


def folders() -> list[Any]:
    return [pytest.param(folder, id=f"{folder.parent.name}/{folder.name}") for folder in sorted(CASES.glob("*/*"))]


@pytest.fixture(params=folders())
def case(request):
    return read_case(request.param)


def expectations(kind: str) -> list[Any]:
    """Return all entries of this kind of all cases, each to be tested by itself: no case passes by having none."""
    found = []
    for folder in sorted(CASES.glob("*/*")):
        case = read_case(folder)
        entries = case.expected.get(kind, {})
        for entry in entries.items() if isinstance(entries, dict) else entries:
            name = entry[0] if isinstance(entry, tuple) else entry["name"]
            found.append(pytest.param(case, entry, id=f"{folder.parent.name}/{folder.name}/{name}"))
    return found


def test_cases_expect_units_refusals_and_commands():
    assert len(expectations("units")) >= FEWEST_UNITS
    assert len(expectations("refused")) >= FEWEST_REFUSALS
    assert len(expectations("commands")) >= FEWEST_COMMANDS


def interviewed(case: Case, interview: ProtocolProbe) -> tuple[ProbeResult, list[bytes]]:
    """Carry the interview out on the device in memory; return its verdict and all that was sent."""
    steps, sent, answer = interview.run(), list[bytes](), None
    try:
        step = next(steps)
        while True:
            sent.append(step.request)
            is_right = step.line in PROFILES[case.profile].lines
            answer = case.answers.get(step.request, b"") if step.request else case.talks
            step = steps.send(answer if is_right else b"\xf8\x80" * bool(answer))
    except StopIteration as end:
        return end.value, [request for request in sent if request]


def readings(case: Case) -> list[Reading]:
    protocol, told = case.protocol, []
    for query in PROFILES[case.profile].queries:
        answer = case.asked(protocol.query_request(query.name, case.address))
        if answer is not None and answer.refusal is None:
            told += protocol.readings_of(query.name, answer, "child", AT)
    for payload in case.frames(case.talks):
        heard = protocol.read_message(payload)
        if heard is not None:
            told += protocol.readings_of(heard.name, heard, "child", AT)
    return told


def test_the_device_is_found_among_all_profiles_with_its_facts(case):
    verdict, _ = interviewed(case, ProtocolProbe(PROFILES.values(), budget_seconds=LONG_AGO))
    assert verdict.profile is not None
    assert verdict.profile.name == case.profile
    assert verdict.facts == case.expected.get("facts", {})
    assert verdict.address == case.address
    assert str(verdict.confidence) == case.expected["confidence"]
    assert verdict.evidence


def usual_addresses(profile: Profile) -> tuple[int | str | None, ...]:
    addresses = profile.addresses
    if addresses is None:
        return (None,)
    return addresses.usual if addresses.everyone is None else (*addresses.usual, addresses.everyone)


def test_a_probe_sends_nothing_but_queries(case):
    _, sent = interviewed(case, ProtocolProbe(PROFILES.values()))
    harmless = {
        protocol.query_request(query.name, address).raw
        for protocol in map(DeviceProtocol, PROFILES.values())
        for query in protocol.profile.queries
        for address in usual_addresses(protocol.profile)
    }
    assert set(sent) <= harmless


def refusal_of(case: Case) -> bytes:
    """Return how the device of a case answers what it does not know, if the case shows that; else nothing."""
    asked = [case.protocol.query_request(query.name, case.address) for query in PROFILES[case.profile].queries]
    for request in asked:
        answer = case.asked(request)
        if answer is not None and answer.refusal is not None:
            return case.answers[request.raw]
    refused = [case.as_bytes(one["refused"]) for one in case.expected.get("commands", []) if "refused" in one]
    return refused[0] if refused else b""


def test_no_other_profile_takes_the_device_for_its_own(case):
    unknown = refusal_of(case)
    taken = set()
    for name, profile in PROFILES.items():
        steps, answer = ProtocolProbe([profile]).run(), None
        try:
            step = next(steps)
            while True:
                answer = case.answers.get(step.request, unknown) if step.request else case.talks
                step = steps.send(answer)
        except StopIteration as end:
            if end.value.profile is not None:
                taken.add(name)
    assert taken - OPEN == ({case.profile} if PROFILES[case.profile].match else set()) - OPEN


OPEN = {name for name, profile in PROFILES.items() if any(message.open for message in profile.messages)}
"""Profiles of any device that sends readable lines: they come last, and tell that they are only possible."""


def test_every_point_has_the_documented_value(case):
    wanted = {metric: None if value == NONE else value for metric, value in case.expected["readings"].items()}
    told = {reading.metric.name: reading.value for reading in readings(case)}
    assert (
        told == pytest.approx(wanted, abs=1e-9)
        if all(isinstance(one, int | float) for one in wanted.values())
        else told == wanted
    )


@pytest.mark.parametrize(("case", "expected"), expectations("units"))
def test_units_are_those_of_the_profile_or_of_the_device(case, expected):
    metric, unit = expected
    assert {reading.metric.unit for reading in readings(case) if reading.metric.name == metric} == {unit}


@pytest.mark.parametrize(("case", "expected"), expectations("refused"))
def test_a_refused_query_has_a_readable_reason(case, expected):
    query, reason = expected
    assert reason in case.asked(case.protocol.query_request(query, case.address)).refusal


@pytest.mark.parametrize(("case", "wanted"), expectations("commands"))
def test_a_command_sends_the_bytes_of_the_document_and_its_effect_is_checked(case, wanted):
    command = Command(1, "child", wanted["name"], wanted.get("parameters", {}))
    prepared = prepare_command(PROFILES[case.profile], command, case.address)
    assert prepared.request.raw == case.as_bytes(wanted["sends"])
    assert prepared.request.expects_answer == ("obeyed" in wanted)
    if "obeyed" in wanted:
        (payload,) = case.frames(case.as_bytes(wanted["obeyed"]))
        assert prepared.request.read(payload).refusal is None
    if "refused" in wanted:
        (payload,) = case.frames(case.as_bytes(wanted["refused"]))
        assert wanted["reason"] in prepared.request.read(payload).refusal
    assert (prepared.check is not None) == ("shown" in wanted)
    if prepared.check is not None:
        for shown, is_effective in ((wanted["shown"], True), (wanted["not_shown"], False)):
            (payload,) = case.frames(case.as_bytes(shown))
            assert (prepared.check.mismatch_in(prepared.check.request.read(payload).values) is None) is is_effective


def kind_of(metric: str) -> str:
    """Return the name without its number: no case shows each of the 64 outputs of the largest matrix."""
    return re.sub(r"_\d+$", "_#", metric)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_has_cases_that_show_all_its_points_and_commands_and_a_source(name):
    profile = PROFILES[name]
    cases = [read_case(folder) for folder in (CASES / name).glob("*")]
    shown = {kind_of(metric) for case in cases for metric in case.expected["readings"]}
    assert shown >= {kind_of(point.metric) for part in profile.parts for point in part.points}
    commanded = {command["name"] for case in cases for command in case.expected.get("commands", [])}
    assert commanded == {command.name for command in profile.commands}
    assert profile.source.checked_against
    assert profile.source.section


def test_every_case_belongs_to_a_profile_and_names_the_origin_of_its_bytes():
    assert {folder.name for folder in CASES.iterdir()} == set(PROFILES)
    assert all(re.search(r"\w{4}", read_case(folder).origin) for folder in CASES.glob("*/*"))
