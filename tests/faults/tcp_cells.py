"""Make the faults of devices happen that speak their serial protocol over the network: real sockets, `tcp://host:port`."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fault_cells import NOTHING_TOLD, Break, Cell, in_real_time, told_of
from serial_cells import ADDRESS, SILENT, chatterer, closes_at_once, closes_unanswered, faulty, replaced_by, with_quick_profiles

from adapters.serial import SerialAdapter
from gateway.adapter import Cause
from gateway.causes import Reason
from gateway.testing.serial import DeviceServer, Display, Projector, ScriptedDevice

DEVICE = "device by tcp://"

Change = Callable[[DeviceServer], None]


def adapter_at(url: str, profile: str = "samsung-mdc", **device: Any) -> SerialAdapter:
    """Return an adapter with one configured device on the network, which is waited for no longer than the simulated ones need."""
    settings = {
        "type": "serial",
        "name": "site",
        "ports": [{"port": url, "name": "rack"}],
        "devices": [{"port": "rack", "profile": profile, **device}],
    }
    return with_quick_profiles(settings)


def url_of(server: DeviceServer) -> str:
    """Return the port of a device that has this network port."""
    return server.port.replace("socket://", "tcp://")


def at(url: str) -> Callable[[], Reason]:
    """Return a function that connects to a host that is not there."""

    async def main() -> Reason:
        return await told_of(adapter_at(url), ADDRESS)

    return in_real_time(main)


def refuses() -> Callable[[], Reason]:
    """Return a function that connects to a TCP port at which nothing listens."""

    async def main() -> Reason:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        return await told_of(adapter_at(f"tcp://127.0.0.1:{port}"), ADDRESS)

    return in_real_time(main)


def accepts_nothing() -> Callable[[], Reason]:
    """Return a function that connects to a host that drops the attempts, as one that is off or behind a firewall."""

    async def main() -> Reason:
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for waiting in (first, second):  # they fill the queue of the host, which drops all others then
                waiting.setblocking(False)
                with suppress(BlockingIOError):
                    waiting.connect(full.getsockname())
            await asyncio.sleep(0.1)
            return await told_of(adapter_at(f"tcp://127.0.0.1:{full.getsockname()[1]}"), ADDRESS)

    return in_real_time(main)


def display(before: Change = lambda server: None, then: Change | None = None, *, loses: bool = False) -> Callable[[], Reason]:
    """Return a function that changes a display with a network port before it is connected to, or after it has worked."""

    async def main() -> Reason:
        async with DeviceServer(Display()) as server:
            before(server)
            change: Break = (lambda: None) if then is None else lambda: then(server)
            adapter = adapter_at(url_of(server), address="1")
            return await told_of(adapter, ADDRESS, then=change, wait_for_loss=loses, rounds=1)

    return in_real_time(main)


def projector(password: str | None, given: str | None = None, before: Change = lambda server: None) -> Callable[[], Reason]:
    """Return a function that asks a projector with this password, for which this one is given."""

    async def main() -> Reason:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "password"
            file.write_text(given or "", "utf-8")
            file.chmod(0o600)
            device = {} if given is None else {"password_file": str(file)}
            async with DeviceServer(Projector(password=password)) as server:
                before(server)
                return await told_of(adapter_at(url_of(server), "pjlink", **device), "pjlink", rounds=1)

    return in_real_time(main)


class Outlets(ScriptedDevice):
    """Power outlets that ask each new connection for user and password, and let nobody in."""

    def __init__(self) -> None:
        super().__init__(self._prompt, end=b"\n")
        self._has_user = False

    def connected(self) -> bytes:
        """Return the prompt of its log-in."""
        self._has_user = False
        return b"Username: "

    def _prompt(self, line: bytes) -> bytes:
        self._has_user = not self._has_user
        return b"Password: " if self._has_user else b"Invalid Login\r\nUsername: "


def outlets(**given: str) -> Callable[[], Reason]:
    """Return a function that logs in to power outlets as given."""

    async def main() -> Reason:
        async with DeviceServer(Outlets()) as server:
            return await told_of(adapter_at(url_of(server), "wattbox", **given), "wattbox", rounds=1)

    return in_real_time(main)


def comes_back() -> Callable[[], Reason]:
    """Return a function that loses the connection to a display, and connects again."""

    async def main() -> Reason:
        async with DeviceServer(Display()) as server:
            adapter = adapter_at(url_of(server), address="1")
            loss = await told_of(adapter, ADDRESS, then=server.close_connections, wait_for_loss=True, rounds=1)
            assert loss.cause is Cause.HOST_CLOSES, loss
            again = await told_of(adapter, ADDRESS, rounds=1)
            return Reason("it is read again") if again is NOTHING_TOLD and server.connections > 1 else again

    return in_real_time(main)


def hangs_up_after_working(server: DeviceServer) -> None:
    """Give the one session of the device to another controller."""
    server.max_clients = 0
    server.close_connections()


def web_server() -> ScriptedDevice:
    """Return the web server of a device, which is at another port than its control protocol."""
    return ScriptedDevice(lambda question: b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")


def binary() -> ScriptedDevice:
    """Return a device with a protocol of other bytes."""
    return ScriptedDevice(lambda question: bytes.fromhex("81fe9307"))


_CELLS = [
    Cell("host name unknown", DEVICE, (Cause.NAME_UNKNOWN,), at("tcp://nowhere.invalid:1515"), "name"),
    Cell("host unreachable", DEVICE, (Cause.HOST_UNREACHABLE,), at("tcp://255.255.255.255:1515"), "route"),
    Cell("host accepts nothing", DEVICE, (Cause.HOST_UNREACHABLE,), accepts_nothing(), "the device does not accept"),
    Cell("host refuses", DEVICE, (Cause.HOST_REFUSES,), refuses(), "the device refuses the connection"),
    Cell("host closes each connection at once", DEVICE, (Cause.HOST_CLOSES,), display(closes_at_once), "the device closes"),
    Cell("host closes instead of answering", DEVICE, (Cause.HOST_CLOSES,), display(closes_unanswered), "in use"),
    Cell(
        "another controller takes the session",
        DEVICE,
        (Cause.HOST_CLOSES,),
        display(then=hangs_up_after_working, loses=True),
        "end other programs that talk to it",
    ),
    Cell("opens, but silence", DEVICE, (Cause.SILENT_BUS,), display(faulty(SILENT)), "control over the network is switched on"),
    Cell("greets, but silence", DEVICE, (Cause.NO_ANSWER,), projector(None, before=faulty(SILENT)), "control over the network"),
    Cell("one device stops answering", DEVICE, (Cause.NO_ANSWER,), display(then=faulty(SILENT)), "restart it"),
    Cell("another device answers", DEVICE, (Cause.OTHER_DEVICE,), display(replaced_by(chatterer)), "the TCP port"),
    Cell("a web server answers", DEVICE, (Cause.OTHER_DEVICE,), display(replaced_by(web_server)), "the TCP port"),
    Cell("answers with other bytes", DEVICE, (Cause.OTHER_DEVICE,), display(replaced_by(binary)), "the TCP port"),
    Cell("login refused", DEVICE, (Cause.LOGIN_REFUSED,), projector("right", "wrong"), "rejects the password"),
    Cell("password missing", DEVICE, (Cause.LOGIN_REFUSED,), projector("right"), "needs a password"),
    Cell("login refused at a prompt", DEVICE, (Cause.LOGIN_REFUSED,), outlets(user="ann", password="guess"), "rejects it"),
    Cell("password missing at a prompt", DEVICE, (Cause.LOGIN_REFUSED,), outlets(user="ann"), "needs a password"),
    Cell("connection comes back", DEVICE, (Cause.UNKNOWN,), comes_back(), "it is read again"),
]

CELLS = [replace(cell, waits=True) for cell in _CELLS]
