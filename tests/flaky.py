"""Run chosen tests many times while every core is busy, each time in another order: `make flaky ARGS="tests/field -k silent"`.

A test that waits for the wall clock passes alone and fails on a busy machine; here it fails on the desk of who wrote it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from multiprocessing import Process


def main() -> int:
    """Run the tests `--times` times; exit code 1 when a run failed, 2 when no tests were chosen."""
    arguments, tests = parse_arguments()
    if not tests:
        print('name the tests: make flaky ARGS="tests/field -k silent"', file=sys.stderr)  # noqa: T201  a script
        return 2
    busy = [Process(target=spin, daemon=True) for _ in range(arguments.busy)]
    for process in busy:
        process.start()
    try:
        failed = [run for run in range(1, arguments.times + 1) if not passes(run, arguments.times, tests)]
    finally:
        for process in busy:
            process.terminate()
    print(f"{arguments.times - len(failed)} of {arguments.times} runs passed with {arguments.busy} busy processes beside them")  # noqa: T201  a script
    return int(bool(failed))


def parse_arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], epilog="All other arguments go to pytest.")
    parser.add_argument("--times", type=int, default=20, help="runs (default: 20)")
    parser.add_argument(
        "--busy", type=int, default=os.cpu_count() or 1, help="busy processes beside them (default: one for each core)"
    )
    return parser.parse_known_args()


def spin() -> None:
    """Keep a core busy until the process is ended."""
    while True:
        pass


def passes(run: int, times: int, tests: list[str]) -> bool:
    """Run the tests once, in the order that the number of the run draws, and print what failed."""
    started = time.monotonic()
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        "--no-header",
        "-p",
        "no:cacheprovider",
        "--shuffle",
        str(run),
        *tests,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
    print(f"run {run} of {times}: {lines[-1]}, {time.monotonic() - started:.1f} s in all", flush=True)  # noqa: T201  a script
    if done.returncode != 0:
        print(done.stdout, done.stderr, f"again: pytest --shuffle {run} {' '.join(tests)}", sep="\n", flush=True)  # noqa: T201  a script
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
