"""A connection to one peripheral: requests one at a time, notifications, and the many ways to lose it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.dbus_errors import Refused
from gateway.testing.bluetooth.gatt import LONGEST_VALUE, Characteristic, Descriptor, Service, Write
from gateway.testing.bluetooth.peripheral import Peripheral

CONNECT_TIMEOUT_SECONDS = 20.0
"""How long a host tries to reach a device before it gives up."""
ANSWER_TIMEOUT_SECONDS = 30.0
"""After so long without an answer the attribute protocol gives the link up."""
_COMMAND_OVERHEAD = 3


class Link:
    """A connection to a peripheral, made by `Link.open`; both kinds of test bed serve their clients through it."""

    def __init__(self, peripheral: Peripheral, on_lost: Callable[[], None]) -> None:
        self.peripheral = peripheral
        self._on_lost = on_lost
        self._gone = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._notifying: dict[Characteristic, asyncio.TimerHandle] = {}
        self._subscriptions: dict[Characteristic, Callable[[bytes], None]] = {}

    @classmethod
    async def open(
        cls, peripheral: Peripheral, on_lost: Callable[[], None], *, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS
    ) -> Self:
        """Connect to a peripheral. `on_lost` is called when the link is lost, not when it is closed.

        Raises:
            Refused: it cannot be reached, or its faults say no.
        """
        faults = peripheral.faults
        if faults.busy_connects > 0:
            faults.busy_connects -= 1
            raise Refused(dbus_errors.IN_PROGRESS)
        if not peripheral.is_in_range:
            await asyncio.sleep(timeout_seconds)
            raise Refused(dbus_errors.CONNECT_TIMED_OUT)
        if faults.connect_seconds:
            await asyncio.sleep(faults.connect_seconds)
        if faults.aborted_connects > 0:
            faults.aborted_connects -= 1
            raise Refused(dbus_errors.ABORTED)
        if faults.refused_connects is not None:
            raise Refused(faults.refused_connects)
        if peripheral.is_connected:
            raise Refused(dbus_errors.ABORTED)  # it talks to somebody else, and so does not hear us
        link = cls(peripheral, on_lost)
        peripheral.take_link(link.lose)
        return link

    @property
    def is_open(self) -> bool:
        """Neither closed nor lost."""
        return not self._gone.is_set()

    def discover(self) -> tuple[Service, ...]:
        """Return what the peripheral offers.

        Raises:
            Refused: the link is lost, perhaps by this.
        """
        faults = self.peripheral.faults
        if faults.lost_discoveries > 0 and self.is_open:
            faults.lost_discoveries -= 1
            self.lose()
        self._must_be_open()
        return self.peripheral.services

    async def pair(self) -> None:
        """Pair with the peripheral.

        Raises:
            Refused: it does not want to.
        """
        await self._answer()
        if self.peripheral.faults.refuses_pairing:
            raise Refused(dbus_errors.PAIRING_REFUSED)
        self.peripheral.is_paired = True

    async def read(self, characteristic: Characteristic, offset: int = 0) -> bytes:
        """Return the value of a characteristic, from a byte on.

        Raises:
            Refused: it cannot be read, the link is lost, or faults say no.
        """
        async with self._one_at_a_time:
            faults = self.peripheral.faults
            if faults.lost_reads > 0 and self.is_open:
                faults.lost_reads -= 1
                self.lose()
            await self._answer(characteristic)
        self._admit(characteristic, is_offered="read" in characteristic.flags, otherwise=dbus_errors.READ_NOT_PERMITTED)
        value = self.peripheral.value(characteristic)
        if offset > len(value):
            raise Refused(dbus_errors.INVALID_OFFSET)
        return value[offset:]

    async def write(self, characteristic: Characteristic, value: bytes, *, with_response: bool) -> None:
        """Write a value; without a response nobody learns whether the peripheral took it.

        Raises:
            Refused: it cannot be written in this way, the link is lost, or faults say no.
        """
        if with_response:
            await self._request(characteristic, Write(value, with_response=True))
        else:
            self._command(characteristic, Write(value, with_response=False))

    async def read_descriptor(self, descriptor: Descriptor) -> bytes:
        """Return the bytes of a descriptor.

        Raises:
            Refused: the link is lost, or faults say no.
        """
        async with self._one_at_a_time:
            await self._answer()
        return descriptor.value

    async def write_descriptor(self, descriptor: Descriptor, value: bytes) -> None:
        """Replace the bytes of a descriptor.

        Raises:
            Refused: the link is lost, or faults say no.
        """
        async with self._one_at_a_time:
            await self._answer()
        descriptor.value = value

    async def subscribe(self, characteristic: Characteristic, hear: Callable[[bytes], None]) -> None:
        """Have a function called with each notification; the one before it, if any, no longer.

        Raises:
            Refused: it does not notify, the link is lost, or faults say no.
        """
        if not characteristic.is_subscribable:
            raise Refused(dbus_errors.NOT_SUPPORTED)
        async with self._one_at_a_time:
            await self._answer(characteristic)
        self._admit(characteristic, is_offered=True, otherwise=dbus_errors.NOT_SUPPORTED)
        self._unsubscribe(characteristic)
        self._subscriptions[characteristic] = hear
        characteristic.subscribers.append(hear)
        self._notify_by_clock(characteristic)

    def unsubscribe(self, characteristic: Characteristic) -> None:
        """End what `subscribe` began."""
        self._unsubscribe(characteristic)

    def close(self) -> None:
        """End the link from our side."""
        if self.is_open:
            self._gone.set()
            for characteristic in [*self._subscriptions]:
                self._unsubscribe(characteristic)
            self.peripheral.give_link()

    def lose(self) -> None:
        """End the link as the peripheral or the air does: whoever holds it is told."""
        if self.is_open:
            self.close()
            self._on_lost()

    async def _request(self, characteristic: Characteristic, write: Write) -> None:
        async with self._one_at_a_time:
            await self._answer(characteristic)
        self._admit(characteristic, is_offered="write" in characteristic.flags, otherwise=dbus_errors.WRITE_NOT_PERMITTED)
        if len(write.value) > LONGEST_VALUE:
            raise Refused(dbus_errors.INVALID_LENGTH)
        characteristic.take(write)

    def _command(self, characteristic: Characteristic, write: Write) -> None:
        self._must_be_open()
        if "write-without-response" not in characteristic.flags:
            raise Refused(dbus_errors.NOT_SUPPORTED)
        if len(write.value) > self.peripheral.mtu - _COMMAND_OVERHEAD:
            raise Refused(dbus_errors.failed("Failed to initiate write"))
        is_deaf = self.peripheral.faults.is_silent or characteristic.is_silent
        is_unpaired = characteristic.needs_pairing and not self.peripheral.is_paired
        if not is_deaf and not is_unpaired and characteristic.refusal is None:
            characteristic.take(write)

    async def _answer(self, characteristic: Characteristic | None = None) -> None:
        """Wait until the peripheral would answer."""
        self._must_be_open()
        faults = self.peripheral.faults
        if faults.busy_answers > 0:
            faults.busy_answers -= 1
            raise Refused(dbus_errors.IN_PROGRESS)
        if faults.is_silent or (characteristic is not None and characteristic.is_silent):
            await self._keep_for(ANSWER_TIMEOUT_SECONDS)
            self.lose()
        elif faults.answer_seconds:
            await self._keep_for(faults.answer_seconds)
        if not self.is_open:
            raise Refused(dbus_errors.LINK_LOST)

    async def _keep_for(self, seconds: float) -> None:
        """Wait, but not longer than the link lasts."""
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return

    def _must_be_open(self) -> None:
        if not self.is_open:
            raise Refused(dbus_errors.LINK_LOST)

    def _admit(self, characteristic: Characteristic, *, is_offered: bool, otherwise: dbus_errors.Refusal) -> None:
        if not is_offered:
            raise Refused(otherwise)
        if characteristic.needs_pairing and not self.peripheral.is_paired:
            raise Refused(dbus_errors.NOT_PAIRED)
        if characteristic.refusal is not None:
            raise Refused(characteristic.refusal)

    def _unsubscribe(self, characteristic: Characteristic) -> None:
        if (hear := self._subscriptions.pop(characteristic, None)) is not None:
            characteristic.subscribers.remove(hear)
        if (timer := self._notifying.pop(characteristic, None)) is not None:
            timer.cancel()

    def _notify_by_clock(self, characteristic: Characteristic) -> None:
        if characteristic.notify_every is None:
            return

        def send() -> None:
            characteristic.notify(self.peripheral.value(characteristic))
            if characteristic in self._subscriptions:  # whoever heard it may have hung up
                self._notify_by_clock(characteristic)

        self._notifying[characteristic] = asyncio.get_running_loop().call_later(characteristic.notify_every, send)
