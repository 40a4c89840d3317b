"""Checksums by name."""

from __future__ import annotations

import pytest

from adapters.serial.framing.checksums import CHECKSUMS, checksum_named


@pytest.mark.parametrize(
    ("name", "check"),
    [  # the column "check" of the catalogue of parametrised CRC algorithms
        ("crc8-smbus", 0xF4),
        ("crc8-maxim", 0xA1),
        ("crc16-arc", 0xBB3D),
        ("crc16-modbus", 0x4B37),
        ("crc16-ccitt-false", 0x29B1),
        ("crc16-xmodem", 0x31C3),
        ("crc16-kermit", 0x2189),
        ("crc16-x25", 0x906E),
        ("crc32", 0xCBF43926),
        # 1 + ... + 9 as characters are 0x1DD, and what is missing to 0x200 is 0x23
        ("sum7", 0x5D),
        ("sum8", 0xDD),
        ("sum16", 0x01DD),
        ("sum8-complement", 0x22),
        ("lrc", 0x23),
        ("xor", 0x31),
    ],
)
def test_each_checksum_gives_the_published_check_value(name, check):
    assert checksum_named(name).of(b"123456789") == check


def test_each_checksum_has_a_check_value_and_fits_into_its_bytes():
    for checksum in CHECKSUMS.values():
        for covered in (b"", b"\0", b"\xff" * 1000):
            assert 0 <= checksum.of(covered) < 256**checksum.size


@pytest.mark.parametrize(
    ("name", "covered", "received"),
    [
        ("sum7", bytes.fromhex("FE03002202"), bytes.fromhex("25")),  # RackLink, I-00472: how many outlets
        ("sum8", bytes.fromhex("11FF0101"), bytes.fromhex("12")),  # Samsung MDC, manual: power on, id 0
        ("xor", b"M101  150.0\x03", b"\x54"),  # RKC communication manual IMSRM04, calculation of the BCC
        ("lrc", bytes.fromhex("F7031389000A"), bytes.fromhex("60")),  # Modbus ASCII, widely published example
    ],
)
def test_published_examples_have_the_checksum_that_is_printed_with_them(name, covered, received):
    assert checksum_named(name).matches(covered, received, "big")


def test_a_crc_is_written_low_byte_first_high_byte_first_or_in_digits():
    crc = checksum_named("crc16-modbus")
    assert [crc.write(b"123456789", how) for how in ("little", "big", "hex")] == [b"\x37\x4b", b"\x4b\x37", b"4B37"]
    assert [crc.length(how) for how in ("little", "big", "hex")] == [2, 2, 4]


def test_checksum_digits_match_in_either_case_and_bytes_do_not():
    assert checksum_named("xor").matches(b"\x0a\xa0", b"aA", "hex")
    assert checksum_named("xor").matches(b"a", b"a", "big")
    assert not checksum_named("xor").matches(b"a", b"A", "big")


def test_an_unknown_checksum_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match="there is no checksum 'crc17'; there are sum7, sum8, sum16"):
        checksum_named("crc17")
