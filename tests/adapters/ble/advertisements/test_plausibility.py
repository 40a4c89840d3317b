"""Test that a number which means "not available" is never told as a value, whichever parser it comes from."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.ble.advertisements.advertisement import Advertisement, full_uuid
from adapters.ble.advertisements.parser_registry import ParserRegistry
from adapters.ble.advertisements.plausibility import RANGES, plausible
from adapters.ble.discovery.tracked_device import TrackedDevice
from adapters.ble.profile.grammar import Point
from adapters.ble.profile.read_plan import CharacteristicPath, CharacteristicReader, expected_services, plan_reads
from adapters.ble.profile.standard_services import profile_for
from gateway.adapter import Metric

PARSERS = ParserRegistry.built_in()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def values(manufacturer=(), service=(), name=None) -> dict[str, object] | None:
    """Return what is told of one advertisement; `None` when it was not decoded."""
    heard = Advertisement(
        address="A4:C1:38:56:53:84",
        name=name,
        rssi=-60,
        manufacturer_data={company: bytes.fromhex(sent) for company, sent in manufacturer},
        service_data={full_uuid(uuid): bytes.fromhex(sent) for uuid, sent in service},
    )
    decoder = PARSERS.find_decoder(heard)
    assert decoder is not None
    told = decoder.decode(heard)
    return None if told is None else dict(zip(told.row.names, told.values, strict=True))


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("4001ff", {"battery": None}),  # made: object 0x01, uint8
        ("400165", {"battery": None}),
        ("400164", {"battery": 100}),
        ("400100", {"battery": 0}),
        ("4001ff02c409", {"battery": None, "temperature": 25.0}),
        ("40020080", {"temperature": None}),  # 0x8000 hundredths are below absolute zero
        ("4003ffff", {"humidity": None}),
        ("402eff", {"humidity": None}),
        ("402e78", {"humidity": None}),  # 120 %, by which RuuviTags and others say that the sensor fails
        ("402e67", {"humidity": 103}),  # a wet sensor
        ("402fff", {"moisture": None}),
        ("4012ffff", {"co2": None}),
        ("4005ffffff", {"illuminance": None}),
        ("4009ff", {"count": 255}),  # a counter of a byte has no number that means something else
        ("4001d3", {"battery": None}),  # ATC firmware: 211 %
    ],
)
def test_a_bthome_device_without_a_value_tells_none(sent, told):
    assert values(service=[("fcd2", sent)]) == told


@pytest.mark.parametrize(("count", "told"), [("00", 0), ("42", 66), ("fe", 254), ("ff", None)])
def test_a_ruuvitag_counts_movements_up_to_254(count, told):
    sent = f"0512fc5394c37c0004fffc040cac36{count}00cdcbb8334c884f"
    assert values([(0x0499, sent)])["movement_counter"] == told


def test_a_ruuvitag_of_format_3_without_humidity_tells_none():
    assert values([(0x0499, "03ff1a1ece1efc18f94202ca0b53")])["humidity"] is None


@pytest.mark.parametrize(
    ("sent", "unavailable"),
    [
        ("068000ffffffffffffffffffffffff00ff4c884f", {"temperature", "humidity", "pressure", "pm25", "co2", "illuminance"}),
        ("e18000ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffcbb8334c884f", {"temperature", "co2", "pm10"}),
    ],
)
def test_a_ruuvi_air_without_values_tells_none(sent, unavailable):
    told = values([(0x0499, sent)], name="Ruuvi Air 884F")
    assert {name for name in unavailable if told[name] is None} == unavailable


def test_a_damaged_advertisement_of_an_inkbird_tells_nothing_not_even_its_zeros():
    assert values([(0x2449, "0812005e00005e0364006408000000")], name="ITH-11-B") is not None
    assert not values([(0x2449, "0812005e00000000ffff0008000000")], name="ITH-11-B")


@pytest.mark.parametrize(
    ("service", "characteristic", "sent", "told"),
    [
        ("180f", "2a19", "ff", None),
        ("180f", "2a19", "65", None),
        ("180f", "2a19", "64", 100),
        ("181a", "2a6e", "0080", None),
        ("181a", "2a6e", "4c95", None),  # -273.16 °C
        ("181a", "2a6e", "4d95", -273.15),
        ("181a", "2a6f", "ffff", None),
        ("181a", "2a6f", "feff", None),
        ("181a", "2a6d", "ffffffff", None),
        ("181a", "2a6d", "80750f00", 1013.12),
        ("181a", "2a71", "a08c", None),  # 360 degrees are 0
        ("181a", "2a71", "9f8c", 359.99),
        ("181a", "2afb", "ffffff", None),
        ("181a", "2b8c", "ffff", None),
        ("181a", "2be7", "ffff", None),
        ("181a", "2be4", "ff", None),
        ("181a", "2bd3", "ff07", None),
    ],
)
def test_a_standard_characteristic_without_a_value_tells_none(service, characteristic, sent, told):
    profile = profile_for([full_uuid(service)])
    readers = plan_reads(profile, profile.intervals, expected_services(profile)).reads
    reader = next(one for one in readers if one.path.characteristic == full_uuid(characteristic))
    (reading,) = reader.decode(bytes.fromhex(sent), "child", NOW)
    assert reading.value == told


def test_a_radio_that_does_not_know_the_signal_strength_tells_none():
    device = TrackedDevice(Advertisement(address="A4:C1:38:00:00:01", rssi=127), None, {})
    assert list(device.block(NOW).values) == [None]


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(), st.sampled_from(RANGES))
def test_a_number_within_its_range_stays_and_any_other_is_not_available(number, known):
    metric = Metric(known.word or "level", known.unit)
    assert plausible(metric, number) == (number if known.lowest <= number <= known.highest else None)


@pytest.mark.parametrize("value", [None, True, False, "255", ""])
def test_what_is_no_number_stays_as_it_is(value):
    assert plausible(Metric("battery", "%"), value) is value


def test_a_unit_without_a_range_keeps_every_number():
    assert plausible(Metric("energy", "kWh"), 1e30) == 1e30


@pytest.mark.parametrize(
    ("name", "unit", "value"),
    [
        ("temperature", "°C", -40.0),
        ("temperature", "°C", -273.15),
        ("illuminance", "lx", 0),
        ("humidity", "%", 100),
        ("humidity", "%", -0.4),  # a Sensirion sensor in a freezer: 125 x raw / 65535 - 6
        ("battery", "%", 0),
        ("battery_voltage", "V", 0.0),
        ("movement_counter", None, 254),
        ("count", None, 4294967295),
        ("differential_pressure", "hPa", -1.25),
        ("active_power", "W", -3000.0),
        ("rssi", "dBm", -127),
    ],
)
def test_an_extreme_that_occurs_is_a_value(name, unit, value):
    assert plausible(Metric(name, unit), value) == value


@pytest.mark.parametrize(("raw", "told"), [("e2ff", -3.0), ("1405", 130.0), ("ff7f", None)])
def test_a_profile_that_knows_the_valid_numbers_is_right_about_them(raw, told):
    point = Point(
        metric="slope", characteristic="2ad2", service="1826", format="sint16", scale=0.1, valid=(-1000, 2000), unit="%"
    )
    reader = CharacteristicReader(CharacteristicPath("1826", "2ad2"), [point])
    (reading,) = reader.decode(bytes.fromhex(raw), "child", NOW)
    assert reading.value == told


def test_the_unit_of_a_parser_library_is_a_plain_text():
    heard = Advertisement(address="A4:C1:38:56:53:84", rssi=-60, manufacturer_data={0xEC88: bytes.fromhex("00032b1b5800")})
    row = PARSERS.find_decoder(heard).decode(heard).row
    assert {type(metric.unit) for metric in row.metrics} == {str}
