"""Run the program that a deployer names for installing a firmware file: without a shell, within a time limit."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from gateway.errors import CommandRejected
from gateway.models import FirmwareFile
from gateway.plain_numbers import seconds_text
from gateway.runtime.diagnostics.secrets import masked_text
from gateway.tasks import loop_time

log = logging.getLogger(__name__)

KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "HOME")
"""What a hook gets of the gateway's environment: the rest may contain keys."""

MOST_OUTPUT_BYTES = 16 * 1024 * 1024
"""A hook that writes more is ended: it would fill the disk."""

READ_BYTES = 4096
"""How much of the end of its output is read for the last line."""

LONGEST_LINE = 500

LOOK_EVERY_SECONDS = 0.25
END_SECONDS = 5.0
"""How long a hook that takes too long has to end by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """The program and its limits."""

    program: Path
    within: timedelta
    secrets: Callable[[], Iterable[str]] = tuple
    """Texts that must not be passed on from its output."""

    async def install(self, file: FirmwareFile) -> str | None:
        """Have a file installed, and return the last line that the program wrote.

        It gets the path and the version as arguments, and in its environment FIRMWARE_FILE, FIRMWARE_VERSION, FIRMWARE_SHA256
        and FIRMWARE_SIGNATURE. It goes on when the gateway stops meanwhile: it may be the one that restarts it.

        Raises:
            CommandRejected: it cannot be run, failed, or took too long; the text has its last line.
        """
        output = file.path.with_name(f"{file.path.name}.output")
        try:
            process = await asyncio.to_thread(self._start, file, output)
        except OSError as error:
            raise CommandRejected(f"the firmware hook {self.program} cannot be run: {error.strerror or error}") from error
        problem = await self._wait(process, output)
        last = masked_text(await asyncio.to_thread(_last_line, output), self.secrets())[:LONGEST_LINE]
        if problem is not None:
            raise CommandRejected(f"the firmware hook {problem}{f': {last}' if last else ''}")
        return last or None

    def _start(self, file: FirmwareFile, output: Path) -> subprocess.Popen[bytes]:
        """Start the program in a session of its own; not by asyncio, which would kill it at the end of the gateway."""
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as sink:
            process = subprocess.Popen(  # noqa: S603 - the deployer's own program, without a shell
                [str(self.program.absolute()), str(file.path), file.version or ""],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                cwd=file.path.parent,
                env=_environment(file),
                start_new_session=True,
            )
        threading.Thread(target=process.wait, daemon=True, name="firmware hook").start()  # also where nobody waits any more
        return process

    async def _wait(self, process: subprocess.Popen[bytes], output: Path) -> str | None:
        """Wait for the end of the program, and return why it counts as failed; `None` when it does not."""
        ends_at = loop_time() + self.within.total_seconds()
        while (code := process.poll()) is None:
            if loop_time() >= ends_at:
                await _end(process)
                return f"did not end within {seconds_text(self.within.total_seconds())}, and was ended"
            if _size(output) > MOST_OUTPUT_BYTES:
                await _end(process)
                return f"wrote more than {MOST_OUTPUT_BYTES // 1024 // 1024} MB, and was ended"
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        return None if code == 0 else f"was ended by signal {-code}" if code < 0 else f"failed with exit code {code}"


async def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program and all that it has started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        give_up_at = loop_time() + END_SECONDS
        while process.poll() is None and loop_time() < give_up_at:  # noqa: ASYNC110 - nothing tells the end of another process
            await asyncio.sleep(LOOK_EVERY_SECONDS / 5)


def _environment(file: FirmwareFile) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | {
        "FIRMWARE_FILE": str(file.path),
        "FIRMWARE_VERSION": file.version or "",
        "FIRMWARE_SHA256": file.sha256,
        "FIRMWARE_SIGNATURE": file.signature or "",
    }


def _size(output: Path) -> int:
    try:
        return output.stat().st_size
    except OSError:
        return 0


def _last_line(output: Path) -> str:
    try:
        with output.open("rb") as written:
            written.seek(max(_size(output) - READ_BYTES, 0))
            lines = written.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    last = next((line for line in reversed(lines) if line.strip()), "")
    return "".join(letter if letter.isprintable() else " " for letter in last).strip()
