"""How many connections the page takes, from whom, and for how long."""

import asyncio
import contextlib
import functools
import itertools
import logging
import socket
import subprocess
import sys
from ipaddress import ip_network

import pytest

from gateway.status.auth import middleware
from gateway.status.listening import connections, listener
from gateway.status.listening.connections import HEAD_SECONDS, QUIET_SECONDS, READ_SECONDS, Connections, Phase
from gateway.status.listening.work_budget import WorkBudget
from gateway.testing.clock import simulated

MOST = 8


def in_simulated_time(test):
    @functools.wraps(test)
    def run(*arguments, **fixtures):
        return simulated(test(*arguments, **fixtures))

    return run


class Opened:
    """Connections of which is known which were closed, and in which order."""

    def __init__(self, **settings):
        self.connections = Connections(MOST, **settings)
        self.closed = []
        self.number = itertools.count()

    def open(self, client, phase=Phase.ARRIVING):
        one = self.connections.admit(client)
        if one is not None:
            name = f"{client}{next(self.number)}"
            one.close = lambda: self.closed.append(name)
            one.enter(phase)
            one.since += next(self.number) / 1000  # in this order
        return one


@in_simulated_time
async def test_the_longest_waiting_connection_of_the_busiest_client_is_closed_for_a_new_one():
    opened = Opened()
    opened.open("operator")
    for _ in range(4):
        opened.open("a")
    for _ in range(3):
        opened.open("b")
    assert opened.open("operator") is not None
    assert opened.closed == ["a2"]
    assert opened.open("c") is not None
    assert opened.closed[1:] == ["a4"]
    assert len(opened.connections) == MOST


@in_simulated_time
async def test_a_client_closes_its_own_connections_when_it_has_its_share():
    opened = Opened()
    opened.open("operator")
    for _ in range(20):
        assert opened.open("a") is not None
    assert len(opened.connections) == 1 + MOST // 2
    assert all(name.startswith("a") for name in opened.closed)


@in_simulated_time
async def test_a_flood_is_turned_away_and_does_not_reach_who_has_less_than_a_share():
    opened = Opened()
    for _ in range(1000):
        opened.open("a")
        opened.open("b")
    assert len(opened.closed) < 100
    assert opened.connections.closed_early > 1900
    closed = len(opened.closed)
    assert opened.open("operator") is not None
    assert len(opened.closed) == closed + 1
    await asyncio.sleep(1)
    assert opened.open("a") is not None


@in_simulated_time
async def test_what_is_at_work_is_never_closed_for_another(caplog):
    opened = Opened()
    for client in "abcdefgh":
        opened.open(client, Phase.WORKING)
    assert opened.open("i") is None
    assert opened.closed == []


@in_simulated_time
async def test_a_proxy_that_stands_for_many_has_no_share_and_is_closed_last():
    opened = Opened(shares_all=lambda client: client == "proxy")
    for _ in range(MOST - 2):
        opened.open("proxy")
    opened.open("a")
    opened.open("a")
    opened.open("b")
    assert [name[0] for name in opened.closed] == ["a"]


@in_simulated_time
async def test_a_flood_is_logged_twice_however_long_it_lasts(caplog):
    caplog.set_level(logging.INFO)
    opened = Opened()
    watching = asyncio.create_task(opened.connections.run())
    for _ in range(2000):
        opened.open("a")
        await asyncio.sleep(0.5)
    for one in list(opened.connections._open):
        opened.connections.release(one)
    await asyncio.sleep(2 * QUIET_SECONDS)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "4 of them from a" in caplog.text
    assert "has room again; 1996 connections" in caplog.text
    watching.cancel()


@in_simulated_time
@pytest.mark.parametrize(
    ("phase", "unsent", "seconds"),
    [
        (Phase.ARRIVING, 0, HEAD_SECONDS),
        (Phase.WORKING, 10, READ_SECONDS),
        (Phase.RESTING, 10, READ_SECONDS),
        (Phase.RESTING, 0, None),
    ],
)
async def test_a_connection_has_its_time_to_send_and_to_take(phase, unsent, seconds):
    opened = Opened()
    watching = asyncio.create_task(opened.connections.run())
    one = opened.open("a", phase)
    one.unsent_bytes = lambda: unsent
    await asyncio.sleep((seconds or 3600) - 1)
    assert opened.closed == []
    await asyncio.sleep(4)
    assert len(opened.closed) == (0 if seconds is None else 1)
    watching.cancel()


# over real sockets ---------------------------------------------------------------------------------------------------


