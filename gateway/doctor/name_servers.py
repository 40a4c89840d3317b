"""Why a host name cannot be resolved: each name server of this machine is asked itself, in one datagram."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from secrets import randbelow

from gateway.device_files import is_in_container
from gateway.doctor.check_runner import aside

RESOLV_CONF = Path("/etc/resolv.conf")
DNS_PORT = 53
SERVER_SECONDS = 1.5
LOOK_UP_SECONDS = 4.0
SERVERS_ASKED = 3
"""The system asks no more than these either."""

NO_SUCH_NAME = "there is no such name"
KNOWS = "knows it"
SILENT = f"does not answer within {SERVER_SECONDS:g} s"

_CODES: Mapping[int, str] = {
    0: KNOWS,
    2: "fails (SERVFAIL)",
    3: NO_SUCH_NAME,
    5: "refuses to say (REFUSED)",
}

Addresses = Sequence[tuple[socket.AddressFamily, str]]


class NotResolved(Exception):
    """A host name leads nowhere."""

    def __init__(self, meaning: str, fix: str) -> None:
        super().__init__(meaning)
        self.meaning = meaning
        self.fix = fix


async def addresses_of(host: str, key: str | None) -> Addresses:
    """Return the addresses that this system resolves a host name to.

    Args:
        host: the name.
        key: the line of the config that it stands in, for who has misspelt it; `None` where nobody can have.

    Raises:
        NotResolved: there are none; says which name server fails, and how.
    """
    try:
        async with asyncio.timeout(LOOK_UP_SECONDS):
            found = await aside(lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError, TimeoutError):
        servers = name_servers(RESOLV_CONF)
        said = await asyncio.gather(*(ask(server, host) for server in servers))
        raise NotResolved(*why_not(host, dict(zip(servers, said, strict=True)), key)) from None
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def name_servers(file: Path) -> list[str]:
    """Return the name servers that this machine asks."""
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"][:SERVERS_ASKED]


async def ask(server: str, host: str, *, port: int = DNS_PORT) -> str:
    """Return what a name server says of a host, as the end of a sentence about it."""
    number = randbelow(0x10000)
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()
    try:
        transport, _ = await loop.create_datagram_endpoint(lambda: _Listener(number, answered), remote_addr=(server, port))
    except OSError as error:
        return f"cannot be reached: {error.strerror}"
    try:
        transport.sendto(question(number, host))
        async with asyncio.timeout(SERVER_SECONDS):
            return await answered
    except TimeoutError:
        return SILENT
    except OSError as error:
        return f"cannot be reached: {error.strerror or os.strerror(error.errno or 0)}"
    finally:
        transport.close()


def question(number: int, host: str) -> bytes:
    """Return the question for the IPv4 addresses of a host (RFC 1035, section 4)."""
    header = number.to_bytes(2, "big") + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
    labels = (label.encode("idna") for label in host.rstrip(".").split("."))
    return header + b"".join(bytes([len(label)]) + label for label in labels) + bytes([0, 0, 1, 0, 1])


def answer_in(packet: bytes, number: int) -> str | None:
    """Return what an answer says; `None` when it answers something else."""
    if len(packet) < 12 or packet[:2] != number.to_bytes(2, "big") or not packet[2] & 0x80:
        return None
    code = packet[3] & 0x0F
    return _CODES.get(code, f"fails (code {code})")


def why_not(host: str, said: Mapping[str, str], key: str | None) -> tuple[str, str]:
    """Return why a name is not resolved, and what mends it.

    Args:
        host: the name.
        said: what each name server says of it.
        key: the line of the config that it stands in, if it stands in any.
    """
    servers = "; ".join(
        f"the name server {server} {f'says that {word}' if word == NO_SUCH_NAME else word}" for server, word in said.items()
    )
    if not said:
        return f"{host} cannot be looked up: {RESOLV_CONF} names no name server", _another_server("nameserver 192.168.1.1")
    if KNOWS in said.values():
        meaning = f"{host} is known to a name server, but this system does not use it: {servers}"
        return meaning, 'in /etc/nsswitch.conf: "hosts: files dns"; and getent hosts ' + host
    if NO_SUCH_NAME in said.values():
        return f"{host} cannot be found: {servers}", (
            f"mend the name: {key}; or have" if key else "have"
        ) + f" that name server resolve {host}, or use another one"
    return f"{host} cannot be looked up: {servers}", _another_server("nameserver 192.168.1.1")


def _another_server(line: str) -> str:
    if is_in_container():
        return "name one that answers: docker run --dns 192.168.1.1, or dns: in compose"
    return f"name one that answers, by DHCP or in {RESOLV_CONF}: {line}"


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, number: int, answered: asyncio.Future[str]) -> None:
        self._number = number
        self._answered = answered

    def datagram_received(self, data: bytes, addr: object) -> None:
        del addr
        said = answer_in(data, self._number)
        if said is not None and not self._answered.done():
            self._answered.set_result(said)

    def error_received(self, exc: Exception) -> None:
        if not self._answered.done():
            self._answered.set_exception(exc)
