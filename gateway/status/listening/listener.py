"""Listen for connections to the page, and take as many as there is room for, but none of the last descriptors."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from functools import partial
from typing import Final

from gateway.status.listening.client_addresses import client_group
from gateway.status.listening.connections import HEAD_SECONDS, MOST_CONNECTIONS, Connection, Connections
from gateway.status.listening.protocol import WatchedProtocol
from gateway.status.listening.work_budget import CONNECTION_SECONDS, TLS_SECONDS, Client, TooMuchWork, WorkBudget

log = logging.getLogger(__name__)

Sockets = list[socket.socket]

BACKLOG: Final = 256
"""So many connections wait to be taken; the system drops others, which are tried again after a second."""
RESERVED_DESCRIPTORS: Final = 64
"""So many of the last descriptors are left to the cloud, the buses and the store."""
USUAL_DESCRIPTORS: Final = 1024
"""Where the system does not tell how many there may be."""
TLS_CLOSE_SECONDS: Final = 2.0
TLS_HANDSHAKE: Final = b"\x16"
"""The first byte of each TLS connection."""
NO_TLS: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis page is served by https.\n"
)
UNACKNOWLEDGED_MS: Final = 60_000
"""A client that acknowledges nothing for so long has gone."""
RETRY_SECONDS: Final = 1.0
"""Wait before connections are taken again after the system refused one."""
BATCH: Final = 32
"""So many connections are taken at once."""
CROWDED_PACE_SECONDS: Final = 0.01
"""Between two batches while there are too many connections, so that a flood of them leaves the event loop to the devices."""
NOT_HERE: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
GONE: Final = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH})
"""Errors of one connection that ended before it was taken."""


def most_descriptors() -> int:
    """Return how many files and sockets the process may have open."""
    try:
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    except OSError:  # a sandbox forbids the question
        return USUAL_DESCRIPTORS
    return USUAL_DESCRIPTORS * 64 if most == resource.RLIM_INFINITY else most


def most_connections() -> int:
    """Return how many connections the page may have: far fewer than there are descriptors."""
    return max(8, min(MOST_CONNECTIONS, most_descriptors() // 4))


async def bind(host: str, port: int) -> Sockets:
    """Return sockets that listen at each address of a host, all at one port.

    An address that this machine has not, such as `::1` without IPv6, is left out where there is another one.

    Raises:
        OSError: one of them is taken, or none is an address of this machine.
        UnicodeError: the host is no name that could exist, such as `a..b`.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    with ExitStack() as opened:
        listening: Sockets = []
        missing: OSError | None = None
        for family, _, _, _, address in dict.fromkeys(found):
            wanted = listening[0].getsockname()[1] if listening else port
            try:
                listening.append(opened.enter_context(_listening_at(family, (address[0], wanted, *address[2:]))))
            except OSError as error:
                if error.errno not in NOT_HERE:
                    raise
                missing = error
        if missing is not None and not listening:
            raise missing
        opened.pop_all()
    return listening


def _listening_at(family: int, address: tuple[str | int, ...]) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)
        one.setblocking(False)  # noqa: FBT003 - the name of the method says what is set
    except BaseException:
        one.close()
        raise
    return one


