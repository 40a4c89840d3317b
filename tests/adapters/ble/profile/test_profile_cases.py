"""Each case folder: what a device advertises and gives over a connection, and what must become of it."""

from __future__ import annotations

import re
import tomllib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.profile.commands import prepare_command
from adapters.ble.profile.device_information import information_paths, parse_information
from adapters.ble.profile.library import PROFILE_FILES
from adapters.ble.profile.profile_matching import best_profile
from adapters.ble.profile.read_plan import CharacteristicPath, plan_reads
from adapters.ble.profile.toml_types import short_uuid
from gateway.adapter import Command

CASES = Path(__file__).parents[1] / "cases"
PROFILES = PROFILE_FILES.load()
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

NONE = "<none>"
"""How a case says that there is no value: TOML has no word for it."""


@dataclass
class Case:
    """A device in memory, and what is expected of it."""

    profile: str
    origin: str
    advertisement: Advertisement
    services: dict[str, dict[str, frozenset[str]]]
    payloads: dict[CharacteristicPath, bytes]
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
    return Case(folder.parent.name, device["origin"], heard(device["advertisement"]), services, payloads, expected)


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


@pytest.fixture(params=folders())
def case(request):
    return read_case(request.param)


def test_the_device_is_known_by_what_it_advertises(case):
    found = best_profile(case.advertisement, PROFILES.values())
    assert found is not None
    assert found.name == case.profile


def test_the_device_is_who_it_says_it_is(case):
    profile = PROFILES[case.profile]
    information = parse_information(profile, {path: case.payloads[path] for path in information_paths(profile, case.services)})
    told = {fact: text for fact, text in asdict(information).items() if text is not None and fact != "evidence"}
    assert told == case.expected["facts"]


def test_every_point_has_the_value_that_the_document_promises(case):
    profile = PROFILES[case.profile]
    plan = plan_reads(profile, profile.intervals, case.services)
    blocks = [reader.decode(case.payloads[reader.path], "mac:a4c138010203", AT) for reader in (*plan.subscriptions, *plan.reads)]
    readings = [reading for block in blocks for reading in block]
    wanted = {metric: None if value == NONE else value for metric, value in case.expected["readings"].items()}
    assert {reading.metric.name: reading.value for reading in readings} == wanted
    assert len(readings) == len(wanted)
    assert not plan.remarks


def test_only_what_has_to_be_is_written_and_subscribed_to(case):
    profile = PROFILES[case.profile]
    plan = plan_reads(profile, profile.intervals, case.services)
    written = [f"{short_uuid(one.characteristic)}: {one.payload.hex()}" for one in plan.initial_writes]
    assert written == case.expected.get("writes", [])
    assert [short_uuid(reader.path.characteristic) for reader in plan.subscriptions] == case.expected.get("subscribed", [])


def test_commands_write_the_bytes_of_the_document_and_see_whether_they_were_obeyed(case):
    for wanted in case.expected.get("commands", []):
        order = prepare_command(PROFILES[case.profile], Command(1, "child", wanted["name"], wanted.get("parameters", {})))
        assert order.payload.hex() == wanted["writes"]
        assert case.services[order.service][order.characteristic] & {"write", "write-without-response"}
        assert case.services[order.check_service][order.check.characteristic] & {
            "notify" if order.check.by_notification else "read"
        }
        assert order.check.problem_in(bytes.fromhex(wanted["obeyed"])) is None
        assert order.check.problem_in(bytes.fromhex(wanted["refused"]))


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
