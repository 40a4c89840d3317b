"""Test which patterns a passive scan gets."""

import pytest

from adapters.ble.advertisements.advertiser_files import AdvertisementMatch, load
from adapters.ble.discovery.scan_patterns import choose_patterns
from adapters.ble.radio.monitor_patterns import MOST_PATTERNS, PATTERNS_PER_MONITOR, USUAL_FLAGS, Pattern, monitors
from adapters.ble.settings import BleSettings

ADVERTISERS = load()


def settings(*devices):
    return BleSettings.model_validate({"type": "ble", "devices": list(devices)})


def matches(patterns, kind, data):
    return any(one.kind == kind and data[one.position : one.position + len(one.content)] == one.content for one in patterns)


def test_no_monitor_has_more_patterns_than_bluetoothd_survives():
    devices = [{"payload": f"{number:04x}"} for number in range(60)]
    for chosen in (choose_patterns(settings(), ADVERTISERS), choose_patterns(settings(*devices), ADVERTISERS)):
        lists = monitors(chosen)
        assert sum(map(len, lists)) == len(chosen) <= MOST_PATTERNS
        assert max(map(len, lists)) <= PATTERNS_PER_MONITOR == 7
    assert max(map(len, monitors(Pattern(0, 1, bytes([value])) for value in range(100)))) == 7


def test_the_usual_flags_are_always_among_them():
    devices = [{"payload": f"{number:04x}"} for number in range(60)]
    for chosen in (choose_patterns(settings(), ADVERTISERS), choose_patterns(settings(*devices), ADVERTISERS)):
        assert set(USUAL_FLAGS) <= set(chosen)


@pytest.mark.parametrize(
    ("device", "kind", "data"),
    [
        ({"payload": "99 04 05 12"}, 0xFF, "990405127f"),
        ({"payload": "4001"}, 0x16, "d2fc400112"),
        ({"called": "Fridge 3*"}, 0x09, b"Fridge 3 left".hex()),
        ({"called": "Cold [ab]"}, 0x09, b"Cold b".hex()),
        ({"address": "A4:C1:38:12:34:56", "profile": "switchbot-bot"}, 0x16, "3dfd4890e4"),
        ({"address": "A4:C1:38:12:34:56", "profile": "aranet4"}, 0x03, "e0fc"),
    ],
)
def test_configured_devices_come_first(device, kind, data):
    chosen = choose_patterns(settings(device), ())
    before_flags = chosen[: chosen.index(USUAL_FLAGS[0])]
    assert matches(before_flags, kind, bytes.fromhex(data))


@pytest.mark.parametrize(
    "match",
    [
        pytest.param(match, id=f"{advertiser.name}-{number}")
        for advertiser in ADVERTISERS
        for number, match in enumerate(advertiser.match)
        if not match.sends_flags
    ],
)
def test_a_known_device_is_received_by_its_data_even_without_flags(match: AdvertisementMatch):
    chosen = choose_patterns(settings(), ADVERTISERS)
    if match.service_data is not None:
        assert matches(chosen, 0x16, bytes.fromhex(match.service_data[4:8])[::-1] + b"\x00")
    elif match.service is None:
        for company in match.company:
            assert matches(chosen, 0xFF, company.to_bytes(2, "little") + match.starts_with)


def test_a_device_that_sends_flags_needs_no_pattern_of_its_own():
    match = AdvertisementMatch(company=(0x089A,), sends_flags=True)
    advertiser = ADVERTISERS[0].model_copy(update={"match": (match,)})
    of_advertisers = set(choose_patterns(settings(), [advertiser]))
    assert of_advertisers == set(choose_patterns(settings(), ()))


def test_ids_without_room_share_the_pattern_of_their_high_byte():
    advertiser = ADVERTISERS[0].model_copy(
        update={"match": tuple(AdvertisementMatch(company=(number,)) for number in range(0x0100, 0x0180))}
    )
    chosen = choose_patterns(settings(), [advertiser])
    assert Pattern(1, 0xFF, b"\x01") in chosen
    assert all(matches(chosen, 0xFF, number.to_bytes(2, "little")) for number in range(0x0100, 0x0180))


def test_a_pattern_that_another_includes_is_left_out():
    chosen = choose_patterns(settings(), ADVERTISERS)
    assert not [one for one in chosen for other in chosen if one != other and other.includes(one)]


def test_a_name_that_begins_with_a_wildcard_makes_no_pattern():
    assert choose_patterns(settings({"called": "*3"}), ())[: len(USUAL_FLAGS)] == list(USUAL_FLAGS)