class Listener:
    """Takes the connections of some sockets, and hands each to a protocol of its own."""

    def __init__(
        self,
        connections: Connections,
        make_protocol: Callable[[], asyncio.Protocol],
        work: WorkBudget,
        *,
        tls: Callable[[], ssl.SSLContext | None] | None = None,
    ) -> None:
        """Hand connections to these protocols.

        Args:
            connections: counts and limits them.
            make_protocol: makes the protocol of one connection.
            work: decides when a connection gets its protocol and its TLS handshake.
            tls: returns what a new connection uses, with the present certificate; `None` to serve without TLS.
        """
        self._connections = connections
        self._make_protocol = make_protocol
        self._work = work
        self._tls = tls if tls is not None else lambda: None
        self._serving: set[asyncio.Task[None]] = set()
        self._is_refused = False
        self._last_descriptor = most_descriptors() - RESERVED_DESCRIPTORS

    @asynccontextmanager
    async def serving(self, sockets: Sockets) -> AsyncIterator[None]:
        """Take connections at these sockets, which are closed at the end."""
        tasks = [asyncio.create_task(self._accept(one)) for one in sockets]
        tasks.append(asyncio.create_task(self._connections.run()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in tuple(self._serving):  # each has begun by now, and closes what it was given
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)
            for one in sockets:
                one.close()

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                await _until_readable(listening)
                with contextlib.suppress(BlockingIOError):
                    for _ in range(BATCH):
                        self._take(*listening.accept())
            except OSError as error:
                if error.errno not in GONE:
                    await self._wait_after_refusal(error)
            # nothing waits while there are connections, which must not keep the event loop from everything else
            await asyncio.sleep(CROWDED_PACE_SECONDS if self._connections.is_crowded else 0)

    async def _wait_after_refusal(self, error: OSError) -> None:
        """Wait until there may be descriptors again. asyncio's own server would log this a hundred times a second."""
        if not self._is_refused:
            log.warning("the status page takes no connections, as there are too many open files: %s", error.strerror)
        self._is_refused = True
        self._connections.close_waiting()
        await asyncio.sleep(RETRY_SECONDS)

    def _take(self, taken: socket.socket, peer: tuple[str | int, ...]) -> None:
        """Take a connection, if there is room.

        Raises:
            OSError: its descriptor is one of the last.
        """
        if taken.fileno() >= self._last_descriptor:  # the lowest free number is given, so nearly all are in use
            taken.close()
            raise OSError(errno.EMFILE, "the last ones are left to the devices and the cloud")
        if self._is_refused:
            self._is_refused = False
            log.info("the status page takes connections again")
        connection = self._connections.admit(client_group(str(peer[0])))
        if connection is None:
            taken.close()
            return
        taken.setblocking(False)  # noqa: FBT003 - as above
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            with contextlib.suppress(OSError):
                taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        connection.close = partial(_shut, taken)  # until the protocol has a way of its own
        task = asyncio.create_task(self._serve(taken, connection))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, taken: socket.socket, connection: Connection) -> None:
        """Hand a connection to its protocol when its client has time left, over TLS after the handshake."""
        context = self._tls()
        times = {} if context is None else {"ssl_handshake_timeout": HEAD_SECONDS, "ssl_shutdown_timeout": TLS_CLOSE_SECONDS}
        try:
            if context is not None and not await _begins_tls(taken):
                self._connections.release(connection)
                return
            if not self._connections.stands_for_many(connection.client):
                await self._wait_for_turn(taken, connection.client, CONNECTION_SECONDS if context is None else TLS_SECONDS)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: WatchedProtocol(self._make_protocol(), connection, self._connections.release), taken, ssl=context, **times
            )
        except (OSError, TimeoutError, TooMuchWork):  # it has gone, speaks no TLS, or its client connects too often
            self._connections.release(connection)
            _shut(taken)
        except BaseException:
            self._connections.release(connection)
            _shut(taken)
            raise

    async def _wait_for_turn(self, taken: socket.socket, client: str, costs: float) -> None:
        """Wait until a client has time left for a new connection, which is closed where it has not.

        Raises:
            TooMuchWork: it had to wait for too long.
        """
        try:
            async with self._work.turn(Client(client), costs=costs):
                pass
        except BaseException:
            taken.close()
            raise


async def _begins_tls(taken: socket.socket) -> bool:
    """Wait for the first byte; a browser that speaks plain http is told so, and the connection is closed.

    Raises:
        OSError: the client has gone.
        TimeoutError: it sends nothing.
    """
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            await _until_readable(taken)
        first = taken.recv(1, socket.MSG_PEEK)
        if first == TLS_HANDSHAKE:
            return True
        if first:
            taken.send(NO_TLS)
            taken.shutdown(socket.SHUT_WR)
            taken.recv(65536)  # what is left unread would take the answer with it
    except BaseException:
        taken.close()
        raise
    taken.close()
    return False


async def _until_readable(one: socket.socket) -> None:
    """Wait for bytes, or for a connection: `loop.sock_accept` loses a connection that comes while it is cancelled."""
    loop, is_readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(one, is_readable.set)
    try:
        await is_readable.wait()
    finally:
        loop.remove_reader(one)


def _shut(taken: socket.socket) -> None:
    """End a connection; its transport closes the socket, as it is registered under its number."""
    with contextlib.suppress(OSError):
        taken.shutdown(socket.SHUT_RDWR)
