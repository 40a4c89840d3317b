"""Two ways of writing one host are one host, and two hosts are two."""

import pytest

from gateway.host_names import canonical_host


@pytest.mark.parametrize("name", ["127.0.0.1", "::1", "[::1]", "LOCALHOST", "localhost.", "meter.localhost"])
def test_the_names_of_this_machine_are_one_host(name):
    assert canonical_host(name) == "127.0.0.1"


@pytest.mark.parametrize("name", ["127.0.0.2", "127.0.80.1", "10.0.0.5", "fe80::1"])
def test_each_other_address_is_a_host_of_its_own(name):
    assert canonical_host(name) == name