@pytest.fixture
def hasty(monkeypatch):
    """Shorter times, for clients that do not keep them."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connections, "READ_SECONDS", 0.3)
    monkeypatch.setattr(connections, "LOOK_SECONDS", 0.05)


@pytest.fixture
async def connect(page):
    """`reader, writer = await connect()`; the connections are closed after the test."""
    opened = []

    async def start(address=page.address):
        opened.append(await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2])))
        return opened[-1]

    yield start
    for _, writer in opened:
        writer.close()


async def closed(reader):
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass


@pytest.mark.enable_socket
@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"POST /login HTTP/1.1\r\nHo"])
async def test_a_request_that_does_not_come_to_its_end_is_closed(connect, hasty, sent):
    reader, writer = await connect()
    writer.write(sent)
    dripping = asyncio.create_task(drip(writer))
    await closed(reader)
    dripping.cancel()


async def drip(writer):
    """Send a byte of a header again and again."""
    with contextlib.suppress(ConnectionError):
        while True:
            await asyncio.sleep(0.05)
            writer.write(b"x")
            await writer.drain()


@pytest.mark.enable_socket
async def test_a_second_request_on_a_connection_has_its_time_as_well(connect, hasty):
    reader, writer = await connect()
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200" in await reader.readuntil(b"}")
    await asyncio.sleep(1)  # longer than the time for a request: a connection may rest between two
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200" in await reader.readuntil(b"}")
    writer.write(b"GET /hea")
    await closed(reader)


@pytest.mark.enable_socket
async def test_a_body_that_does_not_come_is_told_and_closed(connect, monkeypatch):
    monkeypatch.setattr(middleware, "HEAD_SECONDS", 0.2)
    reader, writer = await connect()
    writer.write(b"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nContent-Length: 100\r\n\r\ntoken=")
    assert b"408 Request Timeout" in await reader.readline()


@pytest.mark.enable_socket
async def test_a_response_that_nobody_reads_is_given_up(page, hasty):
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", int(page.address.rpartition(":")[2])))
    client.setblocking(False)
    await asyncio.get_running_loop().sock_sendall(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)
    held = page.server._connections
    async with asyncio.timeout(60):
        while not len(held):  # noqa: ASYNC110 - the page sends no event
            await asyncio.sleep(0.01)
        while len(held):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    client.close()


@pytest.mark.enable_socket
async def test_an_operator_gets_in_while_a_stranger_holds_every_connection(page, connect):
    for _ in range(page.server._connections.most + 20):
        await connect()
    await asyncio.sleep(0.5)  # they may close 50 of their own a second; here the operator has the same address
    async with page.http.get("/") as answer:
        assert answer.status == 200
    assert len(page.server._connections) <= page.server._connections.most
    async with page.http.get("/metrics") as answer:
        assert "xyte_gateway_page_connections_closed_early_total" in await answer.text()


@pytest.mark.enable_socket
async def test_connections_of_trusted_proxies_have_no_share(serve, view, connect):
    page = await serve(view, trusted_proxies=(ip_network("127.0.0.0/8"),))
    for _ in range(page.server._connections.most_of_one + 20):
        await connect(page.address)
    async with page.http.get("/healthz") as answer:
        assert answer.status == 200
    assert len(page.server._connections) > page.server._connections.most_of_one


@pytest.mark.enable_socket
def test_the_last_descriptors_are_left_alone_and_a_lack_of_them_is_logged_once():
    code = """
import asyncio, logging, os, resource, sys
from gateway.status.listening import listener
from gateway.status.listening.connections import Connections
from gateway.status.listening.work_budget import WorkBudget

class Greeting(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"hello")

async def main():
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    listener.RETRY_SECONDS = 0.05
    sockets = await listener.bind("127.0.0.1", 0)
    port = sockets[0].getsockname()[1]
    taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(130)]
    async with listener.Listener(Connections(listener.most_connections()), Greeting, WorkBudget()).serving(sockets):
        refused = []
        for _ in range(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            refused.append(await reader.read(10))
            writer.close()
        spare = [os.open("/dev/null", os.O_RDONLY) for _ in range(30)]
        for one in (*spare, *taken):
            os.close(one)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        print(listener.most_connections(), set(refused), await reader.read(10))
        writer.close()

asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "50 {b''} b'hello'"
    first, second = ran.stderr.splitlines()
    assert first.startswith("the status page takes no connections, as there are too many open files: the last ones are left")
    assert second == "the status page takes connections again"


@pytest.mark.enable_socket
async def test_a_refused_accept_is_logged_once_and_tried_again(caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(listener, "RETRY_SECONDS", 0.01)
    wait, refused = listener._until_readable, 0

    async def refusing(listening):
        nonlocal refused
        if refused < 20:
            refused += 1
            raise OSError(24, "Too many open files")
        await wait(listening)

    monkeypatch.setattr(listener, "_until_readable", refusing)
    sockets = await listener.bind("127.0.0.1", 0)
    async with listener.Listener(Connections(MOST), Greeting, WorkBudget()).serving(sockets):
        reader, writer = await asyncio.open_connection(*sockets[0].getsockname())
        assert await reader.read(5) == b"hello"
        writer.close()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


@pytest.mark.enable_socket
async def test_a_connection_that_comes_while_the_listener_ends_is_refused_and_not_forgotten():
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    sockets = await listener.bind("127.0.0.1", 0)
    with socket.socket() as client:
        client.settimeout(30)
        async with listener.Listener(Connections(MOST), Greeting, WorkBudget()).serving(sockets):
            await asyncio.sleep(0)
            client.connect(sockets[0].getsockname())
            await asyncio.sleep(0)  # the loop has seen the connection, and this goes on before it is taken
        await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            assert client.recv(10) in {b"", b"hello"}
    assert errors == []


class Greeting(asyncio.Protocol):
    def connection_made(self, transport):
        transport.write(b"hello")


@pytest.mark.enable_socket
async def test_an_address_that_the_machine_has_not_is_left_out_where_there_is_another(monkeypatch):
    async def resolve(host, port, **_):
        kind = socket.SOCK_STREAM
        return [(family, kind, 6, "", (address, port)) for family, address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve, raising=False)
    addresses = [(socket.AF_INET, "192.0.2.1"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2")]
    first, second = await listener.bind("somewhere", 0)
    assert (first.getsockname()[0], second.getsockname()[0]) == ("127.0.0.1", "127.0.0.2")
    assert first.getsockname()[1] == second.getsockname()[1]
    with pytest.raises(OSError, match="Address already in use"):
        await listener.bind("somewhere", first.getsockname()[1])
    first.close()
    second.close()
    addresses = [(socket.AF_INET, "192.0.2.1")]
    with pytest.raises(OSError, match="Cannot assign requested address"):
        await listener.bind("somewhere", 0)
