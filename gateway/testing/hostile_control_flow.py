"""List what adapters with bugs do instead of returning, each by name: exits, swallowed cancellations, endless loops, blocking."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from gateway.adapter import ChildDevice, Found, Uplink
from gateway.testing.devices import SyntheticAdapter, found_of
from gateway.testing.hostile_process import PROCESS

Methods: TypeAlias = Mapping[str, Any]
"""What an adapter has instead of the attributes of `SyntheticAdapter`, by name."""

BAD_ADDRESS: Final = "bad"
"""The address of the device that an adapter treats badly."""


class OwnError(BaseException):
    """An error that no `except Exception` catches."""


class UnspeakableExit(SystemExit):
    """An exit whose text cannot be had."""

    def __str__(self) -> str:
        raise KeyboardInterrupt


ERRORS: Final[Mapping[str, Callable[[], BaseException]]] = MappingProxyType(
    {
        "SystemExit": lambda: SystemExit(3),
        "KeyboardInterrupt": KeyboardInterrupt,
        "GeneratorExit": GeneratorExit,
        "CancelledError": asyncio.CancelledError,
        "an error of its own": OwnError,
        "an exit without a text": UnspeakableExit,
        "RecursionError": RecursionError,
        "MemoryError": MemoryError,
        "a group of exits": lambda: BaseExceptionGroup("two", [SystemExit(3), KeyboardInterrupt()]),
    }
)
"""What an adapter raises instead of an error of its contract."""


def _is_bad(arguments: tuple[Any, ...]) -> bool:
    return not arguments or getattr(arguments[0], "address", arguments[0]) == BAD_ADDRESS


def _raise(method: str, make: Callable[[], BaseException]) -> Methods:
    """Have a method raise this for the bad device; one that is for a whole bus, always."""

    def fail(self: SyntheticAdapter, *arguments: Any) -> Any:  # noqa: ANN401 - the arguments of any method
        if method in _OF_THE_BUS or _is_bad(arguments):
            raise make()
        return getattr(SyntheticAdapter, method)(self, *arguments)

    async def fail_later(self: SyntheticAdapter, *arguments: Any) -> Any:  # noqa: ANN401 - as above
        if method in _OF_THE_BUS or _is_bad(arguments):
            await asyncio.sleep(0)
            raise make()
        return await getattr(SyntheticAdapter, method)(self, *arguments)

    async def yield_then_fail(self: SyntheticAdapter, *arguments: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - as above
        async for item in getattr(SyntheticAdapter, method)(self, *arguments):
            yield item
        if method in _OF_THE_BUS or _is_bad(arguments):
            raise make()

    return {method: yield_then_fail if method in _YIELDS else fail_later if method in _WAITS else fail}


_YIELDS: Final = frozenset({"read", "discover"})
_WAITS: Final = frozenset({"__aenter__", "__aexit__", "identify", "listen", "execute", "read_back", "configure", "reappears"})
_OF_THE_BUS: Final = frozenset(
    {"__aenter__", "__aexit__", "discover", "listen", "reappears", "recent_frames", "planned_reads", "bus_remarks"}
    | {"recorded_frames", "bus_facts"}
)


def _started(start: Callable[[SyntheticAdapter], object]) -> Methods:
    """Have a read of the bad device start something that goes wrong beside it."""

    async def read(self: SyntheticAdapter, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Any]:
        if child.address == BAD_ADDRESS:
            start(self)
            await asyncio.sleep(0.1)
        async for readings in SyntheticAdapter.read(self, child, due):
            yield readings

    return {"read": read}


async def _exit() -> None:
    sys.exit(3)


def _start_task(adapter: SyntheticAdapter) -> None:
    vars(adapter)["started"] = asyncio.create_task(_exit())


class _RaisesWhenFreed:
    def __del__(self) -> None:
        raise SystemExit(3)


_is_over = threading.Event()


def let_go() -> None:
    """Let whatever hangs for ever end at its next cancellation, at the end of a test."""
    _is_over.set()


def hang_again() -> None:
    """Have what hangs for ever do so again."""
    _is_over.clear()


async def _swallow_for_ever() -> None:
    while not _is_over.is_set():
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)


async def _swallow_once() -> None:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(3600)


async def _forget_the_cancellation() -> None:
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        _current_task().uncancel()


def _hang(method: str, hang: Callable[[], Any]) -> Methods:
    """Have a method of the bus, or a read of the bad device, hang in this way."""

    async def wait(self: SyntheticAdapter, *arguments: Any) -> Any:  # noqa: ANN401 - the arguments of any method
        if method in _OF_THE_BUS or _is_bad(arguments):
            await hang()
        return await getattr(SyntheticAdapter, method)(self, *arguments)

    async def wait_and_yield(self: SyntheticAdapter, *arguments: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - as above
        if method in _OF_THE_BUS or _is_bad(arguments):
            await hang()
        async for item in getattr(SyntheticAdapter, method)(self, *arguments):
            yield item

    return {method: wait_and_yield if method in _YIELDS else wait}


def _read_of_bad(read_badly: Callable[[SyntheticAdapter, ChildDevice], AsyncIterator[Any]]) -> Methods:
    async def read(self: SyntheticAdapter, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Any]:
        source = read_badly(self, child) if child.address == BAD_ADDRESS else SyntheticAdapter.read(self, child, due)
        async for readings in source:
            yield readings

    return {"read": read}


async def _yield_for_ever(adapter: SyntheticAdapter, child: ChildDevice) -> AsyncIterator[Any]:
    while True:
        yield []


async def _yield_when_closed(adapter: SyntheticAdapter, child: ChildDevice) -> AsyncIterator[Any]:
    while not _is_over.is_set():
        with suppress(GeneratorExit):
            await asyncio.sleep(0.01)
            yield []


async def _hang_when_closed(adapter: SyntheticAdapter, child: ChildDevice) -> AsyncIterator[Any]:
    try:
        for _ in range(1000):
            await asyncio.sleep(0.02)
            yield []
    finally:
        await _swallow_for_ever()


async def _discover_for_ever(self: SyntheticAdapter) -> AsyncIterator[Found]:
    while True:
        for device in self.wire.devices.values():
            yield found_of(device)


def _spin(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def _hold_the_interpreter(seconds: float) -> None:
    """Hold the lock of the interpreter, so that no other thread runs either, as a C library with a bug does."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


