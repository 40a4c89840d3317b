"""Run tests on copies of the tree, in which one file is changed."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MEMORY = 6 << 30
"""Bytes of address space that the tests of a mutant may take: an endless loop that fills a list ends there."""
FIRST_FILE_TIME = 1_700_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of tests ended; `failed` names the first test that failed, where one did."""

    passed: bool
    seconds: float
    timed_out: bool = False
    failed: str = ""
    output: str = ""


class TreeCopy:
    """A copy of every file that git knows or would add, in which sources are changed and put back."""

    def __init__(self, tree: Path, at: Path) -> None:
        self.at = at
        self._writes = 0
        listed = subprocess.run(
            ["git", "-C", tree, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (tree / name).is_file():
                (at / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(tree / name, at / name)

    def read(self, file: str) -> str:
        return (self.at / file).read_text(encoding="utf-8")

    def write(self, file: str, source: str) -> None:
        """Write a source with a time that it never had, so that bytecode of a former version is not taken for its own."""
        self._writes += 1
        path = self.at / file
        path.write_text(source, encoding="utf-8")
        os.utime(path, (FIRST_FILE_TIME + self._writes,) * 2)

    def run(self, tests: Sequence[str], limit_seconds: float) -> Outcome:
        """Run these tests until the first fails; what takes longer than the limit is killed."""
        started = time.monotonic()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pytest",
                "-x",
                "-q",
                "--no-header",
                "--tb=line",
                "-p",
                "no:cacheprovider",
                "-p",
                "no:xdist",
                *tests,
            ],
            cwd=self.at,
            env=os.environ | {"PYTHONPATH": str(self.at), "HYPOTHESIS_STORAGE_DIRECTORY": str(self.at / ".hypothesis")},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY, MEMORY))
        timed_out = False
        try:
            output, _ = process.communicate(timeout=limit_seconds)
        except subprocess.TimeoutExpired:
            timed_out = True
            output = ""
        finally:
            _end(process)
        seconds = time.monotonic() - started
        return Outcome(process.returncode == 0 and not timed_out, seconds, timed_out, _first_failed(output), output)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill the group of the process: tests that were cut off leave programs of theirs behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _first_failed(output: str) -> str:
    for line in output.splitlines():
        if line.startswith(("FAILED ", "ERROR ")):
            return line.split(" ", 1)[1].split(" - ")[0]
    return ""
