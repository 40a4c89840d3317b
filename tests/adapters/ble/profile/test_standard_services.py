"""Test profiles made of standard services."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from bleak.uuids import uuid16_dict

from adapters.ble.advertisements.advertisement import full_uuid
from adapters.ble.advertisements.formats import decode
from adapters.ble.advertisements.special_formats import PayloadTooShort
from adapters.ble.profile.device_information import information_paths, parse_information
from adapters.ble.profile.read_plan import CharacteristicPath, plan_reads
from adapters.ble.profile.standard_services import profile_for, profile_named, standard_information_sources, standard_services
from gateway.metrics.vocabulary import metric_mistake

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

EXAMPLES = {
    "battery": ("5f", 95),
    "temperature": ("eafb", -10.46),
    "humidity": ("4c11", 44.28),
    "pressure": ("cd770f00", 1013.709),
    "dew_point": ("f6", -10),
    "heat_index": ("1f", 31),
    "wind_chill": ("ec", -20),
    "illuminance": ("102700", 100.0),
    "irradiance": ("d204", 123.4),
    "uv_index": ("07", 7),
    "co2": ("2103", 801),
    "voc": ("6c00", 108),
    "nmvoc": ("7b80", 1230.0),
    "ozone": ("2390", 3500.0),
    "no2": ("1ea0", 30000.0),
    "so2": ("0c80", 120.0),
    "noise": ("2d", 45),
    "pollen_concentration": ("e80300", 1000),
    "wind_speed": ("d204", 12.34),
    "wind_direction": ("9f8c", 359.99),
    "apparent_wind_speed": ("0a00", 0.1),
    "apparent_wind_direction": ("2823", 90.0),
    "gust_factor": ("0f", 1.5),
    "rainfall": ("0c00", 12),
    "elevation": ("f0d8ff", -100.0),
    "pressure_trend": ("03", "falling, then steady"),
    "magnetic_declination": ("6400", 1.0),
    "magnetic_flux_density_2d_x": ("f4010cfe", 50.0),
    "magnetic_flux_density_2d_y": ("f4010cfe", -50.0),
    "magnetic_flux_density_x": ("f4010cfe0a00", 50.0),
    "magnetic_flux_density_y": ("f4010cfe0a00", -50.0),
    "magnetic_flux_density_z": ("f4010cfe0a00", 1.0),
    "heart_rate": ("1448ee02", 72),
    "skin_contact": ("1648ee02", True),
    "energy_expended": ("08480a00", 10),
    "rr_interval": ("104800040008", 1.5),
    "sensor_location": ("01", "chest"),
    "device_time": ("ea07020e0a1e00060000", "2026-02-14T10:30:00"),
    "time_zone": ("f4", -3.0),
}
"""A payload for each standard metric, and what it means by the GATT Specification Supplement."""

MEASUREMENTS = [
    # Health Thermometer: published by Nordic's test; then as packed by the specification
    (
        "1809",
        "06b00e00fedc070c050b321b04",
        {"body_temperature": 37.6, "measured_at": "2012-12-05T11:50:27", "sensor_location": "finger"},
    ),
    ("1809", "00720100ff", {"body_temperature": 37.0}),
    ("1809", "01da0300ff", {"body_temperature": 37.0}),
    ("1809", "05da0300ff06", {"body_temperature": 37.0, "sensor_location": "mouth"}),
    ("1809", "00ffff7f00", {"body_temperature": None}),
    ("1809", "0000008000", {"body_temperature": None}),
    ("1809", "01feff7f00", {"body_temperature": None}),
    ("1809", "0002008000", {"body_temperature": None}),
    ("1809", "02720100ff00000000000000", {"body_temperature": 37.0, "measured_at": None}),
    ("1809", "049cffffff00", {"body_temperature": -10.0, "sensor_location": None}),
    # Blood Pressure: published by Nordic's test, where the year is unknown; then as packed by the specification
    (
        "1810",
        "1e8a00580078000000041114293b3c00012700",
        {
            "systolic_pressure": 138.0, "diastolic_pressure": 88.0, "mean_arterial_pressure": 120.0, "measured_at": None,
            "heart_rate": 60.0, "user": 1, "body_movement": True, "cuff_too_loose": True, "irregular_pulse": True,
            "heart_rate_range": "within", "improper_position": True,
        },
    ),
    ("1810", "0078005000ff07", {"systolic_pressure": 120.0, "diastolic_pressure": 80.0, "mean_arterial_pressure": None}),
    (
        "1810",
        "01a0f06ef00008",
        {"systolic_pressure": 120.009869232672, "diastolic_pressure": 82.506785097462, "mean_arterial_pressure": None},
    ),
    (
        "1810",
        "18ff07ff07ff07ff1000",
        {
            "systolic_pressure": None, "diastolic_pressure": None, "mean_arterial_pressure": None, "user": None,
            "body_movement": False, "cuff_too_loose": False, "irregular_pulse": False, "heart_rate_range": "below",
            "improper_position": False,
        },
    ),
    # Weight Scale: the bytes of bluetooth-sig-python's tests
    ("181d", "00b036", {"weight": 70.0}),
    ("181d", "01543d", {"weight": 71.21400209}),
    ("181d", "02b036e7070c190e1e2d", {"weight": 70.0, "measured_at": "2023-12-25T14:30:45"}),
    ("181d", "0cb03605f500d606", {"weight": 70.0, "user": 5, "body_mass_index": 24.5, "body_height": 1.75}),
    (
        "181d",
        "0f543de7070c190e1e2dfff500b102",
        {
            "weight": 71.21400209, "measured_at": "2023-12-25T14:30:45", "user": None, "body_mass_index": 24.5,
            "body_height": 1.75006,
        },
    ),
    ("181d", "00ffff", {"weight": None}),
    # Glucose: as packed by the specification, 5 minutes before its base time; in mol/l, beyond what the meter can tell
    (
        "1808",
        "1b0100e3070c190c0a1efbff78b0120501",
        {
            "glucose": 120.0, "measured_at": "2019-12-25T12:05:30", "sample_type": "capillary plasma",
            "sample_location": "finger", "error_code": 261,
        },
    ),
    (
        "1808",
        "060200e3070c190c0a1e37c0f1",
        {
            "glucose": 99.0858, "measured_at": "2019-12-25T12:10:30", "sample_type": "capillary whole blood",
            "sample_location": None,
        },
    ),
    (
        "1808",
        "030300e3070c190c0a1eff7fff07f3",
        {"glucose": None, "measured_at": None, "sample_type": "venous whole blood", "sample_location": None},
    ),
    ("1808", "000400000000000000002a", {"measured_at": None}),
    ("1808", "080400e3070c190c0a1e0100", {"measured_at": "2019-12-25T12:10:30", "error_code": 1}),
]  # fmt: skip
"""Measurements whose flags say what they contain, and their readings: the service, its bytes, and what is told."""

MEASURED = {service for service, _, _ in MEASUREMENTS}

POINTS = {
    point.metric: point for service in standard_services().values() for point in service.points if service.digits not in MEASURED
}


@pytest.mark.parametrize("metric", sorted(POINTS))
def test_each_standard_metric_is_decoded_as_in_the_supplement(metric):
    digits, value = EXAMPLES[metric]
    told = decode(POINTS[metric].decoded_by, bytes.fromhex(digits))
    assert told == value
    assert type(told) is type(value)


def measured_by(service, payload):
    """Return what a device tells that has this service alone, whose characteristic is indicated."""
    known = standard_services()[full_uuid(service)]
    table = {full_uuid(service): {known.points[0].characteristic: frozenset({"indicate"})}}
    table[full_uuid(service)] |= {request.write: frozenset({"write", "indicate"}) for request in known.requests}
    profile = profile_for(table)
    assert profile is not None
    plan = plan_reads(profile, profile.intervals, table)
    (reader,) = (*plan.subscriptions, *plan.answers)
    return {reading.metric.name: reading.value for reading in reader.decode(payload, "child", AT)}


@pytest.mark.parametrize(("service", "digits", "told"), MEASUREMENTS)
def test_a_measurement_has_the_readings_that_its_flags_announce_and_no_other(service, digits, told):
    assert measured_by(service, bytes.fromhex(digits)) == told


@pytest.mark.parametrize(("service", "digits", "told"), MEASUREMENTS)
def test_a_measurement_that_is_cut_has_the_readings_before_the_cut(service, digits, told):
    payload = bytes.fromhex(digits)
    for length in range(len(payload)):
        try:
            rest = measured_by(service, payload[:length])
        except PayloadTooShort:
            rest = {}
        assert rest.items() <= told.items()


def test_the_measurements_have_every_metric_of_their_services():
    for service in MEASURED:
        metrics = {metric for digits, _, told in MEASUREMENTS if digits == service for metric in told}
        assert metrics == {point.metric for point in standard_services()[full_uuid(service)].points}


def test_of_two_services_with_the_same_metric_the_one_with_the_lower_rank_tells_it():
    profile = profile_for(map(full_uuid, ("1809", "1810", "180d")))
    assert profile is not None
    places = {point.metric: point.characteristic[4:8] for point in profile.points}
    assert (places["measured_at"], places["heart_rate"], places["sensor_location"]) == ("2a35", "2a35", "2a1c")
    assert [point.metric for point in profile.points if point.measured.headline] == ["systolic_pressure", "diastolic_pressure"]


def test_a_device_with_every_standard_service_has_a_profile():
    assert profile_for(standard_services()) is not None


def test_there_is_an_example_for_every_standard_metric_and_no_other():
    assert EXAMPLES.keys() == POINTS.keys()


@pytest.mark.parametrize(
    ("metric", "digits"),
    [
        ("battery", "65"),
        ("temperature", "0080"),
        ("humidity", "ffff"),
        ("co2", "ffff"),
        ("voc", "ffff"),
        ("illuminance", "ffffff"),
        ("noise", "ff"),
        ("pressure_trend", "00"),
        ("ozone", "0008"),
        ("so2", "ff07"),
        ("time_zone", "80"),
        ("device_time", "00000000000000000000"),
    ],
)
def test_a_value_that_is_not_known_is_none(metric, digits):
    assert decode(POINTS[metric].decoded_by, bytes.fromhex(digits)) is None


@pytest.mark.parametrize(
    "service", sorted(standard_services().values(), key=lambda service: service.digits), ids=lambda one: one.digits
)
def test_services_and_characteristics_are_those_of_the_assigned_numbers(service):
    names = {full_uuid(f"{number:04x}"): name for number, name in uuid16_dict.items()}
    assert names[service.uuid].removesuffix(" Service") == service.title
    assert {point.characteristic for point in service.points} | {
        one.characteristic for one in service.identity.values()
    } <= names.keys()
    assert all(point.optional for point in service.points)
    assert service.source.checked_against


@pytest.mark.parametrize("service", sorted(standard_services()))
def test_the_metrics_of_standard_services_are_of_the_vocabulary(service):
    metrics = [point.measured for point in standard_services()[service].points]
    assert [told for one in metrics if (told := metric_mistake(one.name, one.unit, is_number=False))] == []


def test_a_device_gets_a_profile_of_its_services_named_by_them_and_what_is_special_leads():
    profile = profile_for([full_uuid("180f"), full_uuid("180a"), full_uuid("1800"), full_uuid("180d")])
    assert profile is not None
    assert profile.name == "gatt-180d-180f"
    assert profile.family == "heart-rate-monitor"
    assert profile.title == "Bluetooth device: Heart Rate, Battery"
    assert profile.connection.mode == "stay"
    assert [point.metric for point in profile.points][0::5] == ["heart_rate", "battery"]


@pytest.mark.parametrize(
    ("services", "family", "mode"),
    [
        (["181a"], "climate-sensor", "visit"),
        (["181a", "180f"], "climate-sensor", "visit"),
        (["181a", "180d"], "heart-rate-monitor", "stay"),
        (["1805", "180f"], "clock", "visit"),
        (["180f"], "battery-powered-device", "visit"),
    ],
)
def test_the_family_is_that_of_the_service_with_the_lowest_rank(services, family, mode):
    profile = profile_for(map(full_uuid, services))
    assert profile is not None
    assert (profile.family, profile.connection.mode) == (family, mode)


def test_a_device_without_a_service_that_measures_has_no_profile():
    assert profile_for([full_uuid("1800"), full_uuid("180a"), full_uuid("fee0")]) is None
    assert profile_for([]) is None


@pytest.mark.parametrize("services", [["180f"], ["180d", "180f"], ["1805", "180d", "180f", "181a"]])
def test_a_profile_made_of_services_is_found_again_by_its_name(services):
    made = profile_for(map(full_uuid, reversed(services)))
    assert made is not None
    assert profile_named(made.name) is made


@pytest.mark.parametrize(
    "name",
    ["gatt", "gatt-", "gatt-180a", "gatt-1800", "gatt-180f-180d", "gatt-180d-180d", "gatt-180D", "gatt-180d-ffff", "aranet4"],
)
def test_no_other_name_is_taken_for_one(name):
    assert profile_named(name) is None


def test_a_sensor_is_read_for_its_characteristics_without_remarks_about_optional_ones():
    services = {
        full_uuid("181a"): {full_uuid("2a6e"): frozenset({"read", "notify"}), full_uuid("2a6f"): frozenset({"read"})},
        full_uuid("180f"): {full_uuid("2a19"): frozenset({"read"})},
    }
    profile = profile_for(services)
    assert profile is not None
    plan = plan_reads(profile, profile.intervals, services)
    assert [str(reader.path) for reader in plan.reads] == ["181a/2a6e", "181a/2a6f", "180f/2a19"]
    assert not plan.remarks
    assert not plan.subscriptions


def test_a_heart_rate_is_subscribed_to_and_each_measurement_has_the_readings_that_it_tells():
    services = {full_uuid("180d"): {full_uuid("2a37"): frozenset({"notify"})}}
    profile = profile_for(services)
    assert profile is not None
    (reader,) = plan_reads(profile, {"fast"}, services).subscriptions
    told = [
        {reading.metric.name: reading.value for reading in reader.decode(bytes.fromhex(digits), "child", AT)}
        for digits in ("0048", "1e480a000004", "164a0004")
    ]
    assert told == [
        {"heart_rate": 72},
        {"heart_rate": 72, "skin_contact": True, "energy_expended": 10, "rr_interval": 1.0},
        {"heart_rate": 74, "skin_contact": True, "rr_interval": 1.0},
    ]


def test_each_field_has_the_characteristic_of_the_assigned_numbers():
    names = {fact: uuid16_dict[int(origin.characteristic[4:8], 16)] for fact, origin in standard_information_sources().items()}
    assert names == {
        "manufacturer": "Manufacturer Name String",
        "model": "Model Number String",
        "serial_number": "Serial Number String",
        "firmware_version": "Firmware Revision String",
        "hardware_version": "Hardware Revision String",
        "software_version": "Software Revision String",
    }


def test_six_fields_of_device_information_are_read_and_the_model_is_the_sub_model():
    assert set(standard_information_sources()) == {
        "manufacturer",
        "model",
        "serial_number",
        "firmware_version",
        "hardware_version",
        "software_version",
    }
    model = CharacteristicPath(full_uuid("180a"), full_uuid("2a24"))
    services = {
        full_uuid("180f"): {full_uuid("2a19"): frozenset({"read"})},
        model.service: {model.characteristic: frozenset({"read"})},
    }
    profile = profile_for(services)
    assert information_paths(profile, services) == [model]
    assert parse_information(profile, {model: b"TICKR"}).sub_model == "TICKR"
    assert parse_information(profile, {model: b"Model Number"}).sub_model is None
