"""Test the profiles with each case folder: the device's advertisement and characteristics, and the expected result."""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid, short_uuid
from adapters.ble.profile.answer_frames import AnswerAssembler
from adapters.ble.profile.commands import prepare_command
from adapters.ble.profile.device_information import information_paths, information_requests, parse_information
from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.profile.profile_matching import alternatives, best_profile
from adapters.ble.profile.read_plan import CharacteristicPath, plan_reads
from gateway.adapter import Command

CASES = Path(__file__).parents[1] / "cases"
PROFILES = PROFILE_FILES.load()
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

NONE = "<none>"
"""The mark of a missing value in a case: TOML has none."""


@dataclass
class Case:
    """A device in memory, and what is expected of it."""

    profile: str
    origin: str
    advertisement: Advertisement
    services: dict[str, dict[str, frozenset[str]]]
    payloads: dict[CharacteristicPath, bytes]
    answers: dict[str, bytes]
    """The name of a request -> what the device sends after it, as it was captured."""
    expected: dict[str, Any]


def read_case(folder: Path) -> Case:
    device, expected = (tomllib.loads((folder / f"{name}.toml").read_text("utf-8")) for name in ("device", "expected"))
    services, payloads = {}, {}
    for service, characteristics in device["services"].items():
        uses = services[full_uuid(service)] = {}
        for characteristic, said in characteristics.items():
            said = {"payload": said} if isinstance(said, str) else said
            uses[full_uuid(characteristic)] = frozenset(said.get("uses", ["read"]))
            if "payload" in said:
                payloads[CharacteristicPath(full_uuid(service), full_uuid(characteristic))] = as_bytes(said["payload"])
    answers = {name: as_bytes(said) for name, said in device.get("answers", {}).items()}
    return Case(folder.parent.name, device["origin"], heard(device["advertisement"]), services, payloads, answers, expected)


def answer_to(case: Case, request: str) -> bytes:
    """Return the answer that the notifications of a device hold, which has 20 bytes in each."""
    assembler = AnswerAssembler(PROFILES[case.profile].request_named(request).answer)
    sent = case.answers[request]
    assert not assembler.feed(b"AT\r\n"), "bytes of the bridge, which belong to no answer"
    heard_answers = [assembler.feed(sent[at : at + 20]) for at in range(0, len(sent), 20)]
    (answer,) = [one for one in heard_answers if one is not None] or [assembler.feed(sent)]
    assert answer is not None
    assert answer.refusal is None
    return answer.content


def as_bytes(written: str) -> bytes:
    return written.removeprefix("text:").encode() if written.startswith("text:") else bytes.fromhex(written)


def heard(said: dict[str, Any]) -> Advertisement:
    return Advertisement(
        address="A4:C1:38:01:02:03",
        name=said.get("name"),
        manufacturer_data={int(company): bytes.fromhex(data) for company, data in said.get("manufacturer_data", {}).items()},
        service_data={full_uuid(service): bytes.fromhex(data) for service, data in said.get("service_data", {}).items()},
        service_uuids=tuple(full_uuid(service) for service in said.get("service_uuids", ())),
    )


def folders() -> list[Any]:
    return [pytest.param(folder, id=f"{folder.parent.name}/{folder.name}") for folder in sorted(CASES.glob("*/*"))]


@pytest.fixture(params=folders(), name="case")
def case_of_a_folder(request):
    return read_case(request.param)


def commands() -> list[Any]:
    """Return each command of each case: a case without commands has none here, and every command of a profile has one."""
    return [
        pytest.param(case, command, id=f"{name}/{command['name']}")
        for name, case in ((folder.parent.name, read_case(folder)) for folder in sorted(CASES.glob("*/*")))
        for command in case.expected.get("commands", [])
    ]


def test_the_advertisement_fits_the_profile(case):
    found = best_profile(case.advertisement, PROFILES.values())
    assert found is not None
    assert case.profile in [one.name for one in alternatives(found, PROFILES.values())]


