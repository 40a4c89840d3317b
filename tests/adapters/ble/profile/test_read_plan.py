"""What is read on a device with the services it has, and who it says it is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.profile.profile import Profile
from adapters.ble.profile.read_plan import Place, expected, facts_of, plan, profile_fitting, questions
from adapters.ble.profile.special_formats import PayloadTooShort
from adapters.ble.session.time_estimates import CONNECT_SECONDS, NOTIFIED_SECONDS, checked, transactions, visit_seconds

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


def tree(**uses):
    names = {"data": DATA, "more": MORE, "switch": SWITCH}
    return {SENSOR: {names[name]: frozenset(use.split()) for name, use in uses.items()}}


def metrics(readers):
    return {str(reader.place): [point.metric for point in reader.points] for reader in readers}


def test_each_characteristic_is_read_once_for_all_its_points():
    visit = plan(profile(), {"fast", "slow"}, tree(data="read", more="read"))
    assert metrics(visit.reads) == {"ff01/ffa1": ["temperature", "humidity"], "ff01/ffa2": ["battery"]}
    assert not visit.subscriptions
    assert not visit.remarks


def test_a_group_that_is_due_costs_no_more_than_its_own_characteristics_and_gets_their_other_points_for_nothing():
    visit = plan(profile(), {"fast"}, tree(data="read", more="read"))
    assert metrics(visit.reads) == {"ff01/ffa1": ["temperature", "humidity"]}


def test_what_the_profile_says_is_notified_is_subscribed_to_although_it_could_be_read():
    points = [POINTS[0] | {"notify": True}, POINTS[1], POINTS[2]]
    visit = plan(profile(points), {"fast", "slow"}, tree(data="read notify", more="read notify"))
    assert metrics(visit.subscriptions) == {"ff01/ffa1": ["temperature", "humidity"]}
    assert metrics(visit.reads) == {"ff01/ffa2": ["battery"]}


@pytest.mark.parametrize(
    ("notify", "uses", "how"),
    [(True, "read", "reads"), (True, "indicate", "subscriptions"), (False, "notify", "subscriptions"), (False, "read", "reads")],
)
def test_a_device_is_taken_as_it_is_and_not_as_its_profile_says(notify, uses, how):
    visit = plan(profile([POINTS[0] | {"notify": notify}]), {"fast"}, tree(data=uses))
    assert metrics(getattr(visit, how)) == {"ff01/ffa1": ["temperature"]}


def test_what_a_device_lacks_is_a_remark_and_the_rest_is_read():
    visit = plan(profile(), {"fast", "slow"}, tree(data="read"))
    assert metrics(visit.reads) == {"ff01/ffa1": ["temperature", "humidity"]}
    assert visit.remarks == ("battery is not read: the device has no characteristic ff01/ffa2",)


def test_what_can_neither_be_read_nor_subscribed_to_is_a_remark():
    visit = plan(profile([POINTS[0]]), {"fast"}, tree(data="write"))
    assert not visit.reads
    assert visit.remarks == ("temperature is not read: the device lets ff01/ffa1 be neither read nor subscribed to",)


def test_nobody_is_told_of_what_a_device_may_lack():
    visit = plan(profile([POINTS[0], POINTS[2] | {"optional": True}]), {"fast", "slow"}, tree(data="read"))
    assert not visit.remarks


def test_a_characteristic_is_found_in_whichever_of_its_services_the_device_has():
    moved = profile([POINTS[0] | {"service": ["ff02", "ff01"]}])
    assert metrics(plan(moved, {"fast"}, tree(data="read")).reads) == {"ff01/ffa1": ["temperature"]}
    assert metrics(plan(moved, {"fast"}, {OTHER: {DATA: frozenset({"read"})}}).reads) == {"ff02/ffa1": ["temperature"]}


def test_a_sensor_is_switched_on_first_but_not_for_nothing():
    switched = profile(POINTS, prepare=[{"service": "ff01", "characteristic": "ffa3", "payload": "01"}])
    assert [one.payload for one in plan(switched, {"fast"}, tree(data="read", switch="write")).writes] == [b"\x01"]
    assert not plan(switched, {"normal"}, tree(data="read", switch="write")).writes
    assert plan(switched, {"fast"}, tree(data="read")).remarks == (
        "it has no characteristic ff01/ffa3, which has to be written first",
    )


def test_nobody_waits_for_a_button_but_for_what_stands_beside_it():
    button = POINTS[0] | {"event": True}
    (alone,) = plan(profile([button]), {"fast"}, tree(data="read notify")).subscriptions
    (together,) = plan(profile([button, POINTS[1]]), {"fast"}, tree(data="read notify")).subscriptions
    assert alone.is_event
    assert not together.is_event
    assert [point.measured.is_event for reader in (alone, together) for point in reader.points] == [True, True, False]


def test_a_payload_becomes_readings_of_the_child():
    (reader,) = plan(profile(), {"fast"}, tree(data="read")).reads
    block = reader.decode(bytes.fromhex("170032"), "mac:aabbccddeeff", AT)
    assert [(reading.child, reading.metric.name, reading.value, reading.at) for reading in block] == [
        ("mac:aabbccddeeff", "temperature", 23, AT),
        ("mac:aabbccddeeff", "humidity", 50, AT),
    ]
    assert block.row is reader.decode(bytes.fromhex("180033"), "mac:aabbccddeeff", AT).row


def test_points_that_a_shorter_payload_does_not_hold_have_no_reading_and_the_others_have():
    (reader,) = plan(profile(), {"fast"}, tree(data="read")).reads
    assert {reading.metric.name: reading.value for reading in reader.decode(b"\x17\x00", "child", AT)} == {"temperature": 23}


def test_a_payload_that_holds_nothing_is_told_with_its_place_and_bytes():
    (reader,) = plan(profile(), {"fast"}, tree(data="read")).reads
    with pytest.raises(PayloadTooShort, match="ff01/ffa1 gave 17: bytes needed for the value: 2, left: 1"):
        reader.decode(b"\x17", "child", AT)


def test_a_payload_of_another_kind_has_no_readings_and_is_no_error():
    (reader,) = plan(profile([POINTS[1] | {"starts_with": "01"}]), {"slow"}, tree(data="read")).reads
    assert list(reader.decode(bytes.fromhex("020000"), "child", AT)) == []
    assert [reading.value for reading in reader.decode(bytes.fromhex("010032"), "child", AT)] == [50]


def test_what_a_device_has_by_its_profile_gives_the_plan_that_the_profile_means():
    promised = profile([POINTS[0] | {"notify": True}, POINTS[2]])
    visit = plan(promised, {"fast", "slow"}, expected(promised))
    assert metrics(visit.subscriptions) == {"ff01/ffa1": ["temperature"]}
    assert metrics(visit.reads) == {"ff01/ffa2": ["battery"]}
    assert not visit.remarks


DEVICE_INFORMATION = full_uuid("180a")
ANSWERS = {
    "2a29": b"Acme\0",
    "2a24": b"TH-1",
    "2a25": b"004711",
    "2a26": b"1.2.3",
    "2a27": b"B",
    "2a28": b"1.2.3-7",
}


def answers(**changed):
    told = ANSWERS | {f"2a{name}": text for name, text in changed.items()}
    return {Place(DEVICE_INFORMATION, full_uuid(name)): text for name, text in told.items() if text is not None}


def test_a_device_is_asked_who_it_is_once_for_each_characteristic_that_it_has():
    services = {DEVICE_INFORMATION: {full_uuid("2a24"): frozenset({"read"}), full_uuid("2a25"): frozenset({"write"})}}
    assert [str(place) for place in questions(None, services)] == ["180a/2a24"]


def test_device_information_says_who_a_device_is_and_why_that_is_believed():
    facts = facts_of(None, answers())
    assert (facts.manufacturer, facts.model, facts.serial_number) == ("Acme", "TH-1", "004711")
    assert (facts.firmware_version, facts.hardware_version, facts.software_version) == ("1.2.3", "B", "1.2.3-7")
    assert facts.evidence["serial number (180a/2a25)"] == "004711"


@pytest.mark.parametrize(
    "text",
    [
        "Serial Number",
        "N.A.",
        "n/a",
        "0",
        "0.0",
        "00000000",
        "",
        " ",
        "\0",
        "----",
        "FFFFFFFF",
        "12345678",
        "123456",
        "none",
        "x",
    ],
)
def test_a_serial_number_that_nobody_has_filled_in_is_no_fact_but_is_shown_as_evidence(text):
    facts = facts_of(None, answers(**{"25": text.encode()}))
    assert facts.serial_number is None
    assert facts.model == "TH-1"
    assert facts.evidence.get("serial number (180a/2a25)", "") == text.strip(" \0")


@pytest.mark.parametrize("text", ["Model Number", "0.0", "Manufacturer Name", "Firmware Revision", "default", "0.0.0"])
def test_what_a_chip_maker_has_left_in_is_no_fact(text):
    facts = facts_of(None, dict.fromkeys(answers(), text.encode()))
    assert facts == type(facts)(evidence=facts.evidence)


@pytest.mark.parametrize(("name", "fact"), [("24", "model"), ("26", "firmware_version"), ("27", "hardware_version")])
@pytest.mark.parametrize("text", ["1", "11", "1.0", "A", "Sensor 0", "X1"])
def test_short_names_and_versions_are_facts(name, fact, text):
    assert getattr(facts_of(None, answers(**{name: text.encode()})), fact) == text


def test_the_software_is_the_firmware_of_a_device_that_tells_no_other():
    assert facts_of(None, answers(**{"26": None})).firmware_version == "1.2.3-7"
    assert facts_of(None, answers(**{"26": b"0.0"})).firmware_version == "1.2.3-7"


def test_a_profile_knows_better_than_device_information():
    own = {"firmware_version": {"service": "ff01", "characteristic": "ffa2", "format": "dotted"}, "serial_number": False}
    better = profile(POINTS, identity=own, sub_model={"service": "180a", "characteristic": "2a24", "length": 2})
    services = {DEVICE_INFORMATION: dict.fromkeys(map(full_uuid, ANSWERS), frozenset({"read"})), **tree(more="read")}
    assert [str(place) for place in questions(better, services)] == [
        "180a/2a29",
        "180a/2a24",
        "ff01/ffa2",
        "180a/2a27",
        "180a/2a28",
    ]
    facts = facts_of(better, answers() | {Place(SENSOR, MORE): b"\x02\x0a"})
    assert facts.serial_number is None
    assert facts.firmware_version == "2.10"
    assert facts.sub_model == "TH"
    assert facts.model == "TH-1"


def heard(**said):
    return Advertisement(address="AA:BB:CC:DD:EE:FF", **said)


def test_of_two_profiles_that_fit_the_one_that_asks_for_more_is_taken():
    by_name = profile(name="by-name", match=[{"name": "TH.*"}])
    by_data = profile(name="by-data", match=[{"data": [{"company": 0x0334, "at": 1, "starts_with": "05"}]}])
    both = heard(name="TH 4711", manufacturer_data={0x0334: bytes.fromhex("ff05")})
    for profiles in ([by_name, by_data], [by_data, by_name]):
        assert profile_fitting(both, profiles) is by_data
    assert profile_fitting(heard(name="th 4711"), [by_data, by_name]) is by_name
    assert profile_fitting(heard(name="other TH"), [by_data, by_name]) is None


@pytest.mark.parametrize(
    ("match", "said", "fits"),
    [
        ({"services": ["180f", "ff01"]}, {"service_uuids": (SENSOR,)}, False),
        ({"services": ["180f", "ff01"]}, {"service_uuids": (SENSOR, full_uuid("180f"))}, True),
        ({"name": "TH", "services": ["ff01"]}, {"service_uuids": (SENSOR,)}, False),
        ({"data": [{"service": "ff01", "at": 2, "starts_with": "5b"}]}, {"service_data": {SENSOR: b"\x00\x00\x5b"}}, True),
        ({"data": [{"service": "ff01", "at": 2, "starts_with": "5b"}]}, {"service_data": {SENSOR: b"\x00\x5b"}}, False),
        ({"data": [{"service": "ff01"}]}, {"service_data": {SENSOR: b""}}, True),
        ({"data": [{"company": 1}, {"company": 2}]}, {"manufacturer_data": {1: b""}}, False),
        ({"data": [{"company": 1}, {"company": 2}]}, {"manufacturer_data": {1: b"", 2: b""}}, True),
    ],
)
def test_all_that_a_match_says_must_be_true(match, said, fits):
    assert (profile_fitting(heard(**said), [profile(match=[match])]) is not None) is fits


def test_a_match_shows_what_it_rests_on():
    match = {"name": "TH.*", "services": ["180f"], "data": [{"company": 0x0334, "at": 1, "starts_with": "05"}]}
    fitting = profile(match=[match]).match[0]
    assert fitting.is_certain
    assert fitting.evidence(heard(name="TH 4711", manufacturer_data={0x0334: b"\xff\x05"})) == {
        "name": "TH 4711",
        "service 180f": "advertised",
        "data of company 0x0334 with 05 at 1": "ff05",
    }
    assert not profile(match=[{"name": "TH"}]).match[0].is_certain


def test_a_visit_costs_a_connection_and_staying_only_its_reads():
    points = [POINTS[0] | {"notify": True}, POINTS[2]]
    for mode, seconds in [("visit", CONNECT_SECONDS + NOTIFIED_SECONDS + 0.2), ("stay", 0.1)]:
        device = profile(points, connection={"mode": mode})
        visit = plan(device, {"fast", "slow"}, expected(device))
        assert visit_seconds(device, visit) == pytest.approx(seconds)
        assert transactions(visit) == 2


def test_a_checked_profile_shows_what_each_group_makes_of_the_radio():
    shown = checked(profile())
    assert [(block.group, block.every_seconds, block.what, block.metrics) for block in shown.blocks] == [
        ("fast", 30, "connect", []),
        ("fast", 30, "read ff01/ffa1", ["temperature", "humidity"]),
        ("slow", 3600, "connect", []),
        ("slow", 3600, "read ff01/ffa1", ["temperature", "humidity"]),
        ("slow", 3600, "read ff01/ffa2", ["battery"]),
    ]
    assert sum(block.seconds for block in shown.blocks if block.group == "fast") == pytest.approx(CONNECT_SECONDS + 0.1)
    assert shown.source == "made up for a test, 1, all"
