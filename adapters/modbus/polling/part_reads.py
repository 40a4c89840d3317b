"""Read registers in parts from a unit that does not return so many at once, so that each number is of one moment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from adapters.modbus.client.pdu import ReadRequest

LONGEST_NUMBER: Final = 4
"""The registers of the longest number; what is longer is a text, which does not change while it is read."""

ROUNDS: Final = 3
"""How often a number is read again that changes while it is read; then it is taken as it is."""

ReadPart = Callable[[ReadRequest], Awaitable[bytes]]


def parts_of(read: ReadRequest, at_once: int) -> list[ReadRequest]:
    """Return the reads of these registers, so many at once."""
    end = read.address + read.count
    return [ReadRequest(read.table, at, min(at_once, end - at)) for at in range(read.address, end, at_once)]


async def read_in_parts(read: ReadRequest, at_once: int, ask: ReadPart) -> bytes:
    """Return the bytes of these registers, read so many at once.

    A counter may carry from one part to another between two reads. So all parts but the one that was read last are read again.
    Where they have not changed, they belong to it; where one has, it is the quick one, and is read last next time.
    """
    parts = parts_of(read, at_once)
    order = list(range(len(parts)))
    contents: dict[int, bytes] = {}
    for _ in range(ROUNDS):
        for number in order:
            contents[number] = await ask(parts[number])
        if read.count > LONGEST_NUMBER:
            break
        changed = [number for number in order[:-1] if await ask(parts[number]) != contents[number]]
        if not changed:
            break
        order = [*(number for number in order if number != changed[0]), changed[0]]
    return b"".join(contents[number] for number in range(len(parts)))
