"""The air around one Bluetooth adapter: which peripherals are there, and when they are heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import TypeAlias

from gateway.testing.bluetooth.peripheral import Changes, Peripheral

Vary: TypeAlias = Callable[[Peripheral, int], Changes]
"""What a peripheral says anew in the n-th advertisement of a chatter."""

_BURST = 25
_PAUSE_SECONDS = 0.001
_RSSI_SWING = 7


class Air:
    """The peripherals that can be heard; some by a clock of their own, as long as somebody listens.

    Raises:
        ValueError: two peripherals have the same address.
    """

    def __init__(self, peripherals: Iterable[Peripheral] = ()) -> None:
        self.advertisements = 0
        """How many were sent so far, heard by somebody or not."""
        self._peripherals: dict[str, Peripheral] = {}
        self._leave: dict[str, Callable[[], None]] = {}
        self._beacons: dict[str, asyncio.TimerHandle] = {}
        self._listeners: list[Callable[[Peripheral], None]] = []
        for peripheral in peripherals:
            self.add(peripheral)

    def __iter__(self) -> Iterator[Peripheral]:
        return iter(tuple(self._peripherals.values()))

    def __len__(self) -> int:
        return len(self._peripherals)

    def __contains__(self, peripheral: Peripheral) -> bool:
        return self._peripherals.get(peripheral.address) is peripheral

    def add(self, peripheral: Peripheral) -> None:
        """Let a peripheral be around, and advertise.

        Raises:
            ValueError: there is one with its address.
        """
        if peripheral.address in self._peripherals:
            raise ValueError(f"there is a peripheral with the address {peripheral.address}")
        self._peripherals[peripheral.address] = peripheral
        self._leave[peripheral.address] = peripheral.listen(self._carry)
        if self._listeners:
            self._beacon(peripheral, peripheral.advertises_every)
            peripheral.advertise()

    def remove(self, peripheral: Peripheral) -> None:
        """Take a peripheral away, out of range of everybody; its link is lost."""
        del self._peripherals[peripheral.address]
        self._leave.pop(peripheral.address)()
        if (beacon := self._beacons.pop(peripheral.address, None)) is not None:
            beacon.cancel()
        peripheral.go_out_of_range()

    def listen(self, hear: Callable[[Peripheral], None]) -> Callable[[], None]:
        """Have a function called with each peripheral that advertises; return a function that ends that.

        The first listener sets the peripherals' clocks going, evenly spread over their intervals.
        """
        self._listeners.append(hear)
        if len(self._listeners) == 1:
            for n, peripheral in enumerate(self, 1):
                every = peripheral.advertises_every
                self._beacon(peripheral, None if every is None else every * n / len(self))
        return lambda: self._stop_listening(hear)

    async def chatter(self, per_second: float, *, vary: Vary | None = None) -> None:
        """Let the peripherals advertise in turn, so many times a second together, until cancelled.

        Without `vary` only the signal strength changes from one advertisement to the next. If the machine is too slow, what is
        behind is made up for in bursts.
        """
        vary = vary or _swinging_rssi([peripheral.rssi for peripheral in self])
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n in count(1):
            peripheral = [*self._peripherals.values()][n % len(self)]
            peripheral.advertise(**vary(peripheral, n))
            ahead = n / per_second - (loop.time() - began)
            if ahead > _PAUSE_SECONDS:
                await asyncio.sleep(ahead)
            elif n % _BURST == 0:
                await asyncio.sleep(_PAUSE_SECONDS)

    def _carry(self, peripheral: Peripheral) -> None:
        self.advertisements += 1
        for hear in tuple(self._listeners):
            hear(peripheral)

    def _stop_listening(self, hear: Callable[[Peripheral], None]) -> None:
        self._listeners.remove(hear)
        if not self._listeners:
            for beacon in self._beacons.values():
                beacon.cancel()
            self._beacons.clear()

    def _beacon(self, peripheral: Peripheral, in_seconds: float | None) -> None:
        if in_seconds is None:
            return

        def flash() -> None:
            self._beacon(peripheral, peripheral.advertises_every)
            peripheral.advertise()

        self._beacons[peripheral.address] = asyncio.get_running_loop().call_later(in_seconds, flash)


def _swinging_rssi(base: list[int]) -> Vary:
    return lambda _, n: {"rssi": base[n % len(base)] - n // len(base) % _RSSI_SWING}