def _block(block: Callable[[], object], *, every: int = 5) -> Methods:
    """Have every so manieth read of the bad device block the event loop."""

    async def read(self: SyntheticAdapter, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Any]:
        if child.address == BAD_ADDRESS and self.wire.devices[BAD_ADDRESS].reads % every == every - 1:
            block()
        async for readings in SyntheticAdapter.read(self, child, due):
            yield readings

    return {"read": read}


async def _listen_and_return(self: SyntheticAdapter, uplink: Uplink) -> None:
    uplink.found(found_of(self.wire.devices[BAD_ADDRESS]))


async def _cancel_who_calls(self: SyntheticAdapter, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Any]:
    if child.address == BAD_ADDRESS:
        _current_task().cancel()
        await asyncio.sleep(0)
    async for readings in SyntheticAdapter.read(self, child, due):
        yield readings


def _current_task() -> asyncio.Task[Any]:
    return next(task for task in asyncio.all_tasks() if task is asyncio.current_task())


EXITS: Final[Mapping[str, Methods]] = MappingProxyType(
    {
        **{
            f"{method} raises {name}": _raise(method, make)
            for method in (
                "read",
                "identify",
                "discover",
                "__aenter__",
                "__aexit__",
                "listen",
                "poll_groups",
                "remarks",
                "commands",
            )
            for name, make in ERRORS.items()
        },
        "a task raises SystemExit": _started(_start_task),
        "a callback raises SystemExit": _started(lambda self: asyncio.get_running_loop().call_soon(sys.exit, 3)),
        "a callback raises KeyboardInterrupt": _started(
            lambda self: asyncio.get_running_loop().call_later(0.01, _raise_interrupt)
        ),
        "a thread raises SystemExit": _started(lambda self: threading.Thread(target=sys.exit, args=(3,)).start()),
        "a thread of the pool raises SystemExit": _started(
            lambda self: asyncio.get_running_loop().run_in_executor(None, sys.exit, 3)
        ),
        "an object raises SystemExit when it is freed": _started(lambda self: _RaisesWhenFreed()),
        "the loop is stopped": _started(lambda self: asyncio.get_running_loop().stop()),
        "a read cancels its own task": {"read": _cancel_who_calls},
        **{f"a concurrency of {number!r}": {"concurrency": number} for number in (0, -1, "x", None, 10**9)},
    }
)
"""Ways to end a process."""


