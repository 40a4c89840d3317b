"""Test the profiles with each case folder: the device's advertisement and characteristics, and the expected result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.tools.case_files import read_case
from adapters.ble.tools.case_runner import run_case

CASES = Path(__file__).parents[1] / "cases"
PROFILES = PROFILE_FILES.load()


def folders() -> list[Any]:
    return [pytest.param(folder, id=f"{folder.parent.name}/{folder.name}") for folder in sorted(CASES.glob("*/*"))]


@pytest.mark.parametrize("folder", folders())
def test_a_case_holds(folder):
    case = read_case(folder)
    result = run_case(case, PROFILES)
    assert result.differences == []
    assert result.compared > len(case.facts) + len(case.readings) + len(case.commands)


def test_every_command_has_a_case():
    tested = {(case.profile, command.name) for case in map(read_case, CASES.glob("*/*")) for command in case.commands}
    assert tested == {(name, command.name) for name, profile in PROFILES.items() for command in profile.commands}
    assert tested


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_has_cases_that_show_all_its_points_and_commands_and_a_source(name):
    profile = PROFILES[name]
    cases = [read_case(folder) for folder in (CASES / name).glob("*")]
    assert {metric for case in cases for metric in case.readings} == {point.metric for point in profile.points}
    shown = {command.name for case in cases for command in case.commands}
    assert shown == {command.name for command in profile.commands}
    assert len(profile.source.checked_against) >= 2
    assert profile.source.section


def test_every_case_belongs_to_a_profile_and_tells_where_its_bytes_come_from():
    assert {folder.name for folder in CASES.iterdir()} == set(PROFILES)
    assert all(re.search(r"\w{4}", read_case(folder).origin) for folder in CASES.glob("*/*"))
