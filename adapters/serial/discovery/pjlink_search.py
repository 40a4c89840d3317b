"""Search named networks for projectors with PJLink class 2, which answer a datagram with their MAC address.

PJLink Specifications 2.10, class 2, search procedure: the controller sends `%2SRCH` to UDP port 4352, by broadcast; each
projector answers `%2ACKN=` and its MAC address within ten seconds. Whoever is on the network can answer, so an answer counts
only from an address that a person has named, and proves nothing: the projector is identified over TCP like any other.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Container, Sequence
from typing import Any, Final

from gateway.adapter import BusUnavailable, NamedNetworks, NetworkHost, Progress, SearchSummary, loop_time

PJLINK_PORT: Final = 4352
SEARCH: Final = b"%2SRCH\r"
PROFILE: Final = "pjlink"

LONGEST_ANSWER: Final = 64
"""An answer has 25 bytes; some have white space behind it."""

MOST_PROJECTORS: Final = 256
MOST_DATAGRAMS: Final = 10_000
"""After so many the search ends: somebody floods it."""

BURST: Final = 32
BURST_PAUSE_SECONDS: Final = 0.05
"""So many single addresses are asked at once, and the next ones after a pause: each may need a look-up of its MAC address."""

AGAIN_SECONDS: Final = 2.0
"""After this time, who has not answered is asked once more: a datagram or its answer may be lost, as behind a flood of others."""

STEP_SECONDS: Final = 1.0
"""So often the progress is reported while answers are waited for."""

_ANSWER: Final = re.compile(rb"%2ACKN=([0-9A-F]{2}(?:[:-]?[0-9A-F]{2}){5})\s*", re.IGNORECASE)

OUTSIDE: Final = "from outside of the named networks"
OVERSIZED: Final = "too long"
GARBAGE: Final = "no answers of projectors"
WRONG_MAC: Final = "without the MAC address of a device"
OTHER_MAC: Final = "with another MAC address than before"
TOO_MANY: Final = f"beyond {MOST_PROJECTORS} projectors"


async def search_projectors(networks: NamedNetworks) -> AsyncGenerator[NetworkHost | Progress | SearchSummary, None]:
    """Yield each projector once, as it answers, and at the end what was asked and ignored.

    Raises:
        BusUnavailable: this machine opens no socket for it.
    """
    receivers = [one for one in (*networks.broadcast_addresses, *networks.single_addresses) if ":" not in one]
    if not receivers:
        return
    answers, found = _Answers(networks.addresses), 0
    transport = await _open(answers)
    asking = asyncio.create_task(_ask(transport, receivers, answers))
    ends_at = loop_time() + networks.answer_seconds + len(receivers) // BURST * BURST_PAUSE_SECONDS
    try:
        while (waits := ends_at - loop_time()) > 0 and not answers.is_complete(networks):
            answer = await answers.next(min(waits, STEP_SECONDS))
            if answer is not None:
                found += 1
                yield _network_host(*answer)
            yield Progress(found, None, "waiting for projectors to answer")
    finally:
        asking.cancel()
        transport.close()
    yield answers.summary(networks)


def mac_in(answer: bytes) -> bytes:
    """Return the MAC address in a projector's answer to a search, six bytes.

    Raises:
        ValueError: it is none; the words say of what kind such datagrams are.
    """
    if len(answer) > LONGEST_ANSWER:
        raise ValueError(OVERSIZED)
    matched = _ANSWER.fullmatch(answer)
    if matched is None:
        raise ValueError(GARBAGE)
    mac = bytes.fromhex(matched[1].decode().replace(":", "").replace("-", ""))
    if mac[0] & 1 or not any(mac):  # of a group, or the one that stands for none
        raise ValueError(WRONG_MAC)
    return mac


class _Answers(asyncio.DatagramProtocol):
    """The answers that count, each address once, and how many others there were, by what is wrong with them."""

    def __init__(self, addresses: Container[str]) -> None:
        self._addresses = addresses
        self._by_address: dict[str, bytes] = {}
        self._waiting: asyncio.Queue[tuple[str, str] | None] = asyncio.Queue()
        self._datagrams = 0
        self._ignored: Counter[str] = Counter()
        self._unsent = 0
        self._is_flooded = False

    def has(self, address: str) -> bool:
        """Return whether a projector has answered from this address."""
        return address in self._by_address

    def is_complete(self, networks: NamedNetworks) -> bool:
        """Return whether there is nothing to wait for: so much arrived that the search ends, or all that were asked answered."""
        has_all = not networks.broadcast_addresses and all(one in self._by_address for one in networks.single_addresses)
        return self._is_flooded or (has_all and self._waiting.empty())

    def datagram_received(self, data: bytes, sender: tuple[Any, ...]) -> None:
        """Take an answer."""
        self._datagrams += 1
        if self._datagrams >= MOST_DATAGRAMS:
            if not self._is_flooded:
                self._is_flooded = True
                self._waiting.put_nowait(None)
            return
        why = self._why_ignored(data, str(sender[0]))
        if why is not None:
            self._ignored[why] += 1

    def _why_ignored(self, data: bytes, address: str) -> str | None:
        """Take an answer that counts; return what is wrong with another one."""
        if address not in self._addresses:
            return OUTSIDE
        try:
            mac = mac_in(data)
        except ValueError as why:
            return str(why)
        if address in self._by_address:
            return None if self._by_address[address] == mac else OTHER_MAC
        if len(self._by_address) >= MOST_PROJECTORS:
            return TOO_MANY
        self._by_address[address] = mac
        self._waiting.put_nowait((address, mac.hex(":").upper()))
        return None

    def error_received(self, error: Exception) -> None:
        """Count a datagram that was not delivered: no way there, or nothing listens, as an ICMP message said."""
        self._unsent += 1

    async def next(self, seconds: float) -> tuple[str, str] | None:
        """Return the next address that has answered, with its MAC address; `None` when none does within this time."""
        try:
            async with asyncio.timeout(seconds):
                return await self._waiting.get()
        except TimeoutError:
            return None

    def summary(self, networks: NamedNetworks) -> SearchSummary:
        """Return what was asked and what came of it."""
        broadcasts, single = len(networks.broadcast_addresses), len(networks.single_addresses)
        asked = [f"{broadcasts} network{'' if broadcasts == 1 else 's'} by broadcast"] if broadcasts else []
        asked += [f"{single} address{'' if single == 1 else 'es'}"] if single else []
        count = len(self._by_address)
        text = f"asked {' and '.join(asked)} for projectors with PJLink class 2: {count or 'none'} answered"
        if self._ignored:
            text += f"; ignored {', '.join(f'{number} {why}' for why, number in sorted(self._ignored.items()))}"
        if self._is_flooded:
            text += f"; ended early after {MOST_DATAGRAMS} datagrams"
        return SearchSummary(max(_number_asked(networks), count), count, text, None if count else _ADVICE)


_ADVICE: Final = (
    "projectors of class 1 do not answer a search: name their port as tcp://192.168.1.40:4352 in an entry of type serial; "
    "others have to have PJLink and their network switched on in standby"
)


def _number_asked(networks: NamedNetworks) -> int:
    """Return how many addresses a search asks, each broadcast as one."""
    return len(networks.broadcast_addresses) + len(networks.single_addresses)


async def _open(answers: _Answers) -> asyncio.DatagramTransport:
    try:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: answers,
            local_addr=("0.0.0.0", 0),  # noqa: S104 - which interface a broadcast leaves by, the routes decide
            allow_broadcast=True,
        )
    except OSError as error:
        raise BusUnavailable(f"the search for projectors cannot open a UDP socket: {error.strerror or error}") from error
    return transport


async def _ask(transport: asyncio.DatagramTransport, receivers: Sequence[str], answers: _Answers) -> None:
    """Ask everyone, and after a while those again that have not answered; a broadcast goes to all of its network again."""
    await _ask_in_bursts(transport, receivers)
    await asyncio.sleep(AGAIN_SECONDS)
    await _ask_in_bursts(transport, [one for one in receivers if not answers.has(one)])


async def _ask_in_bursts(transport: asyncio.DatagramTransport, receivers: Sequence[str]) -> None:
    for begin in range(0, len(receivers), BURST):
        if begin:
            await asyncio.sleep(BURST_PAUSE_SECONDS)
        for receiver in receivers[begin : begin + BURST]:
            transport.sendto(SEARCH, (receiver, PJLINK_PORT))


def _network_host(host: str, mac: str) -> NetworkHost:
    return NetworkHost(
        host=host,
        kind="PJLink class 2",
        evidence={f"%2SRCH to UDP port {PJLINK_PORT}": f"%2ACKN={mac}"},
        entry={"ports": [{"port": f"tcp://{host}:{PJLINK_PORT}", "profiles": [PROFILE]}]},
    )
