"""Test that telegrams of EnOcean devices are accepted from their sender only, and each only until a later one."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from adapters.ble.advertisements.advertisement import Advertisement
from adapters.ble.advertisements.advertiser_files import load
from adapters.ble.advertisements.layouts import WRONG_KEY
from adapters.ble.advertisements.parser import MalformedAdvertisement
from adapters.ble.advertisements.parser_registry import ParserRegistry
from adapters.ble.advertisements.signatures import SignatureCheck

ENOCEAN = 0x03DA
KEY = "4DB34DB3070EFC6713FE39E13CF3C939"
SENDER = "E5:00:77:01:00:00"
TELEGRAM = "fb2700000268458d0140420906578af791e65e23010f0157d3"
"""The example of EnOcean's STM 550B User Manual, v1.3, appendix A, with the key of its commissioning telegram."""

COMMISSIONING = "e42d00003e4db34db3070efc6713fe39e13cf3c9390000017700e5"


def heard(sent=TELEGRAM, address=SENDER):
    return Advertisement(address=address, manufacturer_data={ENOCEAN: bytes.fromhex(sent)})


def test_the_telegram_of_the_makers_example_fits_its_key():
    check = SignatureCheck(bytes.fromhex(KEY))
    assert not check.has_fitted
    check.check(SENDER, ENOCEAN, bytes.fromhex(TELEGRAM))
    check.check(SENDER, ENOCEAN, bytes.fromhex(TELEGRAM))
    assert check.has_fitted


@pytest.mark.parametrize(
    ("address", "company", "sent"),
    [
        ("E5:00:77:01:00:01", ENOCEAN, TELEGRAM),
        (SENDER, 0x03DB, TELEGRAM),
        (SENDER, ENOCEAN, TELEGRAM.replace("0268", "0269")),
        (SENDER, ENOCEAN, TELEGRAM.replace("57d3", "57d4")),
        (SENDER, ENOCEAN, "fb"),
    ],
)
def test_a_telegram_that_was_changed_anywhere_is_not_accepted(address, company, sent):
    with pytest.raises(MalformedAdvertisement, match="another device has sent it, or the key is wrong"):
        SignatureCheck(bytes.fromhex(KEY)).check(address, company, bytes.fromhex(sent))


def test_a_telegram_from_before_the_last_one_is_not_accepted():
    check = SignatureCheck(bytes.fromhex(KEY))
    check.check(SENDER, ENOCEAN, bytes.fromhex(TELEGRAM))
    check._last_counter += 1
    with pytest.raises(MalformedAdvertisement, match="somebody repeats an old telegram"):
        check.check(SENDER, ENOCEAN, bytes.fromhex(TELEGRAM))


def test_once_the_key_has_fitted_a_forged_telegram_changes_neither_values_nor_identity():
    decoder = ParserRegistry(load()).find_decoder(heard(), SecretStr(KEY))
    assert decoder is not None
    told = decoder.decode(heard())
    assert told is not None
    assert told.needs == ()
    assert decoder.decode(heard(TELEGRAM.replace("0268", "0200"))) is None
    assert decoder.problems == 1


def test_with_a_wrong_key_the_device_is_known_and_says_what_it_needs():
    decoder = ParserRegistry(load()).find_decoder(heard(), SecretStr("0" * 32))
    assert decoder is not None
    told = decoder.decode(heard())
    assert told is not None
    assert (told.needs, told.values) == ((WRONG_KEY,), ())


def test_a_commissioning_telegram_which_contains_the_key_is_not_decoded():
    assert ParserRegistry(load()).find_decoder(heard(COMMISSIONING)) is None