def _raise_interrupt() -> None:
    raise KeyboardInterrupt


HANGS: Final[Mapping[str, Methods]] = MappingProxyType(
    {
        **{
            f"{method} swallows every cancellation": _hang(method, _swallow_for_ever)
            for method in (*_YIELDS, "identify", "listen")
        },
        **{f"{method} swallows one cancellation": _hang(method, _swallow_once) for method in (*_YIELDS, "identify", "listen")},
        "read forgets that it was cancelled": _hang("read", _forget_the_cancellation),
        "__aenter__ swallows every cancellation": _hang("__aenter__", _swallow_for_ever),
        "__aexit__ swallows every cancellation": _hang("__aexit__", _swallow_for_ever),
        "reappears swallows every cancellation": _hang("reappears", _swallow_for_ever),
        "a read hangs when it is closed": _read_of_bad(_hang_when_closed),
        "a read yields when it is closed": _read_of_bad(_yield_when_closed),
        "a read yields for ever": _read_of_bad(_yield_for_ever),
        "a search yields for ever": {"discover": _discover_for_ever},
        "listen returns at once": {"listen": _listen_and_return},
        "a thread never ends": _started(lambda self: threading.Thread(target=time.sleep, args=(3600,)).start()),
        "a thread of the pool never ends": _started(
            lambda self: asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
        ),
        "no thread of the pool ends": _started(
            lambda self: [asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600) for _ in range(64)]
        ),
    }
)
"""Ways not to end."""

BLOCKS: Final[Mapping[str, Methods]] = MappingProxyType(
    {
        "time.sleep of 3 s": _block(lambda: time.sleep(3)),
        "a loop of 3 s": _block(lambda: _spin(3)),
        "a C library that holds the interpreter for 3 s": _block(lambda: _hold_the_interpreter(3)),
    }
)
"""Ways to hold the event loop; they take real time."""


def _once(change: Callable[[], object]) -> Methods:
    """Have the third read of the bad device change something of the process."""

    async def read(self: SyntheticAdapter, child: ChildDevice, due: frozenset[str]) -> AsyncIterator[Any]:
        if child.address == BAD_ADDRESS and self.wire.devices[BAD_ADDRESS].reads == 2:
            self.wire.devices[BAD_ADDRESS].reads += 1
            change()
        async for readings in SyntheticAdapter.read(self, child, due):
            yield readings

    return {"read": read}


CHANGES: Final[Mapping[str, Methods]] = MappingProxyType({name: _once(change) for name, change in PROCESS.items()})
"""Ways to change the process for everybody."""

CONTROL_FLOW: Final[Mapping[str, Methods]] = MappingProxyType({**EXITS, **HANGS, **BLOCKS, **CHANGES})
"""All of them, by the name of the kind."""


def misbehaving_adapter(kind: str, *buses: Any) -> type[SyntheticAdapter]:  # noqa: ANN401 - as `SyntheticAdapter.on`
    """Return an adapter class of this kind for these buses, each with a device at `BAD_ADDRESS`."""
    return type("MisbehavingAdapter", (SyntheticAdapter,), {"all_buses": buses, "__module__": __name__, **CONTROL_FLOW[kind]})
