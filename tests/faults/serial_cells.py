"""Make the faults of serial ports and device servers happen: simulated devices, real pseudo-terminals and sockets."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fault_cells import Cell, as_another_user, in_real_time, told_of

from adapters.serial import SerialAdapter
from adapters.serial.profile.library import PROFILE_FILES
from gateway.adapter import Cause
from gateway.causes import Reason
from gateway.testing.serial import Console, DeviceServer, Display, LgDisplay, Projector, ScriptedDevice, SerialFaults, SerialLine

PTY, SERVER = "serial port", "serial over socket://"
ADDRESS = "samsung-mdc/1"

Change = Callable[[Any], None]


def adapter_on(port: str, profile: str = "samsung-mdc", **device: Any) -> SerialAdapter:
    """Return an adapter with one configured device on a port, which is waited for no longer than the simulated ones need."""
    rule = {"port": port, "line": "9600 8N1", "name": "rack"}
    devices = [{"port": "rack", "profile": profile, **device}]
    return with_quick_profiles({"type": "serial", "name": "site", "ports": [rule], "devices": devices})


def with_quick_profiles(settings: dict[str, Any]) -> SerialAdapter:
    """Return an adapter with these settings, whose profiles do not wait for an answer longer than a simulated device needs."""
    with TemporaryDirectory() as folder:
        for name in ("samsung-mdc", "lg-display", "pjlink", "wattbox"):
            text = (PROFILE_FILES.folder / f"{name}.toml").read_text("utf-8")
            quick = re.sub(r"(?m)^timeout = [0-9.]+", "timeout = 0.4", re.sub(r"(?m)^within = 1$", "within = 0.4", text))
            (Path(folder) / f"{name}.toml").write_text(quick, "utf-8")
        adapter = SerialAdapter(SerialAdapter.settings_model.model_validate({**settings, "profiles": [folder]}))
        assert adapter.settings.library
        return adapter


def on_port(before: Change = lambda line: None, then: Change = lambda line: None, *, loses: bool = False) -> Callable[[], Reason]:
    """Return a function that changes a line with a display, before its port is opened or after it has worked."""

    async def main() -> Reason:
        with TemporaryDirectory() as folder:
            async with SerialLine(Display(), link=Path(folder) / "usb-port0", baudrate=9600) as line:
                before(line)
                adapter = adapter_on(line.port, address="1")
                return await told_of(adapter, ADDRESS, then=lambda: then(line), wait_for_loss=loses, rounds=1)

    return in_real_time(main)


def on_server(before: Change) -> Callable[[], Reason]:
    """Return a function that changes a device server with a display before it is connected to."""

    async def main() -> Reason:
        async with DeviceServer(Display()) as server:
            before(server)

            return await told_of(adapter_on(server.port, address="1"), ADDRESS, rounds=1)

    return in_real_time(main)


def faulty(faults: SerialFaults) -> Change:
    """Return a change of the faults of the device."""

    def change(line: Any) -> None:
        line.devices[0].faults = faults

    return change


def replaced_by(device: Callable[[], Any]) -> Change:
    """Return a change that connects another device."""

    def change(line: Any) -> None:
        line.devices[:] = [device()]

    return change


def at(address: str) -> Callable[[], Reason]:
    """Return a function that opens a device server or a port that is not there."""

    async def main() -> Reason:
        return await told_of(adapter_on(address), ADDRESS)

    return in_real_time(main)


def refused() -> Callable[[], Reason]:
    """Return a function that connects to a port at which nothing listens."""

    async def main() -> Reason:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            port = taken.getsockname()[1]
        return await told_of(adapter_on(f"socket://127.0.0.1:{port}"), ADDRESS)

    return in_real_time(main)


def forbidden() -> Callable[[], Reason]:
    """Return a function that opens a port which belongs to a group that its user is not in."""

    async def main() -> Reason:
        async with SerialLine(Display(), baudrate=9600) as line:
            if os.geteuid() == 0:
                os.chown(line.tty_name, 0, 20)
            os.chmod(line.tty_name, 0o060)  # noqa: PTH101 - a device file
            async with as_another_user():
                return await told_of(adapter_on(line.port), ADDRESS)

    return in_real_time(main)


def in_use() -> Callable[[], Reason]:
    """Return a function that opens a port which another process has open."""

    async def main() -> Reason:
        async with SerialLine(Display(), baudrate=9600) as line:
            code = f"import time; f = open({line.tty_name!r}); print('open', flush=True); time.sleep(60)"
            other = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
            try:
                assert other.stdout is not None
                await other.stdout.readline()
                return await told_of(adapter_on(line.port), ADDRESS)
            finally:
                other.kill()
                await other.wait()

    return in_real_time(main)


def full() -> Callable[[], Reason]:
    """Return a function that connects to a device server whose one connection is in use, by another client."""

    async def main() -> Reason:
        async with DeviceServer(Display()) as server:
            server.max_clients = 1
            host, _, port = server.port.removeprefix("socket://").partition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            reason = await told_of(adapter_on(server.port), ADDRESS)
            writer.close()
            return reason

    return in_real_time(main)


def projector(given: str | None) -> Callable[[], Reason]:
    """Return a function that asks a projector with a password, with this one."""

    async def main() -> Reason:
        with TemporaryDirectory() as folder:
            file = Path(folder) / "password"
            file.write_text(given or "")
            file.chmod(0o600)
            device = {} if given is None else {"password_file": str(file)}
            async with DeviceServer(Projector(password="right")) as server:
                adapter = adapter_on(server.port, "pjlink", **device)
                return await told_of(adapter, "pjlink", rounds=1)

    return in_real_time(main)


def closes_at_once(server: DeviceServer) -> None:
    """Close each connection when it is accepted."""
    server.max_clients = 0


def closes_unanswered(server: DeviceServer) -> None:
    """Close each connection instead of the first answer."""
    server.closes_after_answers = 0


SILENT, DAMAGED, CUT = SerialFaults(silent=True), SerialFaults(wrong_checksum=True), SerialFaults(truncated=True)


def chatterer() -> ScriptedDevice:
    """Return another device, which answers whatever it gets with a line of text."""
    return ScriptedDevice(lambda question: b"READY\r\n")


class Refusing(Display):
    """A display that refuses everything but the question who it is, as one in stand-by does."""

    def receive(self, data: bytes) -> list[bytes]:
        """Answer each frame with a refusal."""
        return [self._frame(0x4E, answer[5], b"\x01") if answer[5] != 0x0B else answer for answer in super().receive(data)]


def framed_text() -> ScriptedDevice:
    """Return another display, whose frames are text between control characters."""
    return ScriptedDevice(lambda question: b"\x010A0AB12\x0200D60000040001\x03t\r")


def wrong_speed() -> Callable[[], Reason]:
    """Return a function that opens a port at another speed than that of the display."""

    async def main() -> Reason:
        async with SerialLine(Display(), baudrate=19200) as line:
            return await told_of(adapter_on(line.port, address="1"), ADDRESS, rounds=1)

    return in_real_time(main)


def console() -> Callable[[], Reason]:
    """Return a function that asks a computer's console that is connected in place of a display."""

    async def main() -> Reason:
        async with SerialLine(LgDisplay(), baudrate=9600) as line:
            adapter = adapter_on(line.port, "lg-display", address="1")
            return await told_of(adapter, "lg-display/1", then=lambda: replaced_by(Console)(line), rounds=2)

    return in_real_time(main)


