"""Case folders: each has the bytes that a device sends, and the readings, facts and commands that must result."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.serial.discovery.probe_answers import answer_in
from adapters.serial.discovery.probing import ProtocolProbe
from adapters.serial.profile.library import PROFILE_FILES
from adapters.serial.profile.profile import Profile
from adapters.serial.profile.protocol import DeviceProtocol
from adapters.serial.tools import case_files
from adapters.serial.tools.case_files import Case
from adapters.serial.tools.case_runner import interview, run_case

CASES = Path(__file__).parents[1] / "cases"
PROFILES = PROFILE_FILES.load()

FEWEST_UNITS, FEWEST_REFUSALS, FEWEST_COMMANDS = 44, 28, 81
"""Numbers of the expectations in all cases: fewer would mean that some are not read any more."""


def read_case(folder: Path) -> Case:
    return case_files.read_case(folder, PROFILES)


def folders() -> list[Any]:
    return [pytest.param(folder, id=f"{folder.parent.name}/{folder.name}") for folder in sorted(CASES.glob("*/*"))]


@pytest.fixture(params=folders())
def case(request):
    return read_case(request.param)


def test_a_case_holds(case):
    result = run_case(case, PROFILES)
    assert result.differences == []
    expected = (case.facts, case.readings, case.units, case.refused, case.commands)
    assert result.compared >= 2 + sum(map(len, expected))


def test_bytes_outside_of_frames_are_told():
    (case, *_) = [read_case(folder) for folder in sorted((CASES / "samsung-mdc").glob("*"))]
    (difference,) = run_case(replace(case, talks=b"\x00\x01"), PROFILES).differences
    assert (difference.what, difference.expected) == ("talks", "whole frames")
    assert difference.got.endswith("not part of a frame")


def test_cases_expect_units_refusals_and_commands():
    cases = [read_case(folder) for folder in CASES.glob("*/*")]
    assert sum(len(case.units) for case in cases) >= FEWEST_UNITS
    assert sum(len(case.refused) for case in cases) >= FEWEST_REFUSALS
    assert sum(len(case.commands) for case in cases) >= FEWEST_COMMANDS


def test_what_proves_a_device_is_told(case):
    verdict, _ = interview(case, ProtocolProbe(PROFILES.values()))
    assert verdict.evidence


def usual_addresses(profile: Profile) -> tuple[int | str | None, ...]:
    addresses = profile.addresses
    if addresses is None:
        return (None,)
    return addresses.usual if addresses.everyone is None else (*addresses.usual, addresses.everyone)


def test_a_probe_sends_nothing_but_queries(case):
    _, sent = interview(case, ProtocolProbe(PROFILES.values()))
    harmless = {
        protocol.query_request(query.name, address).raw
        for protocol in map(DeviceProtocol, PROFILES.values())
        for query in protocol.profile.queries
        for address in usual_addresses(protocol.profile)
    }
    assert set(sent) <= harmless


def refusal_of(case: Case) -> bytes:
    """Return how the device of a case answers what it does not know, if the case shows that; else nothing."""
    protocol = DeviceProtocol(case.profile)
    for request in (protocol.query_request(query.name, case.address) for query in case.profile.queries):
        answer = answer_in(request, case.answers.get(request.raw, b""), is_final=True)
        if answer is not None and answer.refusal is not None:
            return case.answers[request.raw]
    return next((case.as_bytes(one.refused) for one in case.commands if one.refused is not None), b"")


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
    assert taken - OPEN == ({case.profile.name} if case.profile.match else set()) - OPEN


OPEN = {name for name, profile in PROFILES.items() if any(message.open for message in profile.messages)}
"""Profiles of any device that sends readable lines: they come last, and tell that they are only possible."""


def kind_of(metric: str) -> str:
    """Return the name without its number: no case shows each of the 64 outputs of the largest matrix."""
    return re.sub(r"_\d+$", "_#", metric)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_has_cases_that_show_all_its_points_and_commands_and_a_source(name):
    profile = PROFILES[name]
    cases = [read_case(folder) for folder in (CASES / name).glob("*")]
    shown = {kind_of(metric) for case in cases for metric in case.readings}
    assert shown >= {kind_of(point.metric) for part in profile.parts for point in part.points}
    commanded = {command.name for case in cases for command in case.commands}
    assert commanded == {command.name for command in profile.commands}
    assert profile.source.checked_against
    assert profile.source.section


def test_every_case_belongs_to_a_profile_and_names_the_origin_of_its_bytes():
    assert {folder.name for folder in CASES.iterdir()} == set(PROFILES)
    assert all(re.search(r"\w{4}", read_case(folder).origin) for folder in CASES.glob("*/*"))
