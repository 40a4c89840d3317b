"""Simulate the connection to a peripheral: one request at a time, notifications, and connection losses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Self

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.dbus_errors import OperationFailed
from gateway.testing.bluetooth.gatt import MAX_VALUE_BYTES, Characteristic, Descriptor, Service, Write
from gateway.testing.bluetooth.peripheral import Peripheral

CONNECT_TIMEOUT_SECONDS = 20.0
"""The time after which a host aborts a connection attempt."""
RESPONSE_TIMEOUT_SECONDS = 30.0
"""The time without a response after which the attribute protocol closes the connection."""
_COMMAND_OVERHEAD = 3


class PeripheralConnection:
    """A connection to a peripheral, made by `PeripheralConnection.open`; the emulated BlueZ and the bleak backend use it."""

    def __init__(self, peripheral: Peripheral, on_lost: Callable[[], None]) -> None:
        self.peripheral = peripheral
        self._on_lost = on_lost
        self._closed = asyncio.Event()
        self._request_lock = asyncio.Lock()
        self._notification_timers: dict[Characteristic, asyncio.TimerHandle] = {}
        self._subscriptions: dict[Characteristic, Callable[[bytes], None]] = {}

    @classmethod
    async def open(
        cls, peripheral: Peripheral, on_lost: Callable[[], None], *, timeout_seconds: float = CONNECT_TIMEOUT_SECONDS
    ) -> Self:
        """Connect to a peripheral. `on_lost` is called when the connection is lost, not when it is closed.

        Raises:
            OperationFailed: it cannot be reached, or a fault prevents it.
        """
        faults = peripheral.faults
        if faults.busy_connects > 0:
            faults.busy_connects -= 1
            raise OperationFailed(dbus_errors.IN_PROGRESS)
        if not peripheral.is_in_range:
            await asyncio.sleep(timeout_seconds)
            raise OperationFailed(dbus_errors.CONNECT_TIMED_OUT)
        if faults.connect_seconds:
            await asyncio.sleep(faults.connect_seconds)
        if faults.aborted_connects > 0:
            faults.aborted_connects -= 1
            raise OperationFailed(dbus_errors.ABORTED)
        if faults.connect_error is not None:
            raise OperationFailed(faults.connect_error)
        if peripheral.is_connected:
            raise OperationFailed(dbus_errors.ABORTED)  # a connected device does not advertise
        connection = cls(peripheral, on_lost)
        peripheral.connected(connection.lose)
        return connection

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor lost."""
        return not self._closed.is_set()

    async def wait_until_closed(self, seconds: float) -> bool:
        """Wait, at most for this time, and return whether it is closed or lost."""
        await self._wait_while_open(seconds)
        return not self.is_open

    def discover(self) -> tuple[Service, ...]:
        """Return the services of the peripheral.

        Raises:
            OperationFailed: the connection is lost, perhaps by a fault.
        """
        faults = self.peripheral.faults
        if faults.lost_discoveries > 0 and self.is_open:
            faults.lost_discoveries -= 1
            self.lose()
        self._require_open()
        return self.peripheral.services

    async def pair(self) -> None:
        """Pair with the peripheral.

        Raises:
            OperationFailed: the peripheral refuses it.
        """
        await self._wait_for_response()
        if self.peripheral.faults.refuses_pairing:
            raise OperationFailed(dbus_errors.PAIRING_REFUSED)
        self.peripheral.is_paired = True

    async def read(self, characteristic: Characteristic, offset: int = 0) -> bytes:
        """Return the value of a characteristic, from an offset on.

        Raises:
            OperationFailed: it cannot be read, the connection is lost, or a fault prevents it.
        """
        async with self._request_lock:
            faults = self.peripheral.faults
            if faults.lost_reads > 0 and self.is_open:
                faults.lost_reads -= 1
                self.lose()
            await self._wait_for_response(characteristic)
        self._check_access(characteristic, is_offered="read" in characteristic.flags, error=dbus_errors.READ_NOT_PERMITTED)
        value = self.peripheral.value(characteristic)
        if offset > len(value):
            raise OperationFailed(dbus_errors.INVALID_OFFSET)
        return value[offset:]

    async def write(self, characteristic: Characteristic, value: bytes, *, with_response: bool) -> None:
        """Write a value; without a response it is unknown whether the peripheral took it.

        Raises:
            OperationFailed: it cannot be written in this way, the connection is lost, or a fault prevents it.
        """
        if with_response:
            await self._request(characteristic, Write(value, with_response=True))
        else:
            self._command(characteristic, Write(value, with_response=False))

    async def read_descriptor(self, descriptor: Descriptor) -> bytes:
        """Return the bytes of a descriptor.

        Raises:
            OperationFailed: the connection is lost, or a fault prevents it.
        """
        async with self._request_lock:
            await self._wait_for_response()
        return descriptor.value

    async def write_descriptor(self, descriptor: Descriptor, value: bytes) -> None:
        """Replace the bytes of a descriptor.

        Raises:
            OperationFailed: the connection is lost, or a fault prevents it.
        """
        async with self._request_lock:
            await self._wait_for_response()
        descriptor.value = value

    async def subscribe(self, characteristic: Characteristic, callback: Callable[[bytes], None]) -> None:
        """Call a function with each notification; it replaces an earlier one.

        Raises:
            OperationFailed: it does not notify, the connection is lost, or a fault prevents it.
        """
        if not characteristic.is_subscribable:
            raise OperationFailed(dbus_errors.NOT_SUPPORTED)
        async with self._request_lock:
            await self._wait_for_response(characteristic)
        self._check_access(characteristic, is_offered=True, error=dbus_errors.NOT_SUPPORTED)
        self._unsubscribe(characteristic)
        self._subscriptions[characteristic] = callback
        characteristic.subscribers.append(callback)
        self._schedule_notification(characteristic)

    def unsubscribe(self, characteristic: Characteristic) -> None:
        """End a subscription."""
        self._unsubscribe(characteristic)

    def close(self) -> None:
        """Close the connection from the client's side."""
        if self.is_open:
            self._closed.set()
            for characteristic in [*self._subscriptions]:
                self._unsubscribe(characteristic)
            self.peripheral.disconnected()

    def lose(self) -> None:
        """Lose the connection: `on_lost` is called."""
        if self.is_open:
            self.close()
            self._on_lost()

    async def _request(self, characteristic: Characteristic, write: Write) -> None:
        async with self._request_lock:
            await self._wait_for_response(characteristic)
        self._check_access(characteristic, is_offered="write" in characteristic.flags, error=dbus_errors.WRITE_NOT_PERMITTED)
        if len(write.value) > MAX_VALUE_BYTES:
            raise OperationFailed(dbus_errors.INVALID_LENGTH)
        characteristic.receive(write)

    def _command(self, characteristic: Characteristic, write: Write) -> None:
        self._require_open()
        if "write-without-response" not in characteristic.flags:
            raise OperationFailed(dbus_errors.NOT_SUPPORTED)
        if len(write.value) > self.peripheral.mtu - _COMMAND_OVERHEAD:
            raise OperationFailed(dbus_errors.failed("Failed to initiate write"))
        is_silent = self.peripheral.faults.is_silent or characteristic.is_silent
        is_unpaired = characteristic.needs_pairing and not self.peripheral.is_paired
        if not is_silent and not is_unpaired and characteristic.error_reply is None:
            characteristic.receive(write)

    async def _wait_for_response(self, characteristic: Characteristic | None = None) -> None:
        """Wait for the peripheral's response."""
        self._require_open()
        faults = self.peripheral.faults
        if faults.busy_answers > 0:
            faults.busy_answers -= 1
            raise OperationFailed(dbus_errors.IN_PROGRESS)
        if faults.is_silent or (characteristic is not None and characteristic.is_silent):
            await self._wait_while_open(RESPONSE_TIMEOUT_SECONDS)
            self.lose()
        elif faults.answer_seconds:
            await self._wait_while_open(faults.answer_seconds)
        if not self.is_open:
            raise OperationFailed(dbus_errors.CONNECTION_LOST)

    async def _wait_while_open(self, seconds: float) -> None:
        """Wait, but not longer than the connection is open."""
        try:
            async with asyncio.timeout(seconds):
                await self._closed.wait()
        except TimeoutError:
            return

    def _require_open(self) -> None:
        if not self.is_open:
            raise OperationFailed(dbus_errors.CONNECTION_LOST)

    def _check_access(self, characteristic: Characteristic, *, is_offered: bool, error: dbus_errors.ErrorReply) -> None:
        if not is_offered:
            raise OperationFailed(error)
        if characteristic.needs_pairing and not self.peripheral.is_paired:
            raise OperationFailed(dbus_errors.NOT_PAIRED)
        if characteristic.error_reply is not None:
            raise OperationFailed(characteristic.error_reply)

    def _unsubscribe(self, characteristic: Characteristic) -> None:
        if (callback := self._subscriptions.pop(characteristic, None)) is not None:
            characteristic.subscribers.remove(callback)
        if (timer := self._notification_timers.pop(characteristic, None)) is not None:
            timer.cancel()

    def _schedule_notification(self, characteristic: Characteristic) -> None:
        if characteristic.notify_every is None:
            return

        def send() -> None:
            characteristic.notify(self.peripheral.value(characteristic))
            if characteristic in self._subscriptions:  # a callback may have closed the connection
                self._schedule_notification(characteristic)

        self._notification_timers[characteristic] = asyncio.get_running_loop().call_later(characteristic.notify_every, send)