_PORTS = [
    Cell("port missing at the start", PTY, (Cause.NO_PORT,), at("/dev/ttyUSB-none"), "plug"),
    Cell("unplugged while running", PTY, (Cause.NO_PORT,), on_port(then=lambda line: line.unplug(), loses=True), "unplugged"),
    Cell("no permission", PTY, (Cause.NO_PERMISSION,), forbidden(), "in compose: group_add"),
    Cell("port in use", PTY, (Cause.PORT_IN_USE,), in_use(), "End that program: kill"),
    Cell("opens, but silence", PTY, (Cause.SILENT_BUS,), on_port(faulty(SILENT)), "power"),
    Cell("opens, but silence", SERVER, (Cause.SILENT_BUS,), on_server(faulty(SILENT)), "power"),
    Cell("one device stops answering", PTY, (Cause.NO_ANSWER,), on_port(then=faulty(SILENT))),
    Cell("every checksum wrong", PTY, (Cause.CHECKSUM_ERRORS,), on_port(faulty(DAMAGED)), "speed, parity"),
    Cell("every checksum wrong", SERVER, (Cause.CHECKSUM_ERRORS,), on_server(faulty(DAMAGED)), "device server"),
    Cell("answers cut short", PTY, (Cause.CHECKSUM_ERRORS,), on_port(then=faulty(CUT)), "speed, parity"),
    Cell("wrong speed", PTY, (Cause.SILENT_BUS, Cause.CHECKSUM_ERRORS), wrong_speed(), "speed, parity"),
    Cell("another device answers", PTY, (Cause.OTHER_DEVICE,), on_port(then=replaced_by(chatterer))),
    Cell("another device answers, with framed text", PTY, (Cause.OTHER_DEVICE,), on_port(then=replaced_by(framed_text))),
    Cell("refuses everything", PTY, (Cause.DEVICE_REFUSES,), on_port(then=replaced_by(Refusing)), "refuses everything"),
    Cell("a console answers", PTY, (Cause.OTHER_DEVICE,), console()),
    Cell("host name unknown", SERVER, (Cause.NAME_UNKNOWN,), at("socket://nowhere.invalid:4001"), "name"),
    Cell("host unreachable", SERVER, (Cause.HOST_UNREACHABLE,), at("socket://255.255.255.255:4001"), "route"),
    Cell("host refuses", SERVER, (Cause.HOST_REFUSES,), refused(), "refuses"),
    Cell("host closes each connection at once", SERVER, (Cause.HOST_CLOSES,), on_server(closes_at_once), "in use"),
    Cell("host closes instead of answering", SERVER, (Cause.HOST_CLOSES,), on_server(closes_unanswered), "in use"),
    Cell("host is full", SERVER, (Cause.HOST_CLOSES, Cause.HOST_FULL), full(), "may all be in use"),
    Cell("login refused", SERVER, (Cause.LOGIN_REFUSED,), projector("wrong"), "rejects"),
    Cell("password missing", SERVER, (Cause.LOGIN_REFUSED,), projector(None), "needs a password"),
]

CELLS = [replace(cell, waits=cell.fault != "no permission") for cell in _PORTS]  # that one changes the user of the process
