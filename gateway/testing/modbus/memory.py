"""Hold the four tables of a simulated device: its addresses only, with live values where there is a signal. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from gateway.testing.modbus.exception_codes import ExceptionCode, ExceptionResponse
from gateway.testing.modbus.signals import Signal, Table

Registers = Mapping[Table, Mapping[int, int]]
"""Plain words (or bits) by table and address; those in coils and holding registers can be written."""


class Memory:
    """The content of each address.

    Raises:
        ValueError: two signals or words have the same address.
    """

    def __init__(self, signals: Iterable[Signal], registers: Registers) -> None:
        self._words = {table: dict(registers.get(table, {})) for table in Table}
        self._writable = {table: set(registers.get(table, ())) if table.is_writable else set() for table in Table}
        self._signals: dict[Table, dict[int, list[Signal]]] = {table: {} for table in Table}
        for signal in signals:
            self._place(signal)

    def read(self, table: Table, start: int, count: int, seconds: float) -> list[int]:
        """Return the words (or bits) of a block at this many seconds after the unit was switched on.

        Raises:
            Refusal: 02 the device does not have all of these addresses.
        """
        words, addresses = self._words[table], range(start, start + count)
        _require(words, addresses)
        for signal in self._signals_at(table, addresses):
            if not signal.writable:
                self._put(signal, seconds)
        return [words[address] for address in addresses]

    def write(self, table: Table, start: int, words: Sequence[int]) -> None:
        """Store a block.

        Raises:
            Refusal: 02 not all of these addresses can be written; then none is.
        """
        addresses = range(start, start + len(words))
        _require(self._writable[table], addresses)
        self._words[table].update(zip(addresses, words, strict=True))

    def signals_within(self, table: Table, start: int, words: Sequence[int]) -> list[tuple[Signal, Sequence[int]]]:
        """Return the signals that are completely in this block, each with its words."""
        block = range(start, start + len(words))
        return [
            (signal, words[signal.addresses.start - start : signal.addresses.stop - start])
            for signal in self._signals_at(table, block)
            if signal.addresses.start >= block.start and signal.addresses.stop <= block.stop
        ]

    def _place(self, signal: Signal) -> None:
        here = self._signals[signal.table]
        for address in signal.addresses:
            others = here.setdefault(address, [])
            shares_bits = all(signal.shares_register_with(other) for other in others)
            if not shares_bits or (not others and address in self._words[signal.table]):
                raise ValueError(f"{signal.metric}: {signal.table} {address} is already used")
            others.append(signal)
        self._words[signal.table].update((address, 0) for address in signal.addresses if len(here[address]) == 1)
        if signal.writable:
            self._writable[signal.table].update(signal.addresses)
        self._put(signal, 0)

    def _put(self, signal: Signal, seconds: float) -> None:
        words = self._words[signal.table]
        before = [words[address] for address in signal.addresses]
        words.update(zip(signal.addresses, signal.words(signal.wave(seconds), before), strict=True))

    def _signals_at(self, table: Table, addresses: range) -> list[Signal]:
        here = self._signals[table]
        if not here:
            return []
        return list({id(signal): signal for address in addresses for signal in here.get(address, ())}.values())


def _require(known: Container[int], addresses: range) -> None:
    if not all(address in known for address in addresses):
        raise ExceptionResponse(ExceptionCode.ILLEGAL_DATA_ADDRESS)
