"""Test the plan of reads for devices with various services."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.advertisements.special_formats import PayloadTooShort
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import expected_services, plan_reads

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SENSOR, OTHER = full_uuid("ff01"), full_uuid("ff02")
DATA, MORE, SWITCH = full_uuid("ffa1"), full_uuid("ffa2"), full_uuid("ffa3")

POINTS = [
    {"metric": "temperature", "service": "ff01", "characteristic": "ffa1", "format": "sint16", "group": "fast"},
    {"metric": "humidity", "service": "ff01", "characteristic": "ffa1", "at": 2, "group": "slow"},
    {"metric": "battery", "service": "ff01", "characteristic": "ffa2", "group": "slow"},
]


def profile(points=POINTS, **said) -> Profile:
    source = {"document": "made up for a test", "edition": "1", "section": "all"}
    return Profile.model_validate(
        {"name": "test", "title": "Test", "family": "climate-sensor", "source": source, "points": points} | said
    )


def services(**uses):
    names = {"data": DATA, "more": MORE, "switch": SWITCH}
    return {SENSOR: {names[name]: frozenset(use.split()) for name, use in uses.items()}}


def metrics(readers):
    return {str(reader.path): [point.metric for point in reader.points] for reader in readers}


def test_each_characteristic_is_read_once_for_all_its_points():
    plan = plan_reads(profile(), {"fast", "slow"}, services(data="read", more="read"))
    assert metrics(plan.reads) == {"ff01/ffa1": ["temperature", "humidity"], "ff01/ffa2": ["battery"]}
    assert not plan.subscriptions
    assert not plan.remarks


def test_a_group_that_is_due_costs_no_more_than_its_own_characteristics_and_gets_their_other_points_for_nothing():
    plan = plan_reads(profile(), {"fast"}, services(data="read", more="read"))
    assert metrics(plan.reads) == {"ff01/ffa1": ["temperature", "humidity"]}


def test_a_point_marked_as_notified_is_subscribed_to_although_it_is_readable():
    points = [POINTS[0] | {"notify": True}, POINTS[1], POINTS[2]]
    plan = plan_reads(profile(points), {"fast", "slow"}, services(data="read notify", more="read notify"))
    assert metrics(plan.subscriptions) == {"ff01/ffa1": ["temperature", "humidity"]}
    assert metrics(plan.reads) == {"ff01/ffa2": ["battery"]}


@pytest.mark.parametrize(
    ("notify", "uses", "how"),
    [(True, "read", "reads"), (True, "indicate", "subscriptions"), (False, "notify", "subscriptions"), (False, "read", "reads")],
)
def test_the_properties_of_the_device_outrank_those_of_the_profile(notify, uses, how):
    plan = plan_reads(profile([POINTS[0] | {"notify": notify}]), {"fast"}, services(data=uses))
    assert metrics(getattr(plan, how)) == {"ff01/ffa1": ["temperature"]}


def test_a_missing_characteristic_is_a_remark_and_the_rest_is_read():
    plan = plan_reads(profile(), {"fast", "slow"}, services(data="read"))
    assert metrics(plan.reads) == {"ff01/ffa1": ["temperature", "humidity"]}
    assert plan.remarks == ("battery is not read: the device has no characteristic ff01/ffa2",)


def test_an_inaccessible_characteristic_is_a_remark():
    plan = plan_reads(profile([POINTS[0]]), {"fast"}, services(data="write"))
    assert not plan.reads
    assert plan.remarks == ("temperature is not read: the device allows neither to read ff01/ffa1 nor to subscribe to it",)


def test_a_missing_optional_characteristic_is_no_remark():
    plan = plan_reads(profile([POINTS[0], POINTS[2] | {"optional": True}]), {"fast", "slow"}, services(data="read"))
    assert not plan.remarks


def test_a_characteristic_is_found_in_whichever_of_its_services_the_device_has():
    moved = profile([POINTS[0] | {"service": ["ff02", "ff01"]}])
    assert metrics(plan_reads(moved, {"fast"}, services(data="read")).reads) == {"ff01/ffa1": ["temperature"]}
    assert metrics(plan_reads(moved, {"fast"}, {OTHER: {DATA: frozenset({"read"})}}).reads) == {"ff02/ffa1": ["temperature"]}


def test_a_sensor_is_switched_on_only_before_a_read():
    switched = profile(POINTS, prepare=[{"service": "ff01", "characteristic": "ffa3", "payload": "01"}])
    assert [one.payload for one in plan_reads(switched, {"fast"}, services(data="read", switch="write")).initial_writes] == [
        b"\x01"
    ]
    assert not plan_reads(switched, {"normal"}, services(data="read", switch="write")).initial_writes
    assert plan_reads(switched, {"fast"}, services(data="read")).remarks == (
        "it has no characteristic ff01/ffa3, which has to be written first",
    )


def test_a_characteristic_with_events_only_is_not_awaited():
    button = POINTS[0] | {"event": True}
    (alone,) = plan_reads(profile([button]), {"fast"}, services(data="read notify")).subscriptions
    (together,) = plan_reads(profile([button, POINTS[1]]), {"fast"}, services(data="read notify")).subscriptions
    assert alone.is_event
    assert not together.is_event
    assert [point.measured.is_event for reader in (alone, together) for point in reader.points] == [True, True, False]


def test_a_payload_becomes_readings_of_the_child():
    (reader,) = plan_reads(profile(), {"fast"}, services(data="read")).reads
    block = reader.decode(bytes.fromhex("170032"), "mac:aabbccddeeff", AT)
    assert [(reading.child, reading.metric.name, reading.value, reading.at) for reading in block] == [
        ("mac:aabbccddeeff", "temperature", 23, AT),
        ("mac:aabbccddeeff", "humidity", 50, AT),
    ]
    assert block.row is reader.decode(bytes.fromhex("180033"), "mac:aabbccddeeff", AT).row


def test_points_that_a_shorter_payload_does_not_hold_have_no_reading_and_the_others_have():
    (reader,) = plan_reads(profile(), {"fast"}, services(data="read")).reads
    assert {reading.metric.name: reading.value for reading in reader.decode(b"\x17\x00", "child", AT)} == {"temperature": 23}


def test_a_payload_without_any_point_is_reported_with_its_path_and_bytes():
    (reader,) = plan_reads(profile(), {"fast"}, services(data="read")).reads
    with pytest.raises(PayloadTooShort, match="ff01/ffa1 returned 17: bytes needed for the value: 2, left: 1"):
        reader.decode(b"\x17", "child", AT)


def test_a_payload_of_another_kind_has_no_readings_and_is_no_error():
    (reader,) = plan_reads(profile([POINTS[1] | {"starts_with": "01"}]), {"slow"}, services(data="read")).reads
    assert list(reader.decode(bytes.fromhex("020000"), "child", AT)) == []
    assert [reading.value for reading in reader.decode(bytes.fromhex("010032"), "child", AT)] == [50]


def test_what_a_device_has_by_its_profile_gives_the_plan_that_the_profile_means():
    promised = profile([POINTS[0] | {"notify": True}, POINTS[2]])
    plan = plan_reads(promised, {"fast", "slow"}, expected_services(promised))
    assert metrics(plan.subscriptions) == {"ff01/ffa1": ["temperature"]}
    assert metrics(plan.reads) == {"ff01/ffa2": ["battery"]}
    assert not plan.remarks
