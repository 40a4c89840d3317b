"""What a person names is read as hosts and networks, bounded, and says to which addresses anything may be sent."""

from ipaddress import IPv4Interface, IPv4Network

import pytest

from gateway.network_search.named_hosts import host_part, parse_networks


def test_networks_and_hosts_are_told_apart():
    named = parse_networks(["192.168.1.0/30", "meter.local, 10.0.0.5:1502"])
    assert named.all == ["192.168.1.1", "192.168.1.2", "meter.local", "10.0.0.5:1502"]
    assert named.names == ["meter.local"]
    assert parse_networks(["10.0.0.7/32"]).all == ["10.0.0.7"]
    assert parse_networks(["192.168.1.77/24", "192.168.1.0/24", "192.168.1.9"]).all == parse_networks(["192.168.1.0/24"]).all
    assert parse_networks([]).all == []


def test_ipv6_addresses_are_written_so_that_a_port_can_follow():
    named = parse_networks(["fd00::/126", "fd00::9", "[fd00::a]:1502"])
    assert named.all == ["[fd00::1]", "[fd00::2]", "[fd00::3]", "[fd00::9]", "[fd00::a]:1502"]
    assert list(named.addresses({})) == ["fd00::1", "fd00::2", "fd00::3", "fd00::9", "fd00::a"]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("192.168.1.0/33", "'192.168.1.0/33' is not a network: write it as 192.168.1.0/24"),
        ("10.0.0.0/8", "10.0.0.0/8 has 16,777,216 addresses: name networks of at most 1,024"),
        ("10.0.0.0/22,10.9.0.1", "there are 1,025 hosts: name at most 1,024"),
        (",".join(["h"] * 1025), "there are 1,025 hosts: name at most 1,024"),
        ("192.168.1.300", "'192.168.1.300' is neither a host nor a network"),
        ("http://meter", "is not a network"),
        ("two words", "is neither a host nor a network"),
        ("meter:99999", "is neither a host nor a network"),
        ("meter:0", "is neither a host nor a network"),
        ("\x1b[31mmeter", "is neither a host nor a network"),
    ],
)
def test_what_is_no_network_or_too_much_is_said(written, says):
    with pytest.raises(ValueError, match=r"host|network") as raised:
        parse_networks([written])
    assert says in str(raised.value)


def scope(texts, *own, **names):
    return parse_networks(texts).scope(names, map(IPv4Network, own))


def test_a_broadcast_goes_to_a_network_of_this_machine_that_was_named_as_a_whole():
    named = scope(["192.168.1.0/24"], "192.168.1.0/24", "10.0.0.0/24")
    assert named.broadcast_addresses == ("192.168.1.255",)
    assert named.single_addresses == ()
    assert len(named.addresses) == 254


def test_no_broadcast_reaches_a_host_that_nobody_has_named():
    named = scope(["192.168.1.0/28"], "192.168.1.0/24")
    assert named.broadcast_addresses == ()
    assert named.single_addresses == tuple(f"192.168.1.{number}" for number in range(1, 15))


def test_of_a_larger_network_the_own_part_is_asked_by_broadcast_and_the_rest_one_by_one():
    named = scope(["192.168.0.0/23"], "192.168.1.0/24")
    assert named.broadcast_addresses == ("192.168.1.255",)
    assert len(named.single_addresses) == 255
    assert "192.168.1.7" not in named.single_addresses


def test_single_hosts_and_point_to_point_networks_are_asked_one_by_one():
    named = scope(["192.168.1.9:1502", "10.0.0.0/31", "meter"], "10.0.0.0/31", meter=("192.168.1.7",))
    assert named.broadcast_addresses == ()
    assert named.single_addresses == ("10.0.0.0", "10.0.0.1", "192.168.1.9", "192.168.1.7")
    assert named.hosts == ("10.0.0.0", "10.0.0.1", "192.168.1.9:1502", "meter")


def test_only_interfaces_that_face_what_was_named_are_used():
    own = IPv4Interface("192.168.1.2/24")
    assert parse_networks(["192.168.1.128/28"]).is_faced_by(own, {})
    assert parse_networks(["meter"]).is_faced_by(own, {"meter": ("192.168.1.9",)})
    assert not parse_networks(["192.168.2.0/24", "192.168.3.4", "fd00::/126"]).is_faced_by(own, {})


def test_a_host_is_known_without_its_port():
    assert [host_part(one) for one in ("meter:502", "[fd00::1]:502", "10.0.0.1")] == ["meter", "fd00::1", "10.0.0.1"]
