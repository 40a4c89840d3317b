"""Run a private D-Bus: one `dbus-daemon` with a configuration in a temporary folder, for one test or one demo."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path
from typing import Self
from unittest import SkipTest

_PROGRAM = "dbus-daemon"
_START_SECONDS = 10
_CLIENTS_CLOSE_SECONDS = 0.01
"""Clients in the same event loop need a moment to notice that the bus is gone, and to close their sockets."""
_CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    {more}
  </policy>
</busconfig>
"""


class DaemonMissing(RuntimeError):
    """`dbus-daemon` is not installed, or does not start."""


class PrivateBus:
    """A private message bus, running while entered.

        async with PrivateBus() as bus:
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"] = bus.address  # in a test: monkeypatch.setenv

    Raises:
        DaemonMissing: on entering, when there is no `dbus-daemon` or it does not start.
    """

    def __init__(self, *, policy: str = "") -> None:
        """Allow everything except what `policy` denies, in the format of dbus-daemon: `<deny send_destination="org.bluez"/>`."""
        self._policy = policy
        self.address = ""
        """The address of the bus; known once entered."""
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start the daemon and wait until it listens."""
        program = shutil.which(_PROGRAM)
        if program is None:
            raise DaemonMissing(f"{_PROGRAM} is not installed: apt-get install dbus-daemon")
        self._folder = tempfile.TemporaryDirectory(prefix="dbus-")
        try:
            await self._start(program, Path(self._folder.name))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Stop the daemon, and with it every connection."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.communicate()
            self._process = None
            await asyncio.sleep(_CLIENTS_CLOSE_SECONDS)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    async def _start(self, program: str, folder: Path) -> None:
        configuration = folder / "bus.conf"
        configuration.write_text(_CONFIGURATION.format(folder=folder, more=self._policy))
        self._process = await asyncio.create_subprocess_exec(
            program,
            f"--config-file={configuration}",
            "--nofork",
            "--print-address=1",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self.address = await _first_line(self._process)


def dbus_daemon_or_skip() -> None:
    """Skip the running test where `dbus-daemon` is not installed; under `CI=true` it fails instead.

    Raises:
        SkipTest: `dbus-daemon` is not installed on this machine; pytest and unittest skip the test.
        DaemonMissing: the same in a build, which has to run all tests.
    """
    if shutil.which(_PROGRAM) is not None:
        return
    reason = f"{_PROGRAM} is missing: apt-get install dbus-daemon"
    if os.environ.get("CI") == "true":
        raise DaemonMissing(reason)
    raise SkipTest(reason)


async def _first_line(process: asyncio.subprocess.Process) -> str:
    """Return the address that the daemon prints when it listens."""
    assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
    try:
        async with asyncio.timeout(_START_SECONDS):
            line = await process.stdout.readline()
            if not line:
                errors = await process.stderr.read()
                raise DaemonMissing(f"{_PROGRAM} did not start: {errors.decode(errors='replace').strip()}")
    except TimeoutError as error:
        raise DaemonMissing(f"{_PROGRAM} did not start within {_START_SECONDS:.0f} s") from error
    return line.decode().strip()
