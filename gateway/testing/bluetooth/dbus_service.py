"""Serve method calls on a message bus under a well-known name: the only file of the emulation with a connection to the bus.

All messages are sent through one queue, in order: a sender faster than the socket would lose its connection.
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
from gateway.testing.bluetooth.dbus_errors import OperationFailed

log = logging.getLogger(__name__)

_BURST = 25
_PAUSE_SECONDS = 0.001
_MAX_QUEUE = 2000
_MATCH_RULES = (
    "type='signal',interface='org.freedesktop.DBus.ObjectManager',member='InterfacesAdded'",
    "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged'",
)
_SERVED_BY_LIBRARY = frozenset({"org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Introspectable"})


class MethodReply(NamedTuple):
    """The result of a method call."""

    signature: str = ""
    body: tuple[object, ...] = ()


class MethodCall(NamedTuple):
    """A method call."""

    client: str
    """The name of the caller on the bus."""
    path: str
    interface: str
    member: str
    signature: str
    body: Sequence[object]

    @property
    def method(self) -> tuple[str, str, str]:
        """Interface, member and signature of the method."""
        return self.interface, self.member, self.signature


ServeCall = Callable[[MethodCall], Awaitable[MethodReply]]
"""Executes one call, or raises `OperationFailed`."""


class DBusService:
    """A service on a bus under a well-known name, from `start` to `stop`.

    Args:
        address: the address of the bus.
        name: the name of the service.
        serve: executes calls; each runs in a task of its own that ends with the service at the latest.
        on_signal: called with signals of others: exported objects, names that appear and disappear.
    """

    def __init__(self, address: str, name: str, serve: ServeCall, on_signal: Callable[[Message], None]) -> None:
        self._address = address
        self._name = name
        self._serve = serve
        self._on_signal = on_signal
        self._bus: _PacedBus | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue: deque[Message] = deque()
        self._has_messages = asyncio.Event()
        self._is_flushed = asyncio.Event()
        self._is_flushed.set()

    @property
    def is_behind(self) -> bool:
        """Whether so many messages are queued that further ones would only be late."""
        return len(self._queue) > _MAX_QUEUE

    async def start(self) -> None:
        """Connect, request the name and start to serve.

        Raises:
            RuntimeError: another client owns the name.
            OSError: there is no bus at the address.
        """
        bus = _PacedBus(bus_address=self._address, negotiate_unix_fd=True)
        await bus.connect()
        self._bus = bus
        bus.add_message_handler(self._receive)
        for rule in _MATCH_RULES:
            await bus.call(_bus_call("AddMatch", rule))
        self.start_task(self._send_all(bus), f"messages of {self._name}")
        if await bus.request_name(self._name) is not RequestNameReply.PRIMARY_OWNER:
            await self.stop()
            raise RuntimeError(f"another client owns {self._name} on this bus")

    async def stop(self) -> None:
        """Send the queued messages, and disconnect from the bus."""
        if self._bus is None:
            return
        bus, self._bus = self._bus, None
        await self._is_flushed.wait()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._queue.clear()
        bus.disconnect()
        with suppress(OSError, EOFError):
            await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]  # the library does not say that it returns nothing

    async def settle(self) -> None:
        """Return once the bus has delivered everything that was sent so far.

        Two round trips: the reply to the first one may overtake messages that the daemon still has to write to others.
        """
        await self._is_flushed.wait()
        for _ in range(2):
            if self._bus is not None and self._bus.connected:
                await self._bus.call(_bus_call("GetId"))

    def send(self, message: Message) -> None:
        """Queue a message; it is dropped when the bus is gone."""
        if self._bus is not None and self._bus.connected:
            self._queue.append(message)
            self._is_flushed.clear()
            self._has_messages.set()

    def call(self, destination: str, path: str, interface: str, member: str, *arguments: tuple[str, object]) -> None:
        """Call a method of another client without waiting for its reply; each argument comes with its signature."""
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

    async def ask(
        self, destination: str, path: str, interface: str, member: str, *arguments: tuple[str, object]
    ) -> Message | None:
        """Call a method of another client and return its reply, which may be an error; `None` when the bus is gone."""
        if self._bus is None or not self._bus.connected:
            return None
        return await self._bus.call(
            Message(
                destination=destination,
                path=path,
                interface=interface,
                member=member,
                signature="".join(signature for signature, _ in arguments),
                body=[value for _, value in arguments],
            )
        )

    def signal(self, path: str, interface: str, member: str, signature: str, body: list[object]) -> None:
        """Broadcast a signal."""
        self.send(Message.new_signal(path, interface, member, signature, body))

    def start_task(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run work in a task that ends with the service at the latest."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _receive(self, message: Message) -> bool:
        if self._bus is None or message.sender == self._bus.unique_name:
            return False
        if message.message_type is MessageType.SIGNAL:
            self._on_signal(message)
        elif message.message_type is MessageType.METHOD_CALL and message.interface not in _SERVED_BY_LIBRARY:
            self.start_task(self._execute(message), f"{message.member} of {message.path}")
            return True
        return False

    async def _execute(self, call: Message) -> None:
        try:
            result = await self._serve(_parse(call))
            reply = Message.new_method_return(call, result.signature, [*result.body])
        except OperationFailed as error:
            reply = Message.new_error(call, error.reply.name, error.reply.text)
        if not call.flags & MessageFlag.NO_REPLY_EXPECTED:
            self.send(reply)

    async def _send_all(self, bus: _PacedBus) -> None:
        """Send the queued messages, never faster than the socket accepts them, with regular pauses for other tasks."""
        try:
            for sent in count(1):
                if not self._queue:
                    self._is_flushed.set()
                    self._has_messages.clear()
                    await self._has_messages.wait()
                await bus.wait_for_room()
                await bus.send(self._queue[0])
                self._queue.popleft()
                if sent % _BURST == 0:
                    await asyncio.sleep(_PAUSE_SECONDS)
        except OSError:
            log.debug("%s: the bus is gone", self._name)
        finally:
            self._is_flushed.set()


class _PacedBus(MessageBus):
    """A connection that waits for room in the buffer of its socket."""

    async def wait_for_room(self) -> None:
        """Return once a message fits into the buffer of the socket."""
        poll = select.poll()
        if self._sock is not None:
            poll.register(self._sock, select.POLLOUT)
        while self.connected and not poll.poll(0):  # noqa: ASYNC110 - the library owns the only writer callback of the loop for this socket
            await asyncio.sleep(_PAUSE_SECONDS)


def _parse(call: Message) -> MethodCall:
    if call.sender is None or call.path is None or call.interface is None or call.member is None:
        raise OperationFailed(dbus_errors.UNKNOWN_METHOD)
    return MethodCall(call.sender, call.path, call.interface, call.member, call.signature, call.body)


def _bus_call(member: str, *arguments: str) -> Message:
    return Message(
        destination="org.freedesktop.DBus",
        path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus",
        member=member,
        signature="s" * len(arguments),
        body=[*arguments],
    )
