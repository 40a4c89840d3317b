import errno
import socket

import pytest

from gateway.doctor.server_check import Server, _why_not_connected

V4, V6 = (socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")
REFUSED, NO_NET, NO_HOST = (OSError(number, "") for number in (errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH))


@pytest.mark.parametrize(("addresses", "failures", "meaning", "fix"), [
    ([V4], [REFUSED], "refuses the connection", "firewall"),
    ([V4, V6], [TimeoutError(), NO_NET], "does not accept a connection within 3 s", "allow outgoing TCP to h.example port 443"),
    ([V6], [NO_NET], "has IPv6 addresses only", "IPv4"),
    ([V4, V6], [NO_NET, NO_NET], "no route to h.example", "default via"),
    ([V4], [NO_HOST], "as a router on the way reports", "firewall"),
])  # fmt: skip
def test_why_a_server_takes_no_connection(monkeypatch, addresses, failures, meaning, fix):
    server = Server(what="entry", url="https://h.example", config_line=None, tls=None)
    said = _why_not_connected(server, addresses, failures)
    assert meaning in said[0]
    assert fix in said[1]
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass@proxy")
    assert "pass" not in _why_not_connected(server, [V4], [REFUSED])[0]
    assert "HTTPS_PROXY is set here" in _why_not_connected(server, [V4], [REFUSED])[0]
