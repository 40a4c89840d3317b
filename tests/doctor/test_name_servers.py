import asyncio
from contextlib import asynccontextmanager

import pytest

from gateway.doctor import name_servers as module
from gateway.doctor.name_servers import (
    NO_SUCH_NAME,
    RESOLVES,
    SILENT,
    decode_response,
    encode_query,
    query,
    read_name_servers,
    why_not_resolved,
)

pytestmark = pytest.mark.enable_socket


@asynccontextmanager
async def name_server(code):
    """A name server that answers each encode_query with this code; `None` for one that says nothing."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            if code is not None:
                self.transport.sendto(b"\0\0" + data[2:], addr)  # the answer to another encode_query
                self.transport.sendto(data[:2] + bytes([0x81, 0x80 | code]) + data[4:], addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
        await asyncio.sleep(0)  # asyncio closes the socket in the next round of the loop


@pytest.mark.parametrize(("code", "said"), [
    (0, RESOLVES), (2, "fails (SERVFAIL)"), (3, NO_SUCH_NAME), (5, "refuses the query (REFUSED)"), (9, "fails (code 9)"),
])  # fmt: skip
async def test_a_name_server_is_asked_itself(code, said):
    async with name_server(code) as port:
        assert await query("127.0.0.1", "entry.xyte.io", port=port) == said


async def test_one_that_says_nothing_and_one_that_is_not_there(monkeypatch):
    monkeypatch.setattr(module, "SERVER_SECONDS", 0.1)
    async with name_server(None) as port:
        assert await query("127.0.0.1", "entry.xyte.io", port=port) == SILENT
    assert "Connection refused" in await query("127.0.0.1", "entry.xyte.io", port=port)


def test_a_question_is_as_rfc_1035_has_it():
    assert encode_query(0x1234, "a.bc") == bytes.fromhex("1234 0100 0001 0000 0000 0000 01 61 02 6263 00 0001 0001")
    assert decode_response(bytes.fromhex("1234 8183"), 0x1234) is None
    assert decode_response(encode_query(0x1234, "a.bc"), 0x1234) is None, "a encode_query is no answer"


@pytest.mark.parametrize(("said", "key", "meaning", "fix"), [
    ({}, None, "names no name server", "192.168.1.1"),
    ({"10.0.0.1": SILENT}, None, "cannot be looked up: the name server 10.0.0.1 does not answer", "192.168.1.1"),
    ({"10.0.0.1": SILENT, "10.0.0.2": NO_SUCH_NAME}, 'entry_url = "https://h"', "10.0.0.2 reports", "correct the name: e"),
    ({"10.0.0.1": NO_SUCH_NAME}, None, "cannot be found", "make that name server resolve h"),
    ({"10.0.0.1": RESOLVES}, None, "this system does not use the result", "nsswitch"),
])  # fmt: skip
def test_which_name_server_fails_and_how_is_said_with_what_mends_it(said, key, meaning, fix):
    told = why_not_resolved("h", said, key)
    assert meaning in told[0]
    assert fix in told[1]


def test_the_name_servers_are_those_that_the_system_asks(tmp_path):
    (tmp_path / "resolv.conf").write_text(
        "# none\nsearch x\nnameserver 10.0.0.1\nnameserver\nnameserver fe80::1%eth0\noptions a\n"
    )
    assert read_name_servers(tmp_path / "resolv.conf") == ["10.0.0.1", "fe80::1%eth0"]
    assert read_name_servers(tmp_path / "missing") == []