def test_the_answer_of_a_device_confirms_its_profile_and_no_other(case):
    profile = PROFILES[case.profile]
    if profile.confirm is None:
        return
    confirmed = [
        one.name
        for one in alternatives(profile, PROFILES.values())
        if one.request_named(one.confirm.request).write in case.services.get(one.request_named(one.confirm.request).service, {})
        and one.confirm.is_met_by(answer_to(case, profile.confirm.request))
    ]
    assert confirmed == [case.profile]


def test_the_device_information_is_as_expected(case):
    profile = PROFILES[case.profile]
    payloads = {path: case.payloads[path] for path in information_paths(profile, case.services)}
    information = parse_information(profile, payloads, {name: answer_to(case, name) for name in information_requests(profile)})
    told = {fact: text for fact, text in asdict(information).items() if text is not None and fact != "evidence"}
    assert told == case.expected["facts"]


def test_every_point_has_the_value_of_the_document(case):
    profile = PROFILES[case.profile]
    plan = plan_reads(profile, profile.intervals, case.services)
    blocks = [reader.decode(case.payloads[reader.path], "mac:a4c138010203", AT) for reader in (*plan.subscriptions, *plan.reads)]
    blocks += [reader.decode(answer_to(case, reader.request.name), "mac:a4c138010203", AT) for reader in plan.answers]
    readings = [reading for block in blocks for reading in block]
    wanted = {metric: None if value == NONE else value for metric, value in case.expected["readings"].items()}
    assert {reading.metric.name: reading.value for reading in readings} == wanted
    assert len(readings) == len(wanted)
    assert not plan.remarks


def test_only_the_necessary_characteristics_are_written_and_subscribed_to(case):
    profile = PROFILES[case.profile]
    plan = plan_reads(profile, profile.intervals, case.services)
    written = [f"{short_uuid(one.characteristic)}: {one.payload.hex()}" for one in plan.initial_writes]
    assert written == case.expected.get("writes", [])
    assert [short_uuid(reader.path.characteristic) for reader in plan.subscriptions] == case.expected.get("subscribed", [])


@pytest.mark.parametrize(("case", "expected"), commands())
def test_a_command_writes_the_bytes_of_the_document_and_its_result_is_checked(case, expected):
    prepared = prepare_command(PROFILES[case.profile], Command(1, "child", expected["name"], expected.get("parameters", {})))
    assert prepared.payload.hex() == expected["writes"]
    assert case.services[prepared.service][prepared.characteristic] & {"write", "write-without-response"}
    check = prepared.check
    assert case.services[prepared.check_service][check.characteristic] & {"notify" if check.by_notification else "read"}
    assert check.problem_in(bytes.fromhex(expected["obeyed"])) is None
    assert check.problem_in(bytes.fromhex(expected["refused"]))


def test_every_command_has_a_case():
    tested = {(one.values[0].profile, one.values[1]["name"]) for one in commands()}
    assert tested == {(name, command.name) for name, profile in PROFILES.items() for command in profile.commands}
    assert tested


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_has_cases_that_show_all_its_points_and_commands_and_a_source(name):
    profile = PROFILES[name]
    cases = [read_case(folder) for folder in (CASES / name).glob("*")]
    assert {metric for case in cases for metric in case.expected["readings"]} == {point.metric for point in profile.points}
    shown = {command["name"] for case in cases for command in case.expected.get("commands", [])}
    assert shown == {command.name for command in profile.commands}
    assert len(profile.source.checked_against) >= 2
    assert profile.source.section


def test_every_case_belongs_to_a_profile_and_tells_where_its_bytes_come_from():
    assert {folder.name for folder in CASES.iterdir()} == set(PROFILES)
    assert all(re.search(r"\w{4}", read_case(folder).origin) for folder in CASES.glob("*/*"))
