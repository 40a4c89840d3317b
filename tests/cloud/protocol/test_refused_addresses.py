"""No address of the local link, and none of a metadata service, is taken for a hub or a file server, however it is written."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cloud.files.links import LinkPolicy
from gateway.cloud.protocol.refused_addresses import is_refused_address, is_refused_host
from gateway.cloud.protocol.trusted_urls import UntrustedUrl, validated_hub_url, validated_url
from gateway.errors import FileRefused

REFUSED = [
    "169.254.169.254", "169.254.0.0", "169.254.255.255", "2852039166", "0xa9fea9fe", "0XA9FEA9FE", "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe", "169.254.43518", "169.16689662", "169.0xfe.43518", "169.254.169.254.",
    "100.100.100.200", "192.0.0.192", "168.63.129.16",
    "[fe80::1]", "[febf::1]", "[fd00:ec2::254]", "[fd20:ce::254]", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]",
    "[::169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]",
    "metadata.google.internal", "METADATA.google.internal.", "metadata", "instance-data.ec2.internal",
]  # fmt: skip
FINE = [
    "169.253.1.1",
    "170.254.1.1",
    "10.0.0.1",
    "127.0.0.1",
    "[::1]",
    "[fd00::1]",
    "metadata.example.com",
    "us-1.endpoints.xyte.io",
]


@pytest.mark.parametrize("host", REFUSED)
def test_it_is_refused_as_a_hub_also_where_plain_http_is_allowed_and_the_host_is_listed(host):
    for scheme in ("http", "https"):
        with pytest.raises(UntrustedUrl, match=r"the local link or of a cloud's metadata service"):
            validated_hub_url(
                f"{scheme}://{host}", entry_url="https://e.example", allow_plain_http=True, hub_hosts=(host.strip("[]."),)
            )
        with pytest.raises(UntrustedUrl):
            validated_url(f"{scheme}://{host}:8080", allow_plain_http=True)


@pytest.mark.parametrize("host", REFUSED)
def test_it_is_refused_in_a_link_to_a_file_and_in_a_redirect(host):
    policy = LinkPolicy(hub_url=f"http://{host}", file_hosts=(host, host.strip("[].").lower()), allow_plain_http=True)
    with pytest.raises(FileRefused):
        policy.check(f"http://{host}/latest/meta-data/")
    with pytest.raises(FileRefused):
        policy.redirected("http://files.example/a", f"http://{host}/latest/meta-data/")


@pytest.mark.parametrize("host", FINE)
def test_other_addresses_are_left_to_the_other_rules(host):
    assert not is_refused_host(host)
    assert validated_url(f"http://{host}", allow_plain_http=True)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=4, network="169.254.0.0/16"))
def test_every_notation_of_an_ipv4_address_is_judged_like_the_address(address):
    number, refused = int(address), is_refused_address(str(address))
    a, b, c, d = address.packed
    notations = [
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{c << 8 | d}",
        f"{a}.{b}.0{c:o}.{d:#x}",
    ]
    assert [is_refused_address(text) for text in notations] == [refused] * len(notations)
    inside = [f"::ffff:{address}", f"64:ff9b::{address}", str(ipaddress.IPv6Address(0x2002 << 112 | number << 80))]
    assert [is_refused_address(text) for text in inside] == [refused] * len(inside)


@given(st.text() | st.text("0123456789abcdefx.:[]%"))
def test_any_text_is_judged(text):
    assert is_refused_host(text) in (True, False)
