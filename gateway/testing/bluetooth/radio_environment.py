"""Simulate the radio environment of a controller: the peripherals in range, and when they advertise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import TypeAlias

from gateway.testing.bluetooth.peripheral import AdvertisedData, Peripheral

Vary: TypeAlias = Callable[[Peripheral, int], AdvertisedData]
"""Returns what a peripheral changes in the n-th advertisement of `advertise_in_turn`."""

_BURST = 25
_PAUSE_SECONDS = 0.001
_RSSI_VARIATION = 7


class RadioEnvironment:
    """The peripherals in range; those with an interval advertise as long as there is a listener.

    Raises:
        ValueError: two peripherals have the same address.
    """

    def __init__(self, peripherals: Iterable[Peripheral] = ()) -> None:
        self.advertisements = 0
        """The number of advertisements so far, with or without a listener."""
        self._peripherals: dict[str, Peripheral] = {}
        self._stop_forwarding: dict[str, Callable[[], None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
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
        """Add a peripheral, which advertises from now on.

        Raises:
            ValueError: there is a peripheral with its address.
        """
        if peripheral.address in self._peripherals:
            raise ValueError(f"there is a peripheral with the address {peripheral.address}")
        self._peripherals[peripheral.address] = peripheral
        self._stop_forwarding[peripheral.address] = peripheral.listen(self._forward)
        if self._listeners:
            self._schedule(peripheral, peripheral.advertises_every)
            peripheral.advertise()

    def remove(self, peripheral: Peripheral) -> None:
        """Remove a peripheral: it is out of range, and its connection is lost."""
        del self._peripherals[peripheral.address]
        self._stop_forwarding.pop(peripheral.address)()
        if (timer := self._timers.pop(peripheral.address, None)) is not None:
            timer.cancel()
        peripheral.go_out_of_range()

    def listen(self, on_advertisement: Callable[[Peripheral], None]) -> Callable[[], None]:
        """Call a function with each peripheral that advertises; return a function that ends that.

        The first listener starts the peripherals' timers, evenly spread over their intervals.
        """
        self._listeners.append(on_advertisement)
        if len(self._listeners) == 1:
            for n, peripheral in enumerate(self, 1):
                every = peripheral.advertises_every
                self._schedule(peripheral, None if every is None else every * n / len(self))
        return lambda: self._stop_listening(on_advertisement)

    async def advertise_in_turn(self, per_second: float, *, vary: Vary | None = None) -> None:
        """Let the peripherals advertise in turn, at this rate in total, until cancelled.

        Without `vary` only the signal strength changes from one advertisement to the next. On a machine that is too slow, missing
        advertisements follow in bursts.
        """
        vary = vary or _varying_rssi([peripheral.rssi for peripheral in self])
        loop = asyncio.get_running_loop()
        started_at = loop.time()
        for n in count(1):
            peripheral = [*self._peripherals.values()][n % len(self)]
            peripheral.advertise(**vary(peripheral, n))
            ahead = n / per_second - (loop.time() - started_at)
            if ahead > _PAUSE_SECONDS:
                await asyncio.sleep(ahead)
            elif n % _BURST == 0:
                await asyncio.sleep(_PAUSE_SECONDS)

    def _forward(self, peripheral: Peripheral) -> None:
        self.advertisements += 1
        for on_advertisement in tuple(self._listeners):
            on_advertisement(peripheral)

    def _stop_listening(self, on_advertisement: Callable[[Peripheral], None]) -> None:
        self._listeners.remove(on_advertisement)
        if not self._listeners:
            for timer in self._timers.values():
                timer.cancel()
            self._timers.clear()

    def _schedule(self, peripheral: Peripheral, in_seconds: float | None) -> None:
        if in_seconds is None:
            return

        def advertise() -> None:
            self._schedule(peripheral, peripheral.advertises_every)
            peripheral.advertise()

        self._timers[peripheral.address] = asyncio.get_running_loop().call_later(in_seconds, advertise)


def _varying_rssi(base: list[int]) -> Vary:
    return lambda _, n: {"rssi": base[n % len(base)] - n // len(base) % _RSSI_VARIATION}
