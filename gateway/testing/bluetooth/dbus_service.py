"""A program that serves calls on a message bus under a well-known name: the only file of the emulation that holds a connection.

Everything goes out through one queue, in order: a sender that outruns the socket would lose its connection.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from itertools import count
from typing import NamedTuple

from dbus_fast import Message, MessageFlag, MessageType, RequestNameReply
from dbus_fast.aio import MessageBus

from gateway.testing.bluetooth import dbus_errors
from gateway.testing.bluetooth.dbus_errors import Refused

log = logging.getLogger(__name__)

_BURST = 25
_PAUSE_SECONDS = 0.001
_MOST_WAITING = 2000
_MATCHES = (
    "type='signal',interface='org.freedesktop.DBus.ObjectManager',member='InterfacesAdded'",
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'",
)
_LEFT_TO_THE_LIBRARY = frozenset({"org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable"})


class Answer(NamedTuple):
    """What a method returns."""

    signature: str = ""
    body: tuple[object, ...] = ()


class Call(NamedTuple):
    """A method call."""

    client: str
    """The caller's name on the bus."""
    path: str
    interface: str
    member: str
    signature: str
    body: Sequence[object]

    @property
    def method(self) -> tuple[str, str, str]:
        """What is called: interface, member and signature."""
        return self.interface, self.member, self.signature


Serve = Callable[[Call], Awaitable[Answer]]
"""Answers one call, or raises `Refused`."""


class NameOwner:
    """A name on a bus and who answers under it, from `start` to `stop`.

    Args:
        address: of the bus.
        name: to be owned.
        serve: answers calls; each is a task of its own that ends with the service at the latest.
        on_signal: hears what others signal: objects that they export, names that come and go.
    """

    def __init__(self, address: str, name: str, serve: Serve, on_signal: Callable[[Message], None]) -> None:
        self._address = address
        self._name = name
        self._serve = serve
        self._on_signal = on_signal
        self._bus: _PatientBus | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: deque[Message] = deque()
        self._something_waits = asyncio.Event()
        self._all_is_sent = asyncio.Event()
        self._all_is_sent.set()

    @property
    def is_behind(self) -> bool:
        """So much waits to be sent that more would only be late."""
        return len(self._waiting) > _MOST_WAITING

    async def start(self) -> None:
        """Connect, take the name and begin to serve.

        Raises:
            RuntimeError: somebody else owns the name.
            OSError: there is no bus at the address.
        """
        bus = _PatientBus(bus_address=self._address, negotiate_unix_fd=True)
        await bus.connect()
        self._bus = bus
        bus.add_message_handler(self._receive)
        for rule in _MATCHES:
            await bus.call(_to_the_bus("AddMatch", rule))
        self.begin(self._send_all(bus), f"what {self._name} sends")
        if await bus.request_name(self._name) is not RequestNameReply.PRIMARY_OWNER:
            await self.stop()
            raise RuntimeError(f"somebody else owns {self._name} on this bus")

    async def stop(self) -> None:
        """Send what waits, and vanish from the bus without another word."""
        if self._bus is None:
            return
        bus, self._bus = self._bus, None
        await self._all_is_sent.wait()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._waiting.clear()
        bus.disconnect()
        with suppress(OSError, EOFError):
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # the library does not say that it returns nothing

    async def settle(self) -> None:
        """Return once the bus has handed on everything that was sent so far.

        Two round trips: the answer to the first one may overtake what the daemon still has to write to others.
        """
        await self._all_is_sent.wait()
        for _ in range(2):
            if self._bus is not None and self._bus.connected:
                await self._bus.call(_to_the_bus("GetId"))

    def send(self, message: Message) -> None:
        """Send a message after those that were sent before; where there is no bus any more, nobody gets it."""
        if self._bus is not None and self._bus.connected:
            self._waiting.append(message)
            self._all_is_sent.clear()
            self._something_waits.set()

    def call(self, destination: str, path: str, interface: str, member: str, *arguments: tuple[str, object]) -> None:
        """Call a method of somebody and expect no answer; each argument comes with its signature."""
        self.send(
            Message(
                destination=destination,
                path=path,
                interface=interface,
                member=member,
                flags=MessageFlag.NO_REPLY_EXPECTED,
                signature="".join(signature for signature, _ in arguments),
                body=[value for _, value in arguments],
            )
        )

    def signal(self, path: str, interface: str, member: str, signature: str, body: list[object]) -> None:
        """Signal something to everybody."""
        self.send(Message.new_signal(path, interface, member, signature, body))

    def begin(self, work: Coroutine[None, None, None], name: str) -> None:
        """Let some work go on in a task that ends with the service."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _receive(self, message: Message) -> bool:
        if self._bus is None or message.sender == self._bus.unique_name:
            return False
        if message.message_type is MessageType.SIGNAL:
            self._on_signal(message)
        elif message.message_type is MessageType.METHOD_CALL and message.interface not in _LEFT_TO_THE_LIBRARY:
            self.begin(self._answer(message), f"{message.member} of {message.path}")
            return True
        return False

    async def _answer(self, call: Message) -> None:
        try:
            answer = await self._serve(_read(call))
            reply = Message.new_method_return(call, answer.signature, [*answer.body])
        except Refused as no:
            reply = Message.new_error(call, no.refusal.error, no.refusal.text)
        if not call.flags & MessageFlag.NO_REPLY_EXPECTED:
            self.send(reply)

    async def _send_all(self, bus: _PatientBus) -> None:
        """Send what waits, never faster than the socket takes it and never for long without a pause for others."""
        try:
            for sent in count(1):
                if not self._waiting:
                    self._all_is_sent.set()
                    self._something_waits.clear()
                    await self._something_waits.wait()
                await bus.has_room()
                await bus.send(self._waiting[0])
                self._waiting.popleft()
                if sent % _BURST == 0:
                    await asyncio.sleep(_PAUSE_SECONDS)
        except OSError:
            log.debug("%s: the bus is gone", self._name)
        finally:
            self._all_is_sent.set()


class _PatientBus(MessageBus):
    """A connection that tells whether its socket takes more."""

    async def has_room(self) -> None:
        """Return once a message fits into the buffer of the socket."""
        poll = select.poll()
        if self._sock is not None:
            poll.register(self._sock, select.POLLOUT)
        while self.connected and not poll.poll(0):  # noqa: ASYNC110 - the library owns the one writer that the loop has for it
            await asyncio.sleep(_PAUSE_SECONDS)


def _read(call: Message) -> Call:
    if call.sender is None or call.path is None or call.interface is None or call.member is None:
        raise Refused(dbus_errors.UNKNOWN_METHOD)
    return Call(call.sender, call.path, call.interface, call.member, call.signature, call.body)


def _to_the_bus(member: str, *words: str) -> Message:
    return Message(
        destination="org.freedesktop.DBus",
        path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus",
        member=member,
        signature="s" * len(words),
        body=[*words],
    )
