"""Numbers that are read in parts while they count are those of one moment."""

from __future__ import annotations

import pytest

from adapters.modbus.client.pdu import ReadRequest, Table
from adapters.modbus.polling.part_reads import parts_of, read_in_parts

READ = ReadRequest(Table.INPUT, 10, 2)


class Counter:
    """A counter in several registers, which goes on with each read."""

    def __init__(self, start, step, words=2, *, low_first=False):
        self.value, self.step, self.words, self.low_first, self.asked = start, step, words, low_first, 0
        self.seen = {start}

    async def __call__(self, read):
        self.asked += 1
        self.seen.add(self.value)
        raw = self.value.to_bytes(2 * self.words)
        registers = [raw[at : at + 2] for at in range(0, len(raw), 2)]
        registers = registers[::-1] if self.low_first else registers
        first = read.address - READ.address
        self.value += self.step
        return b"".join(registers[first : first + read.count])


def number(payload, *, low_first):
    words = [payload[at : at + 2] for at in range(0, len(payload), 2)]
    return int.from_bytes(b"".join(words[::-1] if low_first else words))


@pytest.mark.parametrize("low_first", [False, True], ids=["high word first", "low word first"])
@pytest.mark.parametrize("words", [2, 4])
@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("before_carry", range(9))
async def test_a_counter_that_carries_is_not_torn(before_carry, step, words, low_first):
    counter = Counter(0x1FFFF - before_carry, step, words, low_first=low_first)
    payload = await read_in_parts(ReadRequest(Table.INPUT, 10, words), 1, counter)
    assert min(counter.seen) <= number(payload, low_first=low_first) <= max(counter.seen)


async def test_a_number_that_stands_still_costs_one_read_more_than_its_registers():
    counter = Counter(70000, 0)
    assert number(await read_in_parts(READ, 1, counter), low_first=False) == 70000
    assert counter.asked == 3


async def test_a_text_is_read_once():
    asked = []

    async def ask(read):
        asked.append(read)
        return bytes(range(read.address, read.address + 2 * read.count))[: 2 * read.count]

    await read_in_parts(ReadRequest(Table.HOLDING, 0, 16), 5, ask)
    assert [(read.address, read.count) for read in asked] == [(0, 5), (5, 5), (10, 5), (15, 1)]


def test_the_parts_of_a_read_are_its_registers_in_order():
    assert parts_of(ReadRequest(Table.HOLDING, 3, 5), 2) == [
        ReadRequest(Table.HOLDING, 3, 2),
        ReadRequest(Table.HOLDING, 5, 2),
        ReadRequest(Table.HOLDING, 7, 1),
    ]
