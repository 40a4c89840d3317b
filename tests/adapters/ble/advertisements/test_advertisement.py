"""Test addresses, uuids, identity keys and the comparison of advertisements."""

from __future__ import annotations

import builtins

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from adapters.ble.advertisements.advertisement import (
    RSSI,
    AddressKind,
    Advertisement,
    IdentityKey,
    address_bytes,
    address_kind,
    full_uuid,
)
from gateway.adapter import Reduce

SAMPLE_KEY = "ec0234a357c8ad05341010a60a397d9b"
SAMPLE_ADDRESS = "70:81:94:0D:FB:AA"
"""The sample of the Core Specification, Vol 3 Part H, Appendix D.7: prand 708194, hash 0dfbaa."""


@pytest.mark.parametrize(
    ("written", "full"),
    [
        ("fcd2", "0000fcd2-0000-1000-8000-00805f9b34fb"),
        ("0xFCD2", "0000fcd2-0000-1000-8000-00805f9b34fb"),
        ("1234ABCD", "1234abcd-0000-1000-8000-00805f9b34fb"),
        ("EF090000-11D6-42BA-93B8-9DD7EC090AB0", "ef090000-11d6-42ba-93b8-9dd7ec090ab0"),
    ],
)
def test_a_uuid_has_one_full_form_however_it_is_written(written, full):
    assert full_uuid(written) == full
    assert full_uuid(full) == full


@pytest.mark.parametrize("written", ["", "fcd", "fcd2x", "0000fcd2-0000-1000-8000", "g0000000-0000-1000-8000-00805f9b34fb"])
def test_a_malformed_uuid_is_rejected(written):
    with pytest.raises(ValueError, match="not a uuid"):
        full_uuid(written)


@pytest.mark.parametrize(
    ("address", "is_random", "kind", "is_permanent"),
    [
        ("A4:C1:38:02:83:F4", False, AddressKind.PUBLIC, True),
        ("FF:EE:DD:CC:BB:AA", False, AddressKind.PUBLIC, True),
        ("C9:F3:32:E0:F5:09", True, AddressKind.STATIC, True),
        (SAMPLE_ADDRESS, True, AddressKind.RESOLVABLE, False),
        ("3F:00:00:00:00:01", True, AddressKind.NON_RESOLVABLE, False),
        ("8F:00:00:00:00:01", True, AddressKind.UNKNOWN, True),
        ("C9:F3:32:E0:F5:09", None, AddressKind.UNKNOWN, True),
    ],
)
def test_the_two_highest_bits_of_a_random_address_determine_its_kind(address, is_random, kind, is_permanent):
    assert address_kind(address, is_random) is kind
    assert kind.is_permanent is is_permanent


@pytest.mark.parametrize("address", ["", "AA:BB:CC:DD:EE", "AA-BB-CC-DD-EE-FF", "AA:BB:CC:DD:EE:GG"])
def test_a_malformed_address_is_rejected(address):
    with pytest.raises(ValueError, match="not a Bluetooth address"):
        address_bytes(address)


@pytest.mark.parametrize("written", [SAMPLE_KEY, SAMPLE_KEY.upper(), ":".join(SAMPLE_KEY[at : at + 2] for at in range(0, 32, 2))])
def test_the_key_of_the_specification_resolves_its_address(written):
    assert IdentityKey(SecretStr(written)).resolves(SAMPLE_ADDRESS)


def test_one_key_resolves_address_after_address():
    key = IdentityKey(SecretStr(SAMPLE_KEY))
    assert [key.resolves(address) for address in (SAMPLE_ADDRESS, "70:81:94:0D:FB:AB", SAMPLE_ADDRESS)] == [True, False, True]


def test_an_address_that_is_not_resolvable_is_never_resolved():
    assert not IdentityKey(SecretStr(SAMPLE_KEY)).resolves("F0:81:94:0D:FB:AA")


def test_a_private_address_is_not_resolved_by_the_key_of_another_device():
    assert not IdentityKey(SecretStr("0" * 32)).resolves(SAMPLE_ADDRESS)


@pytest.mark.parametrize("written", ["", "ec02", SAMPLE_KEY + "00", "x" * 32])
def test_a_malformed_identity_key_is_rejected_without_being_shown(written):
    with pytest.raises(ValueError, match="32 hexadecimal digits") as error:
        IdentityKey(SecretStr(written))
    assert not written or written not in str(error.value)


def test_an_identity_key_is_never_shown():
    assert SAMPLE_KEY not in repr(IdentityKey(SecretStr(SAMPLE_KEY)))


def test_without_its_package_an_identity_key_names_what_to_install(monkeypatch):
    whole = builtins.__import__

    def without_cryptography(name, *rest, **more):
        if name.startswith("cryptography"):
            raise ImportError(name)
        return whole(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_cryptography)
    with pytest.raises(NotImplementedError, match="ble-parsers"):
        IdentityKey(SecretStr(SAMPLE_KEY))


@given(st.binary(min_size=6, max_size=6), st.booleans() | st.none())
def test_every_address_has_a_kind_and_survives_being_written(raw, is_random):
    address = raw.hex(":").upper()
    assert address_bytes(address) == raw
    assert address_kind(address, is_random) in AddressKind


def test_a_different_signal_strength_is_the_same_content():
    heard = Advertisement(address="AA:BB:CC:DD:EE:FF", name="a", rssi=-60, manufacturer_data={1: b"a"}, service_uuids=("x",))
    stronger = Advertisement(address="AA:BB:CC:DD:EE:FF", name="a", rssi=-40, manufacturer_data={1: b"a"}, service_uuids=("x",))
    renamed = Advertisement(address="AA:BB:CC:DD:EE:FF", name="b", manufacturer_data={1: b"a"}, service_uuids=("x",))
    other = Advertisement(address="AA:BB:CC:DD:EE:FF", name="a", manufacturer_data={1: b"b"}, service_uuids=("x",))
    assert heard.has_same_content(stronger)
    assert not heard.has_same_content(renamed)
    assert heard.has_same_data(renamed)
    assert not heard.has_same_data(other)


def test_the_signal_strength_is_reduced_to_its_mean():
    assert (RSSI.name, RSSI.unit, RSSI.reduce) == ("rssi", "dBm", Reduce.MEAN)
