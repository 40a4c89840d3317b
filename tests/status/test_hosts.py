import pytest

from gateway.status.hosts import is_loopback, local_host_for, without_port


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("localhost", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("localhost.evil.example", False),
    ],
)
def test_only_this_machine_is_loopback(host, answer):
    assert is_loopback(host) is answer


@pytest.mark.parametrize(
    ("host", "local"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("192.0.2.7", "192.0.2.7"), ("127.0.0.1", "127.0.0.1"), ("gw.local", "gw.local")],
)
def test_this_machine_reaches_a_wildcard_address_through_loopback(host, local):
    assert local_host_for(host) == local


@pytest.mark.parametrize(
    ("header", "name"),
    [("gw:8080", "gw"), ("gw", "gw"), ("[::1]:8080", "[::1]"), ("[::1]", "[::1]"), ("", ""), ("gw:port", "gw:port")],
)
def test_a_host_header_loses_its_port_and_nothing_else(header, name):
    assert without_port(header) == name
