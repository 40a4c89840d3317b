"""Find out why a host name cannot be resolved, by asking each name server of this machine in one datagram.

dnspython is not used: its UDP query cannot see that a port is closed (ICMP), and reports the most common fault, a local
resolver that has stopped, as a server that does not answer. It would replace 20 lines, and add 0.2 s to an import.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import randbelow

from gateway.device_files import is_in_container
from gateway.doctor.check_runner import in_daemon_thread
from gateway.plain_numbers import seconds_text

RESOLV_CONF = Path("/etc/resolv.conf")
DNS_PORT = 53
SERVER_SECONDS = 1.5
LOOK_UP_SECONDS = 4.0
MAX_SERVERS = 3
"""The system does not use more than these either."""

NO_SUCH_NAME = "there is no such name"
RESOLVES = "resolves it"
SILENT = f"does not answer within {seconds_text(SERVER_SECONDS)}"

_RCODE_TEXTS: Mapping[int, str] = {
    0: RESOLVES,
    2: "fails (SERVFAIL)",
    3: NO_SUCH_NAME,
    5: "refuses the query (REFUSED)",
}

Addresses = Sequence[tuple[socket.AddressFamily, str]]


class NotResolved(Exception):
    """A host name has no addresses."""

    def __init__(self, meaning: str, fix: str) -> None:
        super().__init__(meaning)
        self.meaning = meaning
        self.fix = fix


async def resolve(host: str, config_line: str | None) -> Addresses:
    """Return the addresses that this system resolves a host name to.

    Args:
        host: the name.
        config_line: the line of the config with the name, which may be misspelt; `None` if it is in none.

    Raises:
        NotResolved: there are none; the text says which name server fails, and how.
    """
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            found = await in_daemon_thread(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError, TimeoutError):
        servers = read_name_servers(RESOLV_CONF)
        results = await asyncio.gather(*(query(server, host) for server in servers))
        raise NotResolved(*why_not_resolved(host, dict(zip(servers, results, strict=True)), config_line)) from None
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def read_name_servers(file: Path) -> list[str]:
    """Return the name servers that this machine uses."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"][:MAX_SERVERS]


async def query(server: str, host: str, *, port: int = DNS_PORT) -> str:
    """Ask a name server for a host, and return the result as the end of a sentence about that server."""
    query_id = randbelow(0x10000)
    loop = asyncio.get_running_loop()
    result: asyncio.Future[str] = loop.create_future()
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: _ResponseReader(query_id, result), remote_addr=(server, port))
    except OSError as error:
        return f"cannot be reached: {error.strerror}"
    try:
        transport.sendto(encode_query(query_id, host))
        async with asyncio.timeout(SERVER_SECONDS):
            return await result
    except TimeoutError:
        return SILENT
    except OSError as error:
        return f"cannot be reached: {error.strerror or os.strerror(error.errno or 0)}"
    finally:
        transport.close()


def encode_query(query_id: int, host: str) -> bytes:
    """Return the query for the IPv4 addresses of a host (RFC 1035, section 4)."""
    header = query_id.to_bytes(2, "big") + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    labels = (label.encode("idna") for label in host.rstrip(".").split("."))
    return header + b"".join(bytes([len(label)]) + label for label in labels) + bytes([0, 0, 1, 0, 1])


def decode_response(packet: bytes, query_id: int) -> str | None:
    """Return the result in a response; `None` when it belongs to another query."""
    if len(packet) < 12 or packet[:2] != query_id.to_bytes(2, "big") or not packet[2] & 0x80:
        return None
    code = packet[3] & 0x0F
    return _RCODE_TEXTS.get(code, f"fails (code {code})")


def why_not_resolved(host: str, results: Mapping[str, str], config_line: str | None) -> tuple[str, str]:
    """Return why a name is not resolved, and how to fix that.

    Args:
        host: the name.
        results: the result of each name server.
        config_line: the line of the config with the name, if it is in any.
    """
    servers = "; ".join(
        f"the name server {server} {f'reports that {result}' if result == NO_SUCH_NAME else result}"
        for server, result in results.items()
    )
    if not results:
        return f"{host} cannot be looked up: {RESOLV_CONF} names no name server", _use_another_server("nameserver 192.168.1.1")
    if RESOLVES in results.values():
        meaning = f"a name server resolves {host}, but this system does not use the result: {servers}"
        return meaning, 'in /etc/nsswitch.conf: "hosts: files dns"; then test it: getent hosts ' + host
    if NO_SUCH_NAME in results.values():
        correct = f"correct the name: {config_line}; or " if config_line else ""
        return f"{host} cannot be found: {servers}", f"{correct}make that name server resolve {host}, or use another one"
    return f"{host} cannot be looked up: {servers}", _use_another_server("nameserver 192.168.1.1")


def _use_another_server(line: str) -> str:
    if is_in_container():
        return "use a name server that answers: docker run --dns 192.168.1.1, or dns: in compose"
    return f"use a name server that answers, by DHCP or in {RESOLV_CONF}: {line}"


class _ResponseReader(asyncio.DatagramProtocol):
    def __init__(self, query_id: int, result: asyncio.Future[str]) -> None:
        self._query_id = query_id
        self._result = result

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        decoded = decode_response(data, self._query_id)
        if decoded is not None and not self._result.done():
            self._result.set_result(decoded)

    def error_received(self, exc: Exception) -> None:
        if not self._result.done():
            self._result.set_exception(exc)
